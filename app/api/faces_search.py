"""Dialect C: whose face is this? Answered while the caller waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Blueprint, Response

from app.api import faces_access, faces_jobs, faces_render
from app.api.auth import requires
from app.api.context import caller, resources
from app.api.faces_access import requires_there
from app.api.faces_jobs import item, submitted
from app.api.faces_paging import flag_of, threshold_of, whole_of
from app.api.faces_upload import Form, received, require_images
from app.errors import CollectionNotFound, FaceNotFound, InvalidParameter
from app.faces import collections, store
from app.kinds.faces import Work

bp = Blueprint("faces_search", __name__, url_prefix="/api/v1")

#: Faces of an answer, and collections of a search, at most.
MOST_MATCHES = 100
MOST_COLLECTIONS = 20


@bp.post("/collections/<collection_id>/identify")
@requires_there("face:read")
def identify(collection_id: str) -> Response:
    """Find the faces of a collection that are like the one in an image."""
    collection = faces_access.collection(collection_id, must_be_enabled=True)
    with received(1) as form:
        return _identified(form, [collection.id])


@bp.post("/search")
@requires("face:read")
def search() -> Response:
    """Find the faces of several collections that are like the one in an image."""
    with received(1) as form:
        return _identified(form, _wanted(form))


@bp.post("/collections/<collection_id>/verify")
@requires_there("face:read")
def verify(collection_id: str) -> Response:
    """Say whether the face in an image is that of one person of the collection."""
    collection = faces_access.collection(collection_id, must_be_enabled=True)
    with received(1) as form:
        (image,) = require_images(form)
        person = _person(form, collection.id)
        threshold = threshold_of(form, default=resources().settings.face_verify_threshold)
        job = submitted(
            form,
            Work.VERIFY,
            [item(is_too_large=image.is_too_large, **person)],
            interactive=True,
            collection_ids=[str(collection.id)],
            threshold=threshold,
        )
    found = faces_jobs.answer(job)
    return faces_render.ok({**_judgement(found), "face_id": found["face_id"]})


@bp.post("/compare")
@requires("face:read")
def compare() -> Response:
    """Say whether two images are of one person. Nothing of either is kept."""
    with received(2, are_two=True) as form:
        sent = require_images(form, 2)
        threshold = threshold_of(form, default=resources().settings.face_verify_threshold)
        job = submitted(
            form,
            Work.COMPARE,
            [item(None, is_too_large=any(image.is_too_large for image in sent))],
            interactive=True,
            collection_ids=[],
            threshold=threshold,
        )
    return faces_render.ok(_judgement(faces_jobs.answer(job)))


def _identified(form: Form, collection_ids: Sequence[UUID]) -> Response:
    (image,) = require_images(form)
    with_metadata = flag_of(form, "return_metadata", default=True)
    threshold = threshold_of(form, default=resources().settings.face_identify_threshold)
    job = submitted(
        form,
        Work.IDENTIFY,
        [item(None, is_too_large=image.is_too_large)],
        interactive=True,
        collection_ids=[str(each) for each in collection_ids],
        threshold=threshold,
        top_k=whole_of(form, "top_k", default=1, most=MOST_MATCHES),
        deduplicate=flag_of(form, "deduplicate", default=True),
    )
    found = faces_jobs.answer(job)
    return faces_render.ok(
        {
            "matches": [_match(each, with_metadata=with_metadata) for each in found["matches"]],
            "query_time_ms": found["query_time_ms"],
            "searched": found["searched"],
            "threshold": threshold,
        }
    )


def _match(each: Mapping[str, Any], *, with_metadata: bool) -> dict[str, Any]:
    names = ("face_id", "external_id", "collection_id", "similarity", "rank")
    shown = {name: each[name] for name in names}
    return {**shown, "metadata": each["metadata"]} if with_metadata else shown


def _judgement(found: Mapping[str, Any]) -> dict[str, Any]:
    """In the words of both generations of the original's documentation."""
    return {
        "verified": found["verified"],
        "match": found["verified"],
        "similarity": found["similarity"],
        "confidence": found["similarity"],
        "threshold": found["threshold"],
        "threshold_used": found["threshold"],
    }


def _person(form: Form, collection_id: UUID) -> dict[str, str]:
    """Return whom to compare with. Raises InvalidParameter, or FaceNotFound."""
    face_id, external_id = form.one("face_id"), form.one("external_id")
    if bool(face_id) == bool(external_id):
        raise InvalidParameter("Say whose face it should be: send face_id or external_id.")
    db = resources().db
    if face_id:
        face = collections.get_face(db, collection_id, faces_access.face_id(face_id))
        return {"external_id": face.external_id, "face_id": str(face.id)}
    with db.transaction() as tx:
        if not store.find_ids(tx, collection_id, external_id or ""):
            raise FaceNotFound("No face found with the given external_id in this collection.")
    return {"external_id": external_id or ""}


def _wanted(form: Form) -> list[UUID]:
    """Return the collections to search: those named, or all that the caller may see."""
    named = form.all("collection_ids[]", "collection_ids", "collection_id")
    if named:
        # Each once, and not too many, before any is looked up.
        texts = dict.fromkeys(text.strip().lower() for each in named for text in each.split(","))
        _check_number(len(texts))
        return [_named(text, caller().tenant_id) for text in texts]
    known, total = collections.list_all(
        resources().db,
        caller().tenant_id,
        only=caller().collection_id,
        must_be_enabled=True,
        limit=MOST_COLLECTIONS,
    )
    if not known:
        raise CollectionNotFound("There is no collection to search.")
    _check_number(total)
    return [each.id for each in known]


def _named(text: str, tenant_id: UUID) -> UUID:
    """Return a collection of the tenant as which the image was taken in."""
    found = faces_access.collection(text, must_be_enabled=True)
    if found.tenant_id != tenant_id:
        raise InvalidParameter(
            "A search is within the organization of your token; sign in with organization_id for"
            " another one's, or ask its collections one by one with identify."
        )
    return found.id


def _check_number(wanted: int) -> None:
    if wanted > MOST_COLLECTIONS:
        raise InvalidParameter(
            f"At most {MOST_COLLECTIONS} collections are searched at once, and these are"
            f" {wanted:,}: name them in collection_ids.",
            max=MOST_COLLECTIONS,
            received=wanted,
        )
