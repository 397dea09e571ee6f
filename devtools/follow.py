"""Shows what programs write to their logs, as they write it, each line with the program's name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from devtools import state


class Follower:
    """Reads on from where the logs end now."""

    def __init__(self, names: Sequence[str]) -> None:
        self._positions = {name: self._log(name).stat().st_size for name in names}
        self._width = max(map(len, names), default=0)

    def show_news(self) -> None:
        """Print the whole lines that were added since the last time."""
        for name, position in self._positions.items():
            with self._log(name).open("rb") as log:
                log.seek(position)
                whole, newline, _ = log.read().rpartition(b"\n")
            for line in whole.decode(errors="replace").splitlines():
                print(f"{name:{self._width}} | {line}", flush=True)
            self._positions[name] = position + len(whole) + len(newline)

    def _log(self, name: str) -> Path:
        return state.LOGS / f"{name}.log"
