"""How dialect C words a job, an item, a face and an error: the contract, sections 8.2 and 11.3."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, request

from app import errors
from app.accounts.model import ApiKey, Tenant
from app.api.context import request_id
from app.api.errors import RETRY_SECONDS, Failure
from app.api.jobs_render import stamp
from app.faces import codes
from app.faces.choice import reasons_in
from app.faces.store import Collection, Enrolled
from app.jobs.model import Job
from app.jobs.progress import Snapshot
from app.jobs.states import JobState

REALM = 'Bearer realm="faces"'

#: The seed's advice to pollers.
POLL_SECONDS = 2

#: Of many things that are wrong, so many are told.
PROBLEMS = 100

#: The state's word, for clients that know four. One that was never begun is queued.
_WORDS: Mapping[JobState, str] = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "processing",
    JobState.PAUSING: "processing",
    JobState.PAUSED: "processing",
    JobState.CANCELLING: "processing",
    JobState.COMPLETED: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "failed",
    JobState.REJECTED: "failed",
    JobState.EXPIRED: "failed",
}
STATUS_WORDS = ("queued", "processing", "done", "failed")


def states_of(word: str) -> list[JobState]:
    """Return the states that the word stands for."""
    return [state for state, shown in _WORDS.items() if shown == word]


#: What `error` says of a job that ended without failing by itself.
_ENDS = {
    JobState.CANCELLED: ("JOB_CANCELLED", "The job was cancelled before every image was done."),
    JobState.EXPIRED: ("JOB_EXPIRED", "The job's deadline passed before every image was done."),
}

#: The nearest ancestor listed here decides what an error is called, and which status it has where
#: that is another than in other dialects.
_CODES: Mapping[type[errors.AppError], tuple[str, HTTPStatus | None]] = {
    errors.RevokedKey: ("API_KEY_INACTIVE", HTTPStatus.FORBIDDEN),
    errors.ExpiredKey: ("API_KEY_EXPIRED", HTTPStatus.FORBIDDEN),
    errors.ExpiredToken: ("TOKEN_EXPIRED", None),
    errors.InvalidCredentials: ("INVALID_CREDENTIALS", None),
    errors.Unauthenticated: ("TOKEN_INVALID", None),
    errors.AddressNotAllowed: ("IP_NOT_ALLOWED", None),
    errors.CollectionNotAllowed: ("COLLECTION_NOT_ALLOWED", None),
    errors.Forbidden: ("INSUFFICIENT_SCOPE", None),
    errors.JobNotFound: ("BATCH_JOB_NOT_FOUND", None),
    errors.CollectionNotFound: ("COLLECTION_NOT_FOUND", None),
    errors.FaceNotFound: ("FACE_NOT_FOUND", None),
    errors.OrganizationNotFound: ("ORGANIZATION_NOT_FOUND", None),
    errors.KeyNotFound: ("API_KEY_NOT_FOUND", None),
    errors.NotFound: ("NOT_FOUND", None),
    errors.CollectionDisabled: ("COLLECTION_DISABLED", None),
    errors.DuplicateFace: ("DUPLICATE_EXTERNAL_ID", None),
    errors.AnswerNotKept: ("IDEMPOTENCY_ANSWER_NOT_KEPT", None),
    errors.RequestInProgress: ("IDEMPOTENCY_KEY_IN_USE", None),
    errors.IllegalTransition: ("INVALID_JOB_STATE", None),
    errors.Conflict: ("CONFLICT", None),
    errors.OtherRequest: ("IDEMPOTENCY_KEY_MISMATCH", None),
    errors.QuotaExceeded: ("QUOTA_EXCEEDED", None),
    errors.TooManyRequests: ("RATE_LIMIT_EXCEEDED", None),
    errors.TooLarge: ("PAYLOAD_TOO_LARGE", None),
    errors.Invalid: ("BAD_REQUEST", None),
    errors.Unprocessable: ("BAD_REQUEST", None),
    errors.Unavailable: ("SERVICE_BUSY", None),
    errors.AppError: ("INTERNAL_ERROR", None),
}
#: Of an image in a call that waits; all others are 422.
_REFUSALS = {
    codes.INVALID_IMAGE: HTTPStatus.BAD_REQUEST,
    codes.IMAGE_TOO_SMALL: HTTPStatus.BAD_REQUEST,
    codes.IMAGE_TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    codes.IMAGE_TIMEOUT: HTTPStatus.SERVICE_UNAVAILABLE,
}
_HTTP_CODES = {
    HTTPStatus.BAD_REQUEST: "BAD_REQUEST",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "PAYLOAD_TOO_LARGE",
    HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL_ERROR",
}


def error(failure: Failure) -> Response:
    """The error of dialect C."""
    code, status = _said(failure)
    body: dict[str, Any] = {"code": code, "message": failure.message}
    details = _details(failure)
    if details:
        body["details"] = details
    response = jsonify(
        success=False,
        error=body,
        request_id=request_id(),
        timestamp=stamp(datetime.now(UTC)),
    )
    response.status_code = status
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = REALM
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        # Also of an image for which there was no time, which is no error of the server's elsewhere.
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _said(failure: Failure) -> tuple[str, HTTPStatus]:
    if failure.error is None:
        named = failure.status.phrase.upper().replace(" ", "_").replace("-", "_")
        return _HTTP_CODES.get(failure.status, named), failure.status
    if isinstance(failure.error, errors.FaceRefused):
        reason = failure.error.reason
        return reason.upper(), _REFUSALS.get(reason, HTTPStatus.UNPROCESSABLE_ENTITY)
    code, status = next(_CODES[cls] for cls in type(failure.error).__mro__ if cls in _CODES)
    if code == "TOKEN_INVALID" and _came_with_a_key():
        code = "INVALID_API_KEY"
    return code, status or failure.status


def _came_with_a_key() -> bool:
    token = request.headers.get("Authorization", "").rpartition(" ")[2]
    return "X-API-Key" in request.headers or token.startswith(("fr_live_", "sk_"))


def _details(failure: Failure) -> dict[str, Any]:
    details = dict(failure.details)
    problems = details.pop("problems", None)
    if isinstance(problems, list):
        details["errors"] = [
            {"field": each["path"], "message": each["message"]} for each in problems[:PROBLEMS]
        ]
    if "state" in details:
        details["status"] = _WORDS[JobState(str(details.pop("state")))]
        details.pop("allowed_actions", None)
    if isinstance(failure.error, errors.FaceRefused):
        reasons = reasons_in(failure.message)
        if reasons:
            details["reasons"] = reasons
    return details


def ok(data: Any, status: HTTPStatus = HTTPStatus.OK) -> Response:
    response = jsonify(success=True, data=data)
    response.status_code = status
    return response


def job(job_: Snapshot | Job) -> dict[str, Any]:
    """What every answer about a job begins with: as the seed has it."""
    word = _WORDS[job_.state]
    if job_.state is JobState.PAUSED and job_.started_at is None:
        word = "queued"
    return {
        "job_id": job_.external_id,
        "status": word,
        "total": job_.total,
        "processed": job_.succeeded + job_.failed,
        "succeeded": job_.succeeded,
        "failed": job_.failed,
    }


def polled(job_: Job, rows: Sequence[Mapping[str, Any]], *, details: bool) -> dict[str, Any]:
    """A job as a poll shows it, with the results there are."""
    body = job(job_)
    if job_.state in _ENDS:
        body["error"], body["error_message"] = _ENDS[job_.state]
    elif job_.error_code is not None:
        body["error"], body["error_message"] = job_.error_code.upper(), job_.error_message
    if job_.state is JobState.CANCELLING:
        body["cancel_requested"] = True
    body["results"] = [result(row, details=details) for row in rows]
    return {**body, **_whose(job_)}


def listed(job_: Job) -> dict[str, Any]:
    """A job as a list shows it: without its results."""
    return {**job(job_), **_whose(job_)}


def _whose(job_: Job) -> dict[str, Any]:
    return {
        "organization_id": str(job_.tenant_id),
        "collection_id": collection_id_of(job_),
        "created_at": stamp(job_.created_at),
        "completed_at": stamp(job_.finished_at),
    }


def collection_id_of(job_: Job) -> str:
    """Return the first of the job's collections; a batch has one."""
    return str(job_.options["collection_ids"][0])


