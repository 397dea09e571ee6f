"""Monitors in Postgres. Every function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg2.errors import LockNotAvailable
from psycopg2.extras import Json, execute_values

from app.db import Cursor, load_queries, one
from app.errors import MonitorBusy
from app.jobs.model import Job
from app.monitoring.model import Cause, Check, Hit, Monitor, Watched

QUERIES = load_queries("app.monitoring")

#: A caller waits no longer for a monitor that somebody else has locked: a thread and a connection
#: of the web wait with him.
LOCK_SECONDS = 1.0
#: Rows of one statement.
_PAGE = 500


class Outdated(NamedTuple):
    """A monitor, a list, its version in force, and the version that the monitor knows, if any."""

    monitor: Monitor
    list_name: str
    version_id: int
    known_id: int | None


class Change(NamedTuple):
    """What a check found to be other than before: `new`, `gone` or `changed`."""

    entity_id: str
    list_name: str
    entry_id: str
    change: str
    is_alert: bool
    score: float | None
    score_before: float | None
    detail: Mapping[str, Any]


#: A new or changed hit, as it is written: whose, on which list and entry, and what is known of it.
NewHit = tuple[str, str, str, str, float, str, Mapping[str, Any]]
Place = tuple[datetime, UUID]


def _before(place: Place | None) -> dict[str, Any]:
    return {"before_at": place and place[0], "before_id": place and place[1]}


def insert_monitor(
    tx: Cursor, values: Mapping[str, Any], interval: timedelta | None
) -> Monitor | None:
    """Write a monitor; return None if the tenant has one of that name."""
    tx.execute(QUERIES["insert_monitor"], {**values, "interval": interval})
    row = tx.fetchone()
    return None if row is None else Monitor.from_row(row)


def find_monitor(tx: Cursor, tenant_id: UUID, monitor_id: UUID) -> Monitor | None:
    tx.execute(QUERIES["find_monitor"], {"tenant_id": tenant_id, "id": monitor_id})
    row = tx.fetchone()
    return None if row is None else Monitor.from_row(row)


def lock_monitor(tx: Cursor, monitor_id: UUID) -> Monitor | None:
    """Return the monitor as it is now, which nobody else changes until the transaction ends."""
    tx.execute(QUERIES["lock_monitor"], {"id": monitor_id})
    row = tx.fetchone()
    return None if row is None else Monitor.from_row(row)


def lock_monitor_soon(tx: Cursor, monitor_id: UUID) -> Monitor | None:
    """Do the same, for who must not wait long. Raises MonitorBusy if somebody else has it locked.

    Closing a large check holds it for minutes.
    """
    given = {"id": monitor_id, "milliseconds": round(1000 * LOCK_SECONDS)}
    try:
        tx.execute(QUERIES["lock_monitor_soon"], given)
    except LockNotAvailable as error:
        raise MonitorBusy(
            "What a check of this watchlist found is being written. Try again in a moment."
        ) from error
    row = tx.fetchone()
    return None if row is None else Monitor.from_row(row)


def list_monitors(
    tx: Cursor, tenant_id: UUID, *, before: Place | None, limit: int
) -> list[Monitor]:
    tx.execute(
        QUERIES["list_monitors"], {"tenant_id": tenant_id, **_before(before), "limit": limit}
    )
    return [Monitor.from_row(row) for row in tx.fetchall()]


def is_name_taken(tx: Cursor, tenant_id: UUID, name: str, monitor_id: UUID) -> bool:
    """Say whether another monitor of the tenant is called so."""
    tx.execute(QUERIES["is_name_taken"], {"tenant_id": tenant_id, "name": name, "id": monitor_id})
    return bool(one(tx)["taken"])


def update_monitor(tx: Cursor, monitor: Monitor, interval: timedelta | None) -> Monitor:
    """Write what is said about the monitor."""
    values = {**asdict(monitor), "lists": monitor.lists and list(monitor.lists)}
    tx.execute(QUERIES["update_monitor"], {**values, "interval": interval})
    return Monitor.from_row(one(tx))


def delete_monitor(tx: Cursor, tenant_id: UUID, monitor_id: UUID) -> bool:
    """Delete the monitor with all it holds; say whether there was one."""
    tx.execute(QUERIES["delete_monitor"], {"tenant_id": tenant_id, "id": monitor_id})
    return tx.rowcount > 0


def count_subjects(tx: Cursor, monitor_id: UUID) -> int:
    tx.execute(QUERIES["count_subjects"], {"monitor_id": monitor_id})
    return int(one(tx)["subjects"])


def count_hits(tx: Cursor, monitor_id: UUID, lists: Sequence[str] | None = None) -> int:
    """Return how many hits its subjects have, on these lists or on all."""
    tx.execute(QUERIES["count_hits"], {"monitor_id": monitor_id, "lists": lists and list(lists)})
    return int(one(tx)["hits"])


def has_more_hits(tx: Cursor, monitor_id: UUID, lists: Sequence[str] | None, most: int) -> bool:
    """Say whether its subjects have more than so many hits, on these lists or on all."""
    tx.execute(
        QUERIES["has_more_hits"],
        {"monitor_id": monitor_id, "lists": lists and list(lists), "most": most},
    )
    return tx.fetchone() is not None


def put_subjects(
    tx: Cursor, monitor_id: UUID, subjects: Sequence[tuple[str, str]]
) -> tuple[int, int]:
    """Write subjects, as (what the tenant calls it, the entity as JSON text).

    Return how many are new, and how many are others than before.
    """
    rows = execute_values(
        tx,
        QUERIES["put_subjects"],
        [(monitor_id, *each) for each in subjects],
        page_size=_PAGE,
        fetch=True,
    )
    new = sum(row["is_new"] for row in rows)
    return new, len(rows) - new


def list_subjects(tx: Cursor, monitor_id: UUID, *, after: str | None, limit: int) -> list[Watched]:
    tx.execute(QUERIES["list_subjects"], {"monitor_id": monitor_id, "after": after, "limit": limit})
    return [Watched.from_row(row) for row in tx.fetchall()]


def find_subject(tx: Cursor, monitor_id: UUID, entity_id: str) -> Watched | None:
    tx.execute(QUERIES["find_subject"], {"monitor_id": monitor_id, "entity_id": entity_id})
    row = tx.fetchone()
    return None if row is None else Watched.from_row(row)


def remove_subjects(tx: Cursor, monitor_id: UUID, entity_ids: Collection[str]) -> int:
    """Delete subjects, and the hits on them; return how many there were."""
    given = {"monitor_id": monitor_id, "entity_ids": list(entity_ids)}
    tx.execute(QUERIES["remove_subjects"], given)
    return int(tx.rowcount)


def forget_screening(tx: Cursor, monitor_id: UUID) -> None:
    tx.execute(QUERIES["forget_screening"], {"monitor_id": monitor_id})


class Wanted(NamedTuple):
    """Subjects of a monitor: all, these, those that nobody has screened, or of them the latest."""

    monitor_id: UUID
    entity_ids: Collection[str] | None = None
    unscreened: bool = False
    added_after: datetime | None = None

    def parameters(self) -> dict[str, Any]:
        names = None if self.entity_ids is None else list(self.entity_ids)
        return {**self._asdict(), "entity_ids": names}


def count_wanted(tx: Cursor, wanted: Wanted) -> int:
    """Return how many subjects are wanted."""
    tx.execute(QUERIES["count_wanted"], wanted.parameters())
    return int(one(tx)["subjects"])


def fill_job(tx: Cursor, wanted: Wanted, job: Job) -> int:
    """Write the wanted subjects as the job's items; return how many there were."""
    tx.execute(
        QUERIES["fill_job"],
        {**wanted.parameters(), "kind": job.kind, "month": job.month, "job_id": job.id},
    )
    return int(tx.rowcount)


