"""How dialect D words a job, a document and an error: the contract, section 8.3."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response, request

from app.api.errors import Failure
from app.api.jobs_render import stamp
from app.jobs.model import Job
from app.jobs.progress import Snapshot
from app.jobs.states import JobState

#: The state's word, for clients that know six.
STATUS_WORDS: Mapping[JobState, str] = {
    JobState.QUEUED: "pending",
    JobState.RUNNING: "processing",
    JobState.PAUSING: "processing",
    JobState.PAUSED: "paused",
    JobState.CANCELLING: "processing",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "cancelled",
    JobState.REJECTED: "failed",
    JobState.EXPIRED: "failed",
}

#: What the original's front end waits between two polls.
POLL_SECONDS = 3

#: Of many things that are wrong, so many are told.
PROBLEMS = 100

#: Details that have one wording, whatever was wrong.
_DETAILS: Mapping[str, str] = {
    "missing_token": "Not authenticated",
    "invalid_token": "Invalid or expired token",
    "expired_token": "Invalid or expired token",
    "job_not_found": "Job not found",
    "payload_too_large": "Request too large",
    "internal_error": "Internal server error",
    "rate_limit_exceeded": "Too many requests",
    "method_not_allowed": "Method Not Allowed",
    "job_exists": "Job ID already exists",
}

#: A job on its way has the word of one that runs; in a sentence it needs another.
_ON_ITS_WAY = {"pausing": "pausing", "cancelling": "being cancelled"}


def error(failure: Failure) -> Response:
    """The error of dialect D: {"detail": "..."}, and with it what helps."""
    details = dict(failure.details)
    problems = details.pop("problems", None)
    body: dict[str, Any] = {"detail": _DETAILS.get(failure.code, failure.message)}
    if isinstance(problems, list) and len(problems) > 1:
        body["detail"] = "Invalid parameters"
        body["errors"] = [
            {"loc": _place(each["path"]), "msg": each["message"]} for each in problems[:PROBLEMS]
        ]
    elif isinstance(problems, list) and problems:
        body["detail"] = f"{problems[0]['path']} {problems[0]['message']}"
    if "state" in details:
        body |= _of_job(failure, JobState(str(details["state"])))
    for name in ("required_permission", "job_id"):
        if name in details:
            body[name] = details[name]
    response = Response(json.dumps(body), failure.status, mimetype="application/json")
    if failure.status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _place(path: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in path.split(".")]


def _of_job(failure: Failure, state: JobState) -> dict[str, Any]:
    """What an illegal transition adds, so that a client which asked twice sees how it stands."""
    word = STATUS_WORDS[state]
    known: dict[str, Any] = {"job_id": (request.view_args or {}).get("job_id"), "status": word}
    if failure.code == "invalid_state":
        last = request.path.rstrip("/").rpartition("/")[2]
        asked = "delete" if request.method == "DELETE" else last
        known["detail"] = f"Cannot {asked} a job that is {_ON_ITS_WAY.get(str(state), word)}"
    return known


def job(snapshot: Snapshot | Job) -> dict[str, Any]:
    """A job as a poll shows it. The last two fields are what the original's server calls them."""
    done = snapshot.succeeded + snapshot.failed
    body: dict[str, Any] = {
        "job_id": snapshot.external_id,
        "status": STATUS_WORDS[snapshot.state],
        "total_documents": snapshot.total,
        "processed_count": snapshot.succeeded,
        "failed_count": snapshot.failed,
        # Rounded down: 1 says that every document was tried.
        "progress": 10_000 * done // snapshot.total / 10_000,
        "total": snapshot.total,
        "results_count": done,
    }
    if snapshot.state is JobState.PAUSING:
        body["pause_requested"] = True
    if snapshot.state is JobState.CANCELLING:
        body["cancel_requested"] = True
    if snapshot.resume_at is not None:
        # A model wants to be left alone: the job goes on by itself.
        body["resume_at"] = stamp(snapshot.resume_at)
    if snapshot.state is JobState.FAILED:
        body["error"] = snapshot.error_message
    elif snapshot.state is JobState.EXPIRED:
        body["error"] = "The job's deadline passed before every document was processed."
    if snapshot.warnings:
        body["warnings"] = snapshot.warnings
    return body


def active(job_: Job) -> dict[str, Any]:
    shown = job(job_)
    names = ("job_id", "status", "progress", "processed_count", "failed_count", "total_documents")
    return {
        **{name: shown[name] for name in names},
        "total": job_.total,
        "created_at": stamp(job_.created_at),
    }


_ITEM_WORDS = {"succeeded": "success"}


def document(row: Mapping[str, Any]) -> dict[str, Any]:
    """One document with what came of it; what does not apply is absent."""
    given = row["payload"]["document"]
    found = json.loads(row["result"]) if row["result"] else {}
    shown = {
        "index": row["position"],
        **{name: given[name] for name in _SHOWN if name in given},
        "status": _ITEM_WORDS.get(row["status"], row["status"]),
        # What the tagger wrote: tags, language, and what it was found with.
        **{name: value for name, value in found.items() if name not in {"title", "extra"}},
        "extra": given.get("extra") or {},
        "processed_at": stamp(row["finished_at"]),
    }
    if row["error_code"] is not None:
        shown["error"] = row["error_message"]
        shown["error_type"] = row["error_code"].replace("_", "-")
    return shown


#: Of what the caller said of a document, what comes back; not the text itself.
_SHOWN = (
    *("id", "title", "file_path", "file_source_type"),
    *("description", "publishing_date", "file_size"),
)
