"""/kyc/watchlists: subjects that are screened again, by the clock and when lists change."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from app.api import kyc_entities, kyc_watchlists_render
from app.api.auth import requires
from app.api.body import read_json
from app.api.context import caller, resources
from app.api.kyc_entities import load
from app.api.paging import (
    make_cursor,
    make_key_cursor,
    read_cursor,
    read_key_cursor,
    read_limit,
)
from app.errors import (
    CheckNotFound,
    InvalidEntities,
    InvalidParameter,
    ListUnavailable,
    MonitorNotFound,
)
from app.kinds import kyc
from app.monitoring import service
from app.monitoring.model import CheckState, Monitor
from schemas import texts
from schemas.kyc_watchlists import (
    CHANGES,
    RemovedSubjectsSchema,
    WatchlistChangesSchema,
    WatchlistSchema,
)

bp = Blueprint("kyc_watchlists", __name__, url_prefix="/kyc/watchlists")

_NEW = WatchlistSchema()
_CHANGES = WatchlistChangesSchema()
_REMOVED = RemovedSubjectsSchema()
_ID = re.compile(r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
#: No change has a position so high: Postgres' integers end before.
_POSITIONS = 2**31


@bp.post("")
@requires("watchlist:create")
def create() -> tuple[Response, int]:
    """Make a watchlist of no subjects."""
    body, _ = read_json()
    given = load(_NEW, body)
    alerts = given.pop("alert_config", {})
    made = service.create(
        resources(),
        caller().tenant_id,
        caller().uid,
        {
            "description": None,
            "check_frequency": "daily",
            "lists": None,
            "threshold": kyc.DEFAULT_THRESHOLD,
            "search_type": kyc.DEFAULT_SEARCH,
            **_checked(given),
            "on_new_match": alerts.get("on_new_match", True),
            "on_status_change": alerts.get("on_status_change", True),
        },
    )
    response = jsonify(status="success", watchlist=_shown(made))
    response.headers["Location"] = f"/kyc/watchlists/{made.id}"
    return response, HTTPStatus.CREATED


@bp.get("")
@requires("watchlist:list")
def list_all() -> Response:
    """List the tenant's watchlists, the newest first."""
    limit = read_limit()
    found = service.list_page(
        resources(), caller().tenant_id, before=read_cursor(), limit=limit + 1
    )
    page, more = found[:limit], len(found) > limit
    return jsonify(
        status="success",
        watchlists=[_shown(each) for each in page],
        count=len(page),
        next_cursor=make_cursor(page[-1]) if more else None,
    )


@bp.get("/<watchlist_id>")
@requires("watchlist:read")
def show(watchlist_id: str) -> Response:
    """Show one watchlist."""
    return jsonify(status="success", watchlist=_shown(_find(watchlist_id)))


@bp.patch("/<watchlist_id>")
@requires("watchlist:update")
def change(watchlist_id: str) -> Response:
    """Change what is searched, how, or how often; what is left out stays."""
    monitor = _find(watchlist_id)
    body, _ = read_json()
    given = load(_CHANGES, body)
    if isinstance(body, dict) and "lists" in body and body["lists"] is None:
        # Back to whatever is loaded.
        given["lists"] = None
    given |= given.pop("alert_config", {})
    made = service.update(resources(), monitor, _checked(given))
    return jsonify(status="success", watchlist=_shown(made))


@bp.delete("/<watchlist_id>")
@requires("watchlist:delete")
def delete(watchlist_id: str) -> Response:
    """Delete the watchlist with its subjects, hits and history."""
    known = _known(watchlist_id)
    service.delete(resources(), caller().tenant_id, known)
    return jsonify(status="success", watchlist_id=str(known), deleted=True)


@bp.post("/<watchlist_id>/subjects")
@requires("watchlist:update")
def add_subjects(watchlist_id: str) -> Response:
    """Watch these as well; one that is watched already is put in its place."""
    monitor = _find(watchlist_id)
    body, storable = read_json()
    if isinstance(body, dict) and "subjects" in body:
        body = {"entities": body["subjects"]}
    elif not isinstance(body, dict) or "entities" not in body:
        raise InvalidEntities("The body must be a JSON object that holds `subjects`.")
    entities = kyc_entities.read_batch(body, max_entities=resources().settings.max_entities)
    items = kyc_entities.read_items(
        entities,
        known_lists=kyc.known_lists(resources(), caller().tenant_id),
        storable=storable,
        lenient=False,
    )
    added, changed = service.add_subjects(resources(), monitor, items)
    return jsonify(
        status="success",
        watchlist_id=str(monitor.id),
        added=added,
        changed=changed,
        unchanged=len(items) - added - changed,
        subjects=service.show(resources(), monitor).subjects,
    )