def last_number(tx: Cursor, monitor_id: UUID) -> int:
    tx.execute(QUERIES["last_number"], {"monitor_id": monitor_id})
    return int(one(tx)["number"])


def mark_screened(tx: Cursor, check: Check, entity_ids: Collection[str]) -> None:
    """Note that the subjects were screened, save for those that have changed since."""
    tx.execute(
        QUERIES["mark_screened"],
        {
            "monitor_id": check.monitor_id,
            "entity_ids": list(entity_ids),
            "last_number": check.last_number,
            "at": check.created_at,
        },
    )


def mark_unscreened(tx: Cursor, check: Check, entity_ids: Collection[str]) -> None:
    """Note that the check failed to screen them: a later one has to."""
    if entity_ids:
        tx.execute(
            QUERIES["mark_unscreened"],
            {
                "monitor_id": check.monitor_id,
                "entity_ids": list(entity_ids),
                "last_number": check.last_number,
            },
        )


def numbers_of(tx: Cursor, monitor_id: UUID, entity_ids: Collection[str]) -> dict[str, int]:
    """Return the numbers of those of the subjects that are still watched."""
    given = {"monitor_id": monitor_id, "entity_ids": list(entity_ids)}
    tx.execute(QUERIES["numbers_of"], given)
    return {row["entity_id"]: row["number"] for row in tx.fetchall()}


