"""How long and how much: what the command line says to the benchmarks that ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Options:
    #: Of `clients`: how long they ask. Of `backlog`: how long it may take.
    seconds: float | None = None
    #: Of `backlog`: jobs of 10,000 queued at once.
    jobs: int = 100
    #: Of `growth`: the most entities at once.
    entities: int = 1_000_000
    #: Of `growth`: where the picture goes.
    plot: Path | None = None


#: Of this run; benchmarks/__main__.py fills it in.
OPTIONS = Options()
