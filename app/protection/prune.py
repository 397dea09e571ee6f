"""What is kept no longer goes: in the night, a little at a time, or by hand.

A month in which every job is past its time loses the rows of its jobs and then the partitions with
all that they held, which takes as long for a hundred million rows as for one. Of other months,
single jobs go with their rows.

Every step is a transaction of its own, and each leaves what the next one, or the next night, goes
on from: the row of a job goes with or before its data, and a partition only when no job has
anything in it. Two at once share the work.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

from app.db import Cursor, Database
from app.errors import DatabaseUnavailable
from app.jobs import retention
from app.jobs import store as jobs
from app.jobs.model import Job
from app.jobs.retention import Periods
from app.protection import store
from app.protection.store import Expiry, Month
from app.settings import Settings

log = logging.getLogger(__name__)

#: Rows of jobs of one transaction, and about how many items' rows.
_JOBS = 200
_ITEMS = 20_000

#: Counted among the others: jobs that had left their rows to go with their month.
LEFT = "jobs that were gone"

#: A month is left alone for so long after its end, whoever keeps jobs for less.
_MARGIN = 7 * 86_400.0

#: Times that a month is tried to be taken off while others hold it, and the pause between.
_TRIES = 5
_PAUSE = 0.5

Say = Callable[[str], None]


@dataclass(slots=True)
class Pruned:
    """What went, or would go: counts, and names of partitions."""

    jobs: dict[str, int] = field(default_factory=dict)
    #: Of jobs that went row by row, and of those that went with a month.
    items: dict[str, int] = field(default_factory=dict)
    months: list[str] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    #: The time was up.
    has_more: bool = False

    @property
    def is_nothing(self) -> bool:
        return not (self.jobs or self.months or self.others)

    def add(self, kind: str, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self.jobs[kind] = self.jobs.get(kind, 0) + 1
            self.items[kind] = self.items.get(kind, 0) + job.total


class _TimeIsUp(Exception):
    """The rest is for another time."""


class _Clock:
    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        if self._end is not None and time.monotonic() > self._end:
            raise _TimeIsUp


def prune(
    db: Database,
    settings: Settings,
    *,
    seconds: float | None = None,
    say: Say = lambda text: None,
) -> Pruned:
    """Delete what is kept no longer, for so many seconds or to the end. Raises Unavailable.

    `say` hears how it goes on, in counts and names of tables.
    """
    pruned, clock = Pruned(), _Clock(seconds)
    periods = retention.defaults(settings)
    try:
        for kind, period in periods.items():
            _prune_kind(db, kind, period, pruned, clock, say)
        _prune_others(db, periods, pruned, clock)
    except _TimeIsUp:
        pruned.has_more = True
    log.info(
        "data.pruned",
        extra={
            "jobs": pruned.jobs,
            "items": pruned.items,
            "months": pruned.months,
            "others": pruned.others,
            "has_more": pruned.has_more,
        },
    )
    return pruned


def look(db: Database, settings: Settings) -> Pruned:
    """Return what `prune` would delete of jobs and months, and delete nothing."""
    found = Pruned()
    for kind, period in retention.defaults(settings).items():
        with db.transaction() as tx:
            planned = _plan(tx, kind, period)
            if planned is None:
                continue
            expiry, months = planned
            counted = store.count_expired(tx, kind, expiry)
            used = store.used_months(tx, kind, {each.month for each in months})
        if counted["jobs"]:
            found.jobs[kind], found.items[kind] = counted["jobs"], counted["items"]
        going = {each.month for each in months} - (used - set(expiry.whole))
        found.months += [each.name for each in months if each.month in going]
    return found


def _plan(tx: Cursor, kind: str, period: float | None) -> tuple[Expiry, list[Month]] | None:
    """Return when jobs of the kind are to go, and the months that may go; None if never."""
    shortest = store.shortest(tx, kind, period)
    if shortest is None:
        return None
    months = store.list_months(tx, kind, seconds=max(shortest, _MARGIN))
    kept = store.kept_months(tx, kind, {each.month for each in months}, period)
    return Expiry(period, shortest, _whole(months) - kept), months


def _prune_kind(
    db: Database, kind: str, period: float | None, pruned: Pruned, clock: _Clock, say: Say
) -> None:
    with db.transaction() as tx:
        planned = _plan(tx, kind, period)
    if planned is None:
        _prune_left(db, kind, set(), set(), pruned, clock)
        return
    expiry, months = planned
    for gone in _expire(db, kind, expiry, clock):
        pruned.add(kind, gone)
        say(f"{kind}: {pruned.jobs[kind]:,} jobs of {pruned.items[kind]:,} items")
    with db.transaction() as tx:
        # New jobs are of the present month: what is empty now stays so.
        used = store.used_months(tx, kind, {each.month for each in months})
    free = [month for month in months if month.month not in used]
    dropped = 0
    for month in free:
        if not _drop(db, month):
            # Whoever reads it reads the others too, as a dump does for hours: while we try, others
            # wait behind us.
            break
        dropped += 1
        pruned.months.append(month.name)
        say(f"{kind}: dropped {month.name}")
        clock.check()
    busy = {month.month for month in free[dropped:]}
    _prune_left(db, kind, {month.month for month in free} - busy, busy, pruned, clock)


def _prune_left(
    db: Database, kind: str, gone: set[date], busy: set[date], pruned: Pruned, clock: _Clock
) -> None:
    """See to rows of jobs that are gone: they went with their month, wait for it, or go singly.

    Singly where somebody keeps the month after all.
    """
    with db.transaction() as tx:
        left = {month for _, month in store.months_left(tx, kind=kind)}
        for month in left & gone:
            store.note_dropped(tx, kind, month)
    for month in sorted(left - gone - busy):
        for jobs_left in delete_left(db, kind, month):
            pruned.others[LEFT] = pruned.others.get(LEFT, 0) + jobs_left
            clock.check()


def delete_left(
    db: Database,
    kind: str,
    month: date,
    *,
    tenant_id: UUID | None = None,
) -> Iterator[int]:
    """Delete what jobs that are gone left in a month which stays; yield of how many, as it goes."""
    while True:
        with db.transaction() as tx:
            # A check of watched subjects may be one job of a million items.
            jobs_left = store.delete_left(tx, kind, month, tenant_id=tenant_id, limit=1)
        if not jobs_left:
            return
        yield jobs_left


def _whole(months: Iterable[Month]) -> set[date]:
    """Return the months of which every table has a partition: elsewhere rows have to go singly."""
    parents: dict[date, set[str]] = {}
    for each in months:
        if each.is_attached:
            parents.setdefault(each.month, set()).add(each.parent)
    return {month for month, found in parents.items() if len(found) == len(_PARENTS)}


_PARENTS = ("items", "results", "job_events")


def _expire(db: Database, kind: str, expiry: Expiry, clock: _Clock) -> Iterator[list[Job]]:
    """Delete jobs whose time is over; yield them as they are gone."""
    after = datetime.min.replace(tzinfo=UTC)
    while True:
        with db.transaction() as tx:
            found = store.take_expired(tx, kind, expiry, after=after, limit=_JOBS)
            gone = list(_delete(tx, found, expiry.whole))
            store.expire_jobs(tx, [job.id for job in gone], expiry.whole)
        if not gone:
            return
        after = gone[-1].finished_at or after
        yield gone
        # Not before the first: a time that planning alone uses up would bring nothing, for ever.
        clock.check()


def _delete(tx: Cursor, found: Iterable[Job], whole: Collection[date]) -> Iterator[Job]:
    """Delete what jobs hold, as much as one transaction should; yield those that are to go."""
    items = 0
    for job in found:
        if job.month not in whole:
            if items and items + job.total > _ITEMS:
                return
            items += job.total
            jobs.delete_results(tx, job)
            jobs.delete_items(tx, job)
            jobs.delete_events(tx, job)
        yield job


def _drop(db: Database, month: Month) -> bool:
    """Drop a partition in which no job has anything; False if it must wait for another night."""
    for tries_left in reversed(range(_TRIES)):
        try:
            with db.transaction() as tx:
                store.impatient(tx)
                store.detach_month(tx, month.name)
            with db.transaction() as tx:
                store.impatient(tx)
                return store.drop_month(tx, month.name)
        except DatabaseUnavailable:
            # Somebody reads it at this moment; if Postgres itself is away, the next step says so.
            if tries_left:
                time.sleep(_PAUSE)
    log.warning("month.busy", extra={"partition": month.name})
    return False


def _prune_others(db: Database, periods: Periods, pruned: Pruned, clock: _Clock) -> None:
    period = periods["kyc"]
    steps: dict[str, Callable[[Cursor], int]] = {
        "monitor_checks": lambda tx: store.expire_checks(tx, period, limit=_JOBS),
        "exclusions": lambda tx: store.expire_exclusions(tx, period, limit=_JOBS),
        "expired_jobs": lambda tx: store.forget_expired(
            tx, seconds=retention.REMEMBERED_SECONDS, limit=_ITEMS
        ),
    }
    for name, step in steps.items():
        while True:
            with db.transaction() as tx:
                gone = step(tx)
            if not gone:
                break
            pruned.others[name] = pruned.others.get(name, 0) + gone
            clock.check()