def insert_check(tx: Cursor, values: Mapping[str, Any]) -> Check | None:
    """Begin a check; return None if one of the same monitor is under way."""
    tx.execute(QUERIES["insert_check"], values)
    row = tx.fetchone()
    return None if row is None else Check.from_row(row)


def find_check(tx: Cursor, monitor_id: UUID, check_id: UUID) -> Check | None:
    tx.execute(QUERIES["find_check"], {"monitor_id": monitor_id, "id": check_id})
    row = tx.fetchone()
    return None if row is None else Check.from_row(row)


def load_check(tx: Cursor, check_id: UUID) -> Check | None:
    tx.execute(QUERIES["load_check"], {"id": check_id})
    row = tx.fetchone()
    return None if row is None else Check.from_row(row)


def owner_of(tx: Cursor, check_id: UUID) -> UUID | None:
    """Return the monitor whose check it is."""
    tx.execute(QUERIES["owner_of"], {"id": check_id})
    row = tx.fetchone()
    return None if row is None else row["monitor_id"]


def lock_check(tx: Cursor, check_id: UUID) -> Check | None:
    tx.execute(QUERIES["lock_check"], {"id": check_id})
    row = tx.fetchone()
    return None if row is None else Check.from_row(row)


def running_check(tx: Cursor, monitor_id: UUID) -> Check | None:
    tx.execute(QUERIES["running_check"], {"monitor_id": monitor_id})
    row = tx.fetchone()
    return None if row is None else Check.from_row(row)


def list_checks(tx: Cursor, monitor_id: UUID, *, before: Place | None, limit: int) -> list[Check]:
    """Return one page of the monitor's checks, the newest first."""
    tx.execute(
        QUERIES["list_checks"], {"monitor_id": monitor_id, **_before(before), "limit": limit}
    )
    return [Check.from_row(row) for row in tx.fetchall()]


def list_ended(tx: Cursor, dialect: str, *, limit: int) -> list[Mapping[str, Any]]:
    """Return id and tenant_id of checks that are to be closed."""
    tx.execute(QUERIES["list_ended"], {"dialect": dialect, "limit": limit})
    return list(tx.fetchall())


def claim_check(tx: Cursor, check_id: UUID, seconds: float) -> bool:
    """Say whether the caller may close the check: nobody else does for so many seconds."""
    tx.execute(QUERIES["claim_check"], {"id": check_id, "seconds": seconds})
    return tx.fetchone() is not None


