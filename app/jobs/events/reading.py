"""The events of a job from some place on: what a page of the audit and a watcher are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from app.db import Cursor
from app.jobs.events import store
from app.jobs.events.model import ALL_TYPES, EventType, JobEvent, beginning, ending, from_row
from app.jobs.model import Job

_MOVES = frozenset({EventType.STATE, EventType.END})
_COUNTS = frozenset({EventType.ITEM, EventType.PROGRESS})


def read(
    tx: Cursor,
    job: Job,
    *,
    after: int,
    limit: int,
    types: frozenset[EventType] = ALL_TYPES,
    detailed: bool = False,
) -> list[JobEvent]:
    """Return the job's events behind `after`, at most `limit` of them; `job` as it is now.

    `detailed` reads what an item is called and what came of it, and not only how it went.
    """
    found: list[JobEvent] = []
    start, more = after, True
    while more and len(found) < limit:
        rows = store.list_events(
            tx,
            [(job, start)],
            # A row is one event at least; the first may be the one that `after` names.
            limit=limit + 1,
            moves=bool(types & _MOVES),
            counts=bool(types & _COUNTS),
        )[job.id]
        found += since(job, rows, after=after, limit=limit - len(found), types=types)
        # The beginning has no row: it is found once, at the start.
        more = len(rows) > limit
        start = after = max(after, rows[-1]["seq"] + 1) if more else after
    if len(found) < limit:
        found += untold(job, found[-1].seq if found else after, types)
    return with_items(tx, job, found, detailed=detailed)


def since(
    job: Job,
    rows: Iterable[Mapping[str, Any]],
    *,
    after: int,
    limit: int,
    types: frozenset[EventType] = ALL_TYPES,
) -> list[JobEvent]:
    """Return the events that the rows stand for, from behind `after` on, items without rows."""
    first = [beginning(job)] if after < 1 else []
    events = chain(first, chain.from_iterable(from_row(job, row) for row in rows))
    wanted = (each for each in events if each.seq > after and each.type in types)
    return list(islice(wanted, limit))


def with_items(
    tx: Cursor, job: Job, events: Sequence[JobEvent], *, detailed: bool
) -> list[JobEvent]:
    """Return the events with the rows of their items."""
    positions = [each.position for each in events if each.position is not None]
    if not positions:
        return list(events)
    rows = store.list_item_results(tx, job, positions, detailed=detailed)
    return [
        each if each.position is None else replace(each, item=rows[each.position])
        for each in events
    ]


def untold(job: Job, after: int, types: frozenset[EventType] = ALL_TYPES) -> list[JobEvent]:
    """Return how the job has ended, if what is told up to `after` does not say so.

    Of a job that an older version of this program ended, which told of nothing.
    """
    if not job.state.is_final:
        return []
    return [each for each in ending(job) if each.seq > after and each.type in types]
