"""Dialect A: batch screening under /kyc."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from app.api import errors, kyc_entities, kyc_render, kyc_results, polling, preferences, waiting
from app.api.auth import requires
from app.api.body import read_json
from app.api.context import caller, request_id, resources
from app.api.paging import make_cursor, read_cursor, read_limit
from app.api.polling import Seen
from app.errors import (
    AppError,
    InvalidEntities,
    InvalidParameter,
    JobError,
    JobNotFound,
    ListUnavailable,
)
from app.jobs import service
from app.jobs.model import Job
from app.jobs.progress import Snapshot
from app.jobs.states import JobState
from app.kinds import kyc, retrying
from schemas import texts
from schemas.kyc import RetrySchema

bp = Blueprint("kyc", __name__, url_prefix="/kyc")
errors.shape("/kyc", kyc_render.error)

_ID = re.compile(r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")

_RETRY = RetrySchema()
#: From this score on a single check is called high risk: an identifier, or as good as the name.
_HIGH_RISK = 0.95


@bp.post("/jobs")
@requires("kyc:create")
def submit() -> Response:
    """Accept a batch of entities for screening, and answer before any is screened."""
    body, storable = read_json()
    entities = kyc_entities.read_batch(body, max_entities=resources().settings.max_entities)
    lenient = _is_lenient()
    known_lists = _known_lists()
    options = kyc_entities.read_options(body, known_lists=known_lists)
    items = kyc_entities.read_items(
        entities, known_lists=known_lists, storable=storable, lenient=lenient
    )
    job = service.submit(
        resources(),
        kyc.plan(
            resources(),
            tenant_id=caller().tenant_id,
            created_by=caller().uid,
            items=items,
            threshold=options.get("threshold", kyc.DEFAULT_THRESHOLD),
            labels=options.get("labels"),
            allowed_seconds=texts.read_duration(options.get("deadline", "")),
            wanted=_wanted(options),
        ),
    )
    response = _created(job)
    if lenient:
        response.headers["Preference-Applied"] = "handling=lenient"
    return response


@bp.get("/jobs/<job_id>")
@requires("kyc:read")
def show(job_id: str) -> Response:
    """Say how far the job is, and with its end what was found."""
    known, with_results = _known(job_id), _flag("results", default=True)

    def look() -> Seen:
        snapshot = service.watch(resources(), caller().tenant_id, kyc.NAME, known)
        return Seen(
            str(snapshot.version),
            snapshot.state.is_final,
            lambda: _shown(snapshot, known, with_results=with_results),
        )

    return polling.answer(look, poll_seconds=kyc_render.POLL_SECONDS)


def _shown(snapshot: Snapshot, known: str, *, with_results: bool) -> Response:
    if snapshot.state is JobState.COMPLETED and with_results:
        job = service.find(resources(), caller().tenant_id, kyc.NAME, known)
        body = kyc_render.job(Snapshot.of(job), datetime.now(UTC))
        pages = service.results(resources(), job)
        return Response(kyc_render.with_results(body, pages), mimetype="application/json")
    return jsonify(kyc_render.job(snapshot, datetime.now(UTC)))


@bp.get("/jobs")
@requires("kyc:read")
def list_jobs() -> Response:
    """List the tenant's jobs, newest first."""
    if request.path.endswith("/"):
        # An empty id: a poller whose variable is not set must not take the list for a job.
        raise JobNotFound("No job id was given.")
    limit = read_limit()
    jobs = service.list_jobs(
        resources(),
        caller().tenant_id,
        kyc.NAME,
        states=_states(),
        before=read_cursor(),
        limit=limit + 1,
    )
    page, more = jobs[:limit], len(jobs) > limit
    now = datetime.now(UTC)
    return jsonify(
        status="success",
        jobs=[kyc_render.job(Snapshot.of(job), now) for job in page],
        count=len(page),
        next_cursor=make_cursor(page[-1]) if more else None,
    )


@bp.get("/jobs/<job_id>/results")
@requires("kyc:read")
def results(job_id: str) -> Response:
    """Stream what is finished so far."""
    job = service.find(resources(), caller().tenant_id, kyc.NAME, _known(job_id))
    return kyc_results.respond(job)


@bp.post("/jobs/<job_id>/cancel")
@requires("kyc:create")
def cancel(job_id: str) -> Response:
    """Stop the job; what is finished stays."""
    job = service.cancel(resources(), caller().tenant_id, kyc.NAME, _known(job_id))
    stopped = job.state.is_final
    response = jsonify(
        status="success",
        job_id=job.external_id,
        job_status=kyc_render.STATUS_WORDS[job.state],
        cancel_requested=True,
        message="Job cancelled" if stopped else "Cancellation requested",
    )
    if not stopped:
        response.headers["Retry-After"] = str(kyc_render.POLL_SECONDS)
    return response


@bp.post("/jobs/<job_id>/retry")
@requires("kyc:create")
def retry(job_id: str) -> Response:
    """Screen the entities that failed, or were never begun, again: as a new job, lists of today."""
    wanted = _optional_body().get("items", "unfinished")
    old = service.find(resources(), caller().tenant_id, kyc.NAME, _known(job_id))
    job = retrying.retry(
        resources(), old, statuses=retrying.CHOICES[wanted], created_by=caller().uid
    )
    return _created(job)


