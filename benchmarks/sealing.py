"""What encrypted payloads cost: 10,000 items submitted, loaded, answered and read, and without.

In this process and on durable servers, with no engine at work: what is compared is all that the
platform does with payloads and results, so the share of a whole job is smaller. Both take turns.
CPU is that of this process, which encrypts; it says more than the clock where others are at work.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from app.jobs import service, store
from app.jobs.dispatch import FACES
from app.jobs.model import ItemStatus, Job, NewItem, NewJob, Result
from app.jobs.states import Event
from app.resources import Resources
from benchmarks import machine
from benchmarks.client import ENTITIES, batch
from benchmarks.figure import Figure, Measure
from benchmarks.stage import Stage, staged

Say = Callable[[str], None]

CHUNK = 500
WARM_UP = 1
RUNS = 3

#: Of a person with one match, about.
_DETAIL: Mapping[str, Any] = {"is_match": True, "matches": [{"name": "x" * 40, "why": "y" * 900}]}


def measure(say: Say) -> Figure:
    items = [
        NewItem(f"e{n}", service.encode_item(entity))
        for n, entity in enumerate(json.loads(batch())["entities"])
    ]
    with staged(say=say) as stage:
        durable = stage.check_durable()
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        plain = Resources.open(stage.settings)
        sealed = Resources.open(replace(stage.settings, payload_keys=f"k1:{key}"))
        spent: dict[str, dict[str, list[float]]] = {"plain": {}, "sealed": {}}
        for turn in range(-WARM_UP, RUNS):
            for name, resources in (("plain", plain), ("sealed", sealed)):
                machine.wait_until_quiet()
                took = _run(stage, resources, items, is_sealed=name == "sealed")
                elapsed = took.pop("_elapsed")
                cpu = sum(took.values())
                more = " (warming up)" if turn < 0 else ""
                say(f"{name}: {elapsed:.0f} ms, {cpu:.0f} ms of CPU{more}")
                if turn >= 0:
                    for part, value in (*took.items(), ("all", cpu), ("elapsed", elapsed)):
                        spent[name].setdefault(part, []).append(value)
        size = (
            "SELECT sum(octet_length(payload::text)) / count(*) FROM items WHERE payload::text {}"
        )
        bytes_plain = float(stage.query(size.format("NOT LIKE '\"sealed%%'")))
        bytes_sealed = float(stage.query(size.format("LIKE '\"sealed%%'")))
        conditions = machine.conditions(
            ("cryptography", "psycopg2-binary"),
            work=f"{ENTITIES:,} items of the batch that `submit` posts, results of 1 kB",
            durability=durable,
            payload=f"{bytes_plain:.0f} bytes plain, {bytes_sealed:.0f} sealed",
        )
        plain.close()
        sealed.close()
    parts = [part for part in spent["plain"] if part not in {"all", "elapsed"}]
    return Figure(
        name="sealing",
        headline=Measure.median("CPU of this process, with a key", spent["sealed"]["all"], "ms"),
        more=[
            Measure.median("time to the end, with a key", spent["sealed"]["elapsed"], "ms"),
            Measure.median("time to the end, without", spent["plain"]["elapsed"], "ms"),
        ]
        + [
            Measure.median(f"CPU, {part}, {name}", spent[name][part], "ms")
            for part in parts
            for name in ("plain", "sealed")
        ],
        peers=[Measure.median("CPU without keys", spent["plain"]["all"], "ms")],
        conditions=conditions,
    )


def _run(
    stage: Stage, resources: Resources, items: list[NewItem], *, is_sealed: bool
) -> dict[str, float]:
    """Return milliseconds by part."""
    spent: dict[str, float] = {}
    wanted = NewJob(
        tenant_id=stage.tenant.id,
        kind="kyc",
        dialect="kyc",
        queue=FACES,
        chunk_size=CHUNK,
        options={},
        items=items,
        created_by="bench",
    )
    job = _timed(spent, "submit", lambda: service.submit(resources, wanted))
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.CLAIM)
        # Autovacuum would come some day, and not in the middle of this.
        tx.execute("ANALYZE jobs, items, results")
    loaded = _timed(spent, "load", lambda: _load(resources, job))
    assert [service.encode_item(item.payload) for item in loaded] == [i.payload for i in items]
    _timed(spent, "save results", lambda: _save(resources, job))
    pages = _timed(spent, "read results", lambda: list(service.results(resources, job)))
    assert [json.loads(row["result"]) for page in pages for row in page] == [_DETAIL] * ENTITIES
    count = "SELECT count(*) FROM results WHERE job_id = %(id)s AND result::text LIKE '\"sealed%%'"
    assert stage.query(count, id=job.id) == (ENTITIES if is_sealed else 0)
    stage.redis.flushdb()
    return spent


def _load(resources: Resources, job: Job) -> list[Any]:
    found = []
    for number in range(job.chunk_count):
        with resources.db.transaction() as tx:
            found += store.load_outstanding(tx, job, job.chunk(number))
    return found


def _save(resources: Resources, job: Job) -> None:
    for number in range(job.chunk_count):
        rows = [_result(position) for position in job.chunk(number)]
        with resources.db.transaction() as tx:
            store.save_results(tx, job, rows, pass_no=1)


def _result(position: int) -> Result:
    return Result(position, ItemStatus.SUCCEEDED, _DETAIL, 1)


def _timed(spent: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    start, cpu = time.perf_counter(), time.process_time()
    done = work()
    spent[name] = (time.process_time() - cpu) * 1000
    spent["_elapsed"] = spent.get("_elapsed", 0.0) + (time.perf_counter() - start) * 1000
    return done
