"""Signals as something to wait for.

A handler that raised could do so between starting a child and noting it down, and the child would
be forgotten. So handlers only take note, and `pause` and `check` raise where we can bear it.
"""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ASKING_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """Somebody asked us to stop. `signal` says how."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.signal = number


class Signals:
    """Use through `listening`."""

    def __init__(self, wakeup: int) -> None:
        self._wakeup = wakeup
        self._asked: int | None = None

    def note(self, number: int, _frame: FrameType | None) -> None:
        self._asked = number

    def check(self) -> None:
        if self._asked is not None:
            raise Interrupted(self._asked)

    def pause(self, seconds: float) -> None:
        """Wait that long, or until a child ends; raise Interrupted once asked to stop."""
        self.check()
        ready, _, _ = select.select([self._wakeup], [], [], seconds)
        if ready:
            os.read(self._wakeup, 4096)
        self.check()


@contextmanager
def listening() -> Iterator[Signals]:
    """Take note of SIGINT, SIGTERM, SIGHUP and SIGCHLD inside the block."""
    receiver, sender = os.pipe()
    os.set_blocking(receiver, False)
    os.set_blocking(sender, False)
    signals = Signals(receiver)
    before = {}
    for each in ASKING_TO_STOP:
        # nohup has SIGHUP ignored, and means it.
        if each != signal.SIGHUP or signal.getsignal(each) != signal.SIG_IGN:
            before[each] = signal.signal(each, signals.note)
    # Without a handler the end of a child would not wake `pause`.
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    try:
        yield signals
    finally:
        signal.set_wakeup_fd(-1)
        for each, handler in before.items():
            signal.signal(each, handler)
        os.close(receiver)
        os.close(sender)
