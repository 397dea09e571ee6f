"""Celery's result backend, as far as we use it: it counts the parts of a chord, and no more.

The stock backend subscribes to one Redis channel for every task it sends, in the web and in the
workers, and never lets go (celery issues 3808, 4824, 6963): 6,000 channels after 60 jobs. Nobody
here waits for a result, results are rows in Postgres; so nothing is subscribed to. Sending a
chord is three times faster for it.
"""

from __future__ import annotations

import time
from typing import Any

from celery.backends.redis import RedisBackend

from app.jobs.transport import UNFIT

#: A worker that has done a chunk waits this long for Redis to take its part of the chord. After
#: that the sweep finds the pass that never ended. Shorter than what the hard time limit leaves
#: behind a chunk, within which this runs.
PATIENCE_SECONDS = 5.0


class SendOnlyBackend(RedisBackend):
    connection_errors: tuple[type[Exception], ...]

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Do not subscribe."""

    def add_pending_result(
        self, result: Any, weak: bool = False, start_drainer: bool = True
    ) -> Any:
        return result

    def remove_pending_result(self, result: Any) -> Any:
        return result

    def on_chord_part_return(
        self, request: Any, state: Any, result: Any, propagate: Any = None, **kwargs: Any
    ) -> None:
        """Count the part, and outlast a short absence of Redis."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        pause = 0.1
        while True:
            try:
                super().on_chord_part_return(request, state, result, propagate, **kwargs)
            except (*self.connection_errors, *UNFIT):
                if time.monotonic() > deadline:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 2.0)
            else:
                return
