"""What callers may ask of monitors. Each function is one use case and one transaction.

Whatever writes raises MonitorBusy while a large check is being closed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from app.errors import (
    CheckNotFound,
    InvalidParameter,
    MonitorBusy,
    MonitorExists,
    MonitorNotFound,
    SubjectNotFound,
)
from app.jobs.model import NewItem
from app.monitoring import checks, store
from app.monitoring.model import INTERVALS, Cause, Check, CheckState, Hit, Monitor, Watched
from app.resources import Resources

#: Subjects of one monitor. Whoever has more makes a second one.
MOST_SUBJECTS = 1_000_000


class Shown(NamedTuple):
    """A monitor, and how many subjects and hits it has."""

    monitor: Monitor
    subjects: int
    hits: int


def create(resources: Resources, tenant_id: UUID, by: str, given: Mapping[str, Any]) -> Monitor:
    """Make a monitor of no subjects. Raises MonitorExists."""
    frequency = given["check_frequency"]
    with resources.db.transaction() as tx:
        made = store.insert_monitor(
            tx,
            {**given, "id": uuid4(), "tenant_id": tenant_id, "created_by": by},
            INTERVALS[frequency],
        )
    if made is None:
        raise MonitorExists("You have a watchlist of this name already.")
    return made


def find(resources: Resources, tenant_id: UUID, monitor_id: UUID) -> Monitor:
    """Return the tenant's monitor, or raise MonitorNotFound."""
    with resources.db.transaction() as tx:
        found = store.find_monitor(tx, tenant_id, monitor_id)
    if found is None:
        raise MonitorNotFound("There is no such watchlist.")
    return found


def show(resources: Resources, monitor: Monitor) -> Shown:
    with resources.db.transaction() as tx:
        return Shown(
            monitor, store.count_subjects(tx, monitor.id), store.count_hits(tx, monitor.id)
        )


def list_page(
    resources: Resources, tenant_id: UUID, *, before: store.Place | None, limit: int
) -> list[Monitor]:
    with resources.db.transaction() as tx:
        return store.list_monitors(tx, tenant_id, before=before, limit=limit)


def update(resources: Resources, monitor: Monitor, changes: Mapping[str, Any]) -> Monitor:
    """Change what is said about the monitor. Raises MonitorExists or MonitorNotFound.

    Where that changes what is searched or how, everybody is to be screened anew.
    """
    with resources.db.transaction() as tx:
        before = store.lock_monitor_soon(tx, monitor.id)
        if before is None:
            raise MonitorNotFound("There is no such watchlist.")
        after = replace(before, **changes)
        if store.is_name_taken(tx, after.tenant_id, after.name, after.id):
            raise MonitorExists("You have a watchlist of this name already.")
        made = store.update_monitor(tx, after, INTERVALS[after.check_frequency])
        if not before.searches_like(after):
            store.forget_screening(tx, monitor.id)
        return made


def delete(resources: Resources, tenant_id: UUID, monitor_id: UUID) -> None:
    """Delete the monitor, its subjects, hits and history. Raises MonitorNotFound."""
    with resources.db.transaction() as tx:
        if store.find_monitor(tx, tenant_id, monitor_id) is not None:
            store.lock_monitor_soon(tx, monitor_id)
        if not store.delete_monitor(tx, tenant_id, monitor_id):
            raise MonitorNotFound("There is no such watchlist.")


def add_subjects(
    resources: Resources, monitor: Monitor, items: Sequence[NewItem]
) -> tuple[int, int]:
    """Watch these as well; return how many are new, and how many are others than before.

    A subject without a name of its own is given one. Raises InvalidParameter beyond MOST_SUBJECTS.
    """
    # In one order: two callers who add the same subjects must not wait for each other.
    rows = sorted((item.ref or f"sub_{uuid4().hex}", _stored(item.payload)) for item in items)
    with resources.db.transaction() as tx:
        if store.lock_monitor_soon(tx, monitor.id) is None:
            raise MonitorNotFound("There is no such watchlist.")
        added, changed = store.put_subjects(tx, monitor.id, rows)
        if added and store.count_subjects(tx, monitor.id) > MOST_SUBJECTS:
            raise InvalidParameter(
                f"A watchlist holds at most {MOST_SUBJECTS:,} subjects; make a second one."
            )
    return added, changed


