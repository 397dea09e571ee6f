"""Procrastinate: a queue in Postgres. It has no callback for many tasks at once, so the chunk
whose rows complete the job closes it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache

import procrastinate

from benchmarks.peers import work

_URL = os.environ["DATABASE_URL"]
app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_URL))
_PROGRAM = ("procrastinate", "--app", "benchmarks.peers.procrastinate_tasks.app")

PREPARE = [*_PROGRAM, "schema", "--apply"]
WORKERS = [[*_PROGRAM, "worker", "--concurrency", "1"]] * 2
READY = b"Starting worker"


@app.task
def run_chunk(job_id: str, start: int, stop: int) -> None:
    work.run_chunk(job_id, start, stop)
    work.finish_if_complete(job_id)


def publish(job_id: str, chunks: Sequence[tuple[int, int]]) -> None:
    _open()
    run_chunk.batch_defer(
        *({"job_id": job_id, "start": start, "stop": stop} for start, stop in chunks)
    )


def close() -> None:
    app.close()


@cache
def _open() -> None:
    """Open the publisher's connections, once."""
    app.open()
