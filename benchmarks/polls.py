"""Status polls per second of one web process with a JWT, beside a floor of the same libraries.

One core for the web process alone; servers and load on another. Both web processes are the
Procfile's gunicorn with one worker; they take turns. The job polled is live: its picture is read
from Redis, and every few seconds from Postgres.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import embedded
from benchmarks import machine
from benchmarks.client import ENTITIES, Client, batch
from benchmarks.figure import Figure, Goal, Measure, Skipped
from benchmarks.peers import work
from benchmarks.stage import ROOT, Program, Stage, command, is_listening, staged

Say = Callable[[str], None]

TURNS = 5
SECONDS = 3.0
CONNECTIONS = 8
GOAL = Goal(800, at_most=False)


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the web process has to itself, and which one everything else shares."""

    web: int | None
    rest: int | None

    @classmethod
    def choose(cls) -> Cores:
        if not hasattr(os, "sched_getaffinity") or machine.cores() < 2:
            return cls(None, None)
        first, second, *_ = sorted(os.sched_getaffinity(0))
        return cls(first, second)

    def __str__(self) -> str:
        if self.web is None:
            return "cores are shared: this system pins no process, or has only one"
        return f"web on core {self.web} alone; load, Valkey and Postgres on core {self.rest}"


@dataclass(frozen=True, slots=True)
class Rates:
    polls: list[float]
    unchanged: list[float]
    floor: list[float]
    #: Polls per CPU second: what others take from the core is not counted.
    per_core: list[float]
    waits: list[float]


def measure(say: Say) -> Figure:
    if not Path("/proc/self/stat").exists():
        raise Skipped("cores and CPU time of processes are read from /proc, which is Linux's alone")
    cores = Cores.choose()
    with staged(say=say) as stage:
        for server in stage.servers:
            pin(server, cores.rest)
        stage.load("sample")
        work.create_tables(stage.settings.database_url)
        rates = _take_turns(stage, cores, say)
        conditions = machine.conditions(
            ("gunicorn", "Flask", "Flask-JWT-Extended", "PyJWT", "redis"),
            web="the Procfile's gunicorn with 1 worker, 8 threads",
            cores=str(cores),
            load=f"{CONNECTIONS} connections kept open, {SECONDS:g} s a turn, 1 s to warm up",
        )
    return Figure(
        name="polls",
        headline=Measure.median("polls answered 200", rates.polls, "/s", GOAL),
        more=[
            Measure.median(
                "the same, per second that the web process had a core", rates.per_core, "/s", GOAL
            ),
            Measure.median("polls answered 304", rates.unchanged, "/s"),
            Measure.median("99 of 100 polls answered 200 within", rates.waits, "ms"),
        ],
        peers=[Measure.median("floor: Flask, a JWT and one HGETALL", rates.floor, "/s")],
        conditions=conditions,
    )


def _take_turns(stage: Stage, cores: Cores, say: Say) -> Rates:
    port, floor_port = embedded.free_port(), embedded.free_port()
    web = stage.start_web(port, MUSTER_WEB_WORKERS="1")
    bare = stage.start(
        "floor",
        command("web").replace("app.factory", "benchmarks.peers.floor_app"),
        is_ready=is_listening,
        PORT=str(floor_port),
        MUSTER_WEB_WORKERS="1",
    )
    for program in (web, bare):
        pin_tree(program, cores.web)

    client = Client(port, stage.token)
    job_id = client.post("/kyc/jobs", batch()).body["job_id"]
    path = f"/kyc/jobs/{job_id}"
    seen = client.get(path)
    assert seen.status == 200
    assert (seen.body["job_status"], seen.body["total_entities"]) == ("processing", ENTITIES)
    stage.redis.hset("floor:1", mapping={name: str(value) for name, value in seen.body.items()})

    loads = {
        "200": (port, request_for(path, stage.token), "200"),
        "304": (port, request_for(path, stage.token, seen.headers["ETag"]), "304"),
        "floor": (floor_port, request_for("/jobs/1", stage.token), "200"),
    }
    rates: dict[str, list[float]] = {name: [] for name in loads}
    waits: list[float] = []
    per_core: list[float] = []
    for _ in range(TURNS):
        for name, (at, request, status) in loads.items():
            machine.wait_until_quiet()
            spent = cpu_seconds(web)
            told = ask(at, request, cores)
            spent = cpu_seconds(web) - spent
            # Every answer was what it should be, and none was cut short.
            assert set(told["statuses"]) == {status}, told
            assert min(told["body_bytes"]) >= (0 if status == "304" else 200), told
            rates[name].append(told["statuses"][status] / told["seconds"])
            if name == "200":
                waits.append(told["p99_ms"])
                per_core.append(told["answers"] / spent)
        say(", ".join(f"{name} {values[-1]:,.0f}/s" for name, values in rates.items()))
    stage.stop(web, bare)
    return Rates(rates["200"], rates["304"], rates["floor"], per_core, waits)


def request_for(path: str, token: str, etag: str | None = None) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"]
    if etag is not None:
        lines.append(f"If-None-Match: {etag}")
    return "\r\n".join([*lines, "", ""]).encode()


def ask(port: int, request: bytes, cores: Cores) -> dict[str, Any]:
    arguments = [str(port), str(CONNECTIONS), str(SECONDS)]
    if cores.rest is not None:
        arguments.append(str(cores.rest))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", *arguments],
        input=request,
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def cpu_seconds(program: Program) -> float:
    """Return the CPU time that the web processes have had so far."""
    ticks = 0
    for pid in (program.pid, *program.children()):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def pin_tree(program: Program, core: int | None) -> None:
    for pid in (program.pid, *(program.children() if core is not None else ())):
        pin(pid, core)


def pin(pid: int, core: int | None) -> None:
    """Keep a process, with every thread it has, on one core; its children inherit that."""
    if core is None:
        return
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {core})
