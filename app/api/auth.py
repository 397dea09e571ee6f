"""Who is calling, and whether they may: a decorator for routes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from hashlib import sha256
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from flask import g, request

from app.accounts import service as accounts
from app.accounts.keys import PREFIXES
from app.accounts.model import Caller
from app.api import attempts, idempotency, limits, tokens
from app.api.context import resources
from app.errors import Forbidden, InvalidToken, MissingToken

P = ParamSpec("P")
R = TypeVar("R")


#: A key is looked up again after this long, so a revoked one works for at most so many seconds.
KEY_SECONDS = 5.0
_KEYS_AT_MOST = 5_000
_known_keys: dict[tuple[bytes, str | None], tuple[float, Caller]] = {}


def requires(
    permission: str,
    by: Callable[[], Caller] | None = None,
    unless: Callable[[Caller], bool] | None = None,
    there: Callable[[Mapping[str, Any]], None] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let the route run only for callers with the permission.

    `by` says who is calling, in dialects whose credentials are others than a Bearer token. Of whom
    `unless` says so the route itself asks, with `allow`, once it knows for which tenant they act;
    `there` finds that out from the path. What comes with an Idempotency-Key is done once.
    """

    def decorate(route: Callable[P, R]) -> Callable[P, R]:
        @wraps(route)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            with attempts.of_token():
                caller = (by or identify)()
            limits.count(caller)
            if unless is None or not unless(caller):
                allow(caller, permission)
            g.caller, g.permission = caller, permission
            if request.method != "POST" or idempotency.HEADER not in request.headers:
                return route(*args, **kwargs)
            if there is not None:
                # A key belongs to a tenant, and so do answers.
                there(kwargs)
            return cast(R, idempotency.once(lambda: route(*args, **kwargs)))

        # A contract test walks the URL map and looks for this.
        guarded.required_permission = permission  # type: ignore[attr-defined]  # our own mark
        return guarded

    return decorate


def identify() -> Caller:
    """Return who sent the request: by Authorization, or by a key in X-API-Key.

    Raises MissingToken, InvalidToken, ExpiredToken or Forbidden.
    """
    if (ticket := g.get("ticket")) is not None:
        return _by_ticket(ticket)
    header = request.headers.get("Authorization", "")
    key = request.headers.get("X-API-Key", "")
    if key and not header:
        # Here a key stands for itself, and a token is none.
        return _by_key(key.strip(), request.remote_addr)
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if not header:
        raise MissingToken("Send your token as: Authorization: Bearer <token>.")
    if scheme.lower() != "bearer" or not token:
        raise InvalidToken("The Authorization header must read: Bearer <token>.")
    return whose(token, request.remote_addr)


def whose(token: str, address: str | None) -> Caller:
    """Return whom a token or key speaks for, sent from that address. Needs an app context.

    Raises InvalidToken, ExpiredToken or Forbidden.
    """
    if token.startswith(PREFIXES):
        return _by_key(token, address)
    return tokens.read_access(token)


def allow(caller: Caller, permission: str) -> None:
    """Raise Forbidden unless the caller has the permission."""
    if permission not in caller.permissions:
        raise Forbidden(
            f"This needs the permission {permission}, which your token does not carry.",
            required_permission=permission,
        )


def _by_ticket(ticket: str) -> Caller:
    """Return whom the ticket was made for, if it is for this path."""
    caller = tokens.read_ticket(ticket, request.path)
    if caller.source != "api_key":
        return caller
    # A key's networks, and its end, hold for the ticket that it got as well.
    key = accounts.check_key(resources().db, UUID(caller.uid), request.remote_addr)
    return replace(key, permissions=key.permissions & caller.permissions)


def _by_key(key: str, address: str | None) -> Caller:
    # The digest, so that no key lies about in memory. A key may be bound to addresses.
    seen = sha256(key.encode("utf-8", "surrogateescape")).digest(), address
    known = _known_keys.get(seen)
    if known is not None and known[0] > time.monotonic():
        return known[1]
    caller = accounts.authenticate_key(resources().db, key, address)
    if len(_known_keys) >= _KEYS_AT_MOST:
        _known_keys.clear()
    _known_keys[seen] = (time.monotonic() + KEY_SECONDS, caller)
    return caller
