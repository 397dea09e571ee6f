"""How dialect B words its answers: one envelope around all of them, good or bad."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Response, current_app, g, json, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RoutingException, Rule

from app.api.errors import RETRY_SECONDS, Failure
from app.errors import RateExceeded
from app.jobs.states import JobState
from app.verifications.model import AuditEntry, Counted, Run, Screening, Verification
from app.verifications.subjects import name_of

#: Seconds between two polls.
POLL_SECONDS = 2

#: A run that was paused before a worker saw it is as good as one that waits.
STATUS_WORDS: Mapping[JobState, str] = {
    JobState.QUEUED: "pending",
    JobState.RUNNING: "running",
    JobState.PAUSING: "running",
    JobState.PAUSED: "running",
    JobState.CANCELLING: "running",
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "failed",
    JobState.REJECTED: "rejected",
    JobState.EXPIRED: "failed",
}

#: What became of runs that did not fail of themselves.
_SUMMARIES: Mapping[JobState, str] = {
    JobState.CANCELLED: "Job cancelled",
    JobState.EXPIRED: "Job expired",
}

ERROR_TYPES: Mapping[HTTPStatus, str] = {
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.NOT_ACCEPTABLE: "not_acceptable",
    HTTPStatus.CONFLICT: "conflict",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "payload_too_large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "validation_error",
    HTTPStatus.TOO_MANY_REQUESTS: "too_many_requests",
    HTTPStatus.SERVICE_UNAVAILABLE: "service_unavailable",
}
_INTERNAL = "internal_error"
_RATE_LIMITED = "rate_limited"

#: Details of one answer at the most.
_PROBLEMS = 100


def envelope(
    status: HTTPStatus,
    message: str,
    *,
    data: Any = None,
    error: Mapping[str, Any] | None = None,
    trace: str | None = None,
) -> Response:
    """Return an answer of dialect B. `trace` is for answers whose path does not hold it."""
    path, params = _place()
    body = {
        "timestamp": stamp(datetime.now(UTC)),
        "serviceUid": g.get("service_uid"),
        "trace": trace or params.get("trace"),
        "path": path,
        "pathParams": params,
        "statusCode": int(status),
        "message": message,
        "help": None,
        "status": "success" if error is None else "error",
        "data": data,
        "error": error,
    }
    response = Response(json.dumps(body), status, mimetype="application/json")
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def error(failure: Failure) -> Response:
    """Every error under /v5, those of routing included."""
    status = failure.status
    if status is HTTPStatus.BAD_REQUEST:
        # What cannot be read is as wrong here as what can be and makes no sense.
        status = HTTPStatus.UNPROCESSABLE_ENTITY
    is_validation = status is HTTPStatus.UNPROCESSABLE_ENTITY
    told: dict[str, Any] = {"type": ERROR_TYPES.get(status, _INTERNAL)}
    if "conflicting_run" in failure.details:
        told["conflictingJobId"] = failure.details["conflicting_run"]
    if "required_permission" in failure.details:
        told["requiredPermission"] = failure.details["required_permission"]
    if "state" in failure.details:
        told["jobStatus"] = STATUS_WORDS[JobState(str(failure.details["state"]))]
    told["details"] = _details(failure)
    response = envelope(
        status, "Validation error" if is_validation else failure.message, error=told
    )
    if status is HTTPStatus.UNAUTHORIZED and not _is_fetched():
        response.headers["WWW-Authenticate"] = 'Basic realm="v5"'
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        response.headers["Retry-After"] = str(POLL_SECONDS)
        if "conflictingJobId" in told and "trace" in (request.view_args or {}):
            trace = (request.view_args or {})["trace"]
            response.headers["Location"] = job_path(trace, "watchlist", told["conflictingJobId"])
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _details(failure: Failure) -> list[dict[str, Any]]:
    problems = failure.details.get("problems")
    if isinstance(problems, list):
        return [
            {"message": each["message"], "code": each["code"], "path": list(each["path"])}
            for each in problems[:_PROBLEMS]
        ]
    if "conflicting_run" in failure.details:
        message = "Poll the job in conflictingJobId instead."
        return [{"message": message, "code": failure.code, "path": ["type"]}]
    code = _RATE_LIMITED if isinstance(failure.error, RateExceeded) else failure.code
    return [{"message": failure.message, "code": code, "path": []}]


def _is_fetched() -> bool:
    """A page's script asks: a challenge would make the browser ask its user for a password."""
    return request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate"


_PLACEHOLDER = re.compile(r"<(?:[^<>:]*:)?(\w+)>")


