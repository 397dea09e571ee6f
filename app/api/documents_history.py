"""Dialect D: what was tagged before, under /api/history, and how the server does."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from app.api import documents_render
from app.api.auth import requires
from app.api.context import caller, resources
from app.api.jobs_render import stamp
from app.errors import DocumentNotFound, InvalidParameter, JobNotFound
from app.jobs import ids, service
from app.jobs.model import ItemStatus, Job
from app.jobs.states import JobState
from app.kinds import documents
from schemas import texts

bp = Blueprint("documents_history", __name__, url_prefix="/api/history")

PAGE, LARGEST_PAGE = 50, 100
_FURTHEST = 1_000_000

_WHOLE = re.compile(r"\A[0-9]{1,7}\Z")
_DOCUMENT = re.compile(r"\A([0-9a-f-]{36})\.([0-9]{1,9})\Z")

_ITEM_WORDS = {"success": ItemStatus.SUCCEEDED, "failed": ItemStatus.FAILED}


@bp.get("/jobs")
@requires("documents:read")
def list_jobs() -> Response:
    """List the tenant's jobs, newest first, single documents among them."""
    limit, offset = _page()
    jobs, total = service.list_history(
        resources(),
        caller().tenant_id,
        documents.NAME,
        states=_states(),
        limit=limit,
        offset=offset,
    )
    return jsonify(jobs=[_job(job) for job in jobs], total=total, limit=limit, offset=offset)


@bp.get("/jobs/<job_id>")
@requires("documents:read")
def show_job(job_id: str) -> Response:
    """Show a job with all its documents."""
    job = _find(job_id)
    rows = (row for page in service.worked(resources(), job, finished=False) for row in page)
    return jsonify(**_job(job), documents=[_document(job.id, row) for row in rows])


@bp.delete("/jobs/<job_id>")
@requires("documents:create")
def delete_job(job_id: str) -> Response:
    """Delete a job that has ended, with its documents and results."""
    job = _find(job_id)
    service.delete(resources(), job)
    return jsonify(message="Job deleted", job_id=job.external_id)


@bp.get("/documents")
@requires("documents:read")
def list_documents() -> Response:
    """List the documents of all jobs, those of the newest job first."""
    return _listed(words=None)


@bp.get("/documents/search")
@requires("documents:read")
def search_documents() -> Response:
    """List documents whose title or path has the words in it."""
    words = request.args.get("q", "").strip()
    if not words or len(words) > 200 or not texts.is_storable(words):
        raise InvalidParameter("q must be 1 to 200 characters of a title or a path.")
    return _listed(words=words)


@bp.get("/documents/<document_id>")
@requires("documents:read")
def show_document(document_id: str) -> Response:
    """Show one document with what came of it."""
    parts = _DOCUMENT.match(document_id)
    job_id = ids.parse(parts[1]) if parts else None
    if parts is None or job_id is None:
        raise DocumentNotFound("Document not found")
    rows, _ = service.search_worked(
        resources(),
        caller().tenant_id,
        documents.NAME,
        paths=documents.SEARCHED,
        job_id=job_id,
        position=min(int(parts[2]), 2**31 - 1),
        limit=1,
        offset=0,
    )
    if not rows:
        raise DocumentNotFound("Document not found")
    return jsonify(_document(job_id, rows[0]))


@bp.get("/stats")
@requires("documents:read")
def stats() -> Response:
    """Say how many jobs and documents there are, by how they ended."""
    found = service.sum_up(resources(), caller().tenant_id, documents.NAME)
    return jsonify(
        total_jobs=found["jobs"],
        completed_jobs=found["completed"],
        failed_jobs=found["failed"],
        cancelled_jobs=found["cancelled"],
        active_jobs=found["active"],
        total_documents=found["items"],
        processed_documents=found["items_succeeded"],
        failed_documents=found["items_failed"],
    )


def _listed(words: str | None) -> Response:
    limit, offset = _page()
    rows, total = service.search_worked(
        resources(),
        caller().tenant_id,
        documents.NAME,
        paths=documents.SEARCHED,
        words=None if words is None else f"%{_literally(words)}%",
        status=_status(),
        limit=limit,
        offset=offset,
    )
    shown = [{**_document(row["job_id"], row), "job_id": row["external_id"]} for row in rows]
    return jsonify(documents=shown, total=total, limit=limit, offset=offset)


def _literally(words: str) -> str:
    """What ILIKE takes for a pattern is meant as it stands."""
    return re.sub(r"([\\%_])", r"\\\1", words)


def _find(job_id: str) -> Job:
    known = ids.parse(job_id)
    if known is not None:
        job = service.get(resources(), caller().tenant_id, known)
        if job.dialect != documents.NAME:
            raise JobNotFound("The job is of another API.")
        return job
    if not texts.is_storable(job_id):
        raise JobNotFound("No job can have this id.")
    return service.find(resources(), caller().tenant_id, documents.NAME, job_id)


def _job(job: Job) -> dict[str, Any]:
    shown = documents_render.job(job)
    return {
        "id": str(job.id),
        "job_id": job.external_id,
        "job_type": "single" if job.is_interactive else "batch",
        "status": shown["status"],
        "total_documents": job.total,
        "processed_count": job.succeeded,
        "failed_count": job.failed,
        "config": job.options.get("config", {}),
        "error_message": shown.get("error"),
        "started_at": stamp(job.started_at),
        "completed_at": stamp(job.finished_at),
        "created_at": stamp(job.created_at),
    }


def _document(job_id: UUID, row: dict[str, Any]) -> dict[str, Any]:
    shown = documents_render.document(row)
    return {
        "id": f"{job_id}.{row['position']}",
        "title": shown.get("title"),
        "file_path": shown.get("file_path"),
        "file_source_type": shown.get("file_source_type"),
        "status": shown["status"],
        "tags": shown.get("tags", []),
        "error_message": shown.get("error"),
        "processed_at": shown["processed_at"],
    }


def _page() -> tuple[int, int]:
    return _number("limit", PAGE, 1, LARGEST_PAGE), _number("offset", 0, 0, _FURTHEST)


def _number(name: str, default: int, low: int, high: int) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    if not _WHOLE.match(text) or not low <= int(text) <= high:
        raise InvalidParameter(f"{name} must be between {low} and {high:,}")
    return int(text)


def _states() -> Collection[JobState]:
    wanted = request.args.get("status")
    if wanted is None:
        return tuple(JobState)
    states = [s for s, word in documents_render.STATUS_WORDS.items() if word == wanted]
    if not states:
        words = ", ".join(dict.fromkeys(documents_render.STATUS_WORDS.values()))
        raise InvalidParameter(f"status must be one of: {words}")
    return states


def _status() -> ItemStatus | None:
    wanted = request.args.get("status")
    if wanted is None:
        return None
    if wanted not in _ITEM_WORDS:
        raise InvalidParameter(f"status must be one of: {', '.join(_ITEM_WORDS)}")
    return _ITEM_WORDS[wanted]
