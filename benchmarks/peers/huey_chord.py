"""Huey: a chord, and its consumer with two processes."""

from __future__ import annotations

import os
from collections.abc import Sequence

from huey import RedisHuey, chord

from benchmarks.peers import work

huey = RedisHuey("peer", url=os.environ["PEER_REDIS_URL"])

WORKERS = [
    [
        *("huey.bin.huey_consumer", "benchmarks.peers.huey_chord.huey"),
        *("--workers", "2", "--worker-type", "process"),
    ]
]
READY = b"Huey consumer started"


@huey.task()
def run_chunk(job_id: str, start: int, stop: int) -> None:
    work.run_chunk(job_id, start, stop)


@huey.task()
def finish(results: Sequence[None], job_id: str) -> None:
    work.finish(job_id)


def publish(job_id: str, chunks: Sequence[tuple[int, int]]) -> None:
    tasks = [run_chunk.s(job_id, start, stop) for start, stop in chunks]
    huey.enqueue(chord(tasks, finish.s(job_id=job_id)))
