"""One good body for every route that takes JSON, to be spoilt in one place at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tests.kyc import LISTED
from tests.verifications import JANE, TRUST

SUBJECT = {
    **{"full_name": "Zebulon Quartermain", "birth_date": "1961-04-12", "nationality": "GB"},
    **{"entity_type": "person", "document_id": "X9988776"},
    "identifiers": [{"type": "Passport", "value": "X9988776"}],
}
ENTITY = {"entity_id": "e1", "subject": SUBJECT, "lists": ["house"]}
ACCOUNT = {"email": "bob@example.com", "password": "correct horse battery", "full_name": "Bob"}
DOCUMENT = {
    **{"id": "d1", "title": "A note", "text": "The bank was fined.", "description": "x"},
    **{"publishing_date": "2024-01-01", "more": "a column"},
}
CONFIG = {"num_tags": 3, "exclusion_words": ["report"], "language": "auto"}

#: By rule of the URL map; `fresh` bodies make something, and are sent once each.
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/kyc"): ENTITY,
    ("POST", "/kyc/jobs"): {"entities": [ENTITY], "labels": {"team": "x"}, "threshold": 0.8},
    ("POST", "/kyc/auth/token"): {"email": "ada@example.com", "password": "correct horse battery"},
    ("POST", "/kyc/exclusions"): {
        **{"job_id": "00000000-0000-4000-8000-000000000000", "entity_id": "e1"},
        **{"list_name": "house", "entry_id": "h-1", "reason": "Another person."},
    },
    ("POST", "/kyc/watchlists"): {"name": "customers2", "lists": ["house"]},
    ("PATCH", "/kyc/watchlists/<watchlist_id>"): {"name": "customers3"},
    ("POST", "/kyc/watchlists/<watchlist_id>/subjects"): {"subjects": [LISTED, ENTITY]},
    ("POST", "/kyc/watchlists/<watchlist_id>/remove-subjects"): {"entity_ids": ["e7"]},
    ("POST", "/v1/jobs/<job_id>/retry"): {},
    ("POST", "/api/auth/register"): ACCOUNT,
    ("POST", "/api/auth/login"): {"email": "ada@example.com", "password": "correct horse battery"},
    ("POST", "/api/auth/refresh"): {"refresh_token": "none"},
    ("POST", "/api/batch/start"): {"documents": [DOCUMENT], "config": CONFIG},
    ("POST", "/api/batch/validate-paths"): {"paths": ["/srv/x.txt"], "documents": [DOCUMENT]},
    ("POST", "/api/single/process"): {"document": DOCUMENT, "config": CONFIG},
    ("POST", "/api/v1/auth/register"): {**ACCOUNT, "email": "eve@example.com"},
    ("POST", "/api/v1/auth/login"): {
        **{"email": "ada@example.com", "password": "correct horse battery"},
    },
    ("POST", "/api/v1/organizations/<org_id>/collections"): {"name": "y", "description": "x"},
    ("POST", "/api/v1/organizations/<org_id>/api-keys"): {"name": "z", "scopes": ["face:read"]},
    ("PUT", "/api/v1/collections/<collection_id>"): {"name": "w", "description": "x"},
    ("PATCH", "/api/v1/collections/<collection_id>/faces/<face_id>"): {"metadata": {"a": "b"}},
    ("DELETE", "/api/v1/collections/<collection_id>/faces/batch"): {"face_ids": ["x"]},
    ("POST", "/v5/verifications"): {**TRUST, "userId": "u-1", "stakeholders": [JANE]},
    ("PUT", "/v5/verifications/<trace>/monitoring"): {"frequency": "daily"},
}


def texts(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where in the body there is a text."""
    if isinstance(body, str):
        yield path
    elif isinstance(body, dict | list):
        entries = body.items() if isinstance(body, dict) else enumerate(body)
        for key, value in entries:
            yield from texts(value, (*path, key))


def objects(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where in the body there is an object."""
    if isinstance(body, dict):
        yield path
    if isinstance(body, dict | list):
        entries = body.items() if isinstance(body, dict) else enumerate(body)
        for key, value in entries:
            yield from objects(value, (*path, key))


def spoilt(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return the body with another value in that place; an object there gets more members."""
    made = copy.deepcopy(body)
    if not path:
        return {**made, **value}
    place = made
    for key in path[:-1]:
        place = place[key]
    old = place[path[-1]]
    place[path[-1]] = {**old, **value} if isinstance(old, dict) else value
    return made
