"""POST of 10,000 entities to the answer, when every row is durable and the chunks are published.

Through the Procfile's web server, from the first byte sent to the last received, with no worker
running: what follows the answer is measured by `job`. The parts are timed in this process, by the
same code on the same servers. The floor beside it is json.loads and one COPY, behind the same
gunicorn.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from types import ModuleType
from typing import Any

from app import embedded
from app.api import kyc, kyc_entities
from app.factory import create_app
from app.jobs import service, store, turns
from app.jobs.dispatch import SCREENING
from benchmarks import machine
from benchmarks.client import ENTITIES, Client, batch
from benchmarks.figure import Figure, Goal, Measure
from benchmarks.peers import work
from benchmarks.stage import Stage, command, is_listening, staged

Say = Callable[[str], None]

WARM_UP = 3
RUNS = 15
GOAL = Goal(300)

#: Where the time goes, by the function that spends it.
_PARTS = {
    "reading the JSON": (kyc, "read_json"),
    "validation": (kyc_entities, "read_items"),
    "COPY of the items": (store, "copy_items"),
    "publishing": (service, "launch"),
    "_submit": (service, "submit"),
}


def measure(say: Say) -> Figure:
    body = batch()
    with staged(say=say) as stage:
        durable = stage.check_durable()
        stage.load("sample")
        work.create_tables(stage.settings.database_url)
        ours, floor = _take_turns(stage, body, say)
        parts = _parts(stage, body, say)
        conditions = machine.conditions(
            ("gunicorn", "Flask", "msgspec", "celery", "psycopg2-binary"),
            work=f"{ENTITIES:,} entities, {len(body) / 1e6:.1f} MB of JSON",
            web="the Procfile's gunicorn: 2 workers, 8 threads each; no Celery worker running",
            durability=durable,
        )
    return Figure(
        name="submit",
        headline=Measure.median("POST to the answer", ours, "ms", GOAL),
        more=[Measure.median(f"of it {name}", runs, "ms") for name, runs in parts.items()],
        peers=[Measure.median("floor: json.loads and COPY", floor, "ms")],
        conditions=conditions,
    )


def _take_turns(stage: Stage, body: bytes, say: Say) -> tuple[list[float], list[float]]:
    ports = embedded.free_port(), embedded.free_port()
    web = stage.start_web(ports[0])
    bare = stage.start(
        "floor",
        command("web").replace("app.factory", "benchmarks.peers.floor_app"),
        is_ready=is_listening,
        PORT=str(ports[1]),
        **work.environment(stage.settings.database_url, stage.settings.redis_url, "floor"),
    )
    client, other = (Client(port, stage.token) for port in ports)
    ours, floor = [], []
    for turn in range(-WARM_UP, RUNS):
        mine, its = _post(stage, client, body), _post_bare(stage, other, body)
        say(f"{mine:.0f} ms, floor {its:.0f} ms" + (" (warming up)" if turn < 0 else ""))
        if turn >= 0:
            ours.append(mine)
            floor.append(its)
    stage.stop(web, bare)
    return ours, floor


def _post(stage: Stage, client: Client, body: bytes) -> float:
    machine.wait_until_quiet()
    answer = client.post("/kyc/jobs", body)

    assert answer.status == 200, answer.raw[:500]
    job_id = answer.body["job_id"]
    assert answer.body["total_entities"] == ENTITIES
    assert stage.query("SELECT count(*) FROM items WHERE job_id = %(id)s", id=job_id) == ENTITIES
    chunks = -(-ENTITIES // stage.settings.chunk_size)
    assert sum(map(stage.redis.llen, turns.lists(SCREENING))) == chunks
    # No worker takes them; what lies in the queue must not grow from run to run.
    stage.redis.flushdb()
    return answer.seconds * 1000


def _post_bare(stage: Stage, client: Client, body: bytes) -> float:
    machine.wait_until_quiet()
    answer = client.post("/jobs", body)

    assert answer.status == 200, answer.raw[:500]
    count = "SELECT count(*) FROM peer_items WHERE job_id = %(id)s"
    assert stage.query(count, id=answer.body["job_id"]) == ENTITIES
    return answer.seconds * 1000


def _parts(stage: Stage, body: bytes, say: Say) -> dict[str, list[float]]:
    say("the parts, in this process")
    client = create_app(stage.settings).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {stage.token}"
    parts: dict[str, list[float]] = defaultdict(list)
    for turn in range(-WARM_UP, RUNS):
        spent: dict[str, float] = {}
        machine.wait_until_quiet()
        with ExitStack() as clocks:
            for name, (module, function) in _PARTS.items():
                clocks.enter_context(_clocked(module, function, name, spent))
            start = time.perf_counter()
            answer = client.post("/kyc/jobs", data=body, content_type="application/json")
            spent["_whole"] = (time.perf_counter() - start) * 1000
        assert answer.status_code == 200
        stage.redis.flushdb()
        if turn >= 0:
            for name, value in _told(spent).items():
                parts[name].append(value)
    assert median(parts["COPY of the items"]) > 0
    return parts


def _told(spent: dict[str, float]) -> dict[str, float]:
    whole, submit = spent.pop("_whole"), spent.pop("_submit")
    commit = submit - spent["COPY of the items"] - spent["publishing"]
    return {
        **spent,
        "the job's row, estimate and commit": commit,
        "token, lists, answer and the rest": whole - sum(spent.values()) - commit,
    }


@contextmanager
def _clocked(
    module: ModuleType, function: str, name: str, spent: dict[str, float]
) -> Iterator[None]:
    """Note how long a function of the platform takes, inside the block."""
    original: Callable[..., Any] = getattr(module, function)

    def clocked(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return original(*args, **kwargs)
        finally:
            spent[name] = (time.perf_counter() - start) * 1000

    setattr(module, function, clocked)
    try:
        yield
    finally:
        setattr(module, function, original)
