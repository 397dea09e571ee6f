"""Who calls dialect B: a service by its uid and key, in either way of writing them, or a person.

Authorization: Basic base64(SERVICE_UID:API_KEY)
Authorization: ApiKey SERVICE_UID:API_KEY
Authorization: Bearer <token or key>
"""

from __future__ import annotations

import base64
import binascii
from uuid import UUID

from flask import g, request

from app.accounts import service as accounts
from app.accounts.keys import KEY
from app.accounts.model import Caller
from app.api import auth
from app.api.context import caller, resources
from app.errors import InvalidToken, MissingToken
from app.verifications.model import Actor

_HOW = "Send Authorization: Basic base64(SERVICE_UID:API_KEY), or ApiKey SERVICE_UID:API_KEY."

#: Of tenants, whose uid never changes.
_uids: dict[UUID, str] = {}
_UIDS_AT_MOST = 10_000


def identify() -> Caller:
    """Return who sent the request, and note the uid of its service.

    Raises MissingToken, InvalidToken, ExpiredToken or Forbidden.
    """
    header = request.headers.get("Authorization", "").strip()
    if not header:
        raise MissingToken(_HOW)
    scheme, _, given = header.partition(" ")
    scheme, given = scheme.lower(), given.strip()
    if scheme == "bearer" and given:
        known = auth.whose(given, request.remote_addr)
        g.service_uid = uid_of(known.tenant_id)
        return known
    pair = given if scheme == "apikey" else _decoded(given) if scheme == "basic" else ""
    uid, colon, key = pair.partition(":")
    if not (uid and colon and key.startswith(KEY)):
        raise InvalidToken(_HOW)
    known = auth.whose(key, request.remote_addr)
    # The uid is no secret, and whoever has another tenant's must not learn that the key is good.
    if uid != uid_of(known.tenant_id):
        raise InvalidToken("The API key is not valid.")
    g.service_uid = uid
    return known


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def uid_of(tenant_id: UUID) -> str | None:
    """Return what the tenant is called here; None of a token whose tenant is gone."""
    known = _uids.get(tenant_id)
    if known is None:
        known = accounts.service_uid(resources().db, tenant_id)
        if known is not None:
            if len(_uids) >= _UIDS_AT_MOST:
                _uids.clear()
            _uids[tenant_id] = known
    return known


def actor() -> Actor:
    """Return the caller as runs and the audit name it. Only in a route that requires one."""
    if caller().source == "api_key":
        return Actor("manual-api", uid_of(caller().tenant_id))
    # Somebody who signed in: a portal acts for a person.
    return Actor("manual-portal", caller().uid, accounts.email_of(resources().db, caller().uid))
