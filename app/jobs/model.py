"""What a job, an item and a result are. Frozen: the database is where they change. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from app.jobs.states import JobState, requests


class ItemStatus(StrEnum):
    """How work on one item ended. An item without a result is pending, or was never begun."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


#: What is left of an item that was deleted on request: its code, and a payload that every kind
#: can be shown with.
ERASED = "erased"
ERASED_MESSAGE = "The item was deleted on request."
ERASED_PAYLOAD = '{"erased":true,"subject":{},"document":{},"external_id":"erased"}'


@dataclass(frozen=True, slots=True)
class Item:
    """One unit of a job, as a kind gets it to work on."""

    position: int
    ref: str | None
    payload: Mapping[str, Any]
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one item: either `detail`, or an error code and message for a person."""

    position: int
    status: ItemStatus
    detail: Mapping[str, Any] | None = None
    matches: int = 0
    error_code: str | None = None
    error_message: str | None = None
    attempts: int = 1

    @classmethod
    def success(cls, item: Item, detail: Mapping[str, Any], matches: int = 0) -> Result:
        return cls(item.position, ItemStatus.SUCCEEDED, detail, matches)

    @classmethod
    def failure(cls, item: Item, code: str, message: str) -> Result:
        return cls(item.position, ItemStatus.FAILED, error_code=code, error_message=message)


class Living(NamedTuple):
    """Jobs of one kind and state that have not ended, of all tenants together."""

    kind: str
    state: str
    jobs: int
    #: Items of theirs that have no result yet.
    outstanding: int
    #: How long ago the oldest was made.
    oldest_seconds: float


class Written(NamedTuple):
    """What a save really wrote: of an item that had its result already, nothing."""

    succeeded: int = 0
    failed: int = 0
    matches: int = 0
    #: Of those items, as a multirange of Postgres: {[0,250),[300,301)}.
    positions: str | None = None


@dataclass(frozen=True, slots=True)
class NewItem:
    """One item as submitted: what the caller calls it, and its payload as JSON text."""

    ref: str | None
    payload: bytes


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job as asked for, before it has an id."""

    tenant_id: UUID
    kind: str
    dialect: str
    queue: str
    chunk_size: int
    options: Mapping[str, Any]
    items: Sequence[NewItem]
    created_by: str
    labels: Mapping[str, str] = field(default_factory=dict)
    retry_of: UUID | None = None
    #: Expected seconds per item where no finished job tells it yet.
    calibrated_seconds: float = 0.0
    #: What the caller knows it by, once per tenant and dialect; without it, the job's own id.
    external_id: str | None = None
    #: The deadline, in seconds of running time; without it, the job may take as long as it does.
    allowed_seconds: float | None = None


#: Queues of single calls; app/jobs/dispatch.py has the queues.
_WAITED_FOR = frozenset({"interactive", "documents_interactive", "faces_interactive"})

#: Kinds whose jobs belong to a history that is kept.
_DISPATCHED_ANEW = frozenset({"verifications"})


@dataclass(frozen=True, slots=True)
class Job:
    """One request to do one kind of work to every item it names."""

    id: UUID
    tenant_id: UUID
    kind: str
    dialect: str
    external_id: str
    month: date
    state: JobState
    version: int
    options: Mapping[str, Any]
    labels: Mapping[str, str]
    queue: str
    chunk_size: int
    total: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    matches: int
    pass_no: int
    pass_began_at: int
    idle_passes: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    estimated_at: datetime | None
    retry_of: UUID | None
    created_by: str
    error_code: str | None
    error_message: str | None
    allowed_seconds: float | None
    spent_seconds: float
    active_since: datetime | None
    #: When a job that a rate limit paused goes on by itself.
    resume_at: datetime | None = None

    @property
    def deadline_at(self) -> datetime | None:
        """When the job expires if it runs on; None while nothing runs out."""
        if self.allowed_seconds is None or self.active_since is None:
            return None
        return self.active_since + timedelta(seconds=self.allowed_seconds - self.spent_seconds)

    @property
    def allowed_actions(self) -> list[str]:
        """What can be asked of it at this moment: `pause`, `resume`, `cancel`, `retry`."""
        if self.state.is_final:
            left = self.failed + self.cancelled + self.expired
            return ["retry"] if left and not self.is_dispatched_anew else []
        rests = self.state is JobState.PAUSED and self.resume_at is not None
        # It would go on by itself; asked to pause, it stays.
        return ["pause", *requests(self.state)] if rests else requests(self.state)

    @property
    def done(self) -> int:
        """Items with a result."""
        return self.succeeded + self.failed

    @property
    def outstanding(self) -> int:
        """Items that may still get one."""
        return self.total - self.succeeded - self.failed - self.cancelled - self.expired

    @property
    def is_interactive(self) -> bool:
        """Somebody waited for its one result."""
        return self.queue in _WAITED_FOR

    @property
    def is_dispatched_anew(self) -> bool:
        """It is never retried and never deleted: whoever wants it again dispatches a new run."""
        return self.kind in _DISPATCHED_ANEW

    @property
    def warnings(self) -> list[dict[str, str]]:
        """What whoever reads the results should know, as {code, message, ...}."""
        return list(self.options.get("warnings", ()))

    @property
    def chunk_count(self) -> int:
        return -(-self.total // self.chunk_size)

    def chunk(self, number: int) -> range:
        """Return the item positions of one chunk. The last chunk may be short."""
        start = number * self.chunk_size
        return range(start, min(start + self.chunk_size, self.total))

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Job:
        values = {each.name: row[each.name] for each in fields(cls)}
        return cls(**{**values, "state": JobState(values["state"])})
