"""The index alone, in a process of its own: python -m benchmarks.engine build|screen ...

    build FOLDER NAMES   build an index of so many names (0: the list as it is), and save it
    screen FOLDER COUNT  open it and screen so many entities, once with no word remembered

Each writes one JSON object. Both find the lists as `benchmarks.lists` does.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from app.screening.compiled.warm import ensure, warm
from app.screening.index import Index
from app.screening.model import Subject
from benchmarks import lists, machine

THRESHOLD = 0.85
#: As many at once as the kind gives the index.
BATCH = 250


def build(folder: Path, names: int) -> dict[str, float]:
    entries = lists.sdn() if names == 0 else lists.many(names)
    ensure()
    started = time.perf_counter()
    cpu = time.process_time()
    index = Index.build(entries)
    index.save(folder)
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - cpu,
        "peak_mb": _peak_mb(),
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "entries": len(index),
    }


def screen(folder: Path, count: int) -> dict[str, float]:
    subjects = lists.mixed(count)
    warm()
    started = time.perf_counter()
    index = Index.open(folder)
    opening = time.perf_counter() - started
    # The pages of the index are in memory, and no word is remembered.
    index.screen(lists.strangers(BATCH), THRESHOLD)
    index.forget()
    yard = machine.yardstick()
    wall, cpu = time.perf_counter(), time.process_time()
    matches = _screen_all(index, subjects)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # How fast the machine was meanwhile.
    yard = (yard + machine.yardstick()) / 2
    again = time.process_time()
    _screen_all(index, subjects)
    again = time.process_time() - again
    index.forget()
    people = lists.ordinary(count // 2)
    ordinary = time.process_time()
    _screen_all(index, people)
    ordinary = time.process_time() - ordinary
    found = {
        "opening": opening,
        "entities": len(subjects),
        "seconds": wall,
        "cpu": cpu,
        "yard": yard / 1000,
        "again": again,
        "ordinary": len(people) / ordinary,
        "matches": matches,
        "peak_mb": _peak_mb(),
    }
    # The other process is still there when this one looks: what they share counts half.
    print("done", flush=True)
    sys.stdin.readline()
    found["pss_mb"], found["rss_mb"] = _memory()
    print("measured", flush=True)
    sys.stdin.readline()
    return found


def _screen_all(index: Index, subjects: Sequence[Subject]) -> int:
    """Screen all, and return how many matches there were."""
    return sum(
        len(matches)
        for at in range(0, len(subjects), BATCH)
        for matches in index.screen(subjects[at : at + BATCH], THRESHOLD)
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _memory() -> tuple[float, float]:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return sizes["Pss"] / 1024, sizes["Rss"] / 1024


if __name__ == "__main__":
    what, where, number = sys.argv[1:4]
    print(json.dumps((build if what == "build" else screen)(Path(where), int(number))))
