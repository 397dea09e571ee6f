"""Which process lives, and how a set of them is stopped in good order.

A process is named by its number and its time of birth, since numbers are used again. Linux answers
from /proc; elsewhere `ps` does, more slowly.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
ON_LINUX = (PROC / "self" / "stat").exists()
POLL_SECONDS = 0.03

#: Every child carries this variable with the id of the run that started it.
MARKER = "MUSTER_RUN"


@dataclass(frozen=True, slots=True)
class Stage:
    """Children that are stopped together."""

    signals: tuple[tuple[signal.Signals | None, float], ...]

    @property
    def longest(self) -> float:
        """What the stop can take, in seconds, of those that take no notice of any signal."""
        return sum(seconds for _, seconds in self.signals) + KILL_SECONDS


#: For what was killed to be gone.
KILL_SECONDS = 0.5

#: In the order in which they stop: programs before the servers they use. `None` means the signal
#: that the child's own line names; every stage ends with SIGKILL to what is left.
STAGES = {
    "programs": Stage(((None, 5.5),)),
    "servers": Stage(((None, 2.0), (signal.SIGQUIT, 1.0))),
}


@dataclass(frozen=True, slots=True)
class Child:
    """A process with a group of its own, and the signal that asks it to end."""

    name: str
    pid: int
    born: str
    stage: str = "programs"
    stop_signal: int = signal.SIGTERM

    def is_alive(self) -> bool:
        return birth(self.pid) == self.born

    def leaves_nothing(self) -> bool:
        return not self.is_alive() and not group_lives(self.pid)


def birth(pid: int) -> str | None:
    """Return when the process was born, or None if it is no more, or only a zombie."""
    if ON_LINUX:
        fields = _stat(PROC / str(pid))
        return None if fields is None or fields[0] in "ZX" else fields[19]
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        check=False,
        capture_output=True,
        text=True,
    )
    state, _, born = shown.stdout.strip().partition(" ")
    return None if not born or state.startswith("Z") else born.strip()


def group_lives(group: int) -> bool:
    """Tell whether any process of the group is more than a zombie."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if not ON_LINUX:
        return True
    return any(fields[0] not in "ZX" and fields[2] == str(group) for _, fields in _all_stats())


def marked(run_id: str) -> list[int]:
    """Return the living processes that carry the marker of a run (on Linux; elsewhere none)."""
    wanted = f"{MARKER}={run_id}".encode()
    found = []
    for pid, fields in _all_stats():
        if fields[0] not in "ZX" and pid != os.getpid():
            # Other people's processes cannot be read, and are not ours.
            with suppress(OSError):
                if wanted in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                    found.append(pid)
    return found


def _all_stats() -> Iterator[tuple[int, list[str]]]:
    if ON_LINUX:
        for folder in PROC.iterdir():
            if folder.name.isdigit() and (fields := _stat(folder)) is not None:
                yield int(folder.name), fields


def _stat(folder: Path) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (the name before it may hold anything)."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None


def stop_in_order(children: Iterable[Child]) -> None:
    """Ask each stage to end, wait, and make it: at most ten seconds in all.

    Give it only children whose number cannot have been used again since.
    """
    everyone = list(children)
    for name, stage in STAGES.items():
        waiting = [child for child in everyone if child.stage == name]
        for number, seconds in stage.signals:
            for child in waiting:
                # To the main process only: Celery tells its pool itself, and a pool child that
                # gets the signal too drops its task.
                if child.is_alive():
                    _send(os.kill, child.pid, number or child.stop_signal)
            waiting = _wait(waiting, seconds)
        for child in waiting:
            _send(os.killpg, child.pid, signal.SIGKILL)
        _wait(waiting, KILL_SECONDS)


def _wait(children: Sequence[Child], seconds: float) -> list[Child]:
    deadline = time.monotonic() + seconds
    left = list(children)
    while True:
        for child in left:
            if not child.is_alive():
                # Its main process is gone; nobody else will tell the others.
                _send(os.killpg, child.pid, signal.SIGKILL)
        left = [child for child in left if not child.leaves_nothing()]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(POLL_SECONDS)


def stop_marked(run_id: str) -> None:
    """Kill what carries the marker of a run and was in nobody's list."""
    for pid in marked(run_id):
        _send(os.kill, pid, signal.SIGKILL)


def _send(send: Callable[[int, int], None], target: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        send(target, number)
