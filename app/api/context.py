"""What a request handler may reach for: the process's resources, and who is calling."""

from __future__ import annotations

import re
from typing import cast
from uuid import uuid4

from flask import Flask, Response, current_app, g, request

from app.accounts.model import Caller
from app.resources import Resources

#: What browsers and caches on the way are told of every answer, unless its route says otherwise.
#: A page that an answer is taken for may load and run nothing, and be framed by nobody.
_GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_REQUEST_ID = re.compile(r"\A[\x20-\x7e]{1,128}\Z")


def attach(app: Flask, resources: Resources) -> None:
    app.extensions["muster"] = resources
    app.before_request(_name_request)
    app.after_request(_guard)
    app.after_request(_show_request_id)


def resources() -> Resources:
    return cast(Resources, current_app.extensions["muster"])


def caller() -> Caller:
    """Return who is calling. Only in a route that requires a permission."""
    return cast(Caller, g.caller)


def request_id() -> str:
    return cast(str, g.get("request_id") or "req_unknown")


def _name_request() -> None:
    given = request.headers.get("X-Request-ID", "")
    # Anything else might be meant for whoever reads the logs.
    g.request_id = given if _REQUEST_ID.match(given) else f"req_{uuid4().hex}"


def _show_request_id(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    return response


def _guard(response: Response) -> Response:
    for name, value in _GUARDS.items():
        response.headers.setdefault(name, value)
    return response
