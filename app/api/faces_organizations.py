"""Dialect C: organizations, and what they have: collections, keys, and batches to poll."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, Response, request

from app.accounts import organizations
from app.accounts import service as accounts
from app.accounts.keys import FACES_KEY
from app.accounts.model import ApiKey
from app.api import faces, faces_access, faces_jobs, faces_render
from app.api.auth import requires
from app.api.context import resources
from app.api.documents_body import load
from app.api.faces_access import requires_there
from app.api.faces_paging import read_page
from app.errors import Forbidden, InvalidParameter, KeyNotFound
from app.faces import collections
from app.faces.choice import Selection
from app.jobs import service
from app.jobs.dispatch import FACES
from app.jobs.retention import FACES_SECONDS
from app.jobs.states import JobState
from app.kinds.faces import NAME
from schemas.faces import ApiKeySchema, CollectionSchema, OrganizationSchema, read_uuid

bp = Blueprint("faces_organizations", __name__, url_prefix="/api/v1/organizations")

_ORGANIZATION, _COLLECTION, _KEY = OrganizationSchema(), CollectionSchema(), ApiKeySchema()


@bp.post("")
@requires("collections:manage")
def create() -> Response:
    """Make an organization of which the caller is admin."""
    given = load(_ORGANIZATION)
    if not resources().settings.registration_is_open:
        raise Forbidden("New organizations are made by who runs this server; ask there.")
    made = organizations.create(resources().db, faces_access.user_id(), given["name"])
    return faces_render.ok(faces_render.organization(made, "admin"), HTTPStatus.CREATED)


@bp.get("")
@requires("collections:read")
def list_all() -> Response:
    """List the organizations that the caller belongs to."""
    limit, offset = read_page()
    known = organizations.list_all(resources().db, faces_access.user_id())
    shown = [
        faces_render.organization(tenant, str(role))
        for tenant, role in known[offset : offset + limit]
    ]
    return faces_render.ok(
        {"organizations": shown, "total": len(known), "limit": limit, "offset": offset}
    )


@bp.get("/<org_id>")
@requires_there("collections:read")
def show(org_id: str) -> Response:
    """Show one organization, and what the caller is in it."""
    who = faces_access.organization(org_id)
    tenant = organizations.get(resources().db, who.tenant_id)
    user = read_uuid(who.uid) if who.source == "user" else None
    login = organizations.find_login(resources().db, user, tenant.id) if user else None
    return faces_render.ok(
        faces_render.organization(tenant, str(login.role) if login else who.source)
    )


@bp.post("/<org_id>/collections")
@requires_there("collections:manage")
def create_collection(org_id: str) -> Response:
    """Make a collection to enrol faces into."""
    who = faces_access.organization(org_id)
    given = load(_COLLECTION)
    made = collections.create(
        resources().db,
        who.tenant_id,
        name=given["name"],
        description=given["description"],
        face_selection=Selection(given["face_selection"]),
        retention_days=given["retention_days"],
        created_by=who.uid,
    )
    response = faces_render.ok(faces_render.collection(made), HTTPStatus.CREATED)
    response.headers["Location"] = f"/api/v1/collections/{made.id}"
    return response


@bp.get("/<org_id>/collections")
@requires_there("collections:read")
def list_collections(org_id: str) -> Response:
    """List the collections of an organization, the newest first."""
    who = faces_access.organization(org_id)
    limit, offset = read_page()
    found, total = collections.list_all(
        resources().db, who.tenant_id, only=who.collection_id, limit=limit, offset=offset
    )
    shown = [faces_render.collection(each) for each in found]
    return faces_render.ok({"collections": shown, "total": total, "limit": limit, "offset": offset})


@bp.post("/<org_id>/api-keys")
@requires_there("keys:manage")
def create_key(org_id: str) -> Response:
    """Make a key for faces. The key itself is shown this once and never again."""
    who = faces_access.organization(org_id)
    given = load(_KEY)
    made, key = accounts.create_key(
        resources().db,
        who.tenant_id,
        given["name"],
        given["scopes"],
        allowed_ips=given["allowed_ips"],
        expires_at=given["expires_at"],
        prefix=FACES_KEY,
        collection_id=given["collection_id"],
        rate_limit_rpm=given["rate_limit_rpm"],
    )
    shown = faces_render.api_key(made, datetime.now(UTC))
    response = faces_render.ok({**shown, "key": key}, HTTPStatus.CREATED)
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/<org_id>/api-keys")
@requires_there("keys:manage")
def list_keys(org_id: str) -> Response:
    """List the keys for faces of an organization, without the keys themselves."""
    who = faces_access.organization(org_id)
    now = datetime.now(UTC)
    limit, offset = read_page()
    known = _keys(who.tenant_id)
    shown = [faces_render.api_key(each, now) for each in known[offset : offset + limit]]
    return faces_render.ok(
        {"api_keys": shown, "total": len(known), "limit": limit, "offset": offset}
    )


def _keys(tenant_id: UUID) -> list[ApiKey]:
    """Return the tenant's keys for faces, in the order in which they were made."""
    known = accounts.list_keys(resources().db, tenant_id)
    return [each for each in known if each.prefix.startswith(FACES_KEY)]


@bp.delete("/<org_id>/api-keys/<key_id>")
@requires_there("keys:manage")
def revoke_key(org_id: str, key_id: str) -> Response:
    """End a key for good. It may be believed for a few seconds more."""
    who = faces_access.organization(org_id)
    found = read_uuid(key_id)
    # Keys of other dialects are not listed here, and so are not there to be ended either.
    if found is None or found not in {each.id for each in _keys(who.tenant_id)}:
        raise KeyNotFound("There is no such API key.")
    accounts.revoke_key(resources().db, who.tenant_id, found)
    return Response(status=HTTPStatus.NO_CONTENT)


@bp.get("/<org_id>/batch")
@requires_there("face:read")
def list_batches(org_id: str) -> Response:
    """List the batches of an organization, the newest first."""
    who = faces_access.organization(org_id)
    limit, offset = read_page()
    jobs, total = service.list_batches(
        resources(),
        who.tenant_id,
        NAME,
        queue=FACES,
        collection_id=None if who.collection_id is None else str(who.collection_id),
        states=_states(),
        kept_seconds=FACES_SECONDS,
        limit=limit,
        offset=offset,
    )
    shown = [faces_render.listed(job) for job in jobs]
    return faces_render.ok({"jobs": shown, "total": total, "limit": limit, "offset": offset})


@bp.get("/<org_id>/batch/<job_id>")
@requires_there("face:read")
def show_batch(org_id: str, job_id: str) -> Response:
    """Show a batch: how far it is, and the results there are."""
    faces_access.organization(org_id)
    return faces.polled(job_id)


@bp.post("/<org_id>/batch/<job_id>/cancel")
@requires_there("face:write")
def cancel(org_id: str, job_id: str) -> Response:
    """Stop after the images in hand; what is enrolled stays."""
    who = faces_access.organization(org_id)
    job = faces_jobs.find(faces_access.job_id(job_id))
    moved = service.cancel(resources(), who.tenant_id, NAME, job.external_id)
    return faces_render.ok(faces_render.job(moved))


def _states() -> list[JobState]:
    word = request.args.get("status")
    if word is None:
        return list(JobState)
    if word not in faces_render.STATUS_WORDS:
        raise InvalidParameter(f"status must be one of: {', '.join(faces_render.STATUS_WORDS)}.")
    return faces_render.states_of(word)
