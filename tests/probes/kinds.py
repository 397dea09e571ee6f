"""Kinds for tests. A payload says what its item does: {"sleep": 0.1}, {"die": true}, ..."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Sequence

from app.errors import ItemError, JobError
from app.jobs.dispatch import DOCUMENTS, SCREENING
from app.jobs.model import Item, Job, Result
from app.kinds.base import Kind, Process
from app.resources import Resources


def _prepare(resources: Resources, job: Job) -> Process:
    if job.options.get("refuse"):
        raise JobError("refused", "The probe was told to refuse the job.")
    if job.options.get("crash"):
        raise ZeroDivisionError

    def process(items: Sequence[Item]) -> Sequence[Result]:
        return [_one(item) for item in items]

    return process


def _one(item: Item) -> Result:
    say = item.payload
    time.sleep(say.get("sleep", 0))
    if say.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if say.get("segfault"):
        ctypes.string_at(0)
    while say.get("hang"):
        time.sleep(0.05)
    while say.get("spin"):
        pass
    if say.get("hog"):
        # Not without end: where no limit holds, the test shall fail and not the machine.
        _ = [bytes(10_000_000) for _ in range(say["hog"] // 10_000_000)]
    if say.get("raise"):
        raise ValueError(say["raise"])
    if say.get("bad"):
        raise ItemError("bad_item", say["bad"])
    return Result.success(item, {"echo": say.get("echo")}, matches=say.get("matches", 0))


_QUEUES = frozenset({SCREENING, DOCUMENTS})

#: One item a call, like documents and faces.
SLOW = Kind(name="slow", prepare=_prepare, queues=_QUEUES, batch_size=1)
#: Many items a call, like screening.
FAST = Kind(name="fast", prepare=_prepare, queues=_QUEUES, batch_size=100)
