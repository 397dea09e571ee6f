"""A job that somebody watches, and those who do.

A watcher holds no queue: it knows the seq of the last event that it sent, and is woken when there
are newer ones. These lie with the topic, read once for everybody; whoever is too slow to find them
there reads them from Postgres, where they stay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

import gevent
from gevent.event import Event as Flag

from app.errors import DatabaseUnavailable
from app.jobs.events.model import EventType, JobEvent
from app.jobs.model import Job

#: Events of a job that are read at a time, and that are kept for those who have not sent them.
PAGE = 500
#: After Postgres or Redis failed.
REST_SECONDS = 1.0


class Topic:
    """A job that somebody watches."""

    def __init__(self, job: Job) -> None:
        self.job = job
        #: Everything up to here has been read, or was there before anybody watched.
        self.seq = job.version
        #: The events behind `floor`, without a gap, for watchers who are about to send them.
        self.floor = self.seq
        self.events: deque[JobEvent] = deque()
        self.watchers: set[Watcher] = set()

    @property
    def with_items(self) -> bool:
        return any(watcher.with_items for watcher in self.watchers)

    def add(self, events: Sequence[JobEvent], upto: int, *, with_items: bool) -> None:
        """Take in what follows on `seq`, which ends at `upto`, and wake everybody."""
        self.seq = max([self.seq, upto, *(event.seq for event in events[-1:])])
        if self.with_items and not with_items:
            # Somebody came meanwhile who wants more than was read.
            self.drop()
        else:
            self.events.extend(events)
        while len(self.events) > PAGE:
            self.floor = self.events.popleft().seq
        for watcher in self.watchers:
            watcher.wake.set()

    def drop(self) -> None:
        """Leave what is here to be read from Postgres."""
        self.events.clear()
        self.floor = self.seq

    def forget(self) -> None:
        """Let go of what every watcher has sent."""
        sent = min((watcher.seq for watcher in self.watchers), default=self.seq)
        while self.events and self.events[0].seq <= sent:
            self.floor = self.events.popleft().seq

    def since(self, seq: int) -> list[JobEvent] | None:
        """Return the events behind seq, or None if they are no longer all here."""
        if seq < self.floor:
            return None
        return [event for event in self.events if event.seq > seq]


class Watcher:
    """One client. Use as a context, and go through `events`."""

    def __init__(
        self, topic: Topic, seq: int, *, with_items: bool, read: Read, leave: Leave
    ) -> None:
        self._topic = topic
        self._read = read
        self._leave = leave
        #: The last event that was handed out.
        self.seq = seq
        self.with_items = with_items
        #: Set when there may be something to do: newer events, or something of the caller's own.
        self.wake = Flag()
        self.is_over = False

    @property
    def topic(self) -> Topic:
        return self._topic

    @property
    def job(self) -> Job:
        """The job as it was when last read whole: when it was first watched, or last moved."""
        return self._topic.job

    def events(self, patience: float) -> Iterator[Sequence[JobEvent] | None]:
        """Yield newer events as they come, None after so many seconds without any.

        Yields nothing, (), when somebody else set `wake`. Ends behind the end of the job, and when
        the process is about to. Raises JobNotFound if the job is deleted.
        """
        while not self.is_over:
            self.wake.clear()
            try:
                events = self._take()
            except DatabaseUnavailable:
                gevent.sleep(REST_SECONDS)
                self.wake.set()
                events = ()
            if events:
                self.seq = events[-1].seq
                yield events
                if events[-1].type is EventType.END:
                    return
            elif self.wake.wait(patience):
                yield ()
            else:
                yield None

    def _take(self) -> Sequence[JobEvent]:
        known = self._topic.seq
        if self.seq >= known:
            return ()
        lying = self._topic.since(self.seq)
        events = self._read(self) if lying is None else lying
        if not events:
            # The version grew without anything to tell.
            self.seq = known
        return events

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(self)


#: A page of events behind the watcher's place, from Postgres; and the end of watching.
Read = Callable[[Watcher], Sequence[JobEvent]]
Leave = Callable[[Watcher], None]
