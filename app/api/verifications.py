"""Dialect B: verifications, the runs that screen them, and what came of each, under /v5."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request
from marshmallow import ValidationError

from app.api import errors, polling, verifications_render
from app.api.auth import requires
from app.api.body import read_json
from app.api.context import caller, resources
from app.api.paging import make_cursor, read_cursor, read_limit, read_position
from app.api.polling import Seen
from app.api.verifications_auth import actor, identify
from app.api.verifications_render import POLL_SECONDS, envelope
from app.errors import InvalidParameter, InvalidVerification
from app.jobs import ids
from app.screening.alpha3 import alpha2
from app.verifications import dispatch, record, record_html, service
from app.verifications.model import TYPES, Run
from schemas.texts import is_storable
from schemas.verifications import VerificationSchema, code_of

bp = Blueprint("verifications", __name__, url_prefix="/v5/verifications")
errors.shape("/v5", verifications_render.error)

_ONE = "/<trace>"
#: An empty type or id is answered as a wrong one, and not as a path that leads nowhere.
_JOBS = f"{_ONE}/jobs/<string(minlength=0):type>"
_JOB = f"{_JOBS}/<string(minlength=0):job_id>"

_SCHEMA = VerificationSchema()
#: Of a verification, what is not the entity itself.
_BESIDE = {"userId": "user_id", "onBehalfUid": "on_behalf_uid", "stakeholders": "stakeholders"}

#: What the schema lets through.
_COUNTRY = re.compile(r"[A-Za-z]{2,3}")

_FORMATS = ("json", "html")
#: A record may show itself, and do nothing else, whatever got into it.
_PAGE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


@bp.post("")
@requires("verifications:create", by=identify)
def create() -> Response:
    """Write a verification with its stakeholders; nobody is screened yet."""
    given = _load(*read_json())
    beside = {name: given.pop(field) for field, name in _BESIDE.items() if field in given}
    made = service.create(resources(), caller().tenant_id, actor(), entity=given, **beside)
    response = envelope(
        HTTPStatus.CREATED,
        "Verification created.",
        data=verifications_render.created(made),
        trace=made.trace,
    )
    response.headers["Location"] = f"/v5/verifications/{made.trace}"
    return response


@bp.get("")
@requires("verifications:read", by=identify)
def find_all() -> Response:
    """List the tenant's verifications, newest first; or the one with a `userId`."""
    limit, user_id = read_limit(), request.args.get("userId")
    if user_id is not None and not is_storable(user_id):
        raise InvalidParameter("userId holds a character that no userId has.")
    found = service.list_all(
        resources(),
        caller().tenant_id,
        user_id=user_id,
        before=read_cursor(),
        limit=limit + 1,
    )
    shown = [verifications_render.created(each) for each in found[:limit]]
    cursor = make_cursor(found[limit - 1]) if len(found) > limit else None
    return _good("Verifications retrieved.", {"verifications": shown, "nextCursor": cursor})


@bp.get(_ONE)
@requires("verifications:read", by=identify)
def read(trace: str) -> Response:
    """Show a verification as it was sent, and its risk as it stands."""
    found = service.get(resources(), caller().tenant_id, trace)
    return _good("Verification retrieved.", verifications_render.verification(found))


@bp.post(f"{_ONE}/watchlist")
@requires("verifications:create", by=identify)
def screen(trace: str) -> Response:
    """Dispatch a screening of the entity and all its stakeholders, unless one is in flight."""
    if request.content_length or "Transfer-Encoding" in request.headers:
        body, _ = read_json()
        if not isinstance(body, dict):
            raise InvalidParameter("The body must be an object, or there must be none.")
    run = dispatch.dispatch(resources(), caller().tenant_id, trace, actor())
    response = envelope(
        HTTPStatus.ACCEPTED,
        "Watchlist screening triggered.",
        data={"triggered": True, "jobId": run.run_id},
    )
    response.headers["Location"] = verifications_render.job_path(trace, run.type, run.run_id)
    response.headers["Operation-Location"] = f"/v1/jobs/{ids.render(run.id)}"
    response.headers["Retry-After"] = str(POLL_SECONDS)
    return response


