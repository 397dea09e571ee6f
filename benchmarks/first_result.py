"""Clone to first result: `python3 dev.py demo` in a fresh copy, to the line that says what matched.

Cold with pip and cold with uv, each with nothing in its download cache, and warm: the environment
is there. The copy holds what a clone would: the files that git tracks, and those not yet added.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import machine
from benchmarks.figure import Figure, Goal, Measure
from benchmarks.stage import ROOT

Say = Callable[[str], None]

COLD_RUNS = 3
WARM_RUNS = 5
LONGEST_RUN = 600.0
#: Of those planted in the demo's batch; fewer would mean that something is broken.
FOUND_SHARE = 0.8

PIP_GOAL, UV_GOAL, WARM_GOAL = Goal(30), Goal(12), Goal(6)

_FIRST_RESULT = re.compile(r"\d+ of 1,000 entities match a list")
_FOUND = re.compile(r"found (\d+) of (\d+) planted")


def measure(say: Say) -> Figure:
    with tempfile.TemporaryDirectory(prefix="muster-clone-") as parent:
        folder = Path(parent)
        say("cold, with pip")
        cold = [_cold(folder, None, say) for _ in range(COLD_RUNS)]
        uv = _find_uv(folder)
        quick = [_cold(folder, uv, say) for _ in range(COLD_RUNS)] if uv is not None else []
        say("warm")
        copy = _clone(folder / "warm")
        _demo(copy, _environment(folder, uv), say)
        warm = [_demo(copy, _environment(folder, uv), say) for _ in range(WARM_RUNS)]
        conditions = machine.conditions(
            ("pip", "uv"),
            work="dev.py demo: environment, servers, schema, sample list, 1,000 entities",
            cold="no environment, nothing in the download cache",
            network="the package index that pip is set up for",
        )
    more = [Measure.median("warm", warm, "s", WARM_GOAL)]
    if quick:
        more.insert(0, Measure.median("cold with uv", quick, "s", UV_GOAL))
    return Figure(
        name="first_result",
        headline=Measure.median("cold with pip", cold, "s", PIP_GOAL),
        more=more,
        conditions=conditions,
    )


def _cold(folder: Path, uv: Path | None, say: Say) -> float:
    copy = _clone(folder / "cold")
    for cache in _caches(folder).values():
        shutil.rmtree(cache, ignore_errors=True)
    seconds = _demo(copy, _environment(folder, uv), say)
    shutil.rmtree(copy)
    return seconds


def _clone(target: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        source = ROOT / name
        # A file that is deleted and not yet committed is still listed.
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target


def _demo(copy: Path, environment: Mapping[str, str], say: Say) -> float:
    """Run the demo to its end, and return the seconds to its first result."""
    machine.wait_until_quiet()
    start = time.monotonic()
    process = subprocess.Popen(
        [_python(), "dev.py", "demo"],
        cwd=copy,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    first, found = None, None
    for line in process.stdout:
        if first is None and _FIRST_RESULT.search(line):
            first = time.monotonic() - start
        found = found or _FOUND.search(line)
    assert process.stderr is not None
    errors = process.stderr.read()
    assert process.wait(LONGEST_RUN) == 0, errors[-2000:]
    assert first is not None, errors[-2000:]
    assert found is not None, "the demo says how many of those planted it found"
    assert int(found[1]) >= FOUND_SHARE * int(found[2]), found[0]
    say(f"{first:.1f} s, {found[0]}")
    return first


def _environment(folder: Path, uv: Path | None) -> dict[str, str]:
    """Return the variables of somebody who has just cloned: no Muster, no environment, no uv."""
    # PYTHON: who forbids Python to keep its byte code would have every start compile all again.
    ours = ("MUSTER_", "PG", "VIRTUAL_ENV", "DATABASE_URL", "REDIS_URL", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = [
        part
        for part in kept.get("PATH", os.defpath).split(os.pathsep)
        if not (Path(part) / "uv").exists() and Path(part) != Path(sys.prefix) / "bin"
    ]
    if uv is not None:
        path.insert(0, str(uv.parent))
    caches = {name: str(cache) for name, cache in _caches(folder).items()}
    return {**kept, **caches, "PATH": os.pathsep.join(path)}


def _caches(folder: Path) -> dict[str, Path]:
    return {"PIP_CACHE_DIR": folder / "pip-cache", "UV_CACHE_DIR": folder / "uv-cache"}


def _find_uv(folder: Path) -> Path | None:
    """Return a uv in a folder of its own, so that nothing else comes with it on PATH."""
    found = shutil.which("uv")
    if found is None:
        home = folder / "uv-home"
        make = [_python(), "-m", "venv", str(home)]
        install = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "uv"]
        if any(subprocess.run(each, check=False).returncode for each in (make, install)):
            return None
        found = str(home / "bin" / "uv")
    alone = folder / "uv-alone" / "uv"
    alone.parent.mkdir()
    alone.symlink_to(found)
    return alone


def _python() -> str:
    """The Python that our own environment was made from."""
    return getattr(sys, "_base_executable", None) or sys.executable
