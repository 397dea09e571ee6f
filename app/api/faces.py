"""Dialect C: batches of faces, and all that is asked of one collection with a key."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BaseConverter

from app.api import errors, faces_access, faces_jobs, faces_render, jobs_render, polling
from app.api.body import parse
from app.api.context import resources
from app.api.documents_body import load
from app.api.faces_access import requires_there
from app.api.faces_jobs import item, read_external_id, read_metadata, submitted
from app.api.faces_paging import read_flag, read_page
from app.api.faces_upload import MOST_IMAGES, Form, received, require_images
from app.api.polling import Seen
from app.db import Database
from app.errors import InvalidParameter, MalformedJson
from app.faces import collections
from app.faces.collections import OnDuplicate
from app.faces.store import Collection
from app.jobs import service
from app.jobs.model import Job
from app.kinds.faces import Work
from schemas.faces import CollectionUpdateSchema, FaceIdsSchema, FaceUpdateSchema, read_uuid

bp = Blueprint("faces", __name__, url_prefix="/api/v1/collections")
errors.shape("/api/v1", faces_render.error)


class _FaceId(BaseConverter):
    """An id of a face, or what may be meant as one; not the batches beside them."""

    regex = r"(?!batch(?:-async)?\Z)[^/]+"
    # werkzeug would guess otherwise, for the slash in it.
    part_isolating = True


@bp.record_once
def _know_ids(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["face"] = _FaceId


#: Images that are enrolled while the caller waits, at most.
SYNC_IMAGES = 20

_UPDATE, _FACE_UPDATE, _IDS = CollectionUpdateSchema(), FaceUpdateSchema(), FaceIdsSchema()


@bp.post("/<collection_id>/faces/batch-async")
@requires_there("face:write")
def submit(collection_id: str) -> Response:
    """Accept up to 100 images for enrolment, and answer before any is looked at."""
    collection = faces_access.collection(collection_id, must_be_enabled=True)
    with received() as form:
        job = _batch(form, collection, interactive=False, most=MOST_IMAGES)
    body = {
        **faces_render.job(job),
        "collection_id": str(collection.id),
        "organization_id": str(job.tenant_id),
        "created_at": jobs_render.stamp(job.created_at),
    }
    response = faces_render.ok(body, HTTPStatus.ACCEPTED)
    response.headers["Location"] = f"/api/v1/organizations/{job.tenant_id}/batch/{job.external_id}"
    response.headers["Operation-Location"] = jobs_render.path(job)
    response.headers["Retry-After"] = str(faces_render.POLL_SECONDS)
    return response


@bp.get("/<collection_id>/batch/<job_id>")
@requires_there("face:read")
def show_batch(collection_id: str, job_id: str) -> Response:
    """Show a batch of this collection: how far it is, and the results there are."""
    collection = faces_access.collection(collection_id)
    return polled(job_id, collection)


@bp.post("/<collection_id>/faces/batch")
@requires_there("face:write")
def enrol_batch(collection_id: str) -> Response:
    """Enrol up to 20 images while the caller waits."""
    with_details = read_flag("details")
    collection = faces_access.collection(collection_id, must_be_enabled=True)
    with received(SYNC_IMAGES) as form:
        job = _batch(form, collection, interactive=True, most=SYNC_IMAGES)
    job = faces_jobs.wait_for_all(job)
    rows = service.result_page(resources(), job, limit=SYNC_IMAGES)
    counts = faces_render.job(job)
    shown = {name: counts[name] for name in ("total", "processed", "succeeded", "failed")}
    results = [faces_render.result(row, details=with_details) for row in rows]
    return faces_render.ok({**shown, "results": results})


@bp.post("/<collection_id>/faces")
@requires_there("face:write")
def enrol(collection_id: str) -> Response:
    """Enrol one image while the caller waits."""
    with_details = read_flag("details")
    collection = faces_access.collection(collection_id, must_be_enabled=True)
    with received(1) as form:
        (image,) = require_images(form)
        wanted = item(
            read_external_id(form.one("external_id")),
            is_too_large=image.is_too_large,
            metadata=read_metadata(form.one("metadata")),
        )
        job = submitted(
            form,
            Work.ENROL,
            [wanted],
            interactive=True,
            collection_ids=[str(collection.id)],
            on_duplicate=str(faces_jobs.on_duplicate(form, OnDuplicate.ERROR)),
        )
    found = faces_jobs.answer(job)
    face_id = faces_access.face_id(found["face_id"])
    face = faces_render.face(collections.get_face(resources().db, collection.id, face_id))
    more = {n: v for n, v in found.items() if n not in face} if with_details else {}
    response = faces_render.ok({**face, **more}, HTTPStatus.CREATED)
    response.headers["Location"] = f"/api/v1/collections/{collection.id}/faces/{face_id}"
    return response


@bp.get("/<collection_id>/faces")
@requires_there("face:read")
def list_faces(collection_id: str) -> Response:
    """List the faces of a collection, the newest first."""
    collection = faces_access.collection(collection_id)
    limit, offset = read_page()
    faces, total = collections.list_faces(
        resources().db,
        collection.id,
        external_id=faces_jobs.storable("external_id", request.args.get("external_id", "")) or None,
        limit=limit,
        offset=offset,
    )
    shown = [faces_render.face(each) for each in faces]
    return faces_render.ok({"faces": shown, "total": total, "limit": limit, "offset": offset})


@bp.delete("/<collection_id>/faces/batch")
@requires_there("face:write")
def delete_faces(collection_id: str) -> Response:
    """Delete up to 100 faces, with what they are recognised by."""
    collection = faces_access.collection(collection_id)
    given = load(_IDS)["face_ids"]
    ids = [found for text in given if (found := read_uuid(text)) is not None]
    gone = set(map(str, collections.delete_faces(resources().db, collection.id, ids)))
    missing = [text for text in dict.fromkeys(given) if text.lower() not in gone]
    return faces_render.ok({"deleted": len(gone), "not_found": missing})


@bp.get("/<collection_id>/faces/<face:face_id>")
@requires_there("face:read")
def show_face(collection_id: str, face_id: str) -> Response:
    """Show one face, without what it is recognised by."""
    collection = faces_access.collection(collection_id)
    face = collections.get_face(resources().db, collection.id, faces_access.face_id(face_id))
    return faces_render.ok(faces_render.face(face))


@bp.patch("/<collection_id>/faces/<face:face_id>")
@requires_there("face:write")
def update_face(collection_id: str, face_id: str) -> Response:
    """Put other metadata in place of a face's own."""
    collection = faces_access.collection(collection_id)
    metadata = faces_jobs.check_metadata(load(_FACE_UPDATE)["metadata"])
    face = collections.update_face(
        resources().db, collection.id, faces_access.face_id(face_id), metadata
    )
    return faces_render.ok(faces_render.face(face))


