"""Stopping jobs whose data is to be deleted, and waiting until no worker has them in hand."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from uuid import UUID

from app.errors import Conflict, IllegalTransition, JobNotFound
from app.jobs import service
from app.jobs import store as jobs
from app.jobs.model import Job
from app.jobs.states import DRAINING, Event
from app.protection import store
from app.resources import Resources

_LIMIT = 200
_LOOK = 0.2


def cancel(
    resources: Resources, tenant_id: UUID, ids: Collection[UUID] | None, *, seconds: float
) -> None:
    """Cancel the tenant's jobs, these or all, and wait for their ends.

    Raises Conflict if a worker still has some in hand after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while True:
        with resources.db.transaction() as tx:
            living = store.list_living(tx, tenant_id, ids=ids, limit=_LIMIT)
        if not living:
            return
        for job in living:
            with suppress(IllegalTransition, JobNotFound):
                service.cancel(resources, tenant_id, job.dialect, job.external_id)
            _drain(resources, job)
        if time.monotonic() > deadline:
            raise busy(len(living))
        time.sleep(_LOOK)


def _drain(resources: Resources, job: Job) -> None:
    """Do what the sweep does, which may not be running."""
    with suppress(JobNotFound), resources.db.transaction() as tx:
        now = jobs.lock_job(tx, job.id)
        if now.state in DRAINING and not jobs.live_claims(tx, now):
            jobs.advance(tx, now.id, Event.DRAINED)


def busy(number: int) -> Conflict:
    return Conflict(
        f"{number} jobs are still in the hands of a worker. Nothing is lost: run it again, and it"
        " goes on."
    )
