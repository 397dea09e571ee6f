"""How often, counted in Redis: what flask-limiter keeps its counts in.

Its own way of keeping them asks Redis three times for what can be had at once. This one asks once,
over the connections that the process has, which wait for MUSTER_REDIS_TIMEOUT and not for ever; and
while Redis is away it counts nothing, so that nothing is refused.
"""

from __future__ import annotations

import time

import redis
from flask import g
from limits.storage import Storage

from app.jobs.progress import Progress

#: Adds to a count that ends by itself. Returns it, and in how many milliseconds it ends.
_ADD = """
local used = redis.call('incrby', KEYS[1], ARGV[2])
local left = redis.call('pttl', KEYS[1])
if left < 0 then
    left = ARGV[1] * 1000
    redis.call('pexpire', KEYS[1], left)
end
return {used, left}
"""


class Counters(Storage):
    """Fixed windows: each begins with the first request in it."""

    STORAGE_SCHEME: list[str] | None = ["muster"]  # noqa: RUF012  # as its base declares it

    def __init__(
        self,
        uri: str | None = None,
        wrap_exceptions: bool = False,
        *,
        client: redis.Redis,
        progress: Progress,
    ) -> None:
        super().__init__(uri, wrap_exceptions)
        self._client = client
        self._progress = progress
        self._add = client.register_script(_ADD)

    @property
    def base_exceptions(self) -> type[Exception]:
        return redis.RedisError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Return the count, or 0 while Redis is away."""
        if self._progress.is_away:
            return 0
        try:
            used, left = self._add(keys=[_name(key)], args=[expiry, amount])
        except redis.RedisError as error:
            self._progress.rest(error)
            return 0
        _seen()[key] = (int(used), time.time() + int(left) / 1000)
        return int(used)

    def get(self, key: str) -> int:
        """Return what was counted in this request."""
        return _seen().get(key, (0, 0.0))[0]

    def get_expiry(self, key: str) -> float:
        """Return when the count ends, in seconds since 1970, as seen in this request."""
        return _seen().get(key, (0, time.time()))[1]

    def clear(self, key: str) -> None:
        if not self._progress.is_away:
            try:
                self._client.delete(_name(key))
            except redis.RedisError as error:
                self._progress.rest(error)

    def seen(self, key: str) -> tuple[int, float] | None:
        """Return the count and its end, as of this request; None if Redis was away."""
        return _seen().get(key)

    def note(self, key: str, seconds: int) -> None:
        """Remember something for so long."""
        if not self._progress.is_away:
            try:
                self._client.set(_name(key), 1, ex=seconds)
            except redis.RedisError as error:
                self._progress.rest(error)

    def is_noted(self, key: str) -> bool:
        if self._progress.is_away:
            return False
        try:
            return bool(self._client.exists(_name(key)))
        except redis.RedisError as error:
            self._progress.rest(error)
            return False

    def check(self) -> bool:
        return not self._progress.is_away

    def reset(self) -> int | None:
        raise NotImplementedError


def _name(key: str) -> str:
    return f"rate:{key}"


def _seen() -> dict[str, tuple[int, float]]:
    if "counts" not in g:
        g.counts = {}
    counts: dict[str, tuple[int, float]] = g.counts
    return counts