def hold_check(tx: Cursor, check_id: UUID, seconds: float) -> None:
    """Claim the check for the moment until it is locked: a worker that dies is soon replaced."""
    tx.execute(QUERIES["hold_check"], {"id": check_id, "seconds": seconds})


def release_check(tx: Cursor, check_id: UUID) -> None:
    tx.execute(QUERIES["release_check"], {"id": check_id})


def finish_check(tx: Cursor, check_id: UUID, **found: Any) -> Check:
    """Write what the check found, and close it."""
    for name in ("by_list", "list_versions"):
        found[name] = Json(found[name])
    tx.execute(QUERIES["finish_check"], {"id": check_id, **found})
    return Check.from_row(one(tx))


def fail_check(tx: Cursor, check_id: UUID, code: str, message: str) -> Check | None:
    tx.execute(QUERIES["fail_check"], {"id": check_id, "code": code, "message": message})
    row = tx.fetchone()
    return None if row is None else Check.from_row(row)


def note_checked(tx: Cursor, monitor_id: UUID, interval: timedelta | None, engine: int) -> None:
    """Note that everybody has been screened; the next time is due after the interval."""
    given = {"id": monitor_id, "interval": interval, "engine": engine}
    tx.execute(QUERIES["note_checked"], given)


def note_vain(
    tx: Cursor, check: Check, seconds: float, longest: timedelta, *, everybody: bool
) -> None:
    """Note that a check failed for somebody, who waits so many seconds, and longer each time.

    With `everybody` the clock checks all of them then.
    """
    tx.execute(
        QUERIES["note_vain"],
        {
            "id": check.monitor_id,
            "since": check.created_at,
            "seconds": seconds,
            "longest": longest,
            "everybody": everybody,
        },
    )


def note_good(tx: Cursor, monitor_id: UUID) -> None:
    """Note that a check failed for nobody: if none is left of earlier ones, they are forgotten."""
    tx.execute(QUERIES["note_good"], {"id": monitor_id})


def load_hits(
    tx: Cursor, monitor_id: UUID, entity_ids: Collection[str], lists: Sequence[str] | None
) -> list[Hit]:
    """Return the hits on these subjects, on these lists or on all."""
    tx.execute(
        QUERIES["load_hits"],
        {
            "monitor_id": monitor_id,
            "entity_ids": list(entity_ids),
            "lists": None if lists is None else list(lists),
        },
    )
    return [Hit.from_row(row) for row in tx.fetchall()]


def list_hits(
    tx: Cursor,
    monitor_id: UUID,
    *,
    entity_id: str | None,
    list_name: str | None,
    after: Sequence[str] | None,
    limit: int,
) -> list[Hit]:
    """Return one page of hits, by subject, list and entry."""
    tx.execute(
        QUERIES["list_hits"],
        {
            "monitor_id": monitor_id,
            "entity_id": entity_id,
            "list_name": list_name,
            "after": None if after is None else list(after),
            "limit": limit,
        },
    )
    return [Hit.from_row(row) for row in tx.fetchall()]


def put_hits(tx: Cursor, monitor_id: UUID, hits: Sequence[NewHit]) -> None:
    if hits:
        rows = [(monitor_id, *hit[:-1], Json(hit[-1])) for hit in hits]
        execute_values(tx, QUERIES["put_hits"], rows, page_size=_PAGE)


def delete_hits(tx: Cursor, hits: Sequence[Hit]) -> None:
    if hits:
        rows = [(h.monitor_id, h.entity_id, h.list_name, h.entry_id) for h in hits]
        execute_values(tx, QUERIES["delete_hits"], rows, page_size=_PAGE)


