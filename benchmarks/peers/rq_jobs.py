"""RQ: jobs, and one that depends on them all. Its workers fork for every job."""

from __future__ import annotations

import os
from collections.abc import Sequence

from redis import Redis
from rq import Queue

from benchmarks.peers import work

_URL = os.environ["PEER_REDIS_URL"]
queue = Queue(connection=Redis.from_url(_URL))

WORKERS = [["rq.cli", "worker-pool", "--num-workers", "2", "--url", _URL, "--path", "."]]
READY = b"Listening on"


def run_chunk(job_id: str, start: int, stop: int) -> None:
    work.run_chunk(job_id, start, stop)


def finish(job_id: str) -> None:
    work.finish(job_id)


def publish(job_id: str, chunks: Sequence[tuple[int, int]]) -> None:
    jobs = queue.enqueue_many(
        [Queue.prepare_data(run_chunk, (job_id, start, stop)) for start, stop in chunks]
    )
    queue.enqueue(finish, job_id, depends_on=jobs)
