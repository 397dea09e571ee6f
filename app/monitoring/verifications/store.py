"""Monitoring of verifications in Postgres. Every function runs in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.db import Cursor, load_queries, one
from app.monitoring.model import INTERVALS, longest_pause
from app.monitoring.verifications.model import (
    AGAIN_SECONDS,
    Asked,
    Due,
    Earlier,
    Monitoring,
    Outdated,
)
from app.screening.model import ENGINE_VERSION

QUERIES = load_queries("app.monitoring.verifications")


def set_monitoring(
    tx: Cursor, verification_id: UUID, frequency: str, interval: timedelta | None
) -> Monitoring:
    """Write how often; one that nobody has screened yet is due at once."""
    tx.execute(
        QUERIES["set_monitoring"],
        {"verification_id": verification_id, "frequency": frequency, "interval": interval},
    )
    return _read(one(tx))


def watch(tx: Cursor, verification_id: UUID) -> None:
    """Number everybody who is screened with the verification; who has a number keeps it."""
    tx.execute(QUERIES["watch"], {"verification_id": verification_id})


def find_monitoring(tx: Cursor, verification_id: UUID) -> Monitoring | None:
    tx.execute(QUERIES["find_monitoring"], {"verification_id": verification_id})
    row = tx.fetchone()
    return None if row is None else _read(row)


def stop_monitoring(tx: Cursor, verification_id: UUID) -> None:
    tx.execute(QUERIES["stop_monitoring"], {"verification_id": verification_id})


def list_due(tx: Cursor, *, limit: int) -> list[Due]:
    """Return verifications whose time has come, and that are not being screened."""
    given = {"limit": limit, "again": AGAIN_SECONDS, "engine": int(ENGINE_VERSION)}
    tx.execute(QUERIES["list_due"], given)
    return [_due(row) for row in tx.fetchall()]


def lock_verification(tx: Cursor, verification_id: UUID) -> None:
    """Let others that would dispatch a run of it wait until the transaction ends."""
    tx.execute(QUERIES["lock_verification"], {"verification_id": verification_id})


def is_as_found(tx: Cursor, due: Due) -> bool:
    """Say whether no run has been written since. It takes `lock_verification` to rely on it."""
    given = {"verification_id": due.verification_id, "last_run_id": due.last_run_id}
    tx.execute(QUERIES["is_as_found"], given)
    return bool(one(tx)["is_as_found"])


def note_dispatched(tx: Cursor, verification_id: UUID) -> None:
    """Note that a run is on its way; if nothing comes of it, another one is due after a pause.

    The pause is AGAIN_SECONDS, and twice as long each time, until a run comes to something.
    """
    tx.execute(QUERIES["note_dispatched"], {"verification_id": verification_id, **_pauses()})


def sync(tx: Cursor, *, limit: int) -> int:
    """Take down what completed runs have searched, and when the next one is due.

    Return of how many verifications.
    """
    intervals = {
        frequency: each and f"{each.total_seconds()} seconds"
        for frequency, each in INTERVALS.items()
    }
    given = {
        "limit": limit,
        "intervals": json.dumps(intervals),
        "engine": int(ENGINE_VERSION),
        **_pauses(),
    }
    tx.execute(QUERIES["sync"], given)
    return int(tx.rowcount)


def list_outdated(tx: Cursor, list_name: str | None = None) -> list[Outdated]:
    """Return verifications that wait for changes of lists and have not heard of one."""
    tx.execute(QUERIES["list_outdated"], {"list_name": list_name})
    return [
        Outdated(_due(row), row["list_name"], row["version_id"], row["known_id"])
        for row in tx.fetchall()
    ]


def list_withdrawn(tx: Cursor, *, limit: int) -> list[tuple[Due, str]]:
    """Return verifications that know a list which is not in force any more, and that list."""
    tx.execute(QUERIES["list_withdrawn"], {"limit": limit})
    return [(_due(row), row["list_name"]) for row in tx.fetchall()]


def forget_list(tx: Cursor, verification_id: UUID, list_name: str) -> None:
    given = {"verification_id": verification_id, "list_name": list_name}
    tx.execute(QUERIES["forget_list"], given)


def numbers(tx: Cursor) -> Iterator[int]:
    """Yield the numbers of all subjects whose verifications wait for changes of lists."""
    with tx.connection.cursor("verified_numbers") as rows:
        rows.itersize = 50_000
        rows.execute(QUERIES["numbers"])
        for (number,) in rows:
            yield number


def watched(tx: Cursor, numbers: Collection[int] | None = None) -> Iterator[tuple[int, str]]:
    """Yield number and entity, as JSON text, of all of them or of these."""
    with tx.connection.cursor("verified") as rows:
        rows.itersize = 5_000
        given = None if numbers is None else list(numbers)
        rows.execute(QUERIES["watched"], {"numbers": given})
        yield from rows


def whose_numbers(
    tx: Cursor, numbers: Collection[int], verification_ids: Collection[UUID]
) -> set[UUID]:
    """Return those of the verifications that one of the numbers stands in."""
    tx.execute(
        QUERIES["whose_numbers"],
        {"numbers": list(numbers), "verification_ids": list(verification_ids)},
    )
    return {row["verification_id"] for row in tx.fetchall()}


def holders(
    tx: Cursor,
    list_name: str,
    entry_ids: Collection[str] | None,
    verification_ids: Collection[UUID],
) -> set[UUID]:
    """Return those of the verifications with a hit on these entries, or on any of the list."""
    tx.execute(
        QUERIES["holders"],
        {
            "list_name": list_name,
            "entry_ids": None if entry_ids is None else list(entry_ids),
            "verification_ids": list(verification_ids),
        },
    )
    return {row["verification_id"] for row in tx.fetchall()}


def set_list(
    tx: Cursor, list_name: str, version_id: int, verification_ids: Collection[UUID]
) -> None:
    """Note that the verifications know this version."""
    tx.execute(
        QUERIES["set_list"],
        {
            "list_name": list_name,
            "version_id": version_id,
            "verification_ids": list(verification_ids),
        },
    )


def retry_later(tx: Cursor, verification_id: UUID) -> None:
    """Note that a run is on its way for a list; if nothing comes of it, likewise."""
    tx.execute(QUERIES["retry_later"], {"verification_id": verification_id, **_pauses()})


def _pauses() -> dict[str, Any]:
    longest = {name: f"{longest_pause(name).total_seconds()} seconds" for name in INTERVALS}
    return {"seconds": AGAIN_SECONDS, "longest": json.dumps(longest)}


def list_completed(
    tx: Cursor, verification_id: UUID, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Mapping[str, Any]]:
    """Return job_id, run_id, source_action and requested_at of runs that completed."""
    tx.execute(
        QUERIES["list_completed"],
        {
            "verification_id": verification_id,
            "before_at": before and before[0],
            "before_id": before and before[1],
            "limit": limit,
        },
    )
    return list(tx.fetchall())


def last_answers(
    tx: Cursor, verification_id: UUID, before: tuple[datetime, UUID], keys: Collection[Asked]
) -> Earlier:
    """Return what each source had found of each subject in the last run before, if not failed."""
    rows = [{"stakeholder_id": stakeholder, "source": source} for stakeholder, source in keys]
    tx.execute(
        QUERIES["last_answers"],
        {
            "verification_id": verification_id,
            "before_at": before[0],
            "before_id": before[1],
            "keys": json.dumps(rows),
        },
    )
    return {(row["stakeholder_id"], row["source"]): row["matched_sources"] for row in tx.fetchall()}


def _due(row: Mapping[str, Any]) -> Due:
    return Due(row["verification_id"], row["tenant_id"], row["trace"], row["last_run_id"])


def _read(row: Mapping[str, Any]) -> Monitoring:
    return Monitoring(**{each.name: row[each.name] for each in fields(Monitoring)})