def holders(
    tx: Cursor, list_name: str, entry_ids: Collection[str], monitor_ids: Collection[UUID]
) -> set[tuple[UUID, str]]:
    """Return (monitor, subject) of all hits on these entries."""
    tx.execute(
        QUERIES["holders"],
        {
            "list_name": list_name,
            "entry_ids": list(entry_ids),
            "monitor_ids": list(monitor_ids),
        },
    )
    return {(row["monitor_id"], row["entity_id"]) for row in tx.fetchall()}


def insert_changes(
    tx: Cursor, check: Check, changes: Sequence[Change], first_position: int
) -> None:
    if changes:
        rows = [
            (check.id, position, check.monitor_id, *change[:-1], Json(change.detail))
            for position, change in enumerate(changes, first_position)
        ]
        execute_values(tx, QUERIES["insert_changes"], rows, page_size=_PAGE)


def list_changes(
    tx: Cursor,
    monitor_id: UUID,
    *,
    check_id: UUID | None,
    change: str | None,
    alerts: bool,
    before: tuple[datetime, UUID, int] | None,
    limit: int,
) -> list[Mapping[str, Any]]:
    """Return one page of changes, those of the newest check first."""
    tx.execute(
        QUERIES["list_changes"],
        {
            "monitor_id": monitor_id,
            "check_id": check_id,
            "change": change,
            "alerts": alerts,
            **_before(before and before[:2]),
            "before_position": before and before[2],
            "limit": limit,
        },
    )
    return list(tx.fetchall())


def set_lists(tx: Cursor, monitor_id: UUID, versions: Mapping[str, int]) -> None:
    """Note up to which version of each list the monitor is about to know everything."""
    if versions:
        rows = [(monitor_id, name, version) for name, version in versions.items()]
        execute_values(tx, QUERIES["set_lists"], rows)


def known_lists(tx: Cursor, monitor_id: UUID) -> dict[str, int]:
    """Return up to which version of each list the monitor knows everything."""
    tx.execute(QUERIES["known_lists"], {"monitor_id": monitor_id})
    return {row["list_name"]: row["version_id"] for row in tx.fetchall()}


def forget_lists(tx: Cursor, monitor_id: UUID, kept: Collection[str]) -> None:
    """Forget what the monitor knows of all lists but those that are kept."""
    tx.execute(QUERIES["forget_lists"], {"monitor_id": monitor_id, "kept": list(kept)})


def forget_list(tx: Cursor, monitor_id: UUID, list_name: str) -> None:
    tx.execute(QUERIES["forget_list"], {"monitor_id": monitor_id, "list_name": list_name})


def list_due(
    tx: Cursor, *, patience: float, again: float, engine: int, limit: int
) -> list[tuple[Monitor, Cause, datetime | None]]:
    """Return monitors with subjects to screen, and why.

    Subjects wait `patience` seconds, and those that were not screened by this engine so many as
    `again` after a check. Only who came after the time that is returned, if there is one: the
    others wait longer, because a check was in vain.
    """
    given = {"patience": patience, "again": again, "engine": engine, "limit": limit}
    tx.execute(QUERIES["list_due"], given)
    return [_due(row) for row in tx.fetchall()]


def _due(row: Mapping[str, Any]) -> tuple[Monitor, Cause, datetime | None]:
    monitor = Monitor.from_row(row)
    if row["by_clock"]:
        return monitor, Cause.SCHEDULED, None
    if row["is_old"]:
        return monitor, Cause.NEW_ENGINE, None
    return monitor, Cause.SUBJECTS_ADDED, row["added_after"]


class Reviewed(NamedTuple):
    """Subjects of a monitor about whom there are decisions, up to that time."""

    monitor: Monitor
    entity_ids: Sequence[str]
    upto: datetime


def list_reviewed(tx: Cursor, *, patience: float, limit: int) -> list[Reviewed]:
    """Return whom decisions concern that were made or ended, at least so many seconds ago."""
    tx.execute(QUERIES["list_reviewed"], {"patience": patience, "limit": limit})
    return [
        Reviewed(Monitor.from_row(row), row["entity_ids"] or (), row["upto"])
        for row in tx.fetchall()
    ]