@bp.get(f"{_ONE}/watchlist/latest")
@requires("verifications:read", by=identify)
def latest(trace: str) -> Response:
    """Show what the last completed run found of the entity, and in short of the stakeholders."""
    found, everybody = service.latest(resources(), caller().tenant_id, trace)
    data = verifications_render.screening(found, trace)
    data["stakeholders"] = verifications_render.in_short(everybody)
    return _good("Watchlist screening retrieved.", data)


@bp.get(f"{_ONE}/watchlist/history")
@requires("verifications:read", by=identify)
def history(trace: str) -> Response:
    """Show who did what to the verification, newest first: an audit that is only ever added to."""
    limit, before = read_limit(), read_position() or None
    found = service.audit(resources(), caller().tenant_id, trace, before=before, limit=limit + 1)
    shown = [verifications_render.audit(each) for each in found[:limit]]
    cursor = str(found[limit - 1].seq) if len(found) > limit else None
    return _good("Watchlist history retrieved.", {"entries": shown, "nextCursor": cursor})


@bp.get(f"{_ONE}/stakeholders/<stakeholder_id>/watchlist/latest")
@requires("verifications:read", by=identify)
def latest_of_stakeholder(trace: str, stakeholder_id: str) -> Response:
    """Show what the last completed run found of a stakeholder."""
    found, _ = service.latest(resources(), caller().tenant_id, trace, stakeholder_id)
    return _good("Watchlist screening retrieved.", verifications_render.screening(found, trace))


@bp.get(f"{_ONE}/jobs")
@requires("verifications:read", by=identify)
def list_jobs(trace: str) -> Response:
    """List the verification's runs of all types, newest first."""
    return _runs(trace, None)


@bp.get(_JOBS)
@requires("verifications:read", by=identify)
def list_jobs_of_type(trace: str, type: str) -> Response:
    """List the verification's runs of one type, newest first."""
    return _runs(trace, _type(type))


@bp.get(_JOB)
@requires("verifications:read", by=identify)
def read_job(trace: str, type: str, job_id: str) -> Response:
    """Show how a run was dispatched, and how it stands."""

    def look() -> Seen:
        run = _run(trace, type, job_id)
        return Seen(
            f"{run.version}.{run.attempts}",
            run.state.is_final,
            lambda: _good("Job retrieved.", verifications_render.job(run)),
        )

    return polling.answer(look, poll_seconds=POLL_SECONDS)


@bp.post(f"{_JOB}/cancel")
@requires("verifications:create", by=identify)
def cancel(trace: str, type: str, job_id: str) -> Response:
    """Stop a run; what it has found so far is not kept."""
    _check(type, job_id)
    run = service.cancel(resources(), caller().tenant_id, trace, type, job_id, actor())
    return _polled(_good("Job cancellation requested.", verifications_render.job(run)), run)


@bp.get(f"{_ONE}/record")
@requires("verifications:read", by=identify)
def export(trace: str) -> Response:
    """Export all there is of the verification, to be read without us: JSON, or an HTML page."""
    wanted = request.args.get("format", "json")
    if wanted not in _FORMATS:
        raise InvalidParameter(f"format must be one of: {', '.join(_FORMATS)}.")
    made = record.make(resources(), caller().tenant_id, trace, by=actor())
    if wanted == "json":
        return _good("Record exported.", made)
    page = Response(record_html.render(made), mimetype="text/html")
    # Saved, and not shown under this address: it quotes what clients and lists have said.
    page.headers["Content-Disposition"] = f'attachment; filename="verification-{trace}.html"'
    page.headers["Content-Security-Policy"] = _PAGE
    page.headers["Cache-Control"] = "private, no-store"
    return page


