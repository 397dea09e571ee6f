"""The idempotency keys of requests, which Redis keeps apart. Without Redis nothing is refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from flask import request

from app.api.context import caller, resources
from app.errors import InvalidParameter, RequestInProgress

#: A request that takes longer than this has been lost.
_IN_PROGRESS_SECONDS = 600

_KEY = re.compile(r"\A[\x20-\x7e]{1,255}\Z")


def idempotency_key() -> str | None:
    """Return the Idempotency-Key of the request, if it has one. Raises InvalidParameter."""
    given = request.headers.get("Idempotency-Key")
    if given is not None and not _KEY.match(given):
        raise InvalidParameter("An Idempotency-Key has 1 to 255 printable ASCII characters.")
    return given


@contextmanager
def in_progress(key: str | None) -> Iterator[None]:
    """Keep the same key from being used by two requests at once. Raises RequestInProgress.

    A courtesy, for which Redis will do: that one key makes one job is seen to by Postgres.
    """
    if key is None or resources().progress.is_away:
        yield
        return
    # What callers choose to call their requests may be anything: it is nowhere in Redis.
    said = f"{caller().tenant_id}\n{request.method} {request.path}\n{key}"
    name = f"request:{hashlib.sha256(said.encode()).hexdigest()}"
    try:
        is_first = resources().redis.set(name, 1, nx=True, ex=_IN_PROGRESS_SECONDS)
    except redis.RedisError:
        is_first = True
    if not is_first:
        raise RequestInProgress(
            "A request with this Idempotency-Key is being worked on; try again in a moment.",
            retry_after=1,
        )
    try:
        yield
    finally:
        with suppress(redis.RedisError):
            resources().redis.delete(name)
