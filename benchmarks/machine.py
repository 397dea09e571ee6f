"""The conditions of a measurement: without them a figure says nothing."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_STAT = Path("/proc/stat")


def conditions(packages: Sequence[str] = (), **facts: Any) -> dict[str, Any]:
    """Return what machine this is, how busy others keep it, and what is installed."""
    versions = [f"Python {platform.python_version()}"]
    for name in packages:
        with suppress(PackageNotFoundError):
            versions.append(f"{name} {version(name)}")
    return {
        "machine": f"{_processor()}, {cores()} cores, {platform.system()} {platform.machine()}",
        "busy with others before": busy(),
        "versions": ", ".join(versions),
        **facts,
    }


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy(seconds: float = 1.0) -> str:
    """Say how many cores were at work during a second in which we did nothing."""
    before = _busy_seconds()
    if before is None:
        return f"load {os.getloadavg()[0]:.2f}"
    time.sleep(seconds)
    after = _busy_seconds()
    assert after is not None, "it was there a second ago"
    return f"{(after - before) / seconds:.2f} cores, load {os.getloadavg()[0]:.2f}"


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
