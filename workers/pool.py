"""Celery's pool of processes, which outlives the loss of a connection.

Celery forgets by which file it hears of a process' end once it has heard of it, and dies of a
ValueError if it registers its processes anew before that one has been replaced: which it does after
every loss of its connection to Redis (celery issue 9250; Celery 5.7, kombu 5.7).
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery.concurrency import asynpool, prefork


class AsynPool(asynpool.AsynPool):
    def _track_child_process(self, proc: Any, hub: Any) -> None:
        if getattr(proc, "_sentinel_poll", hub) is None:
            # As one that was never listened to: if it has ended, that is heard at once.
            del proc._sentinel_poll
        # Of one that is gone altogether nothing is heard; the next look at the pool replaces it.
        with suppress(OSError):
            super()._track_child_process(proc, hub)  # type: ignore[misc]  # not in the stubs


class TaskPool(prefork.TaskPool):
    Pool = AsynPool
