"""Dialect C: for whom a caller may act, and on what. What is not theirs does not exist.

A user acts for every organization they belong to, whichever their token was made for; a key acts
for its own, and one that is bound to a collection for that alone.
"""

from __future__ import annotations

from uuid import UUID

from flask import g

from app.accounts import organizations
from app.accounts.model import Caller
from app.api import rates
from app.api.auth import allow
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


def counted() -> Caller:
    """Return the caller, counting the request once. Raises RateExceeded."""
    if not g.get("is_counted", False):
        rates.count(caller())
        g.is_counted = True
    return caller()


def organization(text: str) -> Caller:
    """Return the caller as they act for that organization. Raises OrganizationNotFound."""
    who, wanted = counted(), read_uuid(text)
    if wanted is None:
        raise OrganizationNotFound("There is no such organization.")
    if wanted != who.tenant_id:
        _act_for(wanted)
    return caller()


def collection(text: str, *, must_be_enabled: bool = False) -> Collection:
    """Return the collection, and let the caller act for the organization that it belongs to.

    Raises CollectionNotFound, CollectionNotAllowed or CollectionDisabled.
    """
    who, wanted = counted(), read_uuid(text)
    if wanted is None:
        raise CollectionNotFound("There is no such collection.")
    found = _found(who, wanted)
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


def _found(who: Caller, collection_id: UUID) -> Collection:
    db = resources().db
    try:
        return collections.get(db, who.tenant_id, collection_id)
    except CollectionNotFound:
        user = _user(who)
        for tenant, _ in organizations.list_all(db, user) if user else ():
            if tenant.id == who.tenant_id:
                continue
            try:
                found = collections.get(db, tenant.id, collection_id)
            except CollectionNotFound:
                continue
            _act_for(tenant.id)
            return found
        raise


def _act_for(tenant_id: UUID) -> None:
    """Let a user act for another organization of theirs, with what they may do there."""
    user = _user(caller())
    login = organizations.find_login(resources().db, user, tenant_id) if user else None
    if login is None:
        raise OrganizationNotFound("There is no such organization.")
    allow(login.caller, g.permission)
    g.caller = login.caller


def _user(who: Caller) -> UUID | None:
    return read_uuid(who.uid) if who.source == "user" else None
