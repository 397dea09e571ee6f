"""Is Redis set up so that it keeps what it is given? Asked at the start of each program, and by
/readyz.

Redis may be lost without losing a job, but not without losing time: an evicted or forgotten task
waits for the sweep, and its job for another pass. Nobody sees why; so here it is said.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.settings import Settings

log = logging.getLogger(__name__)

EVICTS, FORGETS, UNKNOWN = "evicts", "forgets", "unknown"

#: By what is wrong: what is at risk, and what to do.
_SAYS: Mapping[str, str] = {
    EVICTS: "Redis throws keys away when its memory is full (maxmemory-policy {found}): queued"
    " tasks may be lost, and their jobs wait until the sweep finds out. Set maxmemory-policy to"
    " noeviction, and maxmemory to what the machine has.",
    FORGETS: "Redis writes nothing to disk (appendonly no, no save): when it restarts, every queued"
    " task is lost, and each running job repeats a pass. Set appendonly to yes.",
    UNKNOWN: "Whether Redis {found} could not be checked: the server does not let us ask. See to it"
    " yourself: maxmemory-policy noeviction, appendonly yes.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    code: str
    says: str

    @property
    def is_risk(self) -> bool:
        return self.code != UNKNOWN


def at_start(settings: Settings) -> list[Finding]:
    """Log what is wrong with Redis, and return it. A server that is away ends nothing."""
    # A client of its own: the program that is starting may fork, and share no connection.
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_timeout=settings.redis_timeout,
        socket_connect_timeout=settings.redis_timeout,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        found = look(client)
    except redis.RedisError as error:
        log.warning("redis.not_checked", extra={"reason": type(error).__name__})
        return []
    finally:
        client.close()
    for each in found:
        log.warning("redis.at_risk", extra={"code": each.code, "says": each.says})
    return found


def look(client: redis.Redis) -> list[Finding]:
    """Return what is wrong, or cannot be known. Raises RedisError if Redis does not answer."""
    client.ping()
    facts = {**_info(client, "memory"), **_info(client, "persistence")}
    found = []
    policy = facts.get("maxmemory_policy") or _config(client, "maxmemory-policy")
    if policy is None:
        found.append(_finding(UNKNOWN, "may throw keys away"))
    elif policy != "noeviction":
        found.append(_finding(EVICTS, str(policy)))
    appends = facts.get("aof_enabled")
    if appends is None:
        appends = {"yes": 1, "no": 0}.get(_config(client, "appendonly") or "")
    if not appends:
        # Snapshots will do: what they miss costs a pass.
        saves = _config(client, "save")
        if saves is None:
            found.append(_finding(UNKNOWN, "writes to disk"))
        elif appends == 0 and not saves:
            found.append(_finding(FORGETS))
    return found


def _finding(code: str, found: str = "") -> Finding:
    return Finding(code, _SAYS[code].format(found=found))


def _info(client: redis.Redis, section: str) -> Mapping[str, Any]:
    try:
        facts: Mapping[str, Any] = client.info(section)
    except redis.ResponseError:
        # Not for us to ask.
        return {}
    return facts


def _config(client: redis.Redis, name: str) -> str | None:
    """Return the setting, or None where the server does not say: many that are rented do not."""
    try:
        facts = client.config_get(name)
    except redis.ResponseError:
        return None
    value = facts.get(name)
    return None if value is None else str(value)
