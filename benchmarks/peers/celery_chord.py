"""A bare Celery chord, with Celery's own defaults."""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence

from celery import Celery, chord
from celery.result import AsyncResult

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

_sent: list[AsyncResult] = []


@app.task
def run_chunk(job_id: str, start: int, stop: int) -> None:
    work.run_chunk(job_id, start, stop)


@app.task
def finish(job_id: str) -> None:
    work.finish(job_id)


def publish(job_id: str, chunks: Sequence[tuple[int, int]]) -> None:
    header = [run_chunk.si(job_id, start, stop) for start, stop in chunks]
    _sent.append(chord(header)(finish.si(job_id)))


def close() -> None:
    """Let go of the results while the servers are there: each says goodbye to them."""
    for body in _sent:
        for result in (body, *body.parent.results):
            app.backend.remove_pending_result(result)
    _sent.clear()
    gc.collect()
