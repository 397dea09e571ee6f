"""JSON web tokens: made and read by flask-jwt-extended, remembered for a while by us.

An access token says who (sub), for which tenant, and what they may do; it is believed until it
expires. A refresh token says who and for which tenant, and is exchanged for what they may do now.
A ticket lets its caller watch at one path of the process `live`, for a minute, and is good for
nothing else: it stands in an address, and addresses are written down by many.

All are signed with MUSTER_JWT_SECRET; what MUSTER_JWT_PREVIOUS_SECRETS signed is believed too.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
from flask import Flask, current_app
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token
from jwt.exceptions import ExpiredSignatureError, InvalidSignatureError, PyJWTError

from app.accounts.model import Caller
from app.errors import ExpiredToken, InvalidToken
from app.settings import Settings

ISSUER = "muster"
AUDIENCE = "muster-api"
ALGORITHM = "HS256"

#: Of a ticket: whoever asks for the other audience cannot take one for a token.
TICKET_AUDIENCE = "muster-live"
TICKET_PREFIX = "tk_"
#: It is used at once.
_TICKET = timedelta(seconds=60)
_CLAIMS = ("tenant", "sub", "exp")
_TICKET_CLAIMS = ("tenant", "sub", "permissions", "source", "path", "exp")

#: Where an application keeps the secrets that its tokens may be signed with.
_SECRETS = "muster-jwt-secrets"

#: Tokens whose signature this process has checked. A poller sends the same one every few seconds.
_CHECKED: dict[str, tuple[float, Caller]] = {}
_CHECKED_AT_MOST = 5_000


def configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        JWT_SECRET_KEY=settings.jwt_secret,
        JWT_ALGORITHM=ALGORITHM,
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=AUDIENCE,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=settings.access_token_seconds),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(seconds=settings.refresh_token_seconds),
    )
    app.extensions[_SECRETS] = settings.jwt_secrets
    JWTManager(app)


def make_access(
    tenant_id: UUID, uid: str, permissions: Iterable[str], *, lifetime: timedelta | None = None
) -> str:
    """Return an access token. Needs an app context."""
    claims = {"tenant": str(tenant_id), "permissions": sorted(permissions)}
    return str(create_access_token(uid, additional_claims=claims, expires_delta=lifetime))


def make_refresh(tenant_id: UUID, uid: str) -> str:
    """Return a refresh token. Needs an app context."""
    return str(create_refresh_token(uid, additional_claims={"tenant": str(tenant_id)}))


def mint_access(
    settings: Settings,
    tenant_id: UUID,
    uid: str,
    permissions: Iterable[str],
    *,
    lifetime: timedelta | None = None,
) -> str:
    """Return an access token, outside the web: for the command line."""
    app = Flask("tokens")
    configure(app, settings)
    with app.app_context():
        return make_access(tenant_id, uid, permissions, lifetime=lifetime)


def read_access(token: str) -> Caller:
    """Return whom the token speaks for. Raises InvalidToken or ExpiredToken."""
    known = _CHECKED.get(token)
    if known is not None and known[0] > time.time():
        return known[1]
    claims = _read(token, "access")
    granted = claims.get("permissions")
    permissions = frozenset(granted if isinstance(granted, list) else ())
    caller = Caller(claims["tenant"], claims["sub"], permissions, source="user")
    if len(_CHECKED) >= _CHECKED_AT_MOST:
        _CHECKED.clear()
    _CHECKED[token] = (claims["exp"], caller)
    return caller


def make_ticket(caller: Caller, permissions: Iterable[str], path: str) -> str:
    """Return a ticket with which the caller may GET that path of `live`. Needs an app context."""
    claims = {
        "iss": ISSUER,
        "aud": TICKET_AUDIENCE,
        "exp": datetime.now(UTC) + _TICKET,
        "sub": caller.uid,
        "tenant": str(caller.tenant_id),
        "permissions": sorted(permissions),
        "source": caller.source,
        "path": path,
    }
    return TICKET_PREFIX + jwt.encode(claims, _secrets()[0], ALGORITHM)


def read_ticket(ticket: str, path: str) -> Caller:
    """Return who may watch at that path with the ticket. Raises InvalidToken or ExpiredToken."""
    try:
        claims = _decode(ticket.removeprefix(TICKET_PREFIX), TICKET_AUDIENCE, _TICKET_CLAIMS)
    except ExpiredSignatureError as error:
        raise ExpiredToken("The ticket has expired; ask for the stream again.") from error
    except PyJWTError as error:
        raise InvalidToken("The ticket is not one of ours.") from error
    if claims["path"] != path:
        raise InvalidToken("The ticket is for another address.")
    return Caller(
        UUID(claims["tenant"]), claims["sub"], frozenset(claims["permissions"]), claims["source"]
    )


def _secrets() -> tuple[str, ...]:
    secrets: tuple[str, ...] = current_app.extensions[_SECRETS]
    return secrets


def _decode(token: str, audience: str, needed: Iterable[str]) -> dict[str, Any]:
    """Return the claims of what any of our secrets signed. Raises PyJWTError."""
    *others, last = _secrets()
    for secret in others:
        try:
            return _decode_by(secret, token, audience, needed)
        except InvalidSignatureError:
            continue
    return _decode_by(last, token, audience, needed)


def _decode_by(secret: str, token: str, audience: str, needed: Iterable[str]) -> dict[str, Any]:
    # The algorithm is ours to say, and never the token's.
    return jwt.decode(
        token,
        secret,
        algorithms=[ALGORITHM],
        issuer=ISSUER,
        audience=audience,
        options={"require": [*needed]},
    )


def read_refresh(token: str) -> tuple[UUID, str]:
    """Return tenant and user of a refresh token. Raises InvalidToken or ExpiredToken."""
    claims = _read(token, "refresh")
    return claims["tenant"], claims["sub"]


def _read(token: str, kind: str) -> Mapping[str, Any]:
    """Return the claims of a token of this kind, the tenant as UUID."""
    try:
        claims = _decode(token, AUDIENCE, _CLAIMS)
        # Only the secret's owner makes tokens; not all of them make them here.
        tenant = UUID(str(claims["tenant"]))
        expires = float(claims["exp"])
    except ExpiredSignatureError as error:
        raise ExpiredToken("The token has expired; get a new one.") from error
    except (PyJWTError, ValueError) as error:
        raise InvalidToken("The token is not one of ours.") from error
    if claims.get("type", "access") != kind:
        raise InvalidToken(f"This token is not of the kind that is needed here: {kind}.")
    return {**claims, "tenant": tenant, "exp": expires}
