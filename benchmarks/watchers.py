"""500 who watch, half by SSE and half by WebSocket, a job each, and nothing happens: the cost.

Memory (PSS) of `live` with them over without; status polls of the web with them over without, in
turns, the web on a core of its own; and the time from a commit to the event at a watcher, of a job
with two watchers beside the 500, and of one that 500 watch. The client is one thread of sockets.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from app import embedded
from app.jobs import ids, service, store
from app.jobs.model import Job, NewItem, NewJob
from app.jobs.states import Event, JobState
from app.resources import Resources
from benchmarks import machine, polls
from benchmarks.client import Client, batch
from benchmarks.figure import Figure, Goal, Measure, Skipped
from benchmarks.memory import pss
from benchmarks.stage import Program, Stage, command, staged, until

Say = Callable[[str], None]

WATCHERS = 500
TURNS = 5
MOVES = 60
MOVES_FOR_ALL = 20

MEMORY = Goal(50)
#: Of the polls without watchers, those that may be lost to noise.
POLLS = Goal(0.95, at_most=False)


def measure(say: Say) -> Figure:
    if not Path("/proc/self/smaps_rollup").exists():
        raise Skipped("PSS is read from /proc/PID/smaps_rollup, which is Linux's alone")
    cores = polls.Cores.choose()
    with staged(say=say) as stage:
        for server in stage.servers:
            polls.pin(server, cores.rest)
        stage.load("sample")
        resources = Resources.open(stage.settings)
        port, web_port = embedded.free_port(), embedded.free_port()
        live = stage.start("live", command("live"), is_ready=_answers(port), LIVE_PORT=str(port))
        web = stage.start_web(web_port, MUSTER_WEB_WORKERS="1")
        polls.pin(live.pid, cores.rest)
        polls.pin_tree(web, cores.web)
        say(f"submitting {WATCHERS} jobs that wait")
        jobs = [_waiting(stage, resources, number) for number in range(WATCHERS)]

        # Caches, pools and modules: what the first few cost is not what watchers cost.
        with _watching(stage, port, jobs[:20]):
            time.sleep(1)
        before = pss(live.pid)
        with_them, without, memory = _take_turns(stage, live, web, web_port, port, jobs, cores, say)

        say("from a commit to the event")
        with _watching(stage, port, jobs):
            alone = _moved(stage, resources, port, _waiting(stage, resources, 0), 2, MOVES)
        everybody = _moved(
            stage, resources, port, _waiting(stage, resources, 0), WATCHERS, MOVES_FOR_ALL
        )
        resources.close()
        stage.stop(web, live)
        conditions = machine.conditions(
            ("gevent", "wsproto", "redis"),
            watchers=f"{WATCHERS}, half SSE and half WebSocket, each of a job of its own",
            cores=f"{cores}; live and the watchers on that of the load",
            polls=f"{TURNS} turns of {polls.SECONDS:g} s with and without them",
        )
    ratio = statistics.median(with_them) / statistics.median(without)
    return Figure(
        name="watchers",
        headline=Measure(
            f"memory of live that {WATCHERS} watchers take", memory - before, "MB", MEMORY
        ),
        more=[
            Measure("live without any", before, "MB", Goal(150)),
            Measure.median("polls per second of the web's core, with them", with_them, "/s"),
            Measure("polls with them over without", ratio, "x", POLLS),
            Measure.median("a commit to the event at a watcher", alone, "ms"),
            Measure("19 of 20 of these within", _late(alone), "ms"),
            Measure.median(f"a commit to the event at the last of {WATCHERS}", everybody, "ms"),
        ],
        peers=[Measure.median("polls without watchers", without, "/s")],
        compared=Measure.median("polls with watchers", with_them, "/s"),
        conditions=conditions,
    )


def _take_turns(
    stage: Stage,
    live: Program,
    web: Program,
    web_port: int,
    port: int,
    jobs: Sequence[Job],
    cores: polls.Cores,
    say: Say,
) -> tuple[list[float], list[float], float]:
    """Return polls per CPU second with and without watchers, and the memory of live with them."""
    client = Client(web_port, stage.token)
    polled = client.post("/kyc/jobs", batch()).body["job_id"]
    request = polls.request_for(f"/kyc/jobs/{polled}", stage.token)

    def rate() -> float:
        machine.wait_until_quiet()
        spent = polls.cpu_seconds(web)
        told = polls.ask(web_port, request, cores)
        assert set(told["statuses"]) == {"200"}, told
        return float(told["answers"] / (polls.cpu_seconds(web) - spent))

    with_them, without, memory = [], [], []
    for _ in range(TURNS):
        without.append(rate())
        with _watching(stage, port, jobs):
            assert _count(port) == {"clients": WATCHERS, "jobs": WATCHERS}
            with_them.append(rate())
            memory.append(pss(live.pid))
        until(lambda: _count(port) == {"clients": 0, "jobs": 0}, 20, "all have gone")
        say(f"polls {without[-1]:,.0f} and {with_them[-1]:,.0f} /s, live {memory[-1]:.1f} MB")
    # The first time is the dearest for whoever runs it: what the process has then, it keeps.
    return with_them, without, max(memory)


def _moved(
    stage: Stage, resources: Resources, port: int, job: Job, watchers: int, moves: int
) -> list[float]:
    """Pause and resume the job; return the milliseconds until the last watcher knew of each."""
    times = []
    with _watching(stage, port, [job] * watchers) as crowd:
        for number in range(moves):
            is_on = number % 2 == 0
            event = Event.PAUSE if is_on else Event.RESUME_NEVER_CLAIMED
            with resources.db.transaction() as tx:
                moved = store.advance(tx, job.id, event)
            committed = time.perf_counter()
            assert moved is not None, "nobody else moves it"
            assert moved.state is (JobState.PAUSED if is_on else JobState.QUEUED)
            resources.progress.show(moved)
            heard = crowd.wait_for(moved.version)
            assert len(heard) == watchers
            times.append(1000 * (max(heard.values()) - committed))
            # Longer than what live gathers to read together.
            time.sleep(0.08)
    return times


def _late(times: Sequence[float]) -> float:
    return sorted(times)[len(times) * 19 // 20]


def _waiting(stage: Stage, resources: Resources, number: int) -> Job:
    """A job that no worker takes: half of them of a dialect with a WebSocket."""
    new = NewJob(
        tenant_id=stage.tenant.id,
        kind="noop",
        dialect="documents",
        # Nobody serves it.
        queue="faces",
        chunk_size=10,
        options={},
        items=[NewItem(f"r{number}", service.encode_item({}))],
        created_by="bench",
    )
    return service.submit(resources, new)


class Crowd:
    """Watchers, every second one by WebSocket, and when each heard of which event."""

    def __init__(self, token: str, port: int, jobs: Sequence[Job]) -> None:
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Condition()
        self._begun: set[int] = set()
        self._heard: dict[int, dict[int, float]] = {}
        self._rest: dict[int, bytes] = {}
        self._is_over = False
        for number, job in enumerate(jobs):
            sock = socket.create_connection(("127.0.0.1", port), timeout=30)
            sock.sendall(_request(number, job, token))
            self._selector.register(sock, selectors.EVENT_READ, number)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        with self._lock:
            assert self._lock.wait_for(lambda: len(self._begun) == len(jobs), 60), "all are told"

    def wait_for(self, seq: int) -> dict[int, float]:
        """Return when each heard of that event, once all have."""
        total = len(self._begun)
        with self._lock:
            self._lock.wait_for(lambda: len(self._heard.get(seq, ())) == total, 20)
            return self._heard[seq]

    def _read(self) -> None:
        while not self._is_over:
            for key, _ in self._selector.select(0.2):
                sock, number = key.fileobj, key.data
                assert isinstance(sock, socket.socket)
                data = self._rest.pop(number, b"") + sock.recv(1 << 16)
                now = time.perf_counter()
                with self._lock:
                    for seq in _told(data):
                        self._heard.setdefault(seq, {}).setdefault(number, now)
                        self._begun.add(number)
                    self._lock.notify_all()
                self._rest[number] = data[-64:]

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()


@contextmanager
def _watching(stage: Stage, port: int, jobs: Sequence[Job]) -> Iterator[Crowd]:
    crowd = Crowd(stage.token, port, jobs)
    try:
        yield crowd
    finally:
        crowd.close()


def _request(number: int, job: Job, token: str) -> bytes:
    lines = [f"Authorization: Bearer {token}", "Host: 127.0.0.1"]
    if number % 2:
        key = base64.b64encode(os.urandom(16)).decode()
        path = f"/api/batch/ws/{job.external_id}"
        lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}"]
        lines.append("Sec-WebSocket-Version: 13")
    else:
        path = f"/v1/jobs/{ids.render(job.id)}/events"
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode()


def _told(data: bytes) -> list[int]:
    """Return the numbers of the events in a piece of a stream or of a WebSocket."""
    found = []
    for mark, end in ((b'"seq":', b"}"), (b"\nid: ", b"\n"), (b"\r\nid: ", b"\n")):
        for part in data.split(mark)[1:]:
            number, closed, _ = part.partition(end)
            if closed and number.isdigit():
                found.append(int(number))
    return found


def _answers(port: int) -> Callable[[Program], bool]:
    def answers(_: Program) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    return answers


def _count(port: int) -> dict[str, int]:
    with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
        counted: dict[str, int] = json.load(answer)["watchers"]
    return counted
