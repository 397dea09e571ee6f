"""Repairing what got lost: jobs never sent, passes without an end, workers that died.

No setting of Celery makes a chord's callback certain, and Redis may be emptied at any moment. So
every few seconds this looks at Postgres for jobs that show no sign of life, and at the queues for
whether their messages are still there. It acts on evidence, not on impatience: a job that only
waits behind others is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

from app.accounts import store as accounts
from app.documents import uploads
from app.faces import collections
from app.idempotency import store as idempotency
from app.jobs import service, store, turns
from app.jobs.dispatch import SHARED, in_flight
from app.jobs.model import Job
from app.jobs.states import CLAIMABLE, Event
from app.kinds import faces
from app.resources import Resources
from app.screening import store as watchlists
from workers.chunk import end_if_over
from workers.passes import next_pass

log = logging.getLogger(__name__)

#: Jobs of one sort handled in one sweep; the next sweep goes on.
_LIMIT = 200


def sweep(resources: Resources) -> int:
    """Look once, and return how many jobs were moved. Raises redis.RedisError and Unavailable."""
    moved = _expire(resources) + _drain(resources) + _resume(resources) + _revive(resources)
    _tidy(resources)
    # Last: a Redis that is full takes no note of it.
    _share(resources)
    return moved


#: A list of which nothing was taken for so many times as long as a chunk may take is starved.
_HUNGER = 2.0


def _share(resources: Resources) -> None:
    """Let those have a turn now and then before whom there is always somebody."""
    seconds = _HUNGER * resources.settings.visibility_timeout
    whole, micros = resources.redis.time()
    now = whole + micros / 1e6
    for queue in turns.favour_the_starved(resources.redis, SHARED, seconds=seconds, now=now):
        log.info("chunk.favoured", extra={"queue": queue})


def _tidy(resources: Resources) -> None:
    """Delete what is over. After jobs are repaired, and nothing of it keeps them from being."""
    try:
        faces.tidy(resources)
    except Exception as error:
        # By its type: what a store's client says may quote an address with credentials in it.
        log.error("faces.not_tidied", extra={"reason": type(error).__name__})


def _revive(resources: Resources) -> int:
    """Send jobs anew that show no sign of life; return how many there were."""
    with resources.db.transaction() as tx:
        silent = store.list_silent(tx, seconds=resources.settings.stale_seconds, limit=_LIMIT)
    if not silent:
        return 0
    moved = 0
    waiting = in_flight(resources.redis, [job.id for job in silent])
    for job in silent:
        if job.id in waiting:
            # Seen in the queue: that is a sign of life, and saves looking again at once.
            with resources.db.transaction() as tx:
                store.lightly(tx)
                store.beat(tx, job.id)
        else:
            _recover(resources, job)
            moved += 1
    return moved


def _recover(resources: Resources, silent: Job) -> None:
    with resources.db.transaction() as tx:
        job = end_if_over(tx, store.lock_job(tx, silent.id))
        chunks: Sequence[int] = ()
        # A pass of another number began since: somebody else has seen to it.
        # And so will whoever has claimed a chunk while the queues were read.
        if (
            job.state in CLAIMABLE
            and job.pass_no == silent.pass_no
            and not store.live_claims(tx, job)
        ):
            job, chunks = next_pass(tx, job, worked=False)
    log.warning("pass.recovered", extra={"job_id": str(job.id), "chunks": len(chunks)})
    if chunks:
        service.launch(resources, job, chunks)
    else:
        resources.progress.show(job)


def _expire(resources: Resources) -> int:
    with resources.db.transaction() as tx:
        overdue = store.list_overdue(tx, limit=_LIMIT)
    return sum(_move(resources, job_id, Event.DEADLINE) for job_id in overdue)


def _drain(resources: Resources) -> int:
    with resources.db.transaction() as tx:
        draining = store.list_draining(tx, limit=_LIMIT)
    return sum(_move(resources, job_id, Event.DRAINED) for job_id in draining)


def _resume(resources: Resources) -> int:
    """Let jobs go on that a rate limit paused, once its time is over."""
    with resources.db.transaction() as tx:
        rested = store.list_rested(tx, limit=_LIMIT)
    return sum(_go_on(resources, job_id) for job_id in rested)


def _go_on(resources: Resources, job_id: UUID) -> bool:
    with resources.db.transaction() as tx:
        # Somebody may have asked for something since the job was listed.
        if store.lock_job(tx, job_id).resume_at is None:
            return False
        moved = store.advance(tx, job_id, Event.RESUME)
        if moved is None:
            return False
        job, chunks = next_pass(tx, moved, worked=False)
        job = end_if_over(tx, job)
    log.info("job.resumed", extra={"job_id": str(job_id), "chunks": len(chunks)})
    if chunks:
        service.launch(resources, job, chunks)
    else:
        resources.progress.show(job)
    return True


def _move(resources: Resources, job_id: UUID, event: Event) -> bool:
    with resources.db.transaction() as tx:
        job = store.lock_job(tx, job_id)
        # A chunk may have been claimed since the job was listed.
        if event is Event.DRAINED and store.live_claims(tx, job):
            return False
        moved = store.advance(tx, job_id, event)
    if moved is None:
        return False
    log.info("job.swept", extra={"job_id": str(job_id), "state": moved.state})
    resources.progress.show(moved)
    return True


def maintain(resources: Resources) -> None:
    """Make partitions for the coming months; delete ended jobs' claims, uncited versions, and
    uploads, faces and idempotency keys that have expired.
    """
    with resources.db.transaction() as tx:
        made = store.ensure_partitions(tx)
        forgotten = store.forget_claims(tx)
        accounts.forget_refresh_tokens(tx)
        purged = watchlists.purge_retired(tx)
        expired = uploads.purge(tx)
        keys = idempotency.purge(tx)
    log.info(
        "maintenance.done",
        extra={
            "partitions": made,
            "claims": forgotten,
            "versions": purged,
            "uploads": expired,
            "idempotency_keys": keys,
            "faces": collections.purge(resources.db),
        },
    )
