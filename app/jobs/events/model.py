"""An event of a job, and how the rows of job_events become events. No I/O here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self, TypeVar

from app.jobs.model import Job
from app.jobs.states import JobState

T = TypeVar("T")


class EventType(StrEnum):
    #: The job moved from one state to another.
    STATE = "state"
    #: One item has its result.
    ITEM = "item"
    #: Results came in together, and these are the counts now.
    PROGRESS = "progress"
    #: Nothing follows.
    END = "end"


ALL_TYPES = frozenset(EventType)


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a job's items, after an event."""

    total: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    matches: int

    @property
    def done(self) -> int:
        """Items with a result."""
        return self.succeeded + self.failed

    @property
    def outstanding(self) -> int:
        """Items that may still get one."""
        return self.total - self.done - self.cancelled - self.expired

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(*(getattr(job, name) for name in cls.__slots__))


@dataclass(frozen=True, slots=True)
class JobEvent:
    """`seq` grows with each event of a job; a reader that knows one goes on behind it."""

    seq: int
    type: EventType
    at: datetime
    #: After the event.
    state: JobState
    #: Where the job came from; None for its beginning, and for all that is no move.
    previous: JobState | None
    counts: Counts
    #: Items with a result, up to this item where it is one.
    done: int
    #: Why a failed job failed: a code and a message.
    error: tuple[str, str] | None = None
    #: Which item, and its row once that is read (store.list_item_results).
    position: int | None = None
    item: Mapping[str, Any] | None = field(default=None, compare=False)
    _said: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def said(self, form: str, say: Callable[[], T]) -> T:
        """Return what `say` makes of the event, made once for all who are told in that form."""
        if form not in self._said:
            self._said[form] = say()
        said: T = self._said[form]
        return said


def beginning(job: Job) -> JobEvent:
    """The job was accepted. It has no row: every job begins like this."""
    none = Counts(job.total, 0, 0, 0, 0, 0)
    return JobEvent(1, EventType.STATE, job.created_at, JobState.QUEUED, None, none, 0)


def picture(job: Job) -> list[JobEvent]:
    """The job as it stands, for a reader who begins here: counts, state, and the end if it has.

    They carry the version of the job, which is the seq of its last event.
    """
    counts = Counts.of(job)
    at, version = job.updated_at, job.version
    progress = JobEvent(version, EventType.PROGRESS, at, job.state, None, counts, counts.done)
    return [progress, *ending(job)]


def ending(job: Job) -> list[JobEvent]:
    """The state in which the job is, and the end if that is final, made from the job's own row."""
    counts = Counts.of(job)
    error = _error(job.error_code, job.error_message)
    state = JobEvent(
        job.version,
        EventType.STATE,
        job.updated_at,
        job.state,
        None,
        counts,
        counts.done,
        error,
    )
    return [state, *_end(state)]


def from_row(job: Job, row: Mapping[str, Any]) -> Iterator[JobEvent]:
    """Yield the events that a row of job_events stands for, items without their rows."""
    state = JobState(row["state"])
    counts = Counts(
        total=job.total,
        **{name: row[name] for name in ("succeeded", "failed", "cancelled", "expired", "matches")},
    )
    if row["positions"] is None:
        error = _error(row["error_code"], row["error_message"])
        previous = JobState(row["previous"])
        moved = JobEvent(
            row["seq"], EventType.STATE, row["at"], state, previous, counts, counts.done, error
        )
        yield moved
        yield from _end(moved)
        return
    ranges = read_positions(row["positions"])
    ahead = sum(map(len, ranges))
    for positions in ranges:
        for position in positions:
            seq, done = row["seq"] - ahead, counts.done - ahead + 1
            ahead -= 1
            yield JobEvent(
                seq, EventType.ITEM, row["at"], state, None, counts, done, position=position
            )
    yield JobEvent(row["seq"], EventType.PROGRESS, row["at"], state, None, counts, counts.done)


def _end(state: JobEvent) -> Sequence[JobEvent]:
    if not state.state.is_final:
        return ()
    return (
        JobEvent(
            state.seq + 1,
            EventType.END,
            state.at,
            state.state,
            None,
            state.counts,
            state.done,
            state.error,
        ),
    )


def _error(code: str | None, message: str | None) -> tuple[str, str] | None:
    return None if code is None else (code, message or "")


_RANGE = re.compile(r"\[(\d+),(\d+)\)")


def read_positions(text: str | None) -> list[range]:
    """Return the ranges of a multirange of Postgres, {[0,250),[300,301)}."""
    return [range(int(start), int(stop)) for start, stop in _RANGE.findall(text or "")]
