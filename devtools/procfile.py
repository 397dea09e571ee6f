"""The Procfile: one line for each program, `name: command`."""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(.+)$")


def read(path: Path) -> dict[str, str]:
    """Return the commands by name, in the order of the file."""
    commands = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.match(line)
        if found is None:
            raise ValueError(f"{path.name}, line {number}: expected `name: command`")
        commands[found[1]] = found[2]
    return commands