@bp.post("")
@requires("kyc:create")
def check() -> Response:
    """Screen one entity while the caller waits: a job of one item, ahead of all batches."""
    began = time.monotonic()
    # Clients of the first generation read `result` at the top.
    legacy = _flag("legacy")
    body, storable = read_json()
    if not isinstance(body, dict):
        raise InvalidEntities("The body must be a JSON object: one entity.")
    options = kyc_entities.read_check_options(body)
    items = kyc_entities.read_items(
        [body], known_lists=_known_lists(), storable=storable, lenient=False
    )
    job = service.submit(
        resources(),
        kyc.plan(
            resources(),
            tenant_id=caller().tenant_id,
            created_by=caller().uid,
            items=items,
            threshold=options.get("threshold", kyc.DEFAULT_THRESHOLD),
            wanted=_wanted(options),
            interactive=True,
        ),
    )
    detail = _finished(job)
    data = _by_list(detail)
    return jsonify(
        **({"result": data.get("result") or _together(detail)} if legacy else {}),
        status="success",
        data=data,
        meta={
            "request_id": request_id(),
            "timestamp": kyc_render.stamp(datetime.now(UTC)),
            "duration_ms": round(1000 * (time.monotonic() - began)),
            "job_id": job.external_id,
            "engine_version": detail["engine_version"],
        },
    )


def _created(job: Job) -> Response:
    response = jsonify(kyc_render.created(Snapshot.of(job), datetime.now(UTC)))
    response.headers["Location"] = f"/kyc/jobs/{job.external_id}"
    response.headers["Retry-After"] = str(kyc_render.POLL_SECONDS)
    return response


def _known(job_id: str) -> str:
    """The id in the form in which it is stored; one that cannot be an id names no job."""
    known = job_id.lower()
    if not _ID.match(known):
        raise JobNotFound("No such job exists for this tenant: this is not the id of one.")
    return known


def _known_lists() -> Collection[str]:
    return kyc.known_lists(resources(), caller().tenant_id)


def _wanted(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the request says for every entity that says nothing of it."""
    return {name: options[name] for name in ("lists", "search_type", "topics") if name in options}


def _optional_body() -> dict[str, Any]:
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return {}
    body, _ = read_json()
    return kyc_entities.load(_RETRY, body)


def _is_lenient() -> bool:
    """Prefer: handling=lenient (RFC 7240)."""
    return preferences.given().get("handling") == "lenient"


def _flag(name: str, *, default: bool = False) -> bool:
    text = request.args.get(name, str(default)).lower()
    if text not in {"true", "1", "false", "0"}:
        raise InvalidParameter(f"{name} must be true or false.")
    return text in {"true", "1"}


def _states() -> Collection[JobState]:
    wanted = request.args.get("job_status")
    if wanted is None:
        return tuple(JobState)
    states = [state for state, word in kyc_render.STATUS_WORDS.items() if word == wanted]
    if not states:
        words = ", ".join(dict.fromkeys(kyc_render.STATUS_WORDS.values()))
        raise InvalidParameter(f"job_status must be one of: {words}.")
    return states


def _finished(job: Job) -> dict[str, Any]:
    """Wait for the one result, or cancel the job and say that it took too long."""
    row = _wait_for_it(job)
    if row["error_code"] == kyc.LIST_UNAVAILABLE:
        raise ListUnavailable(row["error_message"])
    if row["error_code"] is not None:
        raise AppError(f"a single check ended as {row['error_code']}")
    detail: dict[str, Any] = row["result"]
    return detail


def _wait_for_it(job: Job) -> dict[str, Any]:
    try:
        return waiting.finished(job)
    except JobError as error:
        if error.code == kyc.NO_LISTS_LOADED:
            raise ListUnavailable(str(error)) from error
        raise AppError(f"a single check failed as {error.code}") from error


def _together(detail: dict[str, Any]) -> dict[str, Any]:
    """What the first generation reads at the top, where several lists were searched."""
    return {name: detail[name] for name in ("is_match", "match_count", "matches")}


def _by_list(detail: dict[str, Any]) -> dict[str, Any]:
    """One `result` where one list was asked for, else `results` by list."""
    found = {
        name: [match for match in detail["matches"] if match["list_name"] == name]
        for name in detail["list_versions"]
    }
    counting = [match for match in detail["matches"] if not match.get("suppressed")]
    counts = detail.get("match_counts") or {
        name: sum(match["list_name"] == name for match in counting) for name in found
    }
    by_list = {
        name: {
            "list_name": name,
            "list_version": detail["list_versions"][name],
            "is_match": counts[name] > 0,
            "match_count": counts[name],
            "matches": matches,
        }
        for name, matches in found.items()
    }
    best = max((match["confidence_score"] for match in counting), default=0.0)
    risk = "low" if not best else "high" if best >= _HIGH_RISK else "medium"
    summary: dict[str, Any] = {
        "lists_checked": len(by_list),
        "total_matches": detail["match_count"],
        "overall_risk_level": risk,
    }
    if "suppressed_count" in detail:
        summary["suppressed_matches"] = detail["suppressed_count"]
    if "stale_lists" in detail:
        summary["stale_lists"] = detail["stale_lists"]
    if len(by_list) == 1:
        return {"result": next(iter(by_list.values())), "summary": summary}
    return {"results": by_list, "summary": summary}
