"""A circuit breaker: who has failed many times in a row is left alone for a while.

Each process has its own. It is closed while all is well, opens after some failures in a row, and
lets a single call through once its time is over: that one closes it again, or keeps it open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

#: Failures in a row that open it, and the seconds that it stays open.
FAILURES = 5
SECONDS = 30.0


@dataclass(slots=True)
class Breaker:
    failures: int = FAILURES
    seconds: float = SECONDS
    clock: Callable[[], float] = time.monotonic
    _failed: int = 0
    _opened_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def lets_through(self) -> bool:
        """Say whether to call at all. Whoever is let through reports how it went."""
        with self._lock:
            if self._opened_at is None:
                return True
            if self.clock() - self._opened_at < self.seconds:
                return False
            # One call tries it; the others are kept out until it has come back, or got lost.
            self._opened_at = self.clock()
            return True

    def left(self) -> float:
        """Return the seconds until it lets a call through again; 0 while it is closed."""
        with self._lock:
            if self._opened_at is None:
                return 0.0
            return max(0.0, self._opened_at + self.seconds - self.clock())

    def report(self, *, succeeded: bool) -> None:
        with self._lock:
            if succeeded:
                self._failed, self._opened_at = 0, None
                return
            self._failed += 1
            if self._failed >= self.failures:
                self._opened_at = self.clock()
