"""How long jobs are kept after their end, by kind, and by tenant where one wants another time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from app.jobs.model import Job
from app.settings import Settings, parse_retention

#: A batch of faces is readable so long after it ended, and not an hour longer.
FACES_SECONDS = 7 * 86_400.0

#: Whoever asks for a job whose time is over is told so for this long; then it never was.
REMEMBERED_SECONDS = 30 * 86_400.0

_DEFAULT = "kyc=5y documents=30d"

#: Seconds by kind; None, and a kind that is not there: for ever.
Periods = Mapping[str, float | None]


def defaults(settings: Settings) -> Periods:
    """Return how long the jobs of a tenant are kept that has said nothing about it."""
    return {
        **parse_retention(_DEFAULT),
        **parse_retention(settings.retention),
        "faces": FACES_SECONDS,
    }


def expires_at(job: Job, periods: Periods) -> datetime | None:
    """Return from when on the job may be deleted; None while it has not ended, or if never."""
    seconds = periods.get(job.kind)
    if job.finished_at is None or seconds is None:
        return None
    return job.finished_at + timedelta(seconds=seconds)
