"""How the time grows with the number of entities, from a thousand to a million.

Each size is submitted in jobs of up to 10,000 through the API, all queued at once, and timed to the
last one's end, two screening processes, the bundled list. Results stay where they are, so each size
is written behind all those before it. The exponent is of the line that fits best on logarithms:
1 is linear, as it should be. Beside each size what it would take at the pace of 10,000.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from app import embedded
from benchmarks import machine, plot
from benchmarks.client import ENTITIES, Client, batch
from benchmarks.figure import Figure, Goal, Measure
from benchmarks.options import OPTIONS
from benchmarks.stage import Stage, staged, until

Say = Callable[[str], None]

SIZES = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
LONGEST = 3_600.0
LOOK_SECONDS = 0.05
GOAL = Goal(1.1)


def measure(say: Say) -> Figure:
    sizes = [size for size in SIZES if size <= OPTIONS.entities]
    with staged(say=say) as stage:
        durable = stage.check_durable()
        stage.load("sample")
        port = embedded.free_port()
        programs = [stage.start_web(port), *stage.start_workers("worker", "control", "beat")]
        client = Client(port, stage.token)
        say("warming up")
        _run(stage, client, ENTITIES)
        seconds = []
        for size in sizes:
            seconds.append(_run(stage, client, size))
            say(f"{size:,}: {seconds[-1]:.2f} s")
        _check(stage, ENTITIES + sum(sizes))
        stage.stop(*programs)
        conditions = machine.conditions(
            ("celery", "psycopg2-binary"),
            work="jobs of up to 10,000, all of a size queued at once; one run each",
            workers="the Procfile's worker, a pool of 2",
            durability=durable,
        )
    exponent, factor = fit(sizes, seconds)
    if OPTIONS.plot:

        def line(size: int) -> float:
            return factor * float(size) ** exponent

        picture = plot.log_log(
            list(zip(sizes, seconds, strict=True)),
            title=f"Seconds to screen so many entities: n to the {exponent:.2f}",
            line=((sizes[0], line(sizes[0])), (sizes[-1], line(sizes[-1]))),
            across="entities, all queued at once",
            up="seconds to the last result",
        )
        OPTIONS.plot.write_text(picture, encoding="utf-8")
    pace = seconds[sizes.index(ENTITIES)] / ENTITIES
    return Figure(
        name="growth",
        headline=Measure("exponent: time grows as entities to the power of", exponent, "", GOAL),
        more=[
            Measure(f"{size:,} entities", took, "s")
            for size, took in zip(sizes, seconds, strict=True)
        ],
        compared=Measure("the most", seconds[-1], "s"),
        peers=[Measure(f"{sizes[-1]:,} at the pace of {ENTITIES:,}", pace * sizes[-1], "s")],
        conditions=conditions,
    )


def fit(sizes: Sequence[int], seconds: Sequence[float]) -> tuple[float, float]:
    """Return exponent and factor of the power that fits best, by least squares of logarithms."""
    points = [(math.log(n), math.log(s)) for n, s in zip(sizes, seconds, strict=True)]
    x0 = sum(x for x, _ in points) / len(points)
    y0 = sum(y for _, y in points) / len(points)
    exponent = sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0) ** 2 for x, _ in points)
    return exponent, math.exp(y0 - exponent * x0)


def _run(stage: Stage, client: Client, size: int) -> float:
    bodies = [batch(min(ENTITIES, size))] * max(1, size // ENTITIES)
    machine.wait_until_quiet()
    start = time.perf_counter()
    for body in bodies:
        answer = client.post("/kyc/jobs", body)
        assert answer.status == 200, answer.raw[:500]
    until(
        lambda: not stage.query("SELECT count(*) FROM jobs WHERE finished_at IS NULL"),
        LONGEST,
        f"{size:,} entities are screened",
        LOOK_SECONDS,
    )
    return time.perf_counter() - start


def _check(stage: Stage, entities: int) -> None:
    assert stage.query("SELECT count(*) FROM results WHERE kind = 'kyc'") == entities
    assert stage.query("SELECT sum(succeeded) FROM jobs WHERE state = 'completed'") == entities
    alike = "SELECT count(DISTINCT matches) FROM jobs WHERE total = %(n)s"
    assert stage.query(alike, n=ENTITIES) == 1, "the same entities have the same matches"
