"""The native API: jobs of every kind and dialect under /v1/jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request
from marshmallow import Schema, ValidationError

from app.api import jobs_render, jobs_results, polling
from app.api.auth import requires
from app.api.body import read_json
from app.api.context import caller, resources
from app.api.paging import make_cursor, read_cursor, read_limit, read_position
from app.api.polling import Seen
from app.api.verifications_auth import actor
from app.errors import InvalidParameter, JobExpired, JobNotFound, Unprocessable
from app.jobs import ids, service
from app.jobs.model import Job
from app.jobs.states import JobState
from app.kinds import retrying
from app.verifications import service as verifications
from app.verifications.model import KIND
from schemas import texts
from schemas.jobs import RetryJobSchema

bp = Blueprint("jobs", __name__, url_prefix="/v1/jobs")

_RETRY = RetryJobSchema()

ITEM_STATUSES = ("pending", "running", "succeeded", "failed", "cancelled", "expired")

#: Items that are named of each kind of failure.
_EXAMPLES = 10

W = TypeVar("W", bound=str)


@bp.get("")
@requires("jobs:read")
def search() -> Response:
    """List the tenant's jobs of all kinds, newest first."""
    if request.path.endswith("/"):
        # An empty id: a poller whose variable is not set must not take the list for a job.
        raise JobNotFound("No job id was given.")
    limit = read_limit()
    jobs = service.search_jobs(
        resources(),
        caller().tenant_id,
        states=_words("status", tuple(JobState)),
        kinds=_kinds(),
        external_id=_text("external_id"),
        labels=_labels(),
        before=read_cursor("after"),
        limit=limit + 1,
    )
    page = jobs[:limit]
    running = service.count_running(resources(), page)
    next_cursor = make_cursor(page[-1]) if len(jobs) > limit else None
    now = datetime.now(UTC)
    expiries = service.expiries(resources(), caller().tenant_id, page)
    data = [jobs_render.record(job, running[job.id], now, expiries[job.id]) for job in page]
    return _listed(data, next_cursor)


@bp.get("/<job_id>")
@requires("jobs:read")
def show(job_id: str) -> Response:
    """Show one job: where it stands, its counts, and what can be asked of it."""

    def look() -> Seen:
        job = find(job_id)
        running = service.count_running(resources(), [job])[job.id]
        expires_at = _expires_at(job)
        # A chunk that is begun changes no version, and yet what is shown. Nor does another
        # retention.
        tag = f"{job.version}-{running}"
        if expires_at is not None:
            tag += f"-{expires_at.timestamp():.0f}"
        return Seen(
            tag,
            job.state.is_final,
            lambda: jsonify(jobs_render.record(job, running, datetime.now(UTC), expires_at)),
        )

    return polling.answer(look, poll_seconds=jobs_render.POLL_SECONDS)


@bp.get("/<job_id>/items")
@requires("jobs:read")
def list_items(job_id: str) -> Response:
    """List the items of a job in their order, with how each stands."""
    limit, first = read_limit(), read_position("after")
    statuses = _words("status", ITEM_STATUSES)
    job = find(job_id)
    rows = service.list_items(
        resources(), job, first=first, limit=limit + 1, statuses=[str(each) for each in statuses]
    )
    next_cursor = str(rows[limit]["position"]) if len(rows) > limit else None
    return _listed([jobs_render.item(row) for row in rows[:limit]], next_cursor)


@bp.get("/<job_id>/errors")
@requires("jobs:read")
def list_errors(job_id: str) -> Response:
    """Sum up what the items failed of: each code and message once, the commonest first."""
    limit, first = read_limit(), read_position("after")
    rows = service.group_errors(
        resources(), find(job_id), first=first, limit=limit + 1, examples=_EXAMPLES
    )
    next_cursor = str(first + limit) if len(rows) > limit else None
    return _listed([jobs_render.failure(row) for row in rows[:limit]], next_cursor)


@bp.delete("/<job_id>")
@requires("jobs:control")
def delete(job_id: str) -> Response:
    """Delete a job that has ended, with its items, results and events."""
    service.delete(resources(), find(job_id))
    return Response(status=HTTPStatus.NO_CONTENT)


@bp.get("/<job_id>/results")
@requires("jobs:read")
def results(job_id: str) -> Response:
    """Stream what is finished so far, as the kind wrote it."""
    return jobs_results.respond(find(job_id))


@bp.post("/<job_id>/pause")
@requires("jobs:control")
def pause(job_id: str) -> Response:
    """Begin no more items: those in hand are finished, and then the job stands still."""
    return _controlled(service.pause, job_id, "pause")


@bp.post("/<job_id>/resume")
@requires("jobs:control")
def resume(job_id: str) -> Response:
    """Go on where the job paused."""
    return _controlled(service.resume, job_id, "resume")


