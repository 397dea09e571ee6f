"""/kyc/exclusions: reviewed matches. A false positive is shown as suppressed from then on."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request

from app.api import kyc_render
from app.api.auth import requires
from app.api.body import read_json
from app.api.context import caller, resources
from app.api.kyc_entities import load
from app.api.paging import make_cursor, read_cursor, read_limit
from app.errors import ExclusionNotFound, InvalidParameter
from app.kinds import kyc_exclusions
from app.kinds.kyc_exclusions import Decision
from app.screening.exclusions.model import FALSE_POSITIVE, Exclusion
from schemas import texts
from schemas.kyc import ExclusionSchema

bp = Blueprint("kyc_exclusions", __name__, url_prefix="/kyc/exclusions")

_SCHEMA = ExclusionSchema()
_ID = re.compile(r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_STATES = {"active": False, "revoked": True, "all": None}


@bp.post("")
@requires("exclusions:manage")
def create() -> Response:
    """Record what a reviewer decided about a match of a job."""
    body, _ = read_json()
    given = load(_SCHEMA, body)
    made = kyc_exclusions.decide(
        resources(),
        Decision(
            tenant_id=caller().tenant_id,
            by=caller().uid,
            job_id=given["job_id"],
            entity_id=given["entity_id"],
            list_name=given["list_name"],
            entry_id=given["entry_id"],
            reason=given["reason"],
            decision=given.get("decision", FALSE_POSITIVE),
        ),
    )
    response = jsonify(status="success", exclusion=_shown(made))
    response.headers["Location"] = f"/kyc/exclusions/{made.id}"
    return response


@bp.get("")
@requires("exclusions:read")
def list_all() -> Response:
    """List the tenant's decisions, newest first."""
    limit = read_limit()
    found = kyc_exclusions.list_page(
        resources(),
        caller().tenant_id,
        entity_id=_text("entity_id"),
        list_name=_text("list_name"),
        revoked=_revoked(),
        before=read_cursor(),
        limit=limit + 1,
    )
    page, more = found[:limit], len(found) > limit
    return jsonify(
        status="success",
        exclusions=[_shown(each) for each in page],
        count=len(page),
        next_cursor=make_cursor(page[-1]) if more else None,
    )


@bp.get("/<exclusion_id>")
@requires("exclusions:read")
def show(exclusion_id: str) -> Response:
    """Show one decision."""
    found = kyc_exclusions.find(resources(), caller().tenant_id, _known(exclusion_id))
    return jsonify(status="success", exclusion=_shown(found))


@bp.delete("/<exclusion_id>")
@requires("exclusions:manage")
def revoke(exclusion_id: str) -> Response:
    """End a decision: from now on the match counts again. It stays on record."""
    ended = kyc_exclusions.revoke(
        resources(), caller().tenant_id, _known(exclusion_id), caller().uid
    )
    return jsonify(status="success", exclusion=_shown(ended))


def _shown(exclusion: Exclusion) -> dict[str, Any]:
    ended = exclusion.revoked_at
    return {
        "exclusion_id": str(exclusion.id),
        "entity_id": exclusion.entity_id,
        "list_name": exclusion.list_name,
        "entry_id": exclusion.entry_id,
        "decision": exclusion.decision,
        "reason": exclusion.reason,
        "job_id": str(exclusion.job_id),
        "list_version": exclusion.list_version,
        "created_at": kyc_render.stamp(exclusion.created_at),
        "created_by": exclusion.created_by,
        "revoked_at": ended and kyc_render.stamp(ended),
        "revoked_by": exclusion.revoked_by,
    }


def _known(exclusion_id: str) -> UUID:
    """The id as it is stored; one that cannot be an id names nothing."""
    if not _ID.match(exclusion_id.lower()):
        raise ExclusionNotFound("There is no such exclusion.")
    return UUID(exclusion_id)


def _text(name: str) -> str | None:
    text = request.args.get(name)
    if text is not None and not texts.is_storable(text):
        raise InvalidParameter(f"{name} holds a character that nothing stored can have.")
    return text


def _revoked() -> bool | None:
    state = request.args.get("state", "active")
    if state not in _STATES:
        raise InvalidParameter(f"state must be one of: {', '.join(_STATES)}.")
    return _STATES[state]
