"""How often anybody may ask: an address, a tenant, a key. Without Redis nothing is refused.

flask-limiter counts each address before anything else is done for it; whose request it is, is known
later, and counted by its strategy and in the same place. An address is personal data: in Redis
stands a keyed digest of it.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import time
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, g, request
from flask_limiter import ApplicationLimit, Limiter, RequestLimit
from limits import RateLimitItem, RateLimitItemPerSecond

from app.accounts.model import Caller
from app.api import proxies
from app.api.context import resources
from app.api.counters import Counters
from app.errors import RateExceeded
from app.resources import Resources
from app.settings import parse_rate

ADDRESS, TENANT, KEY = "address", "tenant", "key"

#: How a limit is called in a sentence, by what is limited.
_SENTENCES = {
    ADDRESS: "requests: no more than {amount:,} in {time} from one address",
    TENANT: "requests: no more than {amount:,} in {time} for one tenant",
    KEY: "requests: no more than {amount:,} in {time} with this API key",
    "failures": "wrong credentials: no more than {amount:,} in {time} from one address",
    "logins": "attempts to sign in: no more than {amount:,} in {time} from one address",
    "account": "attempts to sign in: no more than {amount:,} in {time} for one account",
}

_MINUTE = 60
#: The paths of dialect A, whose clients look for headers that are older than the draft.
_DIALECT_A = ("/kyc", "/exports")

_EXTENSION = "muster.limiter"

#: How often in how many seconds; None: as often as anybody likes.
Rate = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is used, with this request."""

    policy: str
    key: str
    amount: int
    seconds: int
    used: int
    #: When it begins anew, in seconds since 1970.
    reset_at: float

    @property
    def remaining(self) -> int:
        return max(0, self.amount - self.used)

    @property
    def seconds_left(self) -> int:
        return max(1, math.ceil(self.reset_at - time.time()))


def attach(app: Flask, opened: Resources, exempt: tuple[Blueprint, ...]) -> None:
    """Count every request to the application by its address, but those to exempt blueprints."""
    rate = parse_rate(opened.settings.rate_address)
    per_address = (
        [ApplicationLimit(f"{rate[0]} per {rate[1]} second", scope=ADDRESS, on_breach=_refuse)]
        if rate
        else []
    )
    limiter = Limiter(
        key_func=address,
        application_limits=[*per_address],
        storage_uri="muster://",
        # Handed on to Counters as they are.
        storage_options=cast(Any, {"client": opened.redis, "progress": opened.progress}),
        strategy="fixed-window",
        # Asking for what is not there is asking.
        request_identifier=lambda: request.endpoint or "nothing",
    )
    limiter.init_app(app)
    # A line for each refusal would be as many as whoever is refused likes.
    limiter.logger.setLevel(logging.WARNING)
    for blueprint in exempt:
        limiter.exempt(blueprint)
    app.extensions[_EXTENSION] = limiter
    app.after_request(_show)


def count(who: Caller) -> None:
    """Count one request of the caller's. Raises RateExceeded."""
    hit(TENANT, parse_rate(resources().settings.rate_tenant), str(who.tenant_id))
    if who.rate_limit_rpm is not None:
        hit(KEY, (who.rate_limit_rpm, _MINUTE), who.uid)


def count_address() -> None:
    """Count one request by its address, where flask-limiter does not see it. As above."""
    hit(ADDRESS, parse_rate(resources().settings.rate_address), address())


def hit(policy: str, rate: Rate, who: str) -> Use | None:
    """Count once, and return what is used now; None without a limit, or without Redis.

    Raises RateExceeded.
    """
    if rate is None:
        return None
    item = RateLimitItemPerSecond(*rate)
    is_admitted = _limiter().limiter.hit(item, who, policy)
    use = _use(policy, item, item.key_for(who, policy))
    if use is not None:
        _uses().append(use)
    if use is not None and not is_admitted:
        raise _exceeded(use)
    return use


def counters() -> Counters:
    return cast(Counters, _limiter().storage)


def address() -> str:
    """Return what stands for the caller's address in Redis."""
    known = proxies.read(request.remote_addr or "")
    if isinstance(known, ipaddress.IPv6Address):
        # Who has one address of IPv6 has all of a network.
        return digest(str(ipaddress.ip_network((known, 64), strict=False)))
    return digest(str(known))


def digest(text: str) -> str:
    """Return what stands for a text in Redis, which nobody finds by trying all that there are."""
    key = sha256(f"limits\n{resources().settings.jwt_secret}".encode()).digest()
    return blake2b(text.encode("utf-8", "replace"), key=key, digest_size=16).hexdigest()


def in_words(seconds: int) -> str:
    """Return `45 seconds`, `3 minutes`, `2 hours`: never less than it is."""
    for unit, length in (("hour", 3600), ("minute", _MINUTE)):
        if seconds >= length and (seconds % length == 0 or length == _MINUTE):
            number = math.ceil(seconds / length)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def _limiter() -> Limiter:
    return cast(Limiter, current_app.extensions[_EXTENSION])


def _uses() -> list[Use]:
    if "uses" not in g:
        g.uses = []
    uses: list[Use] = g.uses
    return uses


def _use(policy: str, item: RateLimitItem, key: str) -> Use | None:
    seen = counters().seen(key)
    if seen is None:
        return None
    used, reset_at = seen
    return Use(policy, key, item.amount, item.get_expiry(), used, reset_at)


def _refuse(limit: RequestLimit) -> None:
    use = _use(ADDRESS, limit.limit, limit.key)
    assert use is not None, "it was counted a moment ago"
    raise _exceeded(use)


def _exceeded(use: Use) -> RateExceeded:
    about = _SENTENCES[use.policy].format(amount=use.amount, time=in_words(use.seconds))
    return RateExceeded(
        f"Too many {about}. Please try again in {in_words(use.seconds_left)}.",
        retry_after=use.seconds_left,
        violated_policies=[use.policy],
    )


def _show(response: Response) -> Response:
    """Say how much is left, as draft-ietf-httpapi-ratelimit-headers does, and as dialect A did."""
    uses = list(_uses())
    limit = _limiter().current_limit
    of_address = None if limit is None else _use(ADDRESS, limit.limit, limit.key)
    if of_address is not None:
        uses.insert(0, of_address)
    if not uses:
        return response
    response.headers["RateLimit-Policy"] = ", ".join(
        f'"{use.policy}";q={use.amount};w={use.seconds}' for use in uses
    )
    response.headers["RateLimit"] = ", ".join(
        f'"{use.policy}";r={use.remaining};t={use.seconds_left}' for use in uses
    )
    if request.path.startswith(_DIALECT_A):
        # There is room for one: what will be used up first.
        least = min(uses, key=lambda use: use.remaining)
        response.headers["X-RateLimit-Limit"] = str(least.amount)
        response.headers["X-RateLimit-Remaining"] = str(least.remaining)
        response.headers["X-RateLimit-Reset"] = str(math.ceil(least.reset_at))
    return response