def _good(message: str, data: Any) -> Response:
    return envelope(HTTPStatus.OK, message, data=data)


def _polled(response: Response, run: Run) -> Response:
    response.headers["Cache-Control"] = "private, no-cache"
    if not run.state.is_final:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return response


def _runs(trace: str, type_: str | None) -> Response:
    limit = read_limit()
    before: tuple[datetime, UUID] | None = read_cursor()
    found = service.list_runs(
        resources(), caller().tenant_id, trace, type_=type_, before=before, limit=limit + 1
    )
    shown = [verifications_render.job(each) for each in found[:limit]]
    cursor = make_cursor(found[limit - 1]) if len(found) > limit else None
    return _good("Jobs retrieved.", {"jobs": shown, "nextCursor": cursor})


def _run(trace: str, type_: str, run_id: str) -> Run:
    _check(type_, run_id)
    return service.get_run(resources(), caller().tenant_id, trace, type_, run_id)


def _check(type_: str, run_id: str) -> None:
    """Raise InvalidVerification for a wrong type or an empty id, before anything is looked for."""
    problems = [*_wrong_type(type_)]
    if not run_id.strip():
        problems.append(
            {"message": "jobId must not be empty.", "code": "required", "path": ["jobId"]}
        )
    if problems:
        raise InvalidVerification("The path is not valid.", problems=problems)


def _type(type_: str) -> str:
    if problems := [*_wrong_type(type_)]:
        raise InvalidVerification("The path is not valid.", problems=problems)
    return type_


def _wrong_type(type_: str) -> Iterator[dict[str, Any]]:
    if type_ not in TYPES:
        shown = type_[:60].encode("ascii", "replace").decode()
        yield {
            "message": f"Unknown job type '{shown}'. Expected one of: {', '.join(TYPES)}.",
            "code": "invalid_enum_value",
            "path": ["type"],
        }


def _load(body: Any, storable: bool) -> dict[str, Any]:
    """Return a verification as it is kept, or raise InvalidVerification with all that is wrong."""
    if not isinstance(body, dict):
        raise _invalid("The body must be an object.", "invalid_type")
    if not storable:
        raise _invalid(
            "A text holds a NUL or half a surrogate pair, which cannot be stored.", "invalid_format"
        )
    problems = [*_unknown_countries(body)]
    given: dict[str, Any] = {}
    try:
        given = _SCHEMA.load(body)
    except ValidationError as error:
        problems = [*_flat(error.messages, ()), *problems]
    if problems:
        raise InvalidVerification("The verification is not valid.", problems=problems)
    return given


def _unknown_countries(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the countries that look like one and are none: they would be compared with nothing."""
    parties: list[tuple[tuple[str | int, ...], Any]] = [((), body)]
    stakeholders = body.get("stakeholders")
    for number, each in enumerate(stakeholders if isinstance(stakeholders, list) else ()):
        entity = each.get("entity") if isinstance(each, dict) else None
        parties.append((("stakeholders", number, "entity"), entity))
    for path, party in parties:
        for name in ("country", "nationality") if isinstance(party, dict) else ():
            code = party.get(name)
            if isinstance(code, str) and _COUNTRY.fullmatch(code) and alpha2(code) is None:
                yield {
                    "message": f"{code} is no code of ISO 3166, such as AUS.",
                    "code": "invalid_format",
                    "path": [*path, name],
                }


def _invalid(message: str, code: str) -> InvalidVerification:
    problem = {"message": message, "code": code, "path": []}
    return InvalidVerification("The verification is not valid.", problems=[problem])


def _flat(messages: Any, path: tuple[str | int, ...]) -> Iterator[dict[str, Any]]:
    """Yield {message, code, path} of what marshmallow says is wrong."""
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _flat(inner, path if name == "_schema" else (*path, name))
    elif isinstance(messages, list):
        for each in messages:
            yield from _flat(each, path)
    else:
        yield {"message": str(messages), "code": code_of(str(messages)), "path": list(path)}
