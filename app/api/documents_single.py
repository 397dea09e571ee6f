"""Dialect D: one document while the caller waits, uploads, and what helps to make a batch."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.datastructures import FileStorage

from app.api import documents_render, documents_start, waiting
from app.api.auth import requires
from app.api.body import read_json
from app.api.context import caller, resources
from app.api.documents import uploads_held
from app.api.jobs_render import stamp
from app.documents import uploads
from app.documents.model import Source, Upload
from app.errors import AppError, InvalidParameter, ItemError, JobError
from app.jobs import service
from app.jobs.model import NewItem
from app.kinds import documents

bp = Blueprint("documents_single", __name__, url_prefix="/api")

#: Files of one upload, and paths of one look.
FILES = 100
PATHS = 1_000
#: For the hosts that the paths of one look name, all together.
LOOK_SECONDS = 10.0

#: One line that shows what may stand in each column.
_TEMPLATE = {
    "title": "Annual report",
    "file_path": "https://example.com/report.pdf",
    "file_source_type": "url",
    "description": "Optional",
    "publishing_date": "2025-01-15",
    "file_size": "1.2MB",
}


@bp.post("/single/process")
@requires("documents:create")
def process() -> Response:
    """Tag one document while the caller waits: a job of one item, ahead of all batches."""
    body, storable = read_json()
    if not isinstance(body, dict):
        raise InvalidParameter("The body must be a JSON object.")
    config = body.get("config", {})
    given = body.get("document")
    if given is None:
        given = {name: value for name, value in body.items() if name not in {"config", "job_id"}}
    asked = documents_start.read(
        {"documents": [given], "config": config}, storable=storable, max_documents=1
    )
    (document,) = asked.documents
    job = service.submit(
        resources(),
        documents.plan(
            resources(),
            tenant_id=caller().tenant_id,
            created_by=caller().uid,
            items=[NewItem(document.get("id"), service.encode_item({"document": document}))],
            config=asked.config,
            interactive=True,
        ),
        hold=uploads_held(asked),
    )
    try:
        waiting.finished(job)
    except JobError as error:
        raise AppError(f"a single document failed as {error.code}") from error
    (row,) = service.worked_page(resources(), job, finished=True, limit=1)
    return jsonify(job_id=job.external_id, **documents_render.document(row))


@bp.post("/batch/upload")
@requires("documents:create")
def upload() -> tuple[Response, HTTPStatus]:
    """Keep documents for a while, so that a job can name them."""
    files = _files()
    if not files:
        raise InvalidParameter("No files provided: send them as multipart/form-data, in `files`.")
    if len(files) > FILES:
        raise InvalidParameter(f"At most {FILES} files may be sent at once.")
    made = uploads.save_all(
        resources().db,
        resources().settings,
        caller().tenant_id,
        [(file.filename or "", file.read()) for file in files],
        created_by=caller().uid,
    )
    return jsonify(files=[_kept(each) for each in made]), HTTPStatus.CREATED


@bp.post("/batch/validate-paths")
@requires("documents:create")
def validate_paths() -> Response:
    """Say of each path whether it could be read, without reading it."""
    body, storable = read_json()
    given = body.get("paths", body.get("documents")) if isinstance(body, dict) else None
    if not isinstance(given, list) or not given:
        raise InvalidParameter("No paths provided")
    if len(given) > PATHS:
        raise InvalidParameter(f"At most {PATHS:,} paths may be sent at once.")
    listed = [{"file_path": each} if isinstance(each, str) else each for each in given]
    asked = documents_start.read(
        {"documents": listed, "config": {}}, storable=storable, max_documents=PATHS
    )
    results = _checked(asked.documents)
    valid = sum(result["valid"] for result in results)
    return jsonify(
        results=results, total=len(results), valid_count=valid, invalid_count=len(results) - valid
    )


@bp.get("/batch/template")
@requires("documents:read")
def template() -> Response:
    """Return a CSV file with a column for each field, and a line that shows what to write."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(_TEMPLATE), lineterminator="\r\n")
    writer.writeheader()
    writer.writerow(_TEMPLATE)
    return Response(
        buffer.getvalue(),
        mimetype="text/csv",
        headers={"Content-Disposition": 'attachment; filename="template.csv"'},
    )


def _files() -> list[FileStorage]:
    if request.mimetype != "multipart/form-data":
        raise InvalidParameter("Send the files as Content-Type: multipart/form-data.")
    return [
        file
        for name in ("files", "files[]", "file")
        for file in request.files.getlist(name)
        if file.filename
    ]


def _kept(made: Upload) -> dict[str, Any]:
    return {
        "file_path": f"upload://{made.id}",
        "file_source_type": "upload",
        "name": made.name,
        "size": made.size,
        "sha256": made.sha256,
        "expires_at": stamp(made.expires_at),
    }


def _checked(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = [_source(document) for document in given]
    sources = [each for each in found if isinstance(each, Source)]
    reader = documents.reader_of(resources())
    checked = iter(reader.check_all(caller().tenant_id, sources, seconds=LOOK_SECONDS))
    results = []
    for document, source in zip(given, found, strict=True):
        shown: dict[str, Any] = {"file_path": document.get("file_path")}
        wrong = source if isinstance(source, ItemError) else next(checked)
        if wrong is not None:
            kind = wrong.code.replace("_", "-")
            shown |= {"valid": False, "error": str(wrong), "error_type": kind}
        elif isinstance(source, Source):
            shown |= {"valid": True, "file_source_type": str(source.kind)}
        results.append(shown)
    return results


def _source(document: Mapping[str, Any]) -> Source | ItemError:
    try:
        return documents.source_of(document)
    except ItemError as error:
        return error