@bp.get("/<watchlist_id>/subjects")
@requires("watchlist:read")
def list_subjects(watchlist_id: str) -> Response:
    """List the subjects, by entity_id."""
    monitor = _find(watchlist_id)
    limit = read_limit()
    after = read_key_cursor(1)
    found = service.list_subjects(
        resources(), monitor, after=None if after is None else after[0], limit=limit + 1
    )
    page, more = found[:limit], len(found) > limit
    return jsonify(
        status="success",
        subjects=[kyc_watchlists_render.subject(each) for each in page],
        count=len(page),
        next_cursor=make_key_cursor(page[-1].entity_id) if more else None,
    )


@bp.get("/<watchlist_id>/subjects/<path:entity_id>")
@requires("watchlist:read")
def show_subject(watchlist_id: str, entity_id: str) -> Response:
    """Show one subject."""
    found = service.find_subject(resources(), _find(watchlist_id), _storable(entity_id))
    return jsonify(status="success", subject=kyc_watchlists_render.subject(found))


@bp.delete("/<watchlist_id>/subjects/<path:entity_id>")
@requires("watchlist:update")
def remove_subject(watchlist_id: str, entity_id: str) -> Response:
    """Watch this subject no longer; its hits go with it."""
    monitor = _find(watchlist_id)
    service.remove_subject(resources(), monitor, _storable(entity_id))
    return jsonify(status="success", watchlist_id=str(monitor.id), removed=1)


@bp.post("/<watchlist_id>/remove-subjects")
@requires("watchlist:update")
def remove_subjects(watchlist_id: str) -> Response:
    """Watch these subjects no longer; those that are not watched are passed over."""
    monitor = _find(watchlist_id)
    body, _ = read_json()
    names = load(_REMOVED, body).get("entity_ids")
    if names is None:
        raise InvalidParameter("The request is not valid: entity_ids: is required.")
    removed = service.remove_subjects(resources(), monitor, names)
    return jsonify(status="success", watchlist_id=str(monitor.id), removed=removed)


@bp.post("/<watchlist_id>/monitor")
@requires("watchlist:run")
def check(watchlist_id: str) -> tuple[Response, int]:
    """Screen all subjects now and say what is other than before; of many, begin to."""
    monitor = _find(watchlist_id)
    patience = 0.0 if resources().progress.is_away else resources().settings.sync_seconds
    made = service.check_now(resources(), monitor, caller().uid, seconds=patience)
    if made.error_code == kyc.NO_LISTS_LOADED:
        raise ListUnavailable(made.error_message or "")
    body = kyc_watchlists_render.report(monitor, made)
    response = jsonify(body)
    place = f"/kyc/watchlists/{monitor.id}/history/{made.id}"
    if made.state != CheckState.RUNNING:
        response.headers["Content-Location"] = place
        return response, HTTPStatus.OK
    response.headers["Location"] = place
    response.headers["Retry-After"] = str(kyc_watchlists_render.POLL_SECONDS)
    return response, HTTPStatus.ACCEPTED


@bp.get("/<watchlist_id>/history")
@requires("watchlist:read")
def history(watchlist_id: str) -> Response:
    """List the checks of the watchlist, the newest first."""
    monitor = _find(watchlist_id)
    limit = read_limit()
    found = service.list_checks(resources(), monitor, before=read_cursor(), limit=limit + 1)
    page, more = found[:limit], len(found) > limit
    return jsonify(
        status="success",
        checks=[kyc_watchlists_render.check(each) for each in page],
        count=len(page),
        next_cursor=make_cursor(page[-1]) if more else None,
    )


@bp.get("/<watchlist_id>/history/<check_id>")
@requires("watchlist:read")
def show_check(watchlist_id: str, check_id: str) -> Response:
    """Show one check: how far it is, or what came of it."""
    monitor = _find(watchlist_id)
    if not _ID.match(check_id.lower()):
        raise CheckNotFound("This watchlist has no such check.")
    found = service.find_check(resources(), monitor, UUID(check_id))
    response = jsonify(kyc_watchlists_render.report(monitor, found))
    if found.state == CheckState.RUNNING:
        response.headers["Retry-After"] = str(kyc_watchlists_render.POLL_SECONDS)
    return response


