"""POST /kyc/auth/token: a password, or a refresh token, for tokens."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify

from app.accounts import service as accounts
from app.accounts.model import Login
from app.api import attempts, tokens
from app.api.body import read_json
from app.api.context import resources
from app.api.kyc_entities import load
from app.errors import InvalidParameter
from schemas.kyc import TokenSchema

bp = Blueprint("kyc_auth", __name__, url_prefix="/kyc/auth")

_SCHEMA = TokenSchema()


@bp.post("/token")
def token() -> Response:
    """Exchange {email, password}, or {refresh_token}, for an access and a refresh token."""
    given = _read()
    db = resources().db
    if "refresh_token" in given:
        with attempts.of_token():
            tenant_id, uid = tokens.read_refresh(given["refresh_token"])
        return _answer(accounts.get_login(db, UUID(uid), tenant_id))
    with attempts.of_password(given["email"]):
        login = accounts.authenticate_password(db, given["email"], given["password"])
    return _answer(login)


def _read() -> dict[str, Any]:
    body, _ = read_json()
    given = load(_SCHEMA, body)
    grant = given.get("grant_type") or ("refresh_token" if "refresh_token" in given else "password")
    needed = {"password": ("email", "password"), "refresh_token": ("refresh_token",)}[grant]
    if not set(needed) <= given.keys():
        if "grant_type" in given:
            raise InvalidParameter(f"For grant_type {grant} send {' and '.join(needed)}.")
        raise InvalidParameter("Send email and password, or refresh_token.")
    return {name: given[name] for name in needed}


def _answer(login: Login) -> Response:
    caller = login.caller
    response: Response = jsonify(
        status="success",
        access_token=tokens.make_access(caller.tenant_id, caller.uid, caller.permissions),
        refresh_token=tokens.make_refresh(caller.tenant_id, caller.uid),
        token_type="Bearer",  # noqa: S106  # the scheme's name
        expires_in=resources().settings.access_token_seconds,
        permissions=sorted(caller.permissions),
    )
    # RFC 6749, 5.1: tokens are kept by nobody on the way.
    response.headers["Cache-Control"] = "no-store"
    return response
