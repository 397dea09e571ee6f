"""Proportional memory (PSS) of each web and worker process, after work and without an index.

PSS shares what processes have in common evenly among them, so the sum is what the machine really
gives. The web has taken three batches of 10,000; the workers have done three jobs of as many items
of no work. Beside them the floor app and a bare Celery worker after the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from app import embedded
from app.jobs.model import NewItem
from app.jobs.service import encode_item
from app.resources import Resources
from benchmarks import machine, overhead
from benchmarks.client import ENTITIES, Client, batch
from benchmarks.figure import Figure, Goal, Measure, Skipped
from benchmarks.peers import work
from benchmarks.stage import Program, Stage, command, is_listening, staged

Say = Callable[[str], None]

ROUNDS = 3
WEB_WORKERS = 2
GOAL = Goal(150)

_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def measure(say: Say) -> Figure:
    if not Path("/proc/self/smaps_rollup").exists():
        raise Skipped("PSS is read from /proc/PID/smaps_rollup, which is Linux's alone")
    with staged(say=say) as stage:
        work.create_tables(stage.settings.database_url)
        ours = _ours(stage, say)
        say("the floor app and a bare Celery worker")
        floor, celery = _floor(stage), _celery(stage)
        conditions = machine.conditions(
            ("gunicorn", "Flask", "celery", "numpy"),
            work=f"{ROUNDS} batches of {ENTITIES:,} through the web, {ROUNDS} jobs of"
            f" {ENTITIES:,} items of no work through the workers; no list loaded",
        )
    largest = max(ours, key=lambda each: each.value)
    return Figure(
        name="memory",
        headline=Measure(f"largest process: {largest.label}", largest.value, "MB", GOAL),
        more=[*ours, Measure("all of them", sum(each.value for each in ours), "MB")],
        peers=[
            Measure("floor app, web process", floor, "MB"),
            Measure("bare Celery, pool process", celery, "MB"),
        ],
        conditions=conditions,
    )


def _ours(stage: Stage, say: Say) -> list[Measure]:
    port = embedded.free_port()
    web = stage.start_web(port)
    say("batches through the web")
    body = batch()
    # More than there are processes, so that each has had its share.
    for _ in range(ROUNDS * WEB_WORKERS):
        answer = Client(port, stage.token).post("/kyc/jobs", body)
        assert answer.status == 200, answer.raw[:500]
    stage.redis.flushdb()

    say("jobs of no work through the workers")
    programs = stage.start_workers("worker", "control", "beat", celery_app="benchmarks.worker")
    resources = Resources.open(stage.settings)
    for _ in range(ROUNDS):
        overhead.run_ours(stage, resources, _items())
    resources.close()
    found = [measure for program in (web, *programs) for measure in _sizes(program)]
    stage.stop(web, *programs)
    return found


def _floor(stage: Stage) -> float:
    port = embedded.free_port()
    floor = stage.start(
        "floor",
        command("web").replace("app.factory", "benchmarks.peers.floor_app"),
        is_ready=is_listening,
        PORT=str(port),
    )
    for _ in range(ROUNDS * WEB_WORKERS):
        answer = Client(port, stage.token).post("/jobs", batch())
        assert answer.status == 200, answer.raw[:500]
    size = max(pss(pid) for pid in floor.children())
    stage.stop(floor)
    return size


def _celery(stage: Stage) -> float:
    chord = overhead.open_peer(stage, "celery_chord")
    programs = overhead.start_peer(stage, chord)
    for _ in range(ROUNDS):
        overhead.run_other(stage, chord, _items())
    size = max(pss(pid) for program in programs for pid in program.children())
    stage.stop(*programs)
    overhead.close_peer(chord)
    return size


def _items() -> list[NewItem]:
    return [NewItem(f"r{n}", encode_item({"n": n})) for n in range(overhead.ITEMS)]


def _sizes(program: Program) -> list[Measure]:
    children = program.children()
    words = {"web": "web process", "worker": "worker process", "control": "control process"}
    main = f"{program.name}, main process" if children else program.name
    return [
        Measure(main, pss(program.pid), "MB", GOAL),
        *(
            Measure(f"{words[program.name]} {number}", pss(pid), "MB", GOAL)
            for number, pid in enumerate(children, 1)
        ),
    ]


def pss(pid: int) -> float:
    """Return the proportional memory of a process in MB."""
    found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text())
    assert found is not None, "every rollup has the line"
    return int(found[1]) / 1000
