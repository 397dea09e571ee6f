"""The contract between a kind of job and the machinery that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.db import Cursor
from app.jobs.endings import Conclude
from app.jobs.model import Item, Job, Result
from app.resources import Resources

#: Does the work for a few items and returns one result for each. An item that cannot be worked on
#: is a failed result; an exception means the work itself is in trouble.
Process = Callable[[Sequence[Item]], Sequence[Result]]


#: Options that a retry sets, and the seconds an item is expected to take.
Renewal = tuple[Mapping[str, Any], float]


def _as_it_was(resources: Resources, job: Job) -> Renewal:
    """Most kinds do the same work again."""
    return {}, 0.0


def _nothing(resources: Resources) -> None:
    """Most kinds have nothing to warm up."""


def _nothing_to_settle(tx: Cursor, job: Job, results: Sequence[Result]) -> None:
    """Most kinds hold nothing for an item."""


def _nothing_of(tx: Cursor, job: Job) -> None:
    """Most kinds hold nothing outside of the job."""


def _nothing_elsewhere(resources: Resources, job: Job) -> None:
    """Most kinds hold nothing outside of Postgres."""


def _always(tx: Cursor, job: Job) -> bool:
    """Most jobs stand in no other's way."""
    return True


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    #: Called once per chunk: load indexes and models here, not once per item. Raises JobError
    #: when no item of the job can be worked on.
    prepare: Callable[[Resources, Job], Process]
    #: The queues its chunks travel on, so that a worker knows which kinds it may be asked for.
    queues: frozenset[str]
    #: Items given to one call of the process. Between two calls the chunk can be saved, paused
    #: and cancelled, so a call should take a fraction of a second.
    batch_size: int
    #: Called once in a worker before its processes are forked: what is loaded here they share.
    #: It must not touch Postgres or Redis.
    load: Callable[[Resources], None] = _nothing
    #: Seconds after which a chunk hands back its rest, where items take longer than a moment: this
    #: and one item must fit into MUSTER_CHUNK_SECONDS. None: that setting itself.
    chunk_seconds: float | None = None
    #: Whether its items are worked on in processes that have limits of memory of their own.
    limits_itself: bool = False
    #: Called when a worker process starts, so that the first job does not pay for loading.
    warm: Callable[[Resources], None] = _nothing
    #: Called when a job is retried: what has to be taken from today, and not from the old job.
    renew: Callable[[Resources, Job], Renewal] = _as_it_was
    #: Called in the transaction that writes results: what an item no longer needs.
    settle: Callable[[Cursor, Job, Sequence[Result]], None] = _nothing_to_settle
    #: Called after that transaction: what is held elsewhere, and can be let go of later as well.
    settled: Callable[[Resources, Job], None] = _nothing_elsewhere
    #: Called in the transaction that makes a job of the items of another: what has to be held for
    #: it too.
    adopt: Callable[[Cursor, Job], None] = _nothing_of
    #: Makes what the client calls a new job; without it, that is the job's own id.
    external_id: Callable[[], str] | None = None
    #: Called in the transaction in which a worker claims a chunk. False for a job that is queued:
    #: another one is in its place, and it ends rejected.
    admit: Callable[[Cursor, Job], bool] = _always
    #: Called in the transaction that completes the job: writes what it leaves behind, or returns
    #: why it has failed after all.
    conclude: Conclude | None = None
