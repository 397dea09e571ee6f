"""A hundred jobs of 10,000 queued at once by one tenant, and then a job of ten by another.

Through the Procfile's programs, two screening processes, the bundled list. All jobs are accepted
before a worker runs, so that they are queued at once; then the small one comes, and one of 10,000
of a third tenant. Somebody polls meanwhile, and memory is looked at. Every job must complete with
as many matches as any other of the same entities, in one pass, each item with one result.

Beside it the small job and the polls alone: what they take when nothing is queued.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app import embedded
from app.jobs import turns
from app.jobs.dispatch import SCREENING
from benchmarks import machine
from benchmarks.client import ENTITIES, Client, batch
from benchmarks.figure import Figure, Goal, Measure, Skipped
from benchmarks.memory import pss
from benchmarks.options import OPTIONS
from benchmarks.stage import Program, Stage, staged, until

Say = Callable[[str], None]

SMALL = 10
#: Seconds until all has to be done, unless told; what is not done by then is said.
LONGEST = 1_200.0
#: Between two polls: those of somebody who watches.
POLL_PAUSE = 0.05
LOOK_SECONDS = 2.0
ALONE_SECONDS = 10.0
RUNS_ALONE = 5

GOAL = Goal(10)
GROWTH = Goal(20)


@dataclass
class Watcher:
    """Polls a job all the time, in a thread, and keeps how long each poll took."""

    port: int
    token: str
    path: str
    waits: list[float] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watcher:
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _poll(self) -> None:
        client = Client(self.port, self.token)
        while not self._over.wait(POLL_PAUSE):
            answer = client.get(self.path)
            if answer.status != 200:
                self.wrong.append(answer.status)
            self.waits.append(answer.seconds)

    def within(self, share: float) -> float:
        """Return the milliseconds within which that share of the polls was answered."""
        return 1000 * sorted(self.waits)[int(share * (len(self.waits) - 1))]


def measure(say: Say) -> Figure:
    if not Path("/proc/self/smaps_rollup").exists():
        raise Skipped("PSS is read from /proc/PID/smaps_rollup, which is Linux's alone")
    with staged(say=say) as stage:
        durable = stage.check_durable()
        stage.load("sample")
        port = embedded.free_port()
        web = stage.start_web(port)
        others = stage.start_workers("control", "beat")
        whole, small = batch(), batch(SMALL)
        noisy = Client(port, stage.token)
        paused = _submit(noisy, whole)
        noisy.post(f"/v1/jobs/{stage.query('SELECT id FROM jobs')}/pause", b"")
        path = f"/kyc/jobs/{paused}?results=false"

        workers = stage.start_workers("worker")
        alone = [_small(port, stage.token_of("small"), small) for _ in range(RUNS_ALONE)]
        # As the small one, so that what is measured later finds everything open.
        _wait(noisy, _submit(noisy, whole))
        say("polls without a backlog")
        with Watcher(port, stage.token, path) as quiet:
            time.sleep(ALONE_SECONDS)
        before = _memory(stage, web, *others, *workers)
        stage.stop(*workers)

        say(f"queueing {OPTIONS.jobs} jobs of {ENTITIES:,}")
        began = time.perf_counter()
        jobs = [_submit(noisy, whole) for _ in range(OPTIONS.jobs)]
        accepted = time.perf_counter() - began
        queued = sum(stage.redis.llen(name) for name in turns.lists(SCREENING))
        held = stage.redis.info("memory")["used_memory"] / 1e6
        workers = stage.start_workers("worker")
        watcher = Watcher(port, stage.token, path)
        with watcher:
            screened = stage.query("SELECT sum(succeeded) FROM jobs")
            began = time.perf_counter()
            time.sleep(LOOK_SECONDS)
            fast = [_small(port, stage.token_of("small"), small)]
            third = Client(port, stage.token_of("third"))
            like = _wait(third, _submit(third, whole))
            fast += [_small(port, stage.token_of("small"), small) for _ in range(3)]
            say(f"the small job took {fast[0]:.2f} s, then {max(fast[1:]):.2f} s at the most")
            most = _watch(stage, [web, *others, *workers], began, say)
            took = time.perf_counter() - began
            screened = stage.query("SELECT sum(succeeded) FROM jobs") - screened
        done, left = _check(stage, jobs)
        stage.stop(web, *others, *workers)
        conditions = machine.conditions(
            ("celery", "kombu", "redis"),
            work=f"{OPTIONS.jobs} jobs of {ENTITIES:,} entities, all accepted in {accepted:.0f} s"
            f" before a worker ran; {queued:,} messages",
            durability=durable,
            done=f"{done} jobs completed in {took:.0f} s"
            + (f", {left} were left when the time was up" if left else ", all of them"),
            polls=f"{len(watcher.waits):,}, of which {len(watcher.wrong)} were not answered 200",
        )
    assert not watcher.wrong, watcher.wrong
    grown = max(most[name] - before[name] for name in before if name in most)
    return Figure(
        name="backlog",
        headline=Measure.median(
            "a job of ten of another tenant, POST to completed", fast, "s", GOAL
        ),
        more=[
            Measure("a job of 10,000 of a third tenant", like, "s"),
            Measure("entities screened meanwhile", int(screened) / took, "/s"),
            Measure("half of the polls answered within", watcher.within(0.5), "ms"),
            Measure("99 of 100 polls answered within", watcher.within(0.99), "ms"),
            Measure("the same two without a backlog: half", quiet.within(0.5), "ms"),
            Measure("99 of 100", quiet.within(0.99), "ms"),
            Measure("what the process that grew most grew by", grown, "MB", GROWTH),
            *(Measure(f"most memory: {name}", most[name], "MB") for name in most),
            Measure("Redis with all of it queued", held, "MB"),
        ],
        peers=[Measure.median("a job of ten with nothing queued", alone, "s")],
        conditions=conditions,
    )


def _submit(client: Client, body: bytes) -> str:
    answer = client.post("/kyc/jobs", body)
    assert answer.status == 200, answer.raw[:500]
    job_id: str = answer.body["job_id"]
    return job_id


def _wait(client: Client, job_id: str) -> float:
    """Wait until the job is completed, and return for how long."""
    start = time.perf_counter()
    path = f"/kyc/jobs/{job_id}?results=false"
    longest = OPTIONS.seconds or LONGEST
    until(
        lambda: client.get(path).body["job_status"] == "completed", longest, "it is completed", 0.05
    )
    return time.perf_counter() - start


def _small(port: int, token: str, body: bytes) -> float:
    client = Client(port, token)
    start = time.perf_counter()
    _wait(client, _submit(client, body))
    return time.perf_counter() - start


def _memory(stage: Stage, *programs: Program) -> dict[str, float]:
    """Return the proportional memory of each process in MB: of a pool, of its largest."""
    found = {"Redis": pss(stage.servers[0])}
    for program in programs:
        found[f"{program.name}, main"] = pss(program.pid)
        if children := program.children():
            found[f"{program.name}, largest process"] = max(pss(pid) for pid in children)
    return found


def _watch(stage: Stage, programs: Sequence[Program], began: float, say: Say) -> dict[str, float]:
    """Look at memory until all is done or the time is up; return the most of each."""
    most: dict[str, float] = {}
    told = 0.0
    longest = OPTIONS.seconds or LONGEST
    while True:
        for name, size in _memory(stage, *programs).items():
            most[name] = max(size, most.get(name, 0.0))
        left: Any = stage.query(
            "SELECT count(*) FROM jobs WHERE finished_at IS NULL AND state <> 'paused'"
        )
        if not left or time.perf_counter() - began > longest:
            break
        if time.perf_counter() - told > 30:
            told = time.perf_counter()
            say(f"{left} jobs are left after {told - began:.0f} s")
        time.sleep(LOOK_SECONDS)
    return most


def _check(stage: Stage, jobs: Sequence[str]) -> tuple[int, int]:
    """Return how many of the jobs are completed, and how many not, having looked at them all."""
    rows = {"external": list(jobs)}
    odd = stage.query(
        "SELECT count(*) FROM jobs WHERE external_id = ANY (%(external)s) AND (pass_no > 1 OR"
        " succeeded + failed <> (SELECT count(*) FROM results WHERE results.kind = jobs.kind"
        " AND results.month = jobs.month AND results.job_id = jobs.id))",
        **rows,
    )
    done = stage.query(
        "SELECT count(*) FROM jobs WHERE external_id = ANY (%(external)s) AND state = 'completed'",
        **rows,
    )
    alike = stage.query(
        "SELECT count(DISTINCT (matches, succeeded)) FROM jobs"
        " WHERE external_id = ANY (%(external)s) AND state = 'completed'",
        **rows,
    )
    assert odd == 0, f"{odd} jobs were sent twice, or do not count what they hold"
    assert alike <= 1, "the same entities have the same matches"
    return int(done), len(jobs) - int(done)
