"""A bare Celery chord, with Celery's own defaults."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence

from celery import Celery, chord

from benchmarks.peers import work

_URL = os.environ["PEER_REDIS_URL"]
app = Celery("peer", broker=_URL, backend=_URL)

WORKERS = [
    [
        *("celery", "-A", "benchmarks.peers.celery_chord", "worker", "--concurrency", "2"),
        *("-n", "peer@%h", "--without-gossip", "--without-mingle", "--loglevel", "INFO"),
    ]
]
READY = b" ready."


@app.task
def run_chunk(job_id: str, start: int, stop: int) -> None:
    work.run_chunk(job_id, start, stop)


@app.task
def finish(job_id: str) -> None:
    work.finish(job_id)


def publish(job_id: str, chunks: Sequence[tuple[int, int]]) -> None:
    header = [run_chunk.si(job_id, start, stop) for start, stop in chunks]
    chord(header)(finish.si(job_id))


def close() -> None:
    """Let go of the results while the servers are there: each says goodbye to them."""
    # Celery keeps what nobody waited for; it has no door for letting go of all of it.
    for waiting in app.backend._pending_results:
        waiting.clear()
    gc.collect()
