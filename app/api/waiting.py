"""Waiting for a job of one item, ahead of all batches: for calls that answer with the result."""

from __future__ import annotations

from typing import Any

from app.api.context import resources
from app.errors import IllegalTransition, TimedOut
from app.jobs import service
from app.jobs.model import Job


def finished(job: Job) -> dict[str, Any]:
    """Return the one result's row, or cancel the job and raise TimedOut.

    Raises JobError if the job failed as a whole.
    """
    # Without Redis no worker will hear of it in time, and waiting would hold up other callers.
    patience = 0.0 if resources().progress.is_away else resources().settings.sync_seconds
    row = service.wait_for_item(resources(), job, seconds=patience)
    if row is None:
        try:
            service.cancel(resources(), job.tenant_id, job.dialect, job.external_id)
        except IllegalTransition:
            # It ended in this very moment.
            row = service.wait_for_item(resources(), job, seconds=0)
    if row is None:
        raise TimedOut("It was not done in time, and was cancelled. Try again in a moment.")
    return row
