"""The tasks. Every kind of job uses these and no others; each is one call and what Celery needs."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import redis

from app.errors import JobNotFound, Unavailable
from app.jobs.dispatch import (
    CHECK_LISTS,
    FINISH_PASS,
    LOOK_AFTER_MONITORS,
    MAINTAIN,
    PRUNE,
    REFRESH_LIST,
    RENEW_POPULATIONS,
    RUN_CHUNK,
    SETTLE_CHECK,
    SWEEP,
    TAKE_UP_UPDATE,
)
from app.monitoring import clock
from app.protection.prune import prune as prune_some
from workers import chunk, passes
from workers import refresh as refreshing
from workers import sweep as sweeping
from workers.main import celery, resources

log = logging.getLogger(__name__)

#: Longest pause before a task tries again, in seconds, while Postgres or Redis is away. Who holds a
#: message for longer than the visibility timeout finds it given to others, who hold it as long.
_LONGEST_PAUSE = min(5.0, resources.settings.visibility_timeout / 2)


#: What looks after jobs may take longer than a chunk: of a Redis that answers late, sending a job
#: alone takes many answers. Killed in the middle of it, it would be begun again, and never end.
_CONTROL_SECONDS = 300


#: How messages of tasks are taken that come back after a pause, however wrong a clock is.
_TAKE = "workers.punctual:start"


class WorkFailed(Exception):
    """What Celery is told of an error that nobody expected: its type, and none of its text.

    Celery writes an exception into its log, into the event that Flower shows, and into the part of
    the chord that it keeps in Redis; and a database error quotes the row.
    """


@celery.task(
    name=RUN_CHUNK, bind=True, max_retries=None, Strategy=_TAKE, longest_wait=_LONGEST_PAUSE
)
def run_chunk(task: Any, job_id: str, pass_no: int, chunk_no: int) -> None:
    """Work through one chunk. Running it twice leaves the same rows and the same counts."""
    held_for = _do(task, lambda: chunk.run(resources, UUID(job_id), pass_no, chunk_no))
    if held_for is not None:
        # Returning would count this part of the chord as done while somebody else is at it.
        raise task.retry(countdown=held_for)


@celery.task(
    name=FINISH_PASS,
    bind=True,
    max_retries=None,
    time_limit=_CONTROL_SECONDS,
    Strategy=_TAKE,
    longest_wait=_LONGEST_PAUSE,
)
def finish_pass(task: Any, job_id: str, pass_no: int) -> None:
    """Close a pass: end the job, or begin another pass over what is outstanding."""
    _do(task, lambda: passes.finish(resources, UUID(job_id), pass_no))


#: A rest that ends to the moment is shorter: later ones wait for the sweeps that come anyway.
_LONGEST_REST = 0.9 * resources.settings.visibility_timeout


@celery.task(
    name=SWEEP,
    bind=True,
    time_limit=_CONTROL_SECONDS,
    Strategy=_TAKE,
    longest_wait=_LONGEST_REST,
)
def sweep(task: Any, is_extra: bool = False) -> None:
    """Find what was lost on the way and send it again. Running two at once does no harm."""
    _do_now_and_then(task, lambda: sweeping.sweep(resources), is_extra=is_extra)


@celery.task(name=MAINTAIN, bind=True, time_limit=_CONTROL_SECONDS)
def maintain(task: Any) -> None:
    """Make room for the coming months and clear away what dead workers left."""
    _do_now_and_then(task, lambda: sweeping.maintain(resources))


#: What one message may take: the sweep has the same queue, and waits meanwhile.
_PRUNING_SECONDS = 5.0


@celery.task(name=PRUNE, bind=True, time_limit=_CONTROL_SECONDS)
def prune(task: Any) -> None:
    """Delete some of what is kept no longer, and send itself again while there is more."""
    pruned = _do(
        task,
        lambda: prune_some(resources.db, resources.settings, seconds=_PRUNING_SECONDS),
        again=False,
    )
    if pruned is not None and pruned.has_more and not pruned.is_nothing:
        # Should it be lost, the next night goes on; so it does where somebody is in the way.
        task.apply_async(expires=3600.0)


@celery.task(name=CHECK_LISTS, bind=True, time_limit=_CONTROL_SECONDS)
def check_lists(task: Any) -> None:
    """Send the lists that are due to be fetched. Sending one twice fetches it once."""
    _do_now_and_then(task, lambda: refreshing.send(resources, refreshing.due(resources)))


#: Longer than the slowest publisher takes, and its index.
_REFRESH_SECONDS = 3600


# Acknowledged at once: it takes longer than a chunk may, and beat sends it again if it is lost.
@celery.task(name=REFRESH_LIST, bind=True, acks_late=False, time_limit=_REFRESH_SECONDS)
def refresh_list(task: Any, name: str) -> None:
    """Fetch a list from its publisher and load what is new."""
    _do(task, lambda: refreshing.refresh(resources, name), again=False)


@celery.task(name=LOOK_AFTER_MONITORS, bind=True, time_limit=_CONTROL_SECONDS)
def look_after_monitors(task: Any) -> None:
    """Close checks that have ended, begin those that are due, and see which lists have changed."""
    _do_now_and_then(task, lambda: clock.look(resources))


# As for lists: a check of a million subjects takes minutes to compare.
@celery.task(name=SETTLE_CHECK, bind=True, acks_late=False, time_limit=int(clock.SETTLE_SECONDS))
def settle_check(task: Any, tenant_id: str, check_id: str) -> None:
    """Compare the results of a large check with what was known, and close it."""
    _do(task, lambda: clock.settle(resources, UUID(tenant_id), UUID(check_id)), again=False)


#: A population of a million names takes minutes to index; more than updates.INDEXING_SECONDS.
_INDEXING_SECONDS = 3600


# As above: should it be lost, the clock sends it again when its claim has run out.
@celery.task(name=TAKE_UP_UPDATE, bind=True, acks_late=False, time_limit=_INDEXING_SECONDS)
def take_up_update(task: Any, name: str) -> None:
    """Screen those again whom the update of a list could concern."""
    _do(task, lambda: clock.take_up(resources, name), again=False)


@celery.task(name=RENEW_POPULATIONS, bind=True, acks_late=False, time_limit=_INDEXING_SECONDS)
def renew_populations(task: Any) -> None:
    """Let the indexes on this disk forget who is watched no longer."""
    _do_now_and_then(task, lambda: clock.renew(resources))


T = TypeVar("T")

#: When this process last did what beat asks for, by a clock that does not jump.
_last_done: dict[str, float] = {}


def _do_now_and_then(task: Any, work: Callable[[], object], *, is_extra: bool = False) -> None:
    """Do what beat asks for again and again; of messages that have piled up, once.

    Not one that was sent beside those of beat, for a reason of its own.
    """
    now = time.monotonic()
    pause = _PAUSES.get(task.name, 0.0) / 2
    if not is_extra and now - _last_done.get(task.name, float("-inf")) < pause:
        return
    _last_done[task.name] = now
    _do(task, work, again=False)


#: Seconds between two messages of beat, by task.
_PAUSES: dict[str, float] = {
    entry["task"]: entry["schedule"]
    for entry in celery.conf.beat_schedule.values()
    if isinstance(entry["schedule"], float)
}


def _do(task: Any, work: Callable[[], T], *, again: bool = True) -> T | None:
    """Do the work. While Postgres or Redis is away, come back later, if not beat does so anyway."""
    failed: WorkFailed | None = None
    try:
        return work()
    except JobNotFound:
        return None
    except (Unavailable, redis.RedisError) as error:
        log.warning("task.postponed", extra={"task": task.name, "reason": type(error).__name__})
    except Exception as error:
        log.error("task.failed", exc_info=error)
        failed = WorkFailed(type(error).__name__)
    # Raised here and not above, where the error would travel along as the context.
    if failed is not None:
        raise failed
    if again:
        raise task.retry(countdown=_pause(task))
    return None


def _pause(task: Any) -> float:
    """Seconds until the next try: doubling, and spread so that not all come at once."""
    longest = min(_LONGEST_PAUSE, 0.5 * 2 ** min(task.request.retries, 10))
    return longest * (0.5 + random.random() / 2)  # noqa: S311  # spreads load, hides nothing
