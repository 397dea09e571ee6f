"""Dialect D: accounts and sessions under /api/auth."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify

from app.accounts import service as accounts
from app.accounts import sessions
from app.accounts.model import Login, User
from app.api import attempts, tokens
from app.api.auth import requires
from app.api.context import caller, resources
from app.api.documents_body import load, load_optional
from app.api.jobs_render import stamp
from app.errors import Forbidden, NotFound
from schemas.documents import LoginSchema, LogoutSchema, RefreshSchema, RegisterSchema

bp = Blueprint("documents_auth", __name__, url_prefix="/api/auth")

_REGISTER, _LOGIN, _REFRESH, _LOGOUT = (
    RegisterSchema(),
    LoginSchema(),
    RefreshSchema(),
    LogoutSchema(),
)

#: The original's, unless the server's own is shorter.
ACCESS_SECONDS = 1_800


@bp.post("/register")
def register() -> tuple[Response, HTTPStatus]:
    """Make an account with a tenant of its own, and sign in."""
    given = load(_REGISTER)
    if not resources().settings.registration_is_open:
        raise Forbidden("Registration is closed on this server; ask who runs it for an account.")
    login = sessions.register(
        resources().db, given["email"], given["password"], given.get("full_name")
    )
    return _signed_in(login), HTTPStatus.CREATED


@bp.post("/login")
def login() -> Response:
    """Exchange an email and a password for tokens."""
    given = load(_LOGIN)
    with attempts.of_password(given["email"]):
        found = accounts.authenticate_password(resources().db, given["email"], given["password"])
    return _signed_in(found)


@bp.post("/refresh")
def refresh() -> Response:
    """Exchange a refresh token for new tokens; it is good for one use."""
    given = load(_REFRESH)
    seconds = resources().settings.refresh_token_seconds
    with attempts.of_token():
        login, token = sessions.renew(resources().db, given["refresh_token"], seconds=seconds)
    return _no_store(jsonify(_tokens(login, token)))


@bp.post("/logout")
@requires("documents:read")
def logout() -> Response:
    """End the session of a refresh token, or without one every session of the user."""
    token = load_optional(_LOGOUT).get("refresh_token")
    sessions.end(resources().db, _user_id(), token)
    return jsonify(message="Logged out")


@bp.get("/me")
@requires("documents:read")
def me() -> Response:
    """Say who is signed in."""
    return jsonify(_user(sessions.get_user(resources().db, _user_id())))


def _user_id() -> UUID:
    try:
        return UUID(caller().uid)
    except ValueError as error:
        # A token made at the server for no user in particular.
        raise NotFound("No user stands behind this token.") from error


def _signed_in(login: Login) -> Response:
    db = resources().db
    user = sessions.get_user(db, login.user_id)
    token = sessions.begin(db, login, seconds=resources().settings.refresh_token_seconds)
    return _no_store(jsonify(user=_user(user), tokens=_tokens(login, token)))


def _tokens(login: Login, refresh_token: str) -> dict[str, Any]:
    seconds = min(ACCESS_SECONDS, resources().settings.access_token_seconds)
    caller = login.caller
    return {
        "access_token": tokens.make_access(
            caller.tenant_id,
            caller.uid,
            caller.permissions,
            lifetime=timedelta(seconds=seconds),
        ),
        "refresh_token": refresh_token,
        "token_type": "bearer",
        "expires_in": seconds,
    }


def _user(user: User) -> dict[str, Any]:
    return {
        "id": str(user.id),
        "email": user.email,
        "full_name": user.full_name,
        "is_active": user.is_active,
        # Nobody has written to the address to see whether it is theirs.
        "is_verified": False,
        "created_at": stamp(user.created_at),
    }


def _no_store(response: Response) -> Response:
    # RFC 6749, 5.1: tokens are kept by nobody on the way.
    response.headers["Cache-Control"] = "no-store"
    return response
