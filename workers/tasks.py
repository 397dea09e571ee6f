"""The tasks. Every kind of job uses these and no others; each is one call and what Celery needs."""

from __future__ import annotations

import logging
import random
from typing import Any
from uuid import UUID

import redis

from app.errors import JobNotFound, Unavailable
from app.jobs.dispatch import FINISH_PASS, MAINTAIN, RUN_CHUNK, SWEEP
from workers import chunk, passes
from workers import sweep as sweeping
from workers.main import celery, resources

log = logging.getLogger(__name__)

#: Longest pause before a task tries again, in seconds, while Postgres or Redis is away.
_LONGEST_PAUSE = 5.0


@celery.task(name=RUN_CHUNK, bind=True, max_retries=None)
def run_chunk(task: Any, job_id: str, pass_no: int, chunk_no: int) -> None:
    """Work through one chunk. Running it twice leaves the same rows and the same counts."""
    try:
        held_for = chunk.run(resources, UUID(job_id), pass_no, chunk_no)
    except Unavailable as error:
        raise task.retry(countdown=_pause(task), exc=error) from error
    except JobNotFound:
        return
    if held_for is not None:
        # Returning would count this part of the chord as done while somebody else is at it.
        raise task.retry(countdown=held_for)


@celery.task(name=FINISH_PASS, bind=True, max_retries=None)
def finish_pass(task: Any, job_id: str, pass_no: int) -> None:
    """Close a pass: end the job, or begin another pass over what is outstanding."""
    try:
        passes.finish(resources, UUID(job_id), pass_no)
    except Unavailable as error:
        raise task.retry(countdown=_pause(task), exc=error) from error
    except JobNotFound:
        return


@celery.task(name=SWEEP)
def sweep() -> None:
    """Find what was lost on the way and send it again. Running two at once does no harm."""
    try:
        sweeping.sweep(resources)
    except (Unavailable, redis.RedisError) as error:
        # Without the evidence there is nothing to act on; the next sweep looks again.
        log.warning("sweep.postponed", extra={"reason": type(error).__name__})


@celery.task(name=MAINTAIN)
def maintain() -> None:
    """Make room for the coming months and clear away what dead workers left."""
    try:
        sweeping.maintain(resources)
    except Unavailable as error:
        log.warning("maintenance.postponed", extra={"reason": type(error).__name__})


def _pause(task: Any) -> float:
    """Seconds until the next try: doubling, and spread so that not all come at once."""
    longest = min(_LONGEST_PAUSE, 0.5 * 2 ** min(task.request.retries, 10))
    return longest * (0.5 + random.random() / 2)  # noqa: S311  # spreads load, hides nothing
