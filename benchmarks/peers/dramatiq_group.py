"""Dramatiq: a group with a completion callback."""

from __future__ import annotations

import os
from collections.abc import Sequence

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend

from benchmarks.peers import work

_URL = os.environ["PEER_REDIS_URL"]
broker = RedisBroker(url=_URL)
broker.add_middleware(GroupCallbacks(RedisBackend(url=_URL)))
dramatiq.set_broker(broker)

WORKERS = [["dramatiq", "benchmarks.peers.dramatiq_group", "--processes", "2", "--threads", "1"]]
READY = b"Worker process is ready"


@dramatiq.actor
def run_chunk(job_id: str, start: int, stop: int) -> None:
    work.run_chunk(job_id, start, stop)


@dramatiq.actor
def finish(job_id: str) -> None:
    work.finish(job_id)


def publish(job_id: str, chunks: Sequence[tuple[int, int]]) -> None:
    group = dramatiq.group([run_chunk.message(job_id, start, stop) for start, stop in chunks])
    group.add_completion_callback(finish.message(job_id))
    group.run()
