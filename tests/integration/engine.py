"""What the tests of the job engine share: one worker for a whole module, and looks behind it.

Starting a worker takes two seconds, so tests that do not hurt it take turns with the same one.
Other tests do without any worker: they call in this process what a worker would call.
"""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis

from app.db import Database
from app.jobs import service, store, turns
from app.jobs.dispatch import QUEUES
from app.jobs.model import Job, NewJob
from app.resources import Resources
from app.settings import Settings
from tests.integration.conftest import Worker, clear_broker


def start_worker(settings: Settings, folder: Path, name: str, *args: str, beat: bool) -> Worker:
    """Start a worker as production does, on a shorter clock."""
    if beat:
        args = ("-B", "-s", str(folder / f"{name}.schedule"), *args)
    env = {**os.environ, **settings.to_env(), "REMAP_SIGTERM": "SIGQUIT"}
    return Worker({key: value for key, value in env.items() if value}, folder, name, *args)


def kill(worker: Worker) -> None:
    """End the worker and its pool as a power cut would."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.process.wait()


@contextmanager
def lasting_worker(
    settings: Settings, folder: Path, *args: str, beat: bool = True
) -> Iterator[Worker]:
    """A worker that serves many tests."""
    worker = start_worker(settings, folder, "lasting", *args, beat=beat)
    try:
        worker.wait_until_ready()
        yield worker
    finally:
        kill(worker)
        clear_broker(settings)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What Postgres holds of a job, counted row by row: the counts on the job must agree."""

    results: int
    succeeded: int
    failed: int
    matches: int
    claims: int


def ledger(resources: Resources, job: Job) -> Ledger:
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT count(*) AS results, count(DISTINCT position) AS positions,"
            " count(*) FILTER (WHERE status = 'succeeded') AS succeeded,"
            " count(*) FILTER (WHERE status = 'failed') AS failed,"
            " coalesce(sum(matches), 0)::int AS matches"
            " FROM results WHERE job_id = %s",
            (job.id,),
        )
        row = tx.fetchone()
        tx.execute("SELECT count(*) AS claims FROM chunk_claims WHERE job_id = %s", (job.id,))
        claims = tx.fetchone()["claims"]
    assert row.pop("positions") == row["results"], "one result for one item"
    return Ledger(**row, claims=claims)


def assert_whole(resources: Resources, job: Job) -> None:
    """The job is completed, each item has one result, and it was counted once."""
    found = ledger(resources, job)
    assert job.state == "completed"
    assert found.results == job.total
    assert (found.succeeded, found.failed) == (job.succeeded, job.failed)
    assert found.matches == job.matches


def outcomes(resources: Resources, job: Job) -> Counter[str]:
    """Return how many items ended how: `succeeded`, or the code of what went wrong."""
    rows = [row for page in service.results(resources, job) for row in page]
    return Counter(row["error_code"] or row["status"] for row in rows)


def age(resources: Resources, job: Job, seconds: float = 3600) -> None:
    """Let the job's last sign of life have been long ago, so that the sweep looks into it."""
    with resources.db.transaction() as tx:
        tx.execute(
            "UPDATE jobs SET heartbeat_at = heartbeat_at - make_interval(secs => %s) WHERE id = %s",
            (seconds, job.id),
        )


def claim(resources: Resources, job: Job, chunk_no: int = 0, seconds: float = 60.0) -> None:
    """Let a worker on another machine hold the chunk, as far as anybody can tell."""
    with resources.db.transaction() as tx:
        store.claim_chunk(
            tx, job, chunk_no, holder="elsewhere/1/boot", pass_no=job.pass_no, seconds=seconds
        )


def waits_for_a_lock(database: Database) -> bool:
    """Tell whether somebody waits for a row that another transaction holds."""
    with database.transaction() as tx:
        tx.execute("SELECT FROM pg_locks WHERE NOT granted")
        return tx.fetchone() is not None


def queued(client: redis.Redis, queue: str = "screening") -> int:
    """Return how many messages wait in the queue, in no worker's hands."""
    return sum(client.llen(name) for name in turns.lists(queue))


def waiting(client: redis.Redis, queue: str = "screening") -> list[bytes]:
    """Return the messages that wait in the queue, in the order in which workers take them."""
    lists = [client.lrange(name, 0, -1) for name in turns.lists(queue)]
    return [message for messages in reversed(lists) for message in reversed(messages)]


def in_hand(client: redis.Redis) -> int:
    """Return how many messages workers hold without having acknowledged them."""
    return client.hlen("unacked")


def messages(client: redis.Redis) -> int:
    """Return how many messages there are at all."""
    return in_hand(client) + sum(queued(client, queue.name) for queue in QUEUES)


def withhold(resources: Resources, new_job: NewJob) -> tuple[Job, list[bytes]]:
    """Submit a job and return it with its messages, which no worker gets to see meanwhile."""
    job = service.submit(resources, replace(new_job, queue="faces"))
    messages = waiting(resources.redis, "faces")
    resources.redis.delete(*turns.lists("faces"))
    return job, messages


def deliver(client: redis.Redis, messages: Iterable[bytes]) -> None:
    """Put messages into the queue that workers take from, each as a delivery of its own."""
    for message in messages:
        client.lpush("screening", json.dumps(readdressed(message)))


def readdressed(message: bytes) -> dict[str, Any]:
    again: dict[str, Any] = json.loads(message)
    again["properties"]["delivery_tag"] = str(uuid4())
    again["properties"]["delivery_info"]["routing_key"] = "screening"
    return again
