"""What the platform itself costs: 10,000 items of no work, from submission to completed.

Beside it a bare Celery chord that does the same work: it stores the same items by the same COPY,
reads them in chunks of the same size, writes the same rows by the same bulk insert, one commit per
chunk. It keeps no claims and no counts, checks nothing and survives nothing; that is the
difference we pay for. Platform and chord take turns in one run; the other queues follow, each with
two worker processes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from uuid import UUID

from app.jobs import service
from app.jobs.dispatch import SCREENING
from app.jobs.model import NewItem, NewJob
from app.jobs.service import encode_item
from app.resources import Resources
from benchmarks import machine
from benchmarks.figure import Figure, Goal, Measure
from benchmarks.kinds import NOOP
from benchmarks.peers import work
from benchmarks.stage import Program, Stage, staged, until

Say = Callable[[str], None]

ITEMS = 10_000
CHUNK_SIZE = 500
RUNS = 9
PEER_RUNS = 5
GOAL = Goal(1.5)

#: How often all sides look whether the job is done: it costs each of them the same.
LOOK_SECONDS = 0.005
LONGEST_RUN = 60.0

#: Module in benchmarks/peers, and the package that it needs.
PEERS = {
    "dramatiq_group": "dramatiq",
    "rq_jobs": "rq",
    "huey_chord": "huey",
    "procrastinate_tasks": "procrastinate",
}


def measure(say: Say) -> Figure:
    items = [NewItem(f"r{n}", encode_item({"n": n})) for n in range(ITEMS)]
    with staged(say=say) as stage:
        durable = stage.check_durable()
        work.create_tables(stage.settings.database_url)
        ours, chord = _take_turns(stage, items, say)
        peers = [
            Measure.median(f"{package} {version(package)}", runs, "s")
            for module, package in PEERS.items()
            if _is_installed(package, say)
            for runs in [_run_peer(stage, module, items, say)]
        ]
        conditions = machine.conditions(
            ("celery", "kombu", "redis", "psycopg2-binary"),
            work=f"{ITEMS:,} items of no work, chunks of {CHUNK_SIZE}, two worker processes each",
            durability=durable,
            counted="from before the items are stored to the row that says completed",
        )
    platform = Measure.median("platform", ours, "s")
    bare = Measure.median("bare Celery chord, same rows and commits", chord, "s")
    ratios = [mine / other for mine, other in zip(ours, chord, strict=True)]
    return Figure(
        name="overhead",
        headline=Measure.median("platform over bare chord, in turns", ratios, "x", GOAL),
        more=[platform],
        peers=[bare, *peers],
        compared=platform,
        conditions=conditions,
    )


def _take_turns(stage: Stage, items: list[NewItem], say: Say) -> tuple[list[float], list[float]]:
    resources = Resources.open(stage.settings)
    chord = open_peer(stage, "celery_chord")
    programs = [
        *stage.start_workers("worker", "control", "beat", celery_app="benchmarks.worker"),
        *start_peer(stage, chord),
    ]
    ours, others = [], []
    for turn in range(-2, RUNS):
        mine, other = run_ours(stage, resources, items), run_other(stage, chord, items)
        say(f"platform {mine:.3f} s, chord {other:.3f} s" + (" (warming up)" if turn < 0 else ""))
        if turn >= 0:
            ours.append(mine)
            others.append(other)
    stage.stop(*programs)
    resources.close()
    close_peer(chord)
    return ours, others


def run_ours(stage: Stage, resources: Resources, items: list[NewItem]) -> float:
    new_job = NewJob(
        tenant_id=stage.tenant.id,
        kind=NOOP.name,
        dialect=NOOP.name,
        queue=SCREENING,
        chunk_size=CHUNK_SIZE,
        options={},
        items=items,
        created_by="usr_bench",
    )
    machine.wait_until_quiet()
    start = time.perf_counter()
    job = service.submit(resources, new_job)
    seconds = _wait(stage, "SELECT finished_at FROM jobs WHERE id = %(id)s", job.id, start)

    row = "SELECT state || ' ' || succeeded || ' ' || pass_no FROM jobs WHERE id = %(id)s"
    assert stage.query(row, id=job.id) == f"completed {ITEMS} 1"
    assert stage.query("SELECT count(*) FROM results WHERE job_id = %(id)s", id=job.id) == ITEMS
    return seconds


def run_other(stage: Stage, peer: ModuleType, items: list[NewItem]) -> float:
    machine.wait_until_quiet()
    start = time.perf_counter()
    job_id = work.store_items(items)
    peer.publish(str(job_id), work.chunks(len(items), CHUNK_SIZE))
    seconds = _wait(stage, "SELECT finished_at FROM peer_jobs WHERE id = %(id)s", job_id, start)

    count = "SELECT count(*) FROM peer_results WHERE job_id = %(id)s"
    assert stage.query(count, id=job_id) == len(items)
    return seconds


def _wait(stage: Stage, query: str, job_id: UUID, start: float) -> float:
    until(lambda: stage.query(query, id=job_id), LONGEST_RUN, "the job is done", LOOK_SECONDS)
    return time.perf_counter() - start


def _run_peer(stage: Stage, module: str, items: list[NewItem], say: Say) -> list[float]:
    peer = open_peer(stage, module)
    programs = start_peer(stage, peer)
    runs = []
    for turn in range(-1, PEER_RUNS):
        seconds = run_other(stage, peer, items)
        say(f"{module} {seconds:.3f} s" + (" (warming up)" if turn < 0 else ""))
        if turn >= 0:
            runs.append(seconds)
    stage.stop(*programs)
    close_peer(peer)
    return runs


def open_peer(stage: Stage, module: str) -> ModuleType:
    """Import a peer's module. It reads where the servers are when it is imported."""
    os.environ |= work.environment(stage.settings.database_url, stage.settings.redis_url, module)
    return import_module(f"benchmarks.peers.{module}")


def start_peer(stage: Stage, peer: ModuleType) -> list[Program]:
    variables = work.environment(
        stage.settings.database_url, stage.settings.redis_url, peer.__name__.rpartition(".")[2]
    )
    if (prepare := getattr(peer, "PREPARE", None)) is not None:
        stage.run(peer.__name__, [sys.executable, "-m", *prepare], **variables)
    return [
        stage.start(
            f"{peer.__name__}-{number}",
            [sys.executable, "-m", *command],
            is_ready=lambda program: peer.READY in program.log.read_bytes(),
            **variables,
        )
        for number, command in enumerate(peer.WORKERS)
    ]


def close_peer(peer: ModuleType) -> None:
    if (close := getattr(peer, "close", None)) is not None:
        close()


def _is_installed(package: str, say: Say) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        say(f"{package} is not installed, and left out: the extra [bench] has it")
        return False
    return True
