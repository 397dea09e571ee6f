"""Two hundred clients at once, for a minute or as long as told, and not one error.

Each submits ten entities, polls until they are screened, reads the results, rests a moment, and
begins again, through the Procfile's programs. Every answer must be the right one: 200, and ten
results in the order of submission. Limits of rate are off: one address stands for all of them.

Beside it one client alone, in the same run.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app import embedded
from app.sample.people import entities
from benchmarks import machine
from benchmarks.client import Client, batch
from benchmarks.figure import Figure, Goal, Measure
from benchmarks.options import OPTIONS
from benchmarks.stage import staged

Say = Callable[[str], None]

CLIENTS = 200
SECONDS = 60.0
ALONE_SECONDS = 5.0
BATCH = 10
#: A client looks about so often, and rests as long between two jobs.
PAUSE = 0.5
#: What nobody waits for longer.
LONGEST_JOB = 120.0


@dataclass
class Crowd:
    """So many clients, each in a thread of its own, and what they were answered."""

    port: int
    token: str
    answers: Counter[str] = field(default_factory=Counter)
    waits: dict[str, list[float]] = field(default_factory=dict)
    jobs: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self, count: int, seconds: float) -> None:
        threads = [threading.Thread(target=self._client, args=(n,)) for n in range(count)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self._over.set()
        for thread in threads:
            thread.join()

    def _client(self, number: int) -> None:
        dice = random.Random(number)
        client = Client(self.port, self.token)
        # They do not all come in the same moment.
        self._over.wait(PAUSE * dice.random())
        while not self._over.is_set():
            try:
                self._job(client, dice)
            except Exception as error:
                self._note("other", type(error).__name__, 0.0)
            self._over.wait(PAUSE * (0.5 + dice.random()))

    def _job(self, client: Client, dice: random.Random) -> None:
        start = time.perf_counter()
        posted = self._ask(client, "post", "/kyc/jobs", _BODY)
        path = f"/kyc/jobs/{posted['job_id']}"
        while self._ask(client, "poll", f"{path}?results=false")["job_status"] != "completed":
            if time.perf_counter() - start > LONGEST_JOB:
                raise TimeoutError
            if self._over.wait(PAUSE * (0.5 + dice.random())):
                return
        with self._lock:
            self.jobs.append(time.perf_counter() - start)
        results = self._ask(client, "read", path)["results"]
        if [each["entity_id"] for each in results] != _IDS:
            self._note("read", "other results", 0.0)

    def _ask(self, client: Client, what: str, path: str, body: bytes | None = None) -> Any:
        answer = client.get(path) if body is None else client.post(path, body)
        self._note(what, str(answer.status), answer.seconds)
        if answer.status != 200:
            raise ConnectionError
        return answer.body

    def _note(self, what: str, outcome: str, seconds: float) -> None:
        with self._lock:
            self.answers[f"{what} {outcome}"] += 1
            self.waits.setdefault(what, []).append(seconds)

    @property
    def errors(self) -> int:
        return sum(n for outcome, n in self.answers.items() if not outcome.endswith(" 200"))

    def within(self, what: str, share: float) -> float:
        waits = sorted(self.waits[what])
        return 1000 * waits[int(share * (len(waits) - 1))]


_BODY = batch(BATCH)
_IDS = [each["entity_id"] for each in entities(BATCH)]


def measure(say: Say) -> Figure:
    seconds = OPTIONS.seconds or SECONDS
    with staged(say=say) as stage:
        durable = stage.check_durable()
        stage.load("sample")
        port = embedded.free_port()
        programs = [stage.start_web(port), *stage.start_workers("worker", "control", "beat")]
        say("one client alone")
        alone = Crowd(port, stage.token)
        alone.run(1, ALONE_SECONDS)
        say(f"{CLIENTS} clients for {seconds:g} s")
        crowd = Crowd(port, stage.token)
        crowd.run(CLIENTS, seconds)
        stage.stop(*programs)
        asked = sum(len(waits) for waits in crowd.waits.values())
        conditions = machine.conditions(
            ("gunicorn", "Flask", "celery"),
            clients=f"{CLIENTS}, each {BATCH} entities at a time, for {seconds:g} s, with pauses"
            f" of {PAUSE:g} s; threads of one process, on the same cores",
            web="the Procfile's gunicorn, 2 workers of 8 threads",
            durability=durable,
            answers=", ".join(f"{what} {n:,}" for what, n in sorted(crowd.answers.items())),
        )
    assert crowd.jobs, crowd.answers
    assert alone.errors == 0, alone.answers
    return Figure(
        name="clients",
        headline=Measure("errors", crowd.errors, "", Goal(0)),
        more=[
            Measure("requests answered", asked / seconds, "/s"),
            Measure("jobs done", len(crowd.jobs), ""),
            Measure("half of the polls answered within", crowd.within("poll", 0.5), "ms"),
            Measure("99 of 100 polls", crowd.within("poll", 0.99), "ms"),
            Measure("half of the submissions answered within", crowd.within("post", 0.5), "ms"),
            Measure("99 of 100 submissions", crowd.within("post", 0.99), "ms"),
            Measure.median("POST to completed, as a client sees it", crowd.jobs, "s"),
        ],
        compared=Measure("half of the polls", crowd.within("poll", 0.5), "ms"),
        peers=[Measure("half of the polls of one client alone", alone.within("poll", 0.5), "ms")],
        conditions=conditions,
    )
