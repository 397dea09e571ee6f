"""Guessing keys and passwords: how often somebody may be wrong.

A key is looked at first, and only wrong ones are counted: whoever shows a right one is let in,
whatever others do behind the same address, and nobody guesses 256 bits. A password can be guessed,
so that whoever was wrong too often is not heard any more, for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from app.api import limits
from app.api.context import resources
from app.errors import InvalidCredentials, InvalidToken
from app.settings import parse_rate

FAILURES, LOGINS, ACCOUNT = "failures", "logins", "account"

#: Over all addresses, an account may be tried so much oftener than from one.
_ADDRESSES = 10
#: How long an address is known from which somebody has signed in.
_KNOWN_SECONDS = 30 * 86_400


@contextmanager
def of_token() -> Iterator[None]:
    """Count wrong keys and tokens by address. Raises RateExceeded instead of InvalidToken."""
    try:
        yield
    except InvalidToken:
        limits.hit(FAILURES, parse_rate(resources().settings.rate_failures), limits.address())
        raise


@contextmanager
def of_password(account: str) -> Iterator[None]:
    """Let a password be tried, unless too many wrong ones have been. Raises RateExceeded.

    It is counted before it is looked at, and given back if it was right: a hundred at once are no
    way around. One address cannot shut an account to others: what it may not try any more does not
    count for the account. Where somebody has signed in to the account, only what was tried there
    counts, and not what strangers do elsewhere, nor to others behind the same address.
    """
    rate = parse_rate(resources().settings.rate_logins)
    failures = parse_rate(resources().settings.rate_failures)
    name, here = limits.digest(account.strip().lower()), limits.address()
    pair = f"{name}/{here}"
    counters = limits.counters()
    is_known = rate is not None and counters.is_noted(f"known/{pair}")
    counted = [limits.hit(LOGINS, rate, pair)]
    if not is_known:
        counted.append(limits.hit(FAILURES, failures, here))
    if rate is not None and not is_known:
        counted.append(limits.hit(ACCOUNT, (rate[0] * _ADDRESSES, rate[1]), name))
    try:
        yield
    except InvalidCredentials:
        raise
    except BaseException:
        _give_back(counted)
        raise
    _give_back(counted)
    if counted[0] is not None:
        counters.clear(counted[0].key)
        counters.note(f"known/{pair}", _KNOWN_SECONDS)


def _give_back(counted: list[limits.Use | None]) -> None:
    for use in counted:
        if use is not None:
            limits.counters().incr(use.key, use.seconds, -1)