@bp.post("/<job_id>/cancel")
@requires("jobs:control")
def cancel(job_id: str) -> Response:
    """Stop the job for good; what is finished stays."""
    return _controlled(service.cancel, job_id, "cancel")


@bp.post("/<job_id>/retry")
@requires("jobs:control")
def retry(job_id: str) -> tuple[Response, HTTPStatus]:
    """Make a new job of items of an ended one, which stays as it is."""
    wanted = _load(_RETRY, _optional_body()).get("items", "failed")
    old = find(job_id)
    positions: Collection[int] | None = None
    if not isinstance(wanted, str):
        positions, wanted = wanted, "all"
        if wanted_last := [each for each in positions if each >= old.total]:
            raise _wrong({"items": f"has no item {wanted_last[0]}: the last is {old.total - 1}"})
    job = retrying.retry(
        resources(),
        old,
        statuses=retrying.CHOICES[wanted],
        positions=positions,
        created_by=caller().uid,
    )
    response = jsonify(jobs_render.record(job, 0, datetime.now(UTC)))
    response.headers["Location"] = jobs_render.path(job)
    return _polled(response, job), HTTPStatus.ACCEPTED


def _controlled(act: Callable[..., Job], job_id: str, what: str) -> Response:
    known = find(job_id)
    # Of a run it must be known who did what to it.
    is_run = known.kind == KIND
    hold = verifications.asked_for(what, actor()) if is_run else service.hold_nothing
    job = act(resources(), known.tenant_id, known.dialect, known.external_id, hold=hold)
    running = service.count_running(resources(), [job])[job.id]
    record = jobs_render.record(job, running, datetime.now(UTC), _expires_at(job))
    return _polled(jsonify(record), job)


def _expires_at(job: Job) -> datetime | None:
    # Nothing has to be looked up of a job that is polled while it runs.
    if job.finished_at is None:
        return None
    return service.expiries(resources(), job.tenant_id, [job])[job.id]


def find(job_id: str) -> Job:
    """Return the caller's job of that id, or raise JobNotFound or JobExpired."""
    known = ids.parse(job_id)
    if known is None:
        raise JobNotFound("No such job exists for this tenant: this is not the id of one.")
    try:
        return service.get(resources(), caller().tenant_id, known)
    except JobNotFound:
        if service.is_expired(resources(), caller().tenant_id, known):
            raise JobExpired(
                "The job was kept as long as jobs of its kind are kept, and has been deleted."
            ) from None
        raise


def _polled(response: Response, job: Job) -> Response:
    if not job.state.is_final:
        response.headers["Retry-After"] = str(jobs_render.POLL_SECONDS)
    return response


def _listed(data: Sequence[Mapping[str, Any]], next_cursor: str | None) -> Response:
    """Return one page, with the next one as a header too (RFC 8288)."""
    response = jsonify(
        object="list", data=data, has_more=next_cursor is not None, next_cursor=next_cursor
    )
    if next_cursor is not None:
        query = urlencode({**request.args.to_dict(), "after": next_cursor})
        response.headers["Link"] = f'<{request.path}?{query}>; rel="next"'
    return response


def _text(name: str) -> str | None:
    text = request.args.get(name)
    if text is not None and not texts.is_storable(text):
        raise InvalidParameter(f"{name} holds a character that nothing of ours contains.")
    return text


def _words(name: str, known: Collection[W]) -> Collection[W]:
    """Return what a query value with commas picks from the known words, or all of them."""
    text = request.args.get(name)
    if text is None:
        return known
    wanted = set(text.split(","))
    if not wanted <= set(known):
        raise InvalidParameter(f"{name} must be of: {', '.join(known)}; several with commas.")
    return [word for word in known if word in wanted]


def _kinds() -> Collection[str] | None:
    text = _text("kind")
    return None if text is None else text.split(",")


def _labels() -> dict[str, str]:
    """`?label.customer=acme` asks for jobs that carry this label."""
    named = [name for name in request.args if name.startswith("label.")]
    if any(not texts.is_storable(name) for name in named):
        raise InvalidParameter("The name of a label holds a character that none contains.")
    return {name.removeprefix("label."): _text(name) or "" for name in named}


def _optional_body() -> Any:
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return {}
    body, _ = read_json()
    return body


def _load(schema: Schema, body: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(body)
    except ValidationError as error:
        raise _wrong(error.normalized_messages()) from error  # type: ignore[no-untyped-call]  # bare
    return loaded


def _wrong(messages: Mapping[str, Any]) -> Unprocessable:
    errors = []
    for field, said in messages.items():
        pointer = "#" if field == "_schema" else f"#/{field}"
        errors += [
            {"detail": each, "pointer": pointer}
            for each in ([said] if isinstance(said, str) else said)
        ]
    return Unprocessable("Your request is not valid.", errors=errors)
