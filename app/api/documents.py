"""Dialect D: batches of documents to be tagged, under /api/batch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, jsonify

from app.api import (
    documents_csv,
    documents_render,
    documents_results,
    documents_start,
    errors,
    jobs_render,
    polling,
)
from app.api.auth import requires
from app.api.body import read_json
from app.api.context import caller, resources
from app.api.polling import Seen
from app.db import Cursor
from app.errors import InvalidDocuments, InvalidParameter, JobExists, JobNotFound
from app.jobs import service
from app.jobs.model import Job
from app.jobs.states import JobState
from app.kinds import documents, retrying
from schemas.documents import JOB_ID

bp = Blueprint("documents", __name__, url_prefix="/api/batch")
errors.shape("/api", documents_render.error)

#: An empty id is answered as a wrong one, and not as a path that leads nowhere.
_JOB = "/jobs/<string(minlength=0):job_id>"

#: Jobs that `/active` shows at the most; nobody has so many at once.
_ACTIVE = 1_000


@bp.post("/start")
@requires("documents:create")
def start() -> Response:
    """Accept a batch of documents for tagging, and answer before any is read."""
    limit = resources().settings.max_documents
    if documents_csv.is_form():
        body, storable = documents_csv.read_form(limit), False
    else:
        body, storable = read_json()
    asked = documents_start.read(body, storable=storable, max_documents=limit)
    job, is_new = _submitted(asked)
    response = _started(job)
    if not is_new:
        response.headers["Idempotent-Replayed"] = "true"
    return response


@bp.get(f"{_JOB}/status")
@requires("documents:read")
def status(job_id: str) -> Response:
    """Say how far the job is."""
    its_id = known(job_id)

    def look() -> Seen:
        snapshot = service.watch(resources(), caller().tenant_id, documents.NAME, its_id)
        return Seen(
            str(snapshot.version),
            snapshot.state.is_final,
            lambda: jsonify(documents_render.job(snapshot)),
        )

    return polling.answer(look, poll_seconds=documents_render.POLL_SECONDS)


@bp.post(f"{_JOB}/pause")
@requires("documents:create")
def pause(job_id: str) -> Response:
    """Stop after the document in hand; the job can be resumed."""
    return _controlled(service.pause, job_id, "Job paused")


@bp.post(f"{_JOB}/resume")
@requires("documents:create")
def resume(job_id: str) -> Response:
    """Go on with the next document."""
    return _controlled(service.resume, job_id, "Job resumed")


@bp.post(f"{_JOB}/cancel")
@requires("documents:create")
def cancel(job_id: str) -> Response:
    """Stop for good; what is finished stays."""
    return _controlled(service.cancel, job_id, "Job cancellation requested")


@bp.get("/active")
@requires("documents:read")
def active() -> Response:
    """List the caller's jobs that wait, run or are paused."""
    jobs = service.search_jobs(
        resources(),
        caller().tenant_id,
        states=[state for state in JobState if not state.is_final],
        kinds=(documents.NAME,),
        created_by=caller().uid,
        limit=_ACTIVE,
    )
    return jsonify(jobs=[documents_render.active(job) for job in jobs])


@bp.get(f"{_JOB}/results")
@requires("documents:read")
def results(job_id: str) -> Response:
    """Stream what is finished so far."""
    return documents_results.respond(_find(job_id))


@bp.post(f"{_JOB}/retry")
@requires("documents:create")
def retry(job_id: str) -> Response:
    """Tag the documents that failed, or were never begun, again: as a new job."""
    job = retrying.retry(
        resources(),
        _find(job_id),
        statuses=retrying.CHOICES["unfinished"],
        created_by=caller().uid,
    )
    return _started(job)


def uploads_held(asked: documents_start.Start) -> service.Hold:
    """Return what keeps the uploads that the documents name for the job that is made of them.

    It raises InvalidDocuments that names those which are not there: then there is no job.
    """
    uses = documents.uploads_of(enumerate(asked.documents))

    def hold(tx: Cursor, job: Job) -> None:
        if missing := documents.keep(tx, job, uses):
            raise InvalidDocuments(
                "Some uploads are not there.",
                problems=[
                    {
                        "path": f"documents.{position}.file_path",
                        "message": f"names the upload {upload_id}, which is not there or has"
                        " expired",
                    }
                    for position, upload_id in uses
                    if upload_id in missing
                ],
            )

    return hold


def _submitted(asked: documents_start.Start) -> tuple[Job, bool]:
    """Return the job, and whether it is new: the same request twice is one job."""
    plan = documents.plan(
        resources(),
        tenant_id=caller().tenant_id,
        created_by=caller().uid,
        items=asked.items,
        config=asked.config,
        external_id=asked.job_id,
        fingerprint=asked.fingerprint,
        allowed_seconds=asked.allowed_seconds,
    )
    try:
        return service.submit(resources(), plan, hold=uploads_held(asked)), True
    except JobExists:
        known = _find(plan.external_id or "")
        same = known.options.get("fingerprint") == asked.fingerprint
        if not same or known.created_by != caller().uid:
            raise
        return known, False


def _started(job: Job) -> Response:
    body: dict[str, Any] = {
        "job_id": job.external_id,
        "total_documents": job.total,
        "message": "Batch processing started",
    }
    if job.retry_of is not None:
        # The old one may have been deleted since.
        with suppress(JobNotFound):
            old = service.get(resources(), job.tenant_id, job.retry_of)
            body["retry_of"] = old.external_id
    if job.warnings:
        body["warnings"] = job.warnings
    response = jsonify(body)
    response.headers["Location"] = f"/api/batch/jobs/{job.external_id}/status"
    response.headers["Operation-Location"] = jobs_render.path(job)
    return _polled(response, JobState.QUEUED)


def _controlled(act: Callable[..., Job], job_id: str, message: str) -> Response:
    job = act(resources(), caller().tenant_id, documents.NAME, known(job_id))
    response = jsonify(
        message=message,
        job_id=job.external_id,
        status=documents_render.STATUS_WORDS[job.state],
    )
    return _polled(response, job.state)


def _find(job_id: str) -> Job:
    return service.find(resources(), caller().tenant_id, documents.NAME, known(job_id))


def known(job_id: str) -> str:
    """Return the id of a job as it stands in a path. Raises InvalidParameter or JobNotFound."""
    if not job_id:
        raise InvalidParameter("Invalid job ID")
    if not JOB_ID.match(job_id):
        # It names no job, for none can have it.
        raise JobNotFound("No job can have this id.")
    return job_id


def _polled(response: Response, state: JobState) -> Response:
    if not state.is_final:
        response.headers["Retry-After"] = str(documents_render.POLL_SECONDS)
    return response
