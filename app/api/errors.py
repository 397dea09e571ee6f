"""The one place where errors become HTTP: a table of statuses, and a shape for each dialect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, json, request
from werkzeug.exceptions import HTTPException

from app import errors
from app.api.context import request_id

log = logging.getLogger(__name__)

#: The nearest ancestor listed here decides.
STATUS_OF: Mapping[type[errors.AppError], HTTPStatus] = {
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Gone: HTTPStatus.GONE,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.Unprocessable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.AppError: HTTPStatus.INTERNAL_SERVER_ERROR,
}

#: What the caller may do about a passing trouble: come back after so many seconds.
RETRY_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way out, before a dialect gives it its shape."""

    status: HTTPStatus
    code: str
    message: str
    details: Mapping[str, Any]
    #: What it was, for dialects that have more words than there are codes.
    error: errors.AppError | None = None


#: Path prefix to renderer. What no prefix claims is answered as problem+json.
_SHAPES: dict[str, Callable[[Failure], Response]] = {}


def shape(prefix: str, render: Callable[[Failure], Response]) -> None:
    """Let a dialect render every error under its prefix, those of routing included."""
    _SHAPES[prefix] = render
    # The longest that fits decides: /api/v1 before /api.
    for each in sorted(_SHAPES, key=len, reverse=True):
        _SHAPES[each] = _SHAPES.pop(each)


def status_of(error_class: type[errors.AppError]) -> HTTPStatus:
    return next(STATUS_OF[cls] for cls in error_class.__mro__ if cls in STATUS_OF)


def register(app: Flask) -> None:
    @app.errorhandler(errors.AppError)
    def app_error(error: errors.AppError) -> Response:
        status = status_of(type(error))
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            return _broken(error)
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            log.warning("request.refused", extra={"code": error.code})
        failure = Failure(status, error.code, str(error), error.details, error)
        return _headers(_render(failure), failure)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        status = HTTPStatus(error.code or 500)
        code = _HTTP_CODES.get(status, status.phrase.lower().replace(" ", "_"))
        message = _HTTP_MESSAGES.get(status, f"{status.phrase}.")
        response = _render(Failure(status, code, message, {}))
        for name, value in error.get_headers():
            if name.lower() in {"allow", "retry-after"}:
                response.headers[name] = value
        return response

    @app.errorhandler(Exception)
    def unexpected(error: Exception) -> Response:
        return _broken(error)


_HTTP_CODES = {
    HTTPStatus.BAD_REQUEST: errors.Invalid.code,
    HTTPStatus.NOT_FOUND: errors.NotFound.code,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: errors.TooLarge.code,
}
_HTTP_MESSAGES = {
    HTTPStatus.NOT_FOUND: "There is nothing at this path.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This path does not take that method; Allow says which.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.BAD_REQUEST: "The request cannot be read.",
}


def _broken(error: Exception) -> Response:
    """A bug of ours: told in the log, and not to the caller."""
    log.error("request.failed", exc_info=error, extra={"request_id": request_id()})
    message = "Something went wrong on our side. Quote the request id when you report it."
    failure = Failure(HTTPStatus.INTERNAL_SERVER_ERROR, errors.AppError.code, message, {})
    return _render(failure)


def _render(failure: Failure) -> Response:
    for prefix, render in _SHAPES.items():
        if request.path == prefix or request.path.startswith(prefix + "/"):
            return render(failure)
    return problem(failure)


def _headers(response: Response, failure: Failure) -> Response:
    if failure.status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    if "retry_after" in failure.details:
        response.headers["Retry-After"] = str(failure.details["retry_after"])
    return response


def problem(failure: Failure) -> Response:
    """RFC 9457, for every path that belongs to no dialect."""
    code = _PROBLEMS.get(failure.code, failure.code)
    body = {
        "type": f"urn:muster:problem:{code.replace('_', '-')}",
        "title": failure.status.phrase,
        "status": int(failure.status),
        "detail": failure.message,
        "instance": request.path,
        **{_MEMBERS.get(name, name): value for name, value in failure.details.items()},
        "request_id": request_id(),
    }
    response = Response(json.dumps(body), failure.status, mimetype="application/problem+json")
    if failure.status is HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


#: What a problem calls what the error carries, and the words of the draft on rate limits.
_MEMBERS = {"state": "current_status", "violated_policies": "violated-policies"}
_PROBLEMS = {errors.RateExceeded.code: errors.QuotaExceeded.code}
