"""The conditions of a measurement: without them a figure says nothing."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.client import batch

_STAT = Path("/proc/stat")


#: Cores that others may keep busy in a moment that still counts as quiet.
QUIET = 0.3
_LOOK_SECONDS = 0.3

_patience = 0.0


def be_patient(seconds: float) -> None:
    """From now on let every run wait, for so long at the most, until others are quiet."""
    global _patience
    _patience = seconds


def wait_until_quiet() -> None:
    """Wait for a quiet moment, as patiently as we were told to. Our own programs are idle now."""
    deadline = time.monotonic() + _patience
    while time.monotonic() < deadline:
        before = _busy_seconds()
        time.sleep(_LOOK_SECONDS)
        after = _busy_seconds()
        if before is None or after is None or after - before <= QUIET * _LOOK_SECONDS:
            return


def conditions(packages: Sequence[str] = (), **facts: Any) -> dict[str, Any]:
    """Return what machine this is, and what is installed on it."""
    versions = [f"Python {platform.python_version()}"]
    for name in packages:
        with suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    return {
        "machine": f"{_processor()}, {cores()} cores, {platform.system()} {platform.machine()}",
        "speed": f"json.loads of the 10,000 entities takes {yardstick():.0f} ms of CPU here",
        "versions": ", ".join(versions),
        **({"patience": f"each run waited up to {_patience:g} s for quiet"} if _patience else {}),
        **facts,
    }


def yardstick() -> float:
    """Return the milliseconds of CPU that work takes which is the same on every machine."""
    body = batch()
    times = []
    for _ in range(7):
        start = time.process_time()
        json.loads(body)
        times.append(1000 * (time.process_time() - start))
    return statistics.median(times)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Others:
    """What else the machine does while we measure: the reason why a figure may be too high."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._all = _busy_seconds()
        self._ours = _our_seconds()

    def __str__(self) -> str:
        """Say it, once all that we started has ended."""
        now = _busy_seconds()
        if self._all is None or now is None:
            return f"not known here; load {os.getloadavg()[0]:.1f}"
        others = (now - self._all) - (_our_seconds() - self._ours)
        meanwhile = max(0.0, others) / (time.monotonic() - self._start)
        return f"kept {meanwhile:.1f} of {cores()} cores busy meanwhile"


def _our_seconds() -> float:
    """Seconds of this process, and of those below it that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _busy_seconds() -> float | None:
    """Seconds that all cores together were not idle since the machine started; None off Linux."""
    try:
        fields = [int(text) for text in _STAT.read_text().splitlines()[0].split()[1:]]
    except OSError:
        return None
    idle, waiting = fields[3:5]
    return (sum(fields[:8]) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
