"""Dialect C: for whom a caller may act, and on what. What is not theirs does not exist.

A user acts for every organization they belong to, whichever their token was made for; a key acts
for its own, and one that is bound to a collection for that alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from flask import g

from app.accounts import organizations
from app.accounts.model import PERMISSIONS, Caller
from app.api.auth import allow, requires
from app.api.context import caller, resources
from app.errors import (
    CollectionDisabled,
    CollectionNotAllowed,
    CollectionNotFound,
    FaceNotFound,
    InvalidParameter,
    OrganizationNotFound,
)
from app.faces import collections
from app.faces.store import Collection
from schemas.faces import read_uuid

P = ParamSpec("P")
R = TypeVar("R")


def requires_there(permission: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let the route run only for callers with the permission in the organization of its path.

    The route must begin with `organization` or `collection`, which ask for it.
    """
    return requires(permission, unless=_may_be_more_elsewhere, there=_act_there)


def organization(text: str) -> Caller:
    """Return the caller as they act for that organization. Raises OrganizationNotFound."""
    who, wanted = caller(), read_uuid(text)
    if wanted is not None and wanted != who.tenant_id and _act_for(wanted):
        return caller()
    allow(who, g.permission)
    if wanted != who.tenant_id:
        raise OrganizationNotFound("There is no such organization.")
    return who


def collection(text: str, *, must_be_enabled: bool = False) -> Collection:
    """Return the collection, and let the caller act for the organization that it belongs to.

    Raises CollectionNotFound, CollectionNotAllowed or CollectionDisabled.
    """
    who, wanted = caller(), read_uuid(text)
    found = None if wanted is None else _found(who, wanted)
    if found is None or found.tenant_id == who.tenant_id:
        allow(who, g.permission)
    if found is None:
        raise CollectionNotFound("There is no such collection.")
    if who.collection_id not in {None, found.id}:
        raise CollectionNotAllowed("This API key is good for another collection.")
    if must_be_enabled and not found.is_enabled:
        raise CollectionDisabled("The collection is disabled; PUT is_enabled=true to use it again.")
    return found


def user_id() -> UUID:
    """Return the user behind the request. Raises OrganizationNotFound for a key."""
    found = _user(caller())
    if found is None:
        raise OrganizationNotFound("No user stands behind this token.")
    return found


def face_id(text: str) -> UUID:
    found = read_uuid(text)
    if found is None:
        raise FaceNotFound("No face found with the given ID in this collection.")
    return found


def job_id(text: str) -> str:
    """Return the id of a job as it is kept, or raise InvalidParameter."""
    found = read_uuid(text)
    if found is None:
        raise InvalidParameter("A job_id is a UUID.")
    return str(found)


def _act_there(path: Mapping[str, Any]) -> None:
    """Let the caller act for the organization of the path."""
    if "org_id" in path:
        organization(path["org_id"])
    else:
        collection(path["collection_id"])


def _found(who: Caller, collection_id: UUID) -> Collection | None:
    """Return the collection, and act for its organization. Raises Forbidden if not there."""
    user = _user(who)
    others = organizations.list_all(resources().db, user) if user else ()
    tenants = [who.tenant_id, *(each.id for each, _ in others if each.id != who.tenant_id)]
    for tenant_id in tenants:
        try:
            found = collections.get(resources().db, tenant_id, collection_id)
        except CollectionNotFound:
            continue
        if tenant_id == who.tenant_id or _act_for(tenant_id):
            return found
    return None


def _act_for(tenant_id: UUID) -> bool:
    """Let a user act for another organization of theirs, and say whether it is theirs.

    Raises Forbidden if what they are there is not enough.
    """
    user = _user(caller())
    login = organizations.find_login(resources().db, user, tenant_id) if user else None
    if login is None:
        return False
    allow(login.caller, g.permission)
    g.caller = login.caller
    return True


def _may_be_more_elsewhere(who: Caller) -> bool:
    """Of a token that was made for less than a role, no more may be done anywhere."""
    return _user(who) is not None and who.permissions in PERMISSIONS.values()


def _user(who: Caller) -> UUID | None:
    return read_uuid(who.uid) if who.source == "user" else None
