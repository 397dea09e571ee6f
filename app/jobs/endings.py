"""How a job completes: for some kinds there is something to write before it has."""

from __future__ import annotations

from collections.abc import Callable

from app.db import Cursor
from app.jobs import store
from app.jobs.model import Job
from app.jobs.states import Event, JobState, moves

#: Writes what a kind's completed job leaves behind, in the transaction that completes it, or
#: returns the code and message of why the job as a whole has failed.
Conclude = Callable[[Cursor, Job], tuple[str, str] | None]

#: By kind; app/kinds/__init__.py puts them in.
CONCLUSIONS: dict[str, Conclude] = {}


def complete(tx: Cursor, job: Job) -> Job:
    """End a job that has a result for every item, and whose row is locked.

    Of one that is being cancelled nothing is left behind.
    """
    if job.state not in moves(Event.ALL_DONE):
        # It has ended before, or stands still.
        return job
    conclude = CONCLUSIONS.get(job.kind)
    if conclude is None or job.state is JobState.CANCELLING:
        return store.advance(tx, job.id, Event.ALL_DONE) or job
    error = conclude(tx, job)
    event = Event.ALL_DONE if error is None else Event.FATAL
    return store.advance(tx, job.id, event, error=error) or job
