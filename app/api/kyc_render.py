"""How dialect A words a job, a result and an error. Its words are in the contract, section 7."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response

from app.api.context import request_id
from app.api.errors import Failure
from app.errors import RateExceeded
from app.jobs.progress import Snapshot, expected_end
from app.jobs.states import JobState

#: The state's word, for clients that know three.
STATUS_WORDS: Mapping[JobState, str] = {
    JobState.QUEUED: "processing",
    JobState.RUNNING: "processing",
    JobState.PAUSING: "processing",
    JobState.PAUSED: "processing",
    JobState.CANCELLING: "processing",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "failed",
    JobState.REJECTED: "failed",
    JobState.EXPIRED: "failed",
}

#: The seed's advice to pollers: every 5 to 10 seconds.
POLL_SECONDS = 5

#: What `error` says of a job that ended without failing by itself.
_ENDS = {
    JobState.CANCELLED: ("cancelled", "The job was cancelled before every entity was screened."),
    JobState.EXPIRED: ("expired", "The job's deadline passed before every entity was screened."),
}

#: The title of an error, by its code.
TITLES: Mapping[str, str] = {
    "invalid_entities": "Invalid entities",
    "too_many_entities": "Too many entities",
    "malformed_json": "Invalid request",
    "invalid_parameter": "Invalid request",
    "invalid_request": "Invalid request",
    "missing_token": "Unauthorized",
    "invalid_token": "Unauthorized",
    "expired_token": "Unauthorized",
    "invalid_credentials": "Unauthorized",
    "insufficient_permissions": "Forbidden",
    "job_not_found": "Job not found",
    "list_not_found": "List not found",
    "list_exists": "Conflict",
    "watchlist_rejected": "Invalid list",
    "exclusion_not_found": "Exclusion not found",
    "watchlist_not_found": "Watchlist not found",
    "watchlist_exists": "Conflict",
    "subject_not_found": "Subject not found",
    "check_not_found": "Check not found",
    "check_running": "Conflict",
    "idempotency_in_progress": "Conflict",
    "idempotency_answer_not_kept": "Conflict",
    "idempotency_key_reused": "Idempotency key reused",
    "invalid_idempotency_key": "Invalid request",
    "export_not_found": "Export not found",
    "invalid_signature": "Forbidden",
    "link_expired": "Link expired",
    "not_acceptable": "Not acceptable",
    "not_found": "Not found",
    "invalid_state": "Conflict",
    "nothing_to_retry": "Conflict",
    "payload_too_large": "Payload too large",
    "internal_error": "Internal server error",
}


def error(failure: Failure) -> Response:
    """The flat error of dialect A."""
    if isinstance(failure.error, RateExceeded):
        return _too_often(failure)
    details = dict(failure.details)
    body: dict[str, Any] = {
        "status": "error",
        "error": TITLES.get(failure.code, failure.status.phrase),
        "code": failure.code,
        "message": failure.message,
    }
    if "problems" in details:
        body["details"] = [problem.to_wire() for problem in details.pop("problems")]
    elif failure.code == "too_many_entities":
        body["details"], details = details, {}
    response = Response(mimetype="application/json", status=failure.status)
    response.set_data(json.dumps({**body, **details, "request_id": request_id()}, default=str))
    if failure.code in {"missing_token", "invalid_token", "expired_token", "invalid_credentials"}:
        challenge = 'Bearer realm="kyc"'
        if failure.code != "missing_token":
            challenge += ', error="invalid_token"'
        response.headers["WWW-Authenticate"] = challenge
    return response


def _too_often(failure: Failure) -> Response:
    """The one error whose body is known of the original: three members, and no more."""
    body = {
        "error": "Rate limit exceeded",
        "message": failure.message,
        "retry_after": failure.details["retry_after"],
    }
    return Response(json.dumps(body), failure.status, mimetype="application/json")


def job(snapshot: Snapshot, now: datetime) -> dict[str, Any]:
    """A job without its results. What does not apply is absent, and not null."""
    state = snapshot.state
    body: dict[str, Any] = {
        "status": "success",
        "job_id": snapshot.external_id,
        "job_status": STATUS_WORDS[state],
        "total_entities": snapshot.total,
        "processed_entities": snapshot.succeeded + snapshot.failed,
        "completed_entities": snapshot.succeeded,
        "failed_entities": snapshot.failed,
        "matches_found": snapshot.matches,
        "created_at": stamp(snapshot.created_at),
        "updated_at": stamp(snapshot.updated_at),
    }
    if state is JobState.COMPLETED and snapshot.finished_at is not None:
        body["completed_at"] = stamp(snapshot.finished_at)
    elif not state.is_final:
        body["estimated_completion"] = stamp(expected_end(snapshot, now))
    if state is JobState.FAILED:
        body["error"] = {"code": snapshot.error_code, "message": snapshot.error_message}
    elif state in _ENDS:
        code, message = _ENDS[state]
        body["error"] = {"code": code, "message": message}
    if state is JobState.PAUSED:
        body["paused"] = True
    if state is JobState.CANCELLING:
        body["cancel_requested"] = True
    if snapshot.retry_of is not None:
        body["retry_of"] = str(snapshot.retry_of)
    if snapshot.warnings:
        body["warnings"] = snapshot.warnings
    return body


def created(snapshot: Snapshot, now: datetime) -> dict[str, Any]:
    """The answer to a submission."""
    body: dict[str, Any] = {
        "status": "success",
        "job_id": snapshot.external_id,
        "total_entities": snapshot.total,
        "job_status": STATUS_WORDS[snapshot.state],
        "created_at": stamp(snapshot.created_at),
        "estimated_completion": stamp(expected_end(snapshot, now)),
    }
    if snapshot.retry_of is not None:
        body["retry_of"] = str(snapshot.retry_of)
    if snapshot.warnings:
        body["warnings"] = snapshot.warnings
    return body


def result(row: Mapping[str, Any]) -> str:
    """One entity's result as JSON text. What screening wrote is passed through untouched."""
    head: dict[str, Any] = {"index": row["position"]}
    if row["ref"] is not None:
        head = {"entity_id": row["ref"], **head}
    if row["status"] == "succeeded":
        head["status"] = "completed"
        return f"{_dumps(head)[:-1]},{row['result'][1:]}"
    return _dumps(
        {
            **head,
            "status": "failed",
            "is_match": False,
            "match_count": 0,
            "matches": [],
            "error": {"code": row["error_code"], "message": row["error_message"]},
        }
    )


def with_results(body: Mapping[str, Any], pages: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the body with its results, piece by piece: 10,000 of them are never held at once."""
    yield _dumps(body)[:-1] + ',"results":['
    comma = ""
    for page in pages:
        yield comma + ",".join(result(row) for row in page)
        comma = ","
    yield "]}"


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
