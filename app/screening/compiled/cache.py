"""Where compiled loops are kept on this machine, and whether they are there: without numba.

A folder for each state of the sources, numba and processor. numba looks only at the file that a
loop is in, and so would keep what a change in another file has outdated.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import platform
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

log = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parent
_READY = "ready"
_UNUSABLE = "unusable"
_PROCESSOR = Path("/proc/cpuinfo")


#: Where else they may be kept, if not beside the code.
_others: list[Path] = []
_is_settled = False


def may_be_kept_in(parent: Path) -> None:
    """Name a folder that outlives this process: of a container, say, whose code is read-only."""
    if not _is_settled and parent not in _others:
        _others.append(parent)
        folder.cache_clear()


def is_ready() -> bool:
    """Say whether every loop was compiled on this machine."""
    return (folder() / _READY).exists()


def mark_ready() -> None:
    (folder() / _READY).touch()


def is_unusable() -> bool:
    """Say whether the compiler that is installed was found not to run here."""
    return (folder() / _UNUSABLE).exists()


def mark_unusable() -> None:
    """Note it for every process of this machine, until another compiler is installed."""
    (folder() / _UNUSABLE).touch()


@contextmanager
def only_one() -> Iterator[None]:
    """Let one process of this machine at a time compile."""
    with (folder() / ".lock").open("w") as file:
        # Let go by the system when the process ends, however it ends.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def settled() -> Path:
    """Return the folder, from now on for good: numba has been told."""
    global _is_settled
    _is_settled = True
    return folder()


@cache
def folder() -> Path:
    """Return the folder: beside the code where we may write there, else a closed one of our own."""
    name = f"loops-{_fingerprint()}"
    own = Path(tempfile.gettempdir()) / f"muster-compiled-{os.getuid()}"
    for parent in (_PACKAGE / "__pycache__", *_others, own):
        try:
            parent.mkdir(mode=0o700 if parent == own else 0o755, parents=True, exist_ok=True)
            (parent / name).mkdir(mode=0o755, exist_ok=True)
            if _is_ours(parent) and _is_ours(parent / name):
                return parent / name
        except OSError:
            continue
    # New for every process: everything is compiled each time, but it works.
    log.warning("loops.not_kept")
    return Path(tempfile.mkdtemp(prefix=name))


def _is_ours(folder: Path) -> bool:
    """Say whether we may write there, and nobody else: whoever can, can have us run anything."""
    facts = folder.lstat()
    return (
        stat.S_ISDIR(facts.st_mode)
        and facts.st_uid in (0, os.getuid())
        and not facts.st_mode & 0o022
        and os.access(folder, os.W_OK)
    )


def _fingerprint() -> str:
    total = hashlib.sha256(
        f"{version('numba')} {version('numpy')} {platform.python_version()}".encode()
    )
    total.update(_processor().encode())
    for path in sorted([*_PACKAGE.parent.glob("*.py"), *_PACKAGE.glob("*.py")]):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _processor() -> str:
    """Return what tells a processor from another: loops are compiled for one kind."""
    try:
        lines = _PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return "".join(line for line in lines[:40] if line.startswith(("model name", "flags")))
