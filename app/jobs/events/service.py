"""What callers may ask of a job's events. Each function is one use case and one transaction."""

from __future__ import annotations

from app.jobs.events import reading
from app.jobs.events.model import EventType, JobEvent
from app.jobs.model import Job
from app.resources import Resources


def page(
    resources: Resources, job: Job, *, after: int, limit: int, types: frozenset[EventType]
) -> list[JobEvent]:
    """Return the job's events behind `after`, at most `limit` of them."""
    with resources.db.transaction() as tx:
        return reading.read(tx, job, after=after, limit=limit, types=types)