@bp.delete("/<collection_id>/faces/<face:face_id>")
@requires_there("face:write")
def delete_face(collection_id: str, face_id: str) -> Response:
    """Delete one face, with what it is recognised by."""
    collection = faces_access.collection(collection_id)
    collections.delete_face(resources().db, collection.id, faces_access.face_id(face_id))
    return Response(status=HTTPStatus.NO_CONTENT)


@bp.get("/<collection_id>/export")
@requires_there("face:read")
def export(collection_id: str) -> Response:
    """Stream every face of a collection, one JSON object a line."""
    collection = faces_access.collection(collection_id)
    with_embeddings = read_flag("embeddings")
    return Response(
        _lines(resources().db, collection, with_embeddings=with_embeddings),
        mimetype="application/x-ndjson",
        headers={"Content-Disposition": 'attachment; filename="faces.ndjson"'},
    )


@bp.get("/<collection_id>")
@requires_there("collections:read")
def show(collection_id: str) -> Response:
    """Show one collection."""
    return faces_render.ok(faces_render.collection(faces_access.collection(collection_id)))


@bp.put("/<collection_id>")
@requires_there("collections:manage")
def update(collection_id: str) -> Response:
    """Change what is given, of a collection; disabled, it takes nothing and answers nothing."""
    collection = faces_access.collection(collection_id)
    changed = load(_UPDATE)
    moved = collections.update(resources().db, collection.tenant_id, collection.id, changed)
    return faces_render.ok(faces_render.collection(moved))