def _place() -> tuple[str, dict[str, str]]:
    """Return the route as a pattern, and the values in the path."""
    rule, values = request.url_rule, dict(request.view_args or {})
    if rule is None and isinstance(request.routing_exception, MethodNotAllowed):
        rule, values = _of_another_method(request.routing_exception)
    if rule is None:
        return request.path, {}
    pattern = _PLACEHOLDER.sub(lambda found: ":" + camel(found[1]), rule.rule)
    return pattern, {camel(name): str(value) for name, value in values.items()}


def _of_another_method(refused: MethodNotAllowed) -> tuple[Rule | None, dict[str, Any]]:
    """Return the rule that takes this path with another method."""
    adapter = current_app.url_map.bind("")
    for method in refused.valid_methods or ():
        with suppress(HTTPException, RoutingException):
            rule, values = adapter.match(request.path, method=method, return_rule=True)
            return rule, dict(values)
    return None, {}


def camel(name: str) -> str:
    """Return `job_id` as `jobId`."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def job_path(trace: str, type_: str, run_id: str) -> str:
    return f"/v5/verifications/{trace}/jobs/{type_}/{run_id}"


def stamp(at: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond: of the envelope alone."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch(at: datetime) -> int:
    """Milliseconds since 1970: of everything inside the envelope."""
    return int(at.timestamp() * 1000)


def job(run: Run) -> dict[str, Any]:
    """A run as a poll shows it: how it was dispatched, and how it stands."""
    return {"run": dispatched(run), "result": result(run)}


def dispatched(run: Run) -> dict[str, Any]:
    return {
        "jobId": run.run_id,
        "type": run.type,
        "payload": run.payload,
        "requestedAt": epoch(run.requested_at),
        "sourceAction": run.source_action,
        **({"sourceUid": run.source_uid} if run.source_uid else {}),
        **({"sourceEmail": run.source_email} if run.source_email else {}),
    }


def result(run: Run) -> dict[str, Any]:
    word = STATUS_WORDS[run.state]
    if run.state is JobState.PAUSED and run.started_at is None:
        word = "pending"
    shown: dict[str, Any] = {
        "jobId": run.run_id,
        "type": run.type,
        "status": word,
        "attemptCount": run.attempts,
    }
    if run.started_at is not None:
        shown["startedAt"] = epoch(run.started_at)
    if run.finished_at is not None:
        shown["completedAt"] = epoch(run.finished_at)
    if word == "failed":
        shown["errorSummary"] = _SUMMARIES.get(run.state) or run.error_message
    if word == "rejected":
        shown["conflictingJobId"] = run.conflicting_run
    return shown


def created(verification: Verification) -> dict[str, Any]:
    """A verification in short, as the one who made it is told."""
    return {
        "trace": verification.trace,
        "userId": verification.user_id,
        "verificationStatus": verification.status,
        "idvRisk": verification.risk,
        "stakeholders": [
            {
                "stakeholderId": each.stakeholder_id,
                "role": each.role,
                "name": name_of(each.entity),
            }
            for each in verification.stakeholders
        ],
        "createdAt": epoch(verification.created_at),
    }


def verification(known: Verification) -> dict[str, Any]:
    """A verification as it was sent, and as it stands."""
    short = created(known)
    for shown, each in zip(short["stakeholders"], known.stakeholders, strict=True):
        shown["entity"] = each.entity
    return {
        **short,
        "onBehalfUid": known.on_behalf_uid,
        **known.entity,
        "updatedAt": epoch(known.updated_at),
        "screenedAt": None if known.screened_at is None else epoch(known.screened_at),
    }


def screening(found: Screening, trace: str) -> dict[str, Any]:
    """What a run found of one subject."""
    return {
        "screeningId": found.screening_id,
        "trace": trace,
        **({"stakeholderId": found.stakeholder_id} if found.stakeholder_id else {}),
        "totalHits": found.total_hits,
        "hasMatches": found.total_hits > 0,
        "isComplete": found.is_complete,
        "matchedSources": found.matched_sources,
        "sourcesChecked": found.sources_checked,
        "triggeredByAction": found.source_action,
        **({"triggeredByUid": found.source_uid} if found.source_uid else {}),
        **({"triggeredByEmail": found.source_email} if found.source_email else {}),
        "jobId": found.run_id,
        "screenedAt": epoch(found.screened_at),
    }


def in_short(found: Sequence[Counted]) -> list[dict[str, Any]]:
    """The stakeholders' screenings of the same run, of which each has an address of its own."""
    return [
        {
            "stakeholderId": each.stakeholder_id,
            "screeningId": each.screening_id,
            "totalHits": each.total_hits,
            "hasMatches": each.total_hits > 0,
            "isComplete": each.is_complete,
        }
        for each in found
        if each.stakeholder_id is not None
    ]


def audit(entry: AuditEntry) -> dict[str, Any]:
    """An entry of the audit, with what ties it to the one before."""
    return {**json.loads(entry.entry), "previous": entry.previous, "digest": entry.digest}