@bp.get("/<watchlist_id>/hits")
@requires("watchlist:read")
def list_hits(watchlist_id: str) -> Response:
    """List what is known of the subjects at this moment, by entity_id."""
    monitor = _find(watchlist_id)
    limit = read_limit()
    found = service.list_hits(
        resources(),
        monitor,
        entity_id=_text("entity_id"),
        list_name=_text("list_name"),
        after=read_key_cursor(3),
        limit=limit + 1,
    )
    page, more = found[:limit], len(found) > limit
    last = page[-1] if more else None
    return jsonify(
        status="success",
        hits=[kyc_watchlists_render.hit(each) for each in page],
        count=len(page),
        next_cursor=last and make_key_cursor(last.entity_id, last.list_name, last.entry_id),
    )


@bp.get("/<watchlist_id>/changes")
@requires("watchlist:read")
def list_changes(watchlist_id: str) -> Response:
    """List what checks found to be other than before, those of the newest check first."""
    monitor = _find(watchlist_id)
    limit = read_limit()
    found = service.list_changes(
        resources(),
        monitor,
        check_id=_check_id(),
        change=_change(),
        alerts=_flag("alerts"),
        before=_change_cursor(),
        limit=limit + 1,
    )
    page, more = found[:limit], len(found) > limit
    cursor = None
    if more:
        last = page[-1]
        at = last["created_at"].astimezone(UTC).isoformat()
        cursor = make_key_cursor(at, str(last["check_id"]), str(last["position"]))
    return jsonify(
        status="success",
        changes=[kyc_watchlists_render.change(each) for each in page],
        count=len(page),
        next_cursor=cursor,
    )


def _shown(monitor: Monitor) -> dict[str, Any]:
    return kyc_watchlists_render.watchlist(service.show(resources(), monitor))


def _known(watchlist_id: str) -> UUID:
    """The id as it is stored; one that cannot be an id names nothing."""
    if not _ID.match(watchlist_id.lower()):
        raise MonitorNotFound("There is no such watchlist: this is not the id of one.")
    return UUID(watchlist_id)


def _find(watchlist_id: str) -> Monitor:
    return service.find(resources(), caller().tenant_id, _known(watchlist_id))


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    """The lists that are named must be known."""
    known = kyc.known_lists(resources(), caller().tenant_id)
    for number, name in enumerate(given.get("lists") or ()):
        if name not in known:
            raise InvalidParameter(
                f"The request is not valid: lists[{number}]: unknown list '{name}'."
            )
    return given


def _storable(text: str) -> str:
    if not texts.is_storable(text):
        raise InvalidParameter("entity_id holds a character that nothing stored can have.")
    return text


def _text(name: str) -> str | None:
    text = request.args.get(name)
    return None if text is None else _storable(text)


def _flag(name: str) -> bool:
    text = request.args.get(name, "false").lower()
    if text not in {"true", "1", "false", "0"}:
        raise InvalidParameter(f"{name} must be true or false.")
    return text in {"true", "1"}


def _change() -> str | None:
    wanted = request.args.get("change")
    if wanted is not None and wanted not in CHANGES:
        raise InvalidParameter(f"change must be one of: {', '.join(CHANGES)}.")
    return wanted


def _check_id() -> UUID | None:
    wanted = request.args.get("check_id")
    if wanted is None:
        return None
    if not _ID.match(wanted.lower()):
        raise InvalidParameter("check_id must be the id of a check of this watchlist.")
    return UUID(wanted)


def _change_cursor() -> tuple[datetime, UUID, int] | None:
    parts = read_key_cursor(3)
    if parts is None:
        return None
    try:
        place = datetime.fromisoformat(parts[0]), UUID(parts[1]), int(parts[2])
    except ValueError:
        place = None
    # What we make is in UTC; Postgres takes neither every other offset nor every number.
    if place is None or place[0].utcoffset() != timedelta(0) or not 0 <= place[2] < _POSITIONS:
        raise InvalidParameter("cursor must be the next_cursor of an earlier answer.")
    return place
