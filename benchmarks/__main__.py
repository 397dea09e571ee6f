"""The command: python -m benchmarks [NAME ...] [--json]."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from benchmarks.client import ENTITIES
from benchmarks.figure import Figure, Skipped, nothing
from benchmarks.machine import Others, be_patient
from benchmarks.options import OPTIONS

#: In the order in which they run. Each is a module with a function `measure(say) -> Figure`.
NAMES = (
    *("accuracy", "screening", "submit", "job", "overhead", "polls", "watchers", "memory"),
    *("monitoring", "extraction", "tagging", "faces", "face_uploads", "first_result"),
    *("backlog", "clients", "growth", "retention", "sealing"),
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="dev.py bench",
        description="Measure Muster. Figures measured earlier: benchmarks/README.md.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; all unless told"
    )
    parser.add_argument(
        "--json", action="store_true", help="after each benchmark, a line with one JSON object"
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="before each run wait up to so long for other programs to be quiet",
    )
    parser.add_argument(
        "--seconds", type=float, metavar="SECONDS", help="clients: how long; backlog: at the most"
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="backlog: jobs of 10,000 at once")
    parser.add_argument(
        "--entities", type=int, metavar="N", help="growth: the most at once, from 10,000"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="growth: where the picture goes")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in NAMES]:
        parser.error(f"no benchmark is called {unknown[0]}; there are: {', '.join(NAMES)}")
    if given.entities is not None and given.entities < ENTITIES:
        parser.error(f"--entities: growth is from {ENTITIES:,} on")

    names = given.names or NAMES
    if len(names) > 1:
        # A process each: peers keep what they connected to, and memory is measured too.
        return max(_run_alone(name, arguments, given.names) for name in names)
    be_patient(given.patience)
    for name in ("seconds", "jobs", "entities", "plot"):
        if (value := getattr(given, name)) is not None:
            setattr(OPTIONS, name, value)
    line = _show(names[0])
    if given.json:
        print(line)
    return 0


def _run_alone(name: str, arguments: Sequence[str], names: Sequence[str]) -> int:
    options = [each for each in arguments if each not in names]
    return subprocess.call([sys.executable, "-m", "benchmarks", name, *options])


def _show(name: str) -> str:
    """Measure, print what came of it for people, and return it as a line of JSON."""
    others = Others()
    try:
        figure: Figure = import_module(f"benchmarks.{name}").measure(_teller(name))
    except Skipped as why:
        print(f"\n{name}\n    skipped: {why}")
        return nothing(name, why)
    figure = replace(figure, conditions={**figure.conditions, "others": str(others)})
    print(figure)
    return figure.to_json()


def _teller(name: str) -> Callable[[str], None]:
    """Return what shows a benchmark's progress: on standard error, for output is for figures."""

    def say(doing: str) -> None:
        print(f"  {name}: {doing}", file=sys.stderr, flush=True)

    return say


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nStopped; nothing is left running.")
