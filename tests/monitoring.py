"""What the tests of monitored watchlists share: an administrator, and a watchlist of theirs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import auth, tokens
from app.screening.lists.load import load_list

VEXFORD = {"entity_id": "vex", "subject": {"full_name": "Ottoline Vexford"}}
LATER = {"id": "h-9", "type": "person", "name": "Harriet Ploughwright", "birth_dates": ["1970"]}


@pytest.fixture
def client(web, settings, tenant):
    auth._known_keys.clear()
    token = tokens.mint_access(settings, tenant.id, "usr_admin", PERMISSIONS[Role.ADMIN])
    client = web.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def make(client, *subjects: dict[str, Any], **given: Any) -> str:
    body = {"name": "customers", "check_frequency": "on_update", **given}
    made = client.post("/kyc/watchlists", json=body)
    assert made.status_code == 201, made.json
    watchlist = made.json["watchlist"]["watchlist_id"]
    assert made.headers["Location"] == f"/kyc/watchlists/{watchlist}"
    if subjects:
        add(client, watchlist, *subjects)
    return watchlist


def add(client, watchlist: str, *subjects: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/kyc/watchlists/{watchlist}/subjects", json={"subjects": subjects})
    assert answer.status_code == 200, answer.json
    return answer.json


def monitor(client, watchlist: str) -> dict[str, Any]:
    answer = client.post(f"/kyc/watchlists/{watchlist}/monitor")
    assert answer.status_code == 200, answer.json
    return answer.json["data"]


def listed(client, path: str, what: str, **query: Any) -> list[dict[str, Any]]:
    """Return all pages, two at a time."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        given = {"limit": 2, **query, **({"cursor": cursor} if cursor else {})}
        answer = client.get(path, query_string=given)
        assert answer.status_code == 200, answer.json
        found += answer.json[what]
        cursor = answer.json["next_cursor"]
        if cursor is None:
            return found
        assert answer.json["count"] == given["limit"]


def changes(client, watchlist: str, **query: Any) -> list[tuple[str, str, str]]:
    found = listed(client, f"/kyc/watchlists/{watchlist}/changes", "changes", **query)
    return [(each["entity_id"], each["change"], each["entry_id"]) for each in found]


def hits(client, watchlist: str) -> set[tuple[str, str]]:
    found = listed(client, f"/kyc/watchlists/{watchlist}/hits", "hits")
    return {(each["entity_id"], each["match"]["match_data"]["id"]) for each in found}


def new_version(resources, settings, folder, *entries: dict[str, Any], name: str = "house"):
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    load_list(
        resources.db, name, file, format="plain", allow_shrink=True, index_dir=settings.index_dir
    )


def update_checks(client, watchlist: str) -> list[dict[str, Any]]:
    found = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    return [each for each in found if each["cause"] == "list_update"]


def tenant_id(resources):
    return accounts.ensure_tenant(resources.db, "acme").id


def make_due(resources, monitor_id=None) -> None:
    """This one, or all."""
    with resources.db.transaction() as tx:
        tx.execute(
            "UPDATE monitors SET next_check_at = now() - interval '1 second'"
            " WHERE %(id)s::uuid IS NULL OR id = %(id)s::uuid",
            {"id": monitor_id},
        )
