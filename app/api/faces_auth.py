"""Dialect C: accounts and sessions under /api/v1/auth. The same as those of dialect D."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response

from app.accounts import service as accounts
from app.accounts import sessions
from app.accounts.model import Login, User
from app.api import attempts, faces_access, faces_render, tokens
from app.api.auth import requires
from app.api.context import resources
from app.api.documents_body import load, load_optional
from app.api.jobs_render import stamp
from app.errors import Forbidden
from schemas.documents import LogoutSchema, RefreshSchema, RegisterSchema
from schemas.faces import SignInSchema

bp = Blueprint("faces_auth", __name__, url_prefix="/api/v1/auth")

_REGISTER, _SIGN_IN, _REFRESH, _LOGOUT = (
    RegisterSchema(),
    SignInSchema(),
    RefreshSchema(),
    LogoutSchema(),
)


@bp.post("/register")
def register() -> Response:
    """Make an account with an organization of its own, and sign in."""
    given = load(_REGISTER)
    if not resources().settings.registration_is_open:
        raise Forbidden("Registration is closed on this server; ask who runs it for an account.")
    login = sessions.register(
        resources().db, given["email"], given["password"], given.get("full_name")
    )
    return _signed_in(login, HTTPStatus.CREATED)


@bp.post("/login")
def login() -> Response:
    """Exchange an email and a password for tokens."""
    given = load(_SIGN_IN)
    with attempts.of_password(given["email"]):
        found = accounts.authenticate_password(
            resources().db, given["email"], given["password"], given["organization_id"]
        )
    return _signed_in(found, HTTPStatus.OK)


@bp.post("/refresh")
def refresh() -> Response:
    """Exchange a refresh token for new tokens; it is good for one use."""
    given = load(_REFRESH)
    seconds = resources().settings.refresh_token_seconds
    with attempts.of_token():
        found, token = sessions.renew(resources().db, given["refresh_token"], seconds=seconds)
    return _no_store(faces_render.ok({"tokens": _tokens(found, token)}))


@bp.post("/logout")
@requires("face:read")
def logout() -> Response:
    """End the session of a refresh token, or without one every session of the user."""
    token = load_optional(_LOGOUT).get("refresh_token")
    sessions.end(resources().db, faces_access.user_id(), token)
    return faces_render.ok({"message": "Logged out"})


@bp.get("/me")
@requires("face:read")
def me() -> Response:
    """Say who is signed in."""
    return faces_render.ok(_user(sessions.get_user(resources().db, faces_access.user_id())))


def _signed_in(found: Login, status: HTTPStatus) -> Response:
    db = resources().db
    user = sessions.get_user(db, found.user_id)
    token = sessions.begin(db, found, seconds=resources().settings.refresh_token_seconds)
    body = {
        "user": _user(user),
        "organization_id": str(found.tenant_id),
        "tokens": _tokens(found, token),
    }
    return _no_store(faces_render.ok(body, status))


def _tokens(found: Login, refresh_token: str) -> dict[str, Any]:
    seconds = resources().settings.access_token_seconds
    who = found.caller
    return {
        "access_token": tokens.make_access(
            who.tenant_id, who.uid, who.permissions, lifetime=timedelta(seconds=seconds)
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
        "created_at": stamp(user.created_at),
    }


def _no_store(response: Response) -> Response:
    # RFC 6749, 5.1: tokens are kept by nobody on the way.
    response.headers["Cache-Control"] = "no-store"
    return response
