"""Idempotency-Key: a POST that may be sent again, whatever became of the first (contract, 5.4).

Every route that requires a permission is called through `once`, which `requires` sees to. The
others exchange credentials, before anybody is known whose key it could be: there a key is looked at
for its form, and nothing of what they answer is kept.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from app.api.context import caller, resources
from app.api.errors import status_of
from app.api.idempotency_body import Body
from app.errors import (
    AppError,
    DatabaseUnavailable,
    InvalidIdempotencyKey,
    OtherRequest,
    RequestInProgress,
    TimedOut,
)
from app.idempotency import claims
from app.idempotency.claims import Claim, Left
from app.idempotency.store import Answer

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"

#: A request that gives no sign of life for so long, beside the time that it may wait for a result,
#: is taken for lost; it gives one with each part of its body, and each time it writes.
HELD_SECONDS = 30.0
_PROLONG_SECONDS = 5.0

#: Of a longer answer nothing is kept.
ANSWER_BYTES = 1024 * 1024

#: Where a body may be a batch of images, the longest there is.
_WITH_IMAGES = "/api/v1/"

#: What of a request that must wait is still read and thrown away.
_SKIPPED = 64 * 1024 * 1024

_KEY = re.compile(r"\A[\x20-\x7e]{1,255}\Z")

#: What every answer gets anew.
_OWN_HEADERS = {"content-length", "date", "x-request-id", "idempotent-replayed"}


def register(app: Flask) -> None:
    app.before_request(_check)


def once(route: Callable[[], Any]) -> Any:
    """Call the route, unless a request with the same key has done so, whose answer this gets.

    Raises RequestInProgress, OtherRequest or AnswerNotKept. Only once it is known who is calling.
    """
    key = request.headers.get(HEADER)
    if key is None or request.method != "POST":
        return route()
    settings = resources().settings
    sign = _Sign()
    most = settings.max_body_bytes
    if request.path.startswith(_WITH_IMAGES):
        most = max(most, 101 * settings.face_image_max_bytes)
    body = Body(request, sign, most=most)
    seconds = HELD_SECONDS + settings.sync_seconds
    try:
        taken = Claim.take(resources().db, caller().tenant_id, _digest(key), body, seconds=seconds)
    except RequestInProgress:
        # A client that writes first and reads then gets the answer, and no broken connection.
        body.skip(_SKIPPED)
        raise
    if taken is None:
        # A token whose tenant is gone: there is nothing that it could do twice.
        return route()
    if isinstance(taken, Answer):
        if body.fingerprint() != taken.fingerprint:
            raise claims.other_request()
        response = Response(taken.body, taken.status, headers=list(taken.headers))
        return _replayed(response)
    sign.claim = taken
    return _carried_out(taken, route)


def _check() -> None:
    given = request.headers.get(HEADER)
    is_asked = request.method == "POST" and request.endpoint is not None and given is not None
    if is_asked and not _KEY.match(given or ""):
        raise InvalidIdempotencyKey(
            f"{HEADER} must have 1 to 255 printable ASCII characters; a UUID will do."
        )


class _Sign:
    """Tells Postgres now and then that a body is still coming in."""

    def __init__(self) -> None:
        self.claim: Claim | None = None
        self._told = time.monotonic()

    def __call__(self) -> None:
        if self.claim is not None and time.monotonic() - self._told > _PROLONG_SECONDS:
            self._told = time.monotonic()
            try:
                self.claim.prolong()
            except DatabaseUnavailable:
                # Whoever writes next will be told.
                return


def _digest(key: str) -> bytes:
    """Return what the key is known by: for this route, and for who may see what it answers."""
    bound = caller().collection_id or ""
    said = f"{request.method} {request.url_rule}\n{bound}\n{key}"
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()


def _carried_out(claim: Claim, route: Callable[[], Any]) -> Any:
    try:
        with claim.held():
            if claim.was_written and claim.job_id is None:
                claim.verify()
                raise claims.answer_not_kept()
            response = current_app.make_response(route())
            fingerprint = claim.verify()
    except Exception as error:
        if not _is_final(claim, error):
            _let_go(claim, _left_by(claim, error))
            raise
        response = current_app.make_response(current_app.handle_user_exception(error))
        fingerprint = claim.verify()
    except BaseException:
        # The server is being stopped.
        _let_go(claim, Left.WRITES)
        raise
    _keep(claim, response, fingerprint)
    return response if claim.job_id is None else _replayed(response)


def _status(error: Exception) -> HTTPStatus:
    if isinstance(error, AppError):
        return status_of(type(error))
    if isinstance(error, HTTPException):
        return HTTPStatus(error.code or 500)
    return HTTPStatus.INTERNAL_SERVER_ERROR


def _is_final(claim: Claim, error: Exception) -> bool:
    """Say whether an error is the answer, for good: a job was made, and this came of it."""
    status = _status(error)
    is_refusal = status < HTTPStatus.INTERNAL_SERVER_ERROR
    return claim.has_made_job and is_refusal and status is not HTTPStatus.TOO_MANY_REQUESTS


def _left_by(claim: Claim, error: Exception) -> Left:
    """Say what is left of a request that ended in an error which is no answer for good."""
    if isinstance(error, TimedOut):
        # Its job was cancelled, and the caller told to come again.
        return Left.REQUEST
    is_ours = _status(error) is HTTPStatus.INTERNAL_SERVER_ERROR
    if claim.was_written or is_ours or isinstance(error, DatabaseUnavailable | OtherRequest):
        # What there is was another request's; or it broke off, perhaps while it committed.
        return Left.WRITES
    return Left.NOTHING


def _keep(claim: Claim, response: Response, fingerprint: bytes) -> None:
    """Keep the answer, unless it shows a secret, or is too long: then only that there was one."""
    is_secret = bool(response.cache_control.no_store)
    is_long = response.is_streamed or (response.calculate_content_length() or 0) > ANSWER_BYTES
    if is_secret or is_long:
        _let_go(claim, Left.WRITES)
        return
    headers = [(k, v) for k, v in response.headers if k.lower() not in _OWN_HEADERS]
    try:
        claim.keep(Answer(fingerprint, response.status_code, headers, response.get_data()))
    except DatabaseUnavailable:
        # What was done is done, and noted: the same request will be answered from that.
        log.warning("idempotency.answer_not_kept")


def _let_go(claim: Claim, left: Left) -> None:
    try:
        claim.release(left)
    except DatabaseUnavailable:
        # It ends by itself, in some seconds.
        return


def _replayed(response: Response) -> Response:
    response.headers["Idempotent-Replayed"] = "true"
    return response
