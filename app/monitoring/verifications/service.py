"""What callers may ask about the monitoring of a verification."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

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
from app.verifications.model import Actor

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
    with resources.db.transaction() as tx:
        whose = verifications.find_id(tx, tenant_id, trace)
        # One more than is shown: what the last one is compared with, and whether there is more.
        runs = store.list_completed(tx, whose, before=before, limit=limit + 1)
        found = [
            verifications.list_screenings(tx, whose, job_id=run["job_id"], limit=_SUBJECTS)
            for run in runs
        ]
        earlier: list[Earlier] = []
        for now, last, run in zip(found, found[1:], runs[1:], strict=False):
            keys = unanswered(last, now)
            place = (run["requested_at"], run["job_id"])
            earlier.append(store.last_answers(tx, whose, place, keys) if keys else {})
    pages = []
    for at, run in enumerate(runs[:limit]):
        previous = found[at + 1] if at + 1 < len(runs) else []
        pages.append(
            RunChanges(
                run["run_id"],
                runs[at + 1]["run_id"] if at + 1 < len(runs) else None,
                run["source_action"],
                found[at][0].screened_at if found[at] else run["requested_at"],
                list(compare(previous, found[at], earlier[at] if previous else None)),
            )
        )
    more = len(runs) > limit
    return pages, (runs[limit - 1]["requested_at"], runs[limit - 1]["job_id"]) if more else None
