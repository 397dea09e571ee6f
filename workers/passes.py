"""The end of a pass: what chord body and errback do, and the sweep in their place."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from app import logs
from app.db import Cursor
from app.jobs import service, store
from app.jobs.model import Job
from app.jobs.states import CLAIMABLE, Event
from app.resources import Resources
from workers.chunk import end_if_over

log = logging.getLogger(__name__)

#: Passes in a row that workers ran to the end without getting anything done, after which the job
#: fails: a bug in a kind must not keep a fleet busy for ever.
IDLE_PASSES = 5


def finish(resources: Resources, job_id: UUID, pass_no: int) -> None:
    """End the job, or begin the next pass. A stale pass may end a job but never begins a pass."""
    with logs.bind(job_id=str(job_id), pass_no=pass_no):
        with resources.db.transaction() as tx:
            job = end_if_over(tx, store.lock_job(tx, job_id))
            chunks: Sequence[int] = ()
            if (
                job.state in CLAIMABLE
                and job.pass_no == pass_no
                # Somebody is still at it: its end, or the sweep, sees to the rest.
                and not store.live_claims(tx, job)
            ):
                job, chunks = next_pass(tx, job, worked=True)
        if chunks:
            service.launch(resources, job, chunks)
        elif job.state.is_final:
            log.info("job.finished", extra={"state": job.state})
            resources.progress.show(job)


def next_pass(tx: Cursor, job: Job, *, worked: bool) -> tuple[Job, Sequence[int]]:
    """Begin a pass over the outstanding chunks, or fail a job that gets nowhere."""
    if job.idle_passes >= IDLE_PASSES:
        message = f"{IDLE_PASSES} passes in a row ended without a result."
        log.error("job.stuck", extra={"idle_passes": job.idle_passes})
        return store.advance(tx, job.id, Event.FATAL, error=("internal_error", message)) or job, ()
    chunks = store.outstanding_chunks(tx, job)
    return store.begin_pass(tx, job, worked=worked), chunks
