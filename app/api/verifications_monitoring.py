"""Dialect B: verifications that are screened again by themselves, and what changed since."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response
from marshmallow import ValidationError

from app.api.auth import requires
from app.api.body import read_json
from app.api.context import caller, resources
from app.api.paging import make_place, read_cursor, read_limit
from app.api.verifications_auth import actor, identify
from app.api.verifications_render import envelope
from app.errors import InvalidVerification
from app.monitoring.verifications import service
from app.monitoring.verifications.model import OFF, Difference, Monitoring, RunChanges
from schemas.verifications import code_of
from schemas.verifications_monitoring import MonitoringSchema

bp = Blueprint("verifications_monitoring", __name__, url_prefix="/v5/verifications")

_SCHEMA = MonitoringSchema()


@bp.get("/<trace>/monitoring")
@requires("verifications:read", by=identify)
def show(trace: str) -> Response:
    """Show how often the verification is screened by itself."""
    found = service.show(resources(), caller().tenant_id, trace)
    return envelope(HTTPStatus.OK, "Monitoring retrieved.", data=_shown(found))


@bp.put("/<trace>/monitoring")
@requires("verifications:create", by=identify)
def change(trace: str) -> Response:
    """Have the verification screened daily, weekly, when a list changes, or never."""
    body, _ = read_json()
    try:
        frequency = _SCHEMA.load(body)["frequency"]
    except ValidationError as error:
        raise InvalidVerification(
            "The monitoring is not valid.", problems=_problems(error)
        ) from error
    made = service.change(resources(), caller().tenant_id, trace, frequency, actor())
    return envelope(HTTPStatus.OK, "Monitoring changed.", data=_shown(made))


@bp.get("/<trace>/watchlist/changes")
@requires("verifications:read", by=identify)
def list_changes(trace: str) -> Response:
    """List the completed runs with what each found to be new, gone or changed, newest first."""
    found, place = service.list_changes(
        resources(), caller().tenant_id, trace, before=read_cursor(), limit=read_limit()
    )
    data = {
        "changes": [_run(each) for each in found],
        "nextCursor": None if place is None else make_place(*place),
    }
    return envelope(HTTPStatus.OK, "Watchlist changes retrieved.", data=data)


def _shown(monitoring: Monitoring | None) -> dict[str, Any]:
    if monitoring is None:
        return {"frequency": OFF, "nextRunAt": None, "updatedAt": None}
    return {
        "frequency": monitoring.frequency,
        "nextRunAt": _ms(monitoring.next_run_at),
        "updatedAt": _ms(monitoring.updated_at),
    }


def _run(changes: RunChanges) -> dict[str, Any]:
    by_change: dict[str, list[dict[str, Any]]] = {"new": [], "gone": [], "changed": []}
    for each in changes.differences:
        by_change[each.change].append(_difference(each))
    return {
        "jobId": changes.run_id,
        "previousJobId": changes.previous_run_id,
        "sourceAction": changes.source_action,
        "screenedAt": _ms(changes.screened_at),
        "hasChanges": bool(changes.differences),
        **by_change,
    }


def _difference(difference: Difference) -> dict[str, Any]:
    whose = difference.stakeholder_id
    return {
        **({"stakeholderId": whose} if whose else {}),
        "source": difference.source,
        "record": dict(difference.record),
    }


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


def _problems(error: ValidationError) -> list[dict[str, Any]]:
    messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
    return [
        {
            "message": str(message),
            "code": code_of(str(message)),
            "path": [] if name == "_schema" else [name],
        }
        for name, its in messages.items()
        for message in (its if isinstance(its, list) else [its])
    ]
