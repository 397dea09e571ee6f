"""The screening engine: entities a second and core on the SDN list and on a million names.

Beside it, in the same run, what others do to find a name: every listed name compared by
jellyfish, by rapidfuzz, and by nomenklatura's logic-v2 where it is installed. Each with its
recall on the UN list; ours is held to comparing everything with the plain scorer.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.screening.index import Index
from benchmarks import lists, machine, reference
from benchmarks.figure import Figure, Goal, Measure
from benchmarks.peers import matchers
from benchmarks.stage import ROOT

Say = Callable[[str], None]

RUNS = 5
SDN_ENTITIES, MANY_ENTITIES = 8_000, 4_000
MANY_NAMES = 1_000_000
#: Entities that ours is compared for with every name of the list, by the plain scorer.
CHECKED = 30
PEER_ENTITIES = 30


def measure(say: Say) -> Figure:
    lists.folder()
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as temporary:
        folder = Path(temporary)
        say("compiling, if this machine has not yet")
        compiling = _compile()
        say("building the index of the SDN list")
        sdn = _run("build", folder / "sdn", 0)
        runs = []
        for _ in range(RUNS):
            machine.wait_until_quiet()
            (run,) = _screen(folder / "sdn", SDN_ENTITIES, processes=1)
            runs.append(run)
            say(f"{run['entities'] / run['cpu']:,.0f} entities/s and core on the SDN list")
        both = _screen(folder / "sdn", SDN_ENTITIES, processes=2)
        say(f"comparing {CHECKED} entities with every name, by the plain scorer")
        compared = _check(folder / "sdn")
        say(f"building an index of {MANY_NAMES:,} names: minutes")
        many = _run("build", folder / "many", MANY_NAMES)
        say("screening against it in two processes")
        pair = _screen(folder / "many", MANY_ENTITIES, processes=2)
        peers = _peers(say)

    rate = [run["entities"] / run["cpu"] for run in runs]
    return Figure(
        name="screening",
        headline=Measure.median(
            "entities screened against the SDN list, no word remembered", rate, "/s/core",
            Goal(10_000, at_most=False),
        ),
        more=[
            Measure.median("of these, screened while json.loads reads a batch of 10,000 once",
                           [run["yard"] * run["entities"] / run["cpu"] for run in runs], ""),
            Measure.median("the same again, words remembered",
                           [run["entities"] / run["again"] for run in runs], "/s/core"),
            Measure.median("ordinary people alone, of whom none is listed",
                           [run["ordinary"] for run in runs], "/s/core"),
            Measure("two processes at once, both together",
                    sum(run["entities"] / run["seconds"] for run in both), "/s"),
            Measure("building and saving the index of the SDN list", sdn["seconds"], "s", Goal(10)),
            Measure.median("opening it", [run["opening"] for run in runs], "s", Goal(0.2)),
            Measure(f"entities against {MANY_NAMES:,} names, no word remembered",
                    statistics.mean(run["entities"] / run["cpu"] for run in pair), "/s/core",
                    Goal(1_000, at_most=False)),
            Measure("building and saving their index", many["seconds"], "s", Goal(120)),
            Measure("opening it", max(run["opening"] for run in pair), "s", Goal(0.2)),
            Measure("a process that screens against them, resident at most",
                    max(run["rss_mb"] for run in pair), "MB", Goal(3 * 1024)),
            Measure("what one of two such processes has to itself, its share of what is common"
                    " included (PSS)", max(run["pss_mb"] for run in pair), "MB"),
            Measure("compiling the loops, where they are not kept yet", compiling, "s"),
        ],
        peers=[peer.speed for peer in peers],
        conditions=machine.conditions(
            ("numba", "numpy", "jellyfish", "rapidfuzz", "nomenklatura"),
            work=f"{SDN_ENTITIES:,} entities, half of them ordinary people and half names of listed"
            " people and companies, threshold 0.85, calls of 250",
            lists=f"SDN {sdn['entries']:,} entries; {MANY_NAMES:,} names made of the words of real"
            f" lists; indexes of {sdn['bytes'] / 1e6:.0f} and {many['bytes'] / 1e6:.0f} MB",
            lossless=f"{compared} matches of {CHECKED} entities equal the plain scorer's on every"
            " name",
            recall="; ".join(str(peer) for peer in peers),
        ),
    )  # fmt: skip


def _compile() -> float:
    program = (
        "import time; from app.screening.compiled.warm import ensure;"
        " start = time.perf_counter(); ensure(); print(time.perf_counter() - start)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(ran.stdout)


def _run(what: str, folder: Path, number: int) -> dict[str, Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine", what, str(folder), str(number)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def _screen(folder: Path, count: int, processes: int) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.engine", "screen", str(folder), str(count)]
    running = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    for word in ("done", "measured"):
        # All have done the one before any of them goes on to the next.
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == f"{word}\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
    found = [json.loads(process.communicate()[0]) for process in running]
    assert len({each["matches"] for each in found}) == 1, "the same in every process"
    assert found[0]["matches"] >= count * 0.1, "listed names are found"
    return found


def _check(folder: Path) -> int:
    """Compare what the index finds with what comparing everything finds; return how much."""
    subjects = lists.mixed(SDN_ENTITIES)[:CHECKED]
    found = Index.open(folder).screen(subjects)
    scorer = reference.Scorer(lists.sdn())
    for subject, matches in zip(subjects, found, strict=True):
        got = {match.entry.id: round(match.score, 4) for match in matches}
        assert got == scorer.compare(subject), "not what the plain scorer finds"
    return sum(map(len, found))


def _peers(say: Say) -> list[matchers.Outcome]:
    """Return what each matcher finds of the UN list's people, and its speed on the SDN list."""
    found = []
    for matcher in matchers.available():
        say(f"{matcher.name}: every name of the list for {PEER_ENTITIES} entities")
        found.append(matchers.measure(matcher, PEER_ENTITIES))
    return found