def note_reviewed(tx: Cursor, monitor_id: UUID, upto: datetime) -> None:
    """Note that decisions have been looked into which were made or ended up to that time."""
    tx.execute(QUERIES["note_reviewed"], {"id": monitor_id, "upto": upto})


def list_outdated(tx: Cursor, list_name: str | None = None) -> list[Outdated]:
    """Return monitors that wait for changes and have not heard of one, by list and version."""
    tx.execute(QUERIES["list_outdated"], {"list_name": list_name})
    return [
        Outdated(Monitor.from_row(row), row["list_name"], row["version_id"], row["known_id"])
        for row in tx.fetchall()
    ]


def list_withdrawn(tx: Cursor, *, limit: int) -> list[tuple[Monitor, str]]:
    """Return monitors that know a list which is not in force any more, and that list."""
    tx.execute(QUERIES["list_withdrawn"], {"limit": limit})
    return [(Monitor.from_row(row), row["list_name"]) for row in tx.fetchall()]


def holders_on_list(
    tx: Cursor, monitor_id: UUID, list_name: str, *, after: str, limit: int
) -> list[str]:
    """Return the subjects with a hit on the list, one page of them."""
    tx.execute(
        QUERIES["holders_on_list"],
        {"monitor_id": monitor_id, "list_name": list_name, "after": after, "limit": limit},
    )
    return [row["entity_id"] for row in tx.fetchall()]


def count_holders(tx: Cursor, monitor_id: UUID, list_name: str) -> int:
    """Return how many subjects have a hit on the list."""
    tx.execute(QUERIES["count_holders"], {"monitor_id": monitor_id, "list_name": list_name})
    return int(one(tx)["holders"])


def population_numbers(tx: Cursor) -> Iterator[int]:
    """Yield the numbers of all subjects whose monitors wait for changes of lists."""
    with tx.connection.cursor("population_numbers") as rows:
        rows.itersize = 50_000
        rows.execute(QUERIES["population_numbers"])
        for (number,) in rows:
            yield number


def population(tx: Cursor, numbers: Collection[int] | None = None) -> Iterator[tuple[int, str]]:
    """Yield number and entity, as JSON text, of all of them or of these."""
    with tx.connection.cursor("population") as rows:
        rows.itersize = 5_000
        given = None if numbers is None else list(numbers)
        rows.execute(QUERIES["population"], {"numbers": given})
        yield from rows


def whose_numbers(
    tx: Cursor, numbers: Collection[int], monitor_ids: Collection[UUID]
) -> set[tuple[UUID, str]]:
    """Return (monitor, subject) of those numbers that still stand, in these monitors."""
    tx.execute(
        QUERIES["whose_numbers"], {"numbers": list(numbers), "monitor_ids": list(monitor_ids)}
    )
    return {(row["monitor_id"], row["entity_id"]) for row in tx.fetchall()}


def claim_update(tx: Cursor, list_name: str, seconds: float) -> bool:
    """Say whether it is for the caller to see to the list's update: nobody else is at it."""
    tx.execute(QUERIES["claim_update"], {"list_name": list_name, "seconds": seconds})
    return tx.fetchone() is not None


def hold_update(tx: Cursor, list_name: str, holder: UUID, seconds: float) -> bool:
    """Say whether the holder is at the list's update, for so many seconds from now."""
    tx.execute(
        QUERIES["hold_update"], {"list_name": list_name, "holder": holder, "seconds": seconds}
    )
    return tx.fetchone() is not None


def release_update(tx: Cursor, list_name: str, holder: UUID | None) -> None:
    """Let others see to the list's update, if it is the holder's; None: nobody's yet."""
    tx.execute(QUERIES["release_update"], {"list_name": list_name, "holder": holder})
