"""What callers may ask about the monitoring of a verification."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Cursor
from app.monitoring.model import INTERVALS
from app.monitoring.verifications import store
from app.monitoring.verifications.model import (
    OFF,
    Earlier,
    Monitoring,
    RunChanges,
    compare,
    unanswered,
)
from app.resources import Resources
from app.verifications import store as verifications
from app.verifications.model import Actor, Screening

#: Subjects of one run at the most, which is more than any verification has.
_SUBJECTS = 10_000


def show(resources: Resources, tenant_id: UUID, trace: str) -> Monitoring | None:
    """Return how often the verification is screened by itself; None: never."""
    with resources.db.transaction() as tx:
        return store.find_monitoring(tx, verifications.find_id(tx, tenant_id, trace))


def change(
    resources: Resources, tenant_id: UUID, trace: str, frequency: str, by: Actor
) -> Monitoring | None:
    """Have it screened so often from now on, or with OFF never. Raises VerificationNotFound."""
    with resources.db.transaction() as tx:
        whose = verifications.find_id(tx, tenant_id, trace)
        made = None
        if frequency == OFF:
            store.stop_monitoring(tx, whose)
        else:
            made = store.set_monitoring(tx, whose, frequency, INTERVALS[frequency])
            store.watch(tx, whose)
        verifications.add_audit(
            tx, whose, "monitoring.changed", by, detail={"frequency": frequency}
        )
    return made


def list_changes(
    resources: Resources,
    tenant_id: UUID,
    trace: str,
    *,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> tuple[list[RunChanges], tuple[datetime, UUID] | None]:
    """Return what completed runs found to be other than before, and where the next page begins.

    One run for each line, the newest first, whether or not anything changed.
    """
    pages = []
    with resources.db.transaction() as tx:
        whose = verifications.find_id(tx, tenant_id, trace)
        # One more than is shown: what the last one is compared with, and whether there is more.
        runs = store.list_completed(tx, whose, before=before, limit=limit + 1)
        # Two at a time: the hits of a hundred runs of a thousand subjects are more than memory has.
        now = _found(tx, whose, runs[0]) if runs else []
        for at, run in enumerate(runs[:limit]):
            last = runs[at + 1] if at + 1 < len(runs) else None
            previous = [] if last is None else _found(tx, whose, last)
            earlier: Earlier | None = None
            if last is not None and (keys := unanswered(previous, now)):
                place = (last["requested_at"], last["job_id"])
                earlier = store.last_answers(tx, whose, place, keys)
            pages.append(
                RunChanges(
                    run["run_id"],
                    None if last is None else last["run_id"],
                    run["source_action"],
                    now[0].screened_at if now else run["requested_at"],
                    list(compare(previous, now, earlier)),
                )
            )
            now = previous
    more = len(runs) > limit
    return pages, (runs[limit - 1]["requested_at"], runs[limit - 1]["job_id"]) if more else None


def _found(tx: Cursor, whose: UUID, run: Mapping[str, Any]) -> list[Screening]:
    return verifications.list_screenings(tx, whose, job_id=run["job_id"], limit=_SUBJECTS)
