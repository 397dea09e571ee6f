"""The wire between web and workers: task names, queues, and one chord per pass.

The web sends tasks by name, so it never imports `workers`. Both sides import the names from here,
which keeps "find usages" honest. Messages carry ids and numbers, for they are shown in Flower, in
logs and in the broker.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any, cast
from uuid import UUID

import redis
from celery import Celery, Signature, chord
from kombu import Queue
from kombu.exceptions import OperationalError

from app.errors import BrokerUnavailable
from app.jobs import turns
from app.jobs.model import Job

RUN_CHUNK = "jobs.run_chunk"
FINISH_PASS = "jobs.finish_pass"  # noqa: S105  # a pass, not a password
SWEEP = "jobs.sweep"
MAINTAIN = "jobs.maintain"
CHECK_LISTS = "lists.check"
REFRESH_LIST = "lists.refresh"
LOOK_AFTER_MONITORS = "monitoring.look"
SETTLE_CHECK = "monitoring.settle"
TAKE_UP_UPDATE = "monitoring.take_up"
RENEW_POPULATIONS = "monitoring.renew"
PRUNE = "data.prune"

#: Callbacks and the sweep have a queue and a worker of their own: redelivered chunks go to the
#: front of a queue, and starved callbacks that shared it for over a minute.
CONTROL = "control"
INTERACTIVE = "interactive"
SCREENING = "screening"
VERIFICATIONS = "verifications"
#: One document while the caller waits. Not on `interactive`: a slow one there would keep a caller
#: who screens one name waiting, and its workers would need what tagging needs.
DOCUMENTS_INTERACTIVE = "documents_interactive"
DOCUMENTS = "documents"
#: Likewise, for one image.
FACES_INTERACTIVE = "faces_interactive"
FACES = "faces"

#: A worker that serves several takes from the first that holds something, in the order in which
#: its -Q names them.
QUEUES = tuple(
    Queue(name, routing_key=name)
    for name in (
        *(CONTROL, INTERACTIVE, SCREENING, VERIFICATIONS),
        *(DOCUMENTS_INTERACTIVE, DOCUMENTS, FACES_INTERACTIVE, FACES),
    )
)


#: Those that tenants share by taking turns: jobs of many chunks wait there.
SHARED = (SCREENING, VERIFICATIONS, DOCUMENTS, FACES)


def dispatch(celery: Celery, job: Job, chunks: Sequence[int], *, before: int = 0) -> None:
    """Send one pass: a chord of the chunks, closed by `finish_pass`.

    `before` says how many chunks of the same tenant go before the first. The errback is the same
    `finish_pass`: however the pass ends, what is left is the same question. Raises
    BrokerUnavailable.
    """
    header = [
        _chunk(celery, job, number, turns.level(before + at)) for at, number in enumerate(chunks)
    ]
    body = _finish(celery, job)
    body.on_error(_finish(celery, job))
    try:
        chord(header, app=celery)(body)
    except (OperationalError, redis.RedisError, RuntimeError, OSError) as error:
        # RuntimeError is how Celery's Redis backend says "cannot connect".
        raise BrokerUnavailable("The queue cannot be reached.") from error


def _chunk(celery: Celery, job: Job, number: int, level: int) -> Signature[Any]:
    return celery.signature(
        RUN_CHUNK,
        kwargs={"job_id": str(job.id), "pass_no": job.pass_no, "chunk_no": number},
        immutable=True,
        queue=job.queue,
        priority=level,
        # What Flower and the logs call it: one name per kind, not one per chunk.
        shadow=f"{job.kind}.chunk",
    )


def _finish(celery: Celery, job: Job) -> Signature[Any]:
    return celery.signature(
        FINISH_PASS,
        kwargs={"job_id": str(job.id), "pass_no": job.pass_no},
        immutable=True,
        queue=CONTROL,
        shadow=f"{job.kind}.finish_pass",
    )


def send_refresh(celery: Celery, name: str, seconds: float) -> None:
    """Ask a worker to fetch a list from its publisher, within so many seconds or not at all.

    Ahead of batches, which may fill their queue for hours. Raises BrokerUnavailable.
    """
    try:
        celery.send_task(REFRESH_LIST, kwargs={"name": name}, queue=INTERACTIVE, expires=seconds)
    except (OperationalError, redis.RedisError, RuntimeError, OSError) as error:
        raise BrokerUnavailable("the queue cannot be reached") from error


def send_update(celery: Celery, name: str, seconds: float) -> None:
    """Ask a worker to see whom the update of a list concerns, within so many seconds.

    Raises BrokerUnavailable.
    """
    try:
        celery.send_task(TAKE_UP_UPDATE, kwargs={"name": name}, queue=INTERACTIVE, expires=seconds)
    except (OperationalError, redis.RedisError, RuntimeError, OSError) as error:
        raise BrokerUnavailable("the queue cannot be reached") from error


def send_settle(celery: Celery, tenant_id: UUID, check_id: UUID, seconds: float) -> None:
    """Ask a worker to close a large check, within so many seconds. Raises BrokerUnavailable."""
    try:
        celery.send_task(
            SETTLE_CHECK,
            kwargs={"tenant_id": str(tenant_id), "check_id": str(check_id)},
            queue=SCREENING,
            expires=seconds,
        )
    except (OperationalError, redis.RedisError, RuntimeError, OSError) as error:
        raise BrokerUnavailable("the queue cannot be reached") from error


def wake_sweep(celery: Celery, seconds: float) -> None:
    """Let a sweep come after so many seconds, beside those that come anyway. May be lost."""
    with suppress(OperationalError, redis.RedisError, RuntimeError, OSError):
        celery.send_task(
            SWEEP, kwargs={"is_extra": True}, countdown=seconds + _AFTER, queue=CONTROL
        )


#: What a sweep comes late, so that it does not find a rest that has a moment to go.
_AFTER = 0.1


def waiting(client: redis.Redis) -> dict[str, int]:
    """Return how many messages wait in each queue. Raises redis.RedisError."""
    with client.pipeline(transaction=False) as pipe:
        names = [(queue.name, each) for queue in QUEUES for each in turns.lists(queue.name)]
        for _, each in names:
            pipe.llen(each)
        depths = dict.fromkeys((queue.name for queue in QUEUES), 0)
        for (queue, _), depth in zip(names, pipe.execute(), strict=True):
            depths[queue] += int(depth)
    return depths


def in_flight(client: redis.Redis, job_ids: Collection[UUID]) -> set[UUID]:
    """Return which of the jobs have a message in a queue, or with a worker, at this moment.

    Reads the queues themselves: the only evidence that a message was not lost. Raises
    redis.RedisError.
    """
    wanted = {str(job_id).encode(): job_id for job_id in job_ids}
    found: set[UUID] = set()
    for message in _messages(client):
        names = _JOB_ID.search(message)
        if names and names[1] in wanted:
            found.add(wanted.pop(names[1]))
            if not wanted:
                break
    return found


#: Where kombu's envelope shows the arguments; the body is in base64.
_JOB_ID = re.compile(rb"'job_id': '([0-9a-f-]{36})'")

#: Messages read from a queue at a time: about a megabyte.
_PAGE = 500


def _messages(client: redis.Redis) -> Iterator[bytes]:
    """Yield every message that waits, and then every one that a worker has not acknowledged."""
    for name in (name for queue in QUEUES for name in turns.lists(queue.name)):
        start = 0
        while page := client.lrange(name, start, start + _PAGE - 1):
            yield from cast(list[bytes], page)
            start += _PAGE
    for _, message in client.hscan_iter("unacked", count=_PAGE):
        yield cast(bytes, message)
