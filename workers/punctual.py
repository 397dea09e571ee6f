"""What Celery decides by the clock of the machine, on machines whose clocks are wrong or jump.

A message says by its sender's clock when it may be worked on, and beat counts by its own when the
next sweep is due: an hour's difference would hold a chunk up for an hour, and a clock put back by
an hour would keep the sweep away for so long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from celery.beat import PersistentScheduler
from celery.worker.strategy import default

#: Of a clock that is put right by less nobody need know.
_JUMP_SECONDS = 1.0


def start(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Celery's way to take a message, for tasks that wait no longer than `task.longest_wait`."""
    take = default(task, app, consumer, **options)

    def bounded(message: Any, *args: Any, **kwargs: Any) -> Any:
        eta = message.headers.get("eta")
        latest = datetime.now(UTC) + timedelta(seconds=task.longest_wait)
        if eta and datetime.fromisoformat(eta) > latest:
            message.headers["eta"] = latest.isoformat()
        return take(message, *args, **kwargs)

    return bounded


class Scheduler(PersistentScheduler):
    """Celery's, for a clock that may jump: what is due in a minute stays due in a minute."""

    _offset: float | None = None

    def setup_schedule(self) -> None:
        super().setup_schedule()
        # Written down before the clock was put back, while beat did not run.
        now = self.app.now()
        for entry in self.schedule.values():
            entry.last_run_at = min(entry.last_run_at or now, now)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        offset = time.time() - time.monotonic()
        jump = 0.0 if self._offset is None else offset - self._offset
        self._offset = offset
        if abs(jump) > _JUMP_SECONDS:
            for entry in self.schedule.values():
                before = entry.last_run_at or self.app.now()
                entry.last_run_at = before + timedelta(seconds=jump)
            # The order in which they are due is worked out anew.
            self._heap = None
        return super().tick(*args, **kwargs)
