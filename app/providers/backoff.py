"""When to try again: what the other side says, or full jitter. Bounded either way."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

_BASE_SECONDS = 0.5
_CAP_SECONDS = 8.0


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds of `Retry-After`, in either form, or of OpenAI's `retry-after-ms`."""
    text = headers.get("retry-after-ms")
    if text is not None and (seconds := _number(text)) is not None:
        return seconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now())
    except (TypeError, ValueError, OverflowError):
        return None


def _number(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    # NaN and infinity are numbers to Python, and no time to wait.
    return seconds if 0 <= seconds < 1e9 else None


def pause(tries: int) -> float:
    """Return the seconds before the next try, after so many: anything up to a doubling bound."""
    return random.uniform(0, min(_CAP_SECONDS, _BASE_SECONDS * 2**tries))  # noqa: S311  # spreads load


def later(seconds: float) -> float:
    """Return a moment shortly after the one that was asked for, so that not all come at once."""
    return seconds * (1 + random.random() / 10)  # noqa: S311  # spreads load
