"""From one watcher's place in a job to the messages that are due: for SSE and WebSocket alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from gevent import get_hub
from gevent.event import Event as Flag

from app.api.streams import Message, Wording
from app.errors import DatabaseUnavailable, JobNotFound
from app.jobs.events.model import JobEvent
from app.jobs.model import Job
from app.jobs.states import JobState
from app.live.hub import Hub


class Following:
    """One watcher. `seq` and `state` are what it has been told last."""

    def __init__(self, hub: Hub, job: Job, wording: Wording, after: int | None) -> None:
        self._hub = hub
        self.job = job
        self._wording = wording
        self.state: JobState = job.state
        # One beyond the end of all things is of another life of the database: begin anew.
        self.seq = None if after is not None and after > job.version + 1 else after

    def messages(
        self, patience: float, longest: float, attend: Callable[[Flag], None]
    ) -> Iterator[Sequence[Message] | None]:
        """Yield what is to be sent as it comes up, and None after so many seconds of silence.

        Yields nothing, (), when the flag that `attend` is given was set. Ends when the job has
        ended and that was said, when the process is about to end, or after `longest` seconds.
        """
        try:
            yield from self._messages(patience, longest, attend)
        except (DatabaseUnavailable, JobNotFound):
            # Whoever comes again is told which.
            return

    def _messages(
        self, patience: float, longest: float, attend: Callable[[Flag], None]
    ) -> Iterator[Sequence[Message] | None]:
        job, wording = self.job, self._wording
        if self.seq is None:
            self.seq = 0
            for message in wording.open(self._hub.reading, job):
                self.seq = message.seq or self.seq
                yield (message,)
            self.seq = job.version + job.state.is_final
            if job.state.is_final:
                return
        until = time.monotonic() + longest
        with self._hub.watch(job, after=self.seq, with_items=self._with_items) as watcher:
            attend(watcher.wake)
            for events in watcher.events(patience):
                if events:
                    yield [said for event in events if (said := self._say(watcher.job, event))]
                    self.seq, self.state = events[-1].seq, events[-1].state
                else:
                    yield None if events is None else ()
                if time.monotonic() > until:
                    return

    @property
    def _with_items(self) -> bool:
        return "item" in self._wording.types

    def _say(self, job: Job, event: JobEvent) -> Message | None:
        if event.type not in self._wording.types:
            return None
        return event.said(self._wording.name, lambda: self._wording.say(job, event))


class Attention:
    """Notices that a client sends something or hangs up, without a greenlet that waits for it."""

    def __init__(self, descriptor: int, flag: Flag) -> None:
        self.is_due = False
        self._flag = flag
        # libev's own watcher: it runs in the hub, where nothing may wait.
        self._watcher = get_hub().loop.io(descriptor, 1)
        self._watcher.start(self._notice)

    def _notice(self) -> None:
        # Stopped until it has been seen to, or it would be noticed again and again.
        self._watcher.stop()
        self.is_due = True
        self._flag.set()

    def again(self) -> None:
        self.is_due = False
        self._watcher.start(self._notice)

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