#: Of what was seen in an image, what is always shown.
_SHORT = ("external_id", "face_id")


def result(row: Mapping[str, Any], *, details: bool) -> dict[str, Any]:
    """One item of a batch, as the seed has it; with `details`, all that was seen in its image."""
    shown: dict[str, Any] = {"index": row["position"], "external_id": row["ref"]}
    found = json.loads(row["result"]) if row["result"] else {}
    if row["error_code"] is None:
        more = {name: found[name] for name in found if details and name not in _SHORT}
        return {**shown, "face_id": found["face_id"], "success": True, **more}
    shown |= {
        "success": False,
        "error": _item_code(row["error_code"]),
        "error_message": row["error_message"],
    }
    if row["error_code"] == codes.FACE_QUALITY_TOO_LOW:
        shown["reasons"] = reasons_in(row["error_message"])
    return shown


def _item_code(code: str) -> str:
    # The engine's own, of an item that took its workers down, is none of a client's words.
    return code.upper() if code in codes.CODES else "INTERNAL_ERROR"


def collection(each: Collection) -> dict[str, Any]:
    return {
        "id": str(each.id),
        "organization_id": str(each.tenant_id),
        "name": each.name,
        "description": each.description,
        "face_count": each.face_count,
        "face_selection": str(each.face_selection),
        "retention_days": each.retention_days,
        "is_enabled": each.is_enabled,
        "created_at": stamp(each.created_at),
        "updated_at": stamp(each.updated_at),
    }


def face(each: Enrolled) -> dict[str, Any]:
    return {
        "face_id": str(each.id),
        "external_id": each.external_id,
        "collection_id": str(each.collection_id),
        "quality_score": round(each.quality_score, 4),
        "metadata": each.metadata,
        "model_version": each.model_version,
        "created_at": stamp(each.created_at),
    }


def organization(each: Tenant, role: str) -> dict[str, Any]:
    return {
        "id": str(each.id),
        "name": each.name,
        "role": role,
        "created_at": stamp(each.created_at),
    }


def api_key(each: ApiKey, now: datetime) -> dict[str, Any]:
    """All of a key but the key."""
    return {
        "id": str(each.id),
        "name": each.name,
        "prefix": each.prefix,
        "collection_id": None if each.collection_id is None else str(each.collection_id),
        "scopes": list(each.scopes),
        "allowed_ips": list(each.allowed_ips),
        "rate_limit_rpm": each.rate_limit_rpm,
        "status": each.state(now),
        "expires_at": stamp(each.expires_at),
        "revoked_at": stamp(each.revoked_at),
        "last_used_at": stamp(each.last_used_at),
        "created_at": stamp(each.created_at),
    }
