"""What keeps one of many from holding up the others: one that fails, and one that takes long."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from app.errors import CheckRunning, KeyUnavailable, MonitorBusy, MonitorNotFound, Unavailable

log = logging.getLogger(__name__)

#: What one sort of work may take of a look, in seconds: all sorts together about five, which is far
#: below the limit of a task. A look that is killed would begin with the same again.
SHARE_SECONDS = 1.25

T = TypeVar("T")


def alone(work: Callable[[], object], **whose: str) -> None:
    """Do it so that what goes wrong there keeps nothing else from being done. Raises Unavailable.

    Only the type is logged: an error may quote a row.
    """
    try:
        work()
    except (CheckRunning, MonitorBusy, MonitorNotFound):
        # Somebody else was quicker.
        pass
    except KeyUnavailable as error:
        # Of one tenant's results, and no reason to leave the others alone.
        log.error("look.failed", extra={**whose, "reason": type(error).__name__})
    except Unavailable:
        raise
    except Exception as error:  # whatever it is
        log.error("look.failed", extra={**whose, "reason": type(error).__name__})


def in_time(things: Iterable[T], seconds: float | None = None) -> Iterator[T]:
    """Yield one after the other until the time is up, and the first in any case."""
    end = time.monotonic() + (SHARE_SECONDS if seconds is None else seconds)
    for each in things:
        yield each
        if time.monotonic() > end:
            return