@bp.delete("/<collection_id>")
@requires_there("collections:manage")
def delete(collection_id: str) -> Response:
    """Delete a collection, with its faces and its keys."""
    collection = faces_access.collection(collection_id)
    collections.delete(resources().db, collection.tenant_id, collection.id)
    return Response(status=HTTPStatus.NO_CONTENT)


def polled(job_id: str, collection: Collection | None = None) -> Response:
    """Answer a poll: of any batch of the organization, or of one collection."""
    known, details = faces_access.job_id(job_id), read_flag("details")

    def look() -> Seen:
        job = faces_jobs.find(known)
        if collection is not None and str(collection.id) not in job.options["collection_ids"]:
            raise faces_jobs.no_job()
        version = f"{job.version}-details" if details else str(job.version)
        return Seen(version, job.state.is_final, lambda: _shown(job, details=details))

    return polling.answer(look, poll_seconds=faces_render.POLL_SECONDS)


def _shown(job: Job, *, details: bool) -> Response:
    rows = service.result_page(resources(), job, limit=MOST_IMAGES)
    return faces_render.ok(faces_render.polled(job, rows, details=details))


def _batch(form: Form, collection: Collection, *, interactive: bool, most: int) -> Job:
    """Make a job of the images and ids of a form, or raise InvalidParameter."""
    if not form.images:
        raise InvalidParameter(f"Send 1 to {most} images, in the field `images`.")
    duplicate = faces_jobs.on_duplicate(form, OnDuplicate.REPLACE)
    people = _people(form)
    if len(people) != len(form.images):
        raise InvalidParameter(
            f"{len(form.images)} images came with {len(people)} external ids: each image needs"
            " one, in the same order.",
            images=len(form.images),
            external_ids=len(people),
        )
    ids = [external_id for external_id, _ in people]
    if duplicate is not OnDuplicate.ADD and len(set(ids)) < len(ids):
        at = next(n for n, each in enumerate(ids) if each in ids[:n])
        raise InvalidParameter(
            f"The external id at index {at} came before: in one batch each may stand once, unless"
            " on_duplicate is `add`.",
            index=at,
        )
    items = [
        item(external_id, is_too_large=image.is_too_large, metadata=metadata)
        for image, (external_id, metadata) in zip(form.images, people, strict=True)
    ]
    return submitted(
        form,
        Work.ENROL,
        items,
        interactive=interactive,
        collection_ids=[str(collection.id)],
        on_duplicate=str(duplicate),
    )


def _people(form: Form) -> list[tuple[str, Mapping[str, Any]]]:
    """Return external id and metadata of each image, whichever way they were sent."""
    given, more = form.listed("external_ids"), form.listed("metadata")
    if "entries" in form.texts:
        if given or more or len(form.texts["entries"]) > 1:
            raise InvalidParameter(
                "Send entries once, or external_ids[] and metadata[], and not both."
            )
        return [_entry(each) for each in _entries(form.one("entries") or "")]
    ids = [read_external_id(text) for text in given]
    metadata = [read_metadata(text) for text in more]
    if metadata and len(metadata) != len(ids):
        raise InvalidParameter(
            f"{len(metadata)} metadata came with {len(ids)} external ids: send one for each, or"
            " none."
        )
    return list(zip(ids, metadata or [{} for _ in ids], strict=True))


def _entries(text: str) -> list[Any]:
    try:
        entries = parse(text.encode("utf-8"))
    except MalformedJson as error:
        raise InvalidParameter("entries must be a JSON array.") from error
    if not isinstance(entries, list):
        raise InvalidParameter("entries must be a JSON array.")
    return entries


def _entry(entry: Any) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(entry, dict):
        raise InvalidParameter("Each of entries must be an object with an external_id.")
    given = entry.get("external_id", entry.get("externalId"))
    external_id = read_external_id(given if isinstance(given, str) else None)
    metadata = entry.get("metadata")
    return external_id, faces_jobs.check_metadata({} if metadata is None else metadata)


def _lines(db: Database, collection: Collection, *, with_embeddings: bool) -> Iterator[str]:
    for face, embedding in collections.export(db, collection.id, with_embeddings=with_embeddings):
        shown = faces_render.face(face)
        if embedding is not None:
            shown["embedding"] = base64.b64encode(embedding).decode()
        yield json.dumps(shown, ensure_ascii=False) + "\n"