def _stored(payload: bytes) -> str:
    """Only who it is: which lists are searched, and how, the monitor says."""
    return json.dumps({"subject": json.loads(payload)["subject"]}, ensure_ascii=False)


def remove_subjects(resources: Resources, monitor: Monitor, entity_ids: Collection[str]) -> int:
    """Watch these no longer; return how many there were."""
    with resources.db.transaction() as tx:
        # A check that is being written counts its subjects before it copies them.
        store.lock_monitor_soon(tx, monitor.id)
        return store.remove_subjects(tx, monitor.id, entity_ids)


def remove_subject(resources: Resources, monitor: Monitor, entity_id: str) -> None:
    """Watch this one no longer. Raises SubjectNotFound."""
    if not remove_subjects(resources, monitor, [entity_id]):
        raise SubjectNotFound("This watchlist has no such subject.")


def find_subject(resources: Resources, monitor: Monitor, entity_id: str) -> Watched:
    """Return the subject, or raise SubjectNotFound."""
    with resources.db.transaction() as tx:
        found = store.find_subject(tx, monitor.id, entity_id)
    if found is None:
        raise SubjectNotFound("This watchlist has no such subject.")
    return found


def list_subjects(
    resources: Resources, monitor: Monitor, *, after: str | None, limit: int
) -> list[Watched]:
    with resources.db.transaction() as tx:
        return store.list_subjects(tx, monitor.id, after=after, limit=limit)


def list_hits(resources: Resources, monitor: Monitor, **wanted: Any) -> list[Hit]:
    with resources.db.transaction() as tx:
        return store.list_hits(tx, monitor.id, **wanted)


def list_changes(
    resources: Resources,
    monitor: Monitor,
    *,
    check_id: UUID | None,
    change: str | None,
    alerts: bool,
    before: tuple[datetime, UUID, int] | None,
    limit: int,
) -> list[Mapping[str, Any]]:
    with resources.db.transaction() as tx:
        return store.list_changes(
            tx,
            monitor.id,
            check_id=check_id,
            change=change,
            alerts=alerts,
            before=before,
            limit=limit,
        )


def list_checks(
    resources: Resources, monitor: Monitor, *, before: store.Place | None, limit: int
) -> list[Check]:
    with resources.db.transaction() as tx:
        return store.list_checks(tx, monitor.id, before=before, limit=limit)


def find_check(resources: Resources, monitor: Monitor, check_id: UUID) -> Check:
    """Return the check as it is at this moment: closed, if its job has ended and it is small."""
    with resources.db.transaction() as tx:
        found = store.find_check(tx, monitor.id, check_id)
    if found is not None and found.state == CheckState.RUNNING:
        # The clock sees to those that are large, and to one that somebody is at.
        with suppress(MonitorBusy):
            found = checks.settle(resources, monitor.tenant_id, check_id, most=checks.AT_ONCE)
    if found is None:
        raise CheckNotFound("This watchlist has no such check.")
    return found


#: Seconds between two looks for the end of a check that a caller waits for.
_FIRST_LOOK, _LONGEST_LOOK = 0.02, 0.2


def check_now(resources: Resources, monitor: Monitor, by: str, *, seconds: float) -> Check:
    """Check all subjects, and wait so long for a small check to end. Raises CheckRunning."""
    check, job = checks.begin(resources, monitor, Cause.MANUAL, by=by)
    if job is None or not job.is_interactive:
        return check
    deadline = time.monotonic() + seconds
    pause = _FIRST_LOOK
    while check.state == CheckState.RUNNING and time.monotonic() < deadline:
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_LOOK)
        check = find_check(resources, monitor, check.id)
    return check
