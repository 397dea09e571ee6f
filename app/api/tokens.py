"""JSON web tokens: made and read by flask-jwt-extended, remembered for a while by us.

An access token says who (sub), for which tenant, and what they may do; it is believed until it
expires. A refresh token says who and for which tenant, and is exchanged for what they may do now.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Flask
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException
from jwt.exceptions import ExpiredSignatureError, PyJWTError

from app.accounts.model import Caller
from app.errors import ExpiredToken, InvalidToken
from app.settings import Settings

ISSUER = "muster"
AUDIENCE = "muster-api"
ALGORITHM = "HS256"

#: Tokens whose signature this process has checked. A poller sends the same one every few seconds.
_CHECKED: dict[str, tuple[float, Caller]] = {}
_CHECKED_AT_MOST = 5_000


def configure(app: Flask, settings: Settings) -> None:
    app.config.update(
        JWT_SECRET_KEY=settings.jwt_secret,
        JWT_ALGORITHM=ALGORITHM,
        JWT_DECODE_ALGORITHMS=[ALGORITHM],
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_AUDIENCE=AUDIENCE,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=settings.access_token_seconds),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(seconds=settings.refresh_token_seconds),
    )
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


def read_refresh(token: str) -> tuple[UUID, str]:
    """Return tenant and user of a refresh token. Raises InvalidToken or ExpiredToken."""
    claims = _read(token, "refresh")
    return claims["tenant"], claims["sub"]


def _read(token: str, kind: str) -> Mapping[str, Any]:
    """Return the claims of a token of this kind, the tenant as UUID."""
    try:
        claims: Mapping[str, Any] = decode_token(token)
        # Only the secret's owner makes tokens; not all of them make them here.
        tenant = UUID(str(claims["tenant"]))
        expires = float(claims["exp"])
    except ExpiredSignatureError as error:
        raise ExpiredToken("The token has expired; get a new one.") from error
    except (PyJWTError, JWTExtendedException, ValueError, KeyError) as error:
        raise InvalidToken("The token is not one of ours.") from error
    if claims.get("type") != kind:
        raise InvalidToken(f"This token is not of the kind that is needed here: {kind}.")
    return {**claims, "tenant": tenant, "exp": expires}
