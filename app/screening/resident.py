"""Indexes on the disk of this machine, opened by every worker process and shared among them.

A folder of the index directory holds the index of one list version. Who needs one that is not
there builds it, or has it built (`build`); whoever needs the same one meanwhile waits. The
directory may be deleted at any time: it holds nothing that Postgres does not.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.db import Database
from app.errors import IndexNotReady, JobError, NotFound
from app.screening import store
from app.screening.arrays import Damaged
from app.screening.compiled import cache
from app.screening.index import COMPILED_FROM, Index, can_compile
from app.screening.model import ENGINE_VERSION, ListVersion

log = logging.getLogger(__name__)

#: Versions that one process holds open: every list in force, and a few that running jobs cite.
OPEN_VERSIONS = 24

#: What a job fails with whose list cannot be made ready.
INDEX_FAILED = "index_failed"

_open: OrderedDict[tuple[Path, int], Index] = OrderedDict()
_lock = threading.Lock()


def open_index(db: Database, index_dir: Path, version_id: int) -> Index:
    """Return the index of a list version, building it if this machine has none.

    A long list is built by a process of its own: raises IndexNotReady until it is there. Raises
    NotFound if no such version is loaded.
    """
    key = (index_dir, version_id)
    with _lock:
        index = _open.get(key)
        if index is None:
            index = _find_or_build(db, index_dir, version_id)
            _open[key] = index
        _open.move_to_end(key)
        while len(_open) > OPEN_VERSIONS:
            _open.popitem(last=False)
        return index


def load_loops(index_dir: Path) -> None:
    """Load the compiled loops, if an index here needs them and they were compiled here.

    A process that does so before it forks shares them with its children.
    """
    cache.may_be_kept_in(index_dir)
    if can_compile() and cache.is_ready() and any(index_dir.glob("*/*_filed_starts.npy")):
        from app.screening.compiled.warm import warm

        warm()


def folder_of(index_dir: Path, version_id: int, sha256: str) -> Path:
    # Machines with and without a compiler may share the directory.
    how = "" if can_compile() else "-plain"
    return index_dir / f"{version_id}-{sha256[:12]}-engine{ENGINE_VERSION}{how}"


def publish(index: Index, folder: Path) -> None:
    """Write the index so that nobody sees it before it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".building-", dir=folder.parent))
    try:
        index.save(unfinished)
        # Other users' workers may share the directory; mkdtemp lets in only its own.
        unfinished.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def share(index: Index, folder: Path) -> None:
    """Publish the index if this machine lets us: without it every worker builds its own."""
    try:
        publish(index, folder)
    except OSError as error:
        _not_shared(folder, error)


def _not_shared(folder: Path, error: OSError) -> None:
    log.warning("index.not_shared", extra={"folder": folder.name, "errno": error.errno})


def _find_or_build(db: Database, index_dir: Path, version_id: int) -> Index:
    cache.may_be_kept_in(index_dir)
    from app.screening import build

    version = _version(db, version_id)
    if version.entries < COMPILED_FROM:
        return build_here(db, index_dir, version_id)
    folder = folder_of(index_dir, version_id, version.sha256)
    if not can_compile() or cache.is_ready():
        found = _open_folder(folder)
        if found is not None:
            build.ended(version_id)
            return found
    if not _is_being_built(folder):
        how = build.start(version_id)
        if how is build.Building.DONE:
            # What it built cannot be shared here.
            return build_here(db, index_dir, version_id)
        if how is build.Building.FAILED:
            raise JobError(
                INDEX_FAILED,
                f"The index of the list {version.name} could not be built on this machine.",
            )
    raise IndexNotReady(f"The index of the list {version.name} is being built on this machine.")


def build_here(db: Database, index_dir: Path, version_id: int) -> Index:
    """Open the index of a list version, however long building it takes if it has to be built."""
    cache.may_be_kept_in(index_dir)
    version = _version(db, version_id)
    folder = folder_of(index_dir, version_id, version.sha256)
    found = _open_folder(folder)
    if found is not None:
        return found
    try:
        with only_one(folder):
            # Whoever held the lock before us has usually built it.
            found = _open_folder(folder)
            if found is None:
                publish(_build(db, version), folder)
                found = Index.open(folder)
            return found
    except OSError as error:
        _not_shared(folder, error)
        return _build(db, version)


def _version(db: Database, version_id: int) -> ListVersion:
    with db.transaction() as tx:
        version = store.get_version(tx, version_id)
    if version is None:
        raise NotFound(f"list version {version_id} is not loaded")
    return version


def _open_folder(folder: Path) -> Index | None:
    if not folder.exists():
        return None
    try:
        return Index.open(folder)
    except Damaged as error:
        log.warning("index.damaged", extra={"folder": folder.name, "reason": str(error)})
        return None


def _build(db: Database, version: ListVersion) -> Index:
    started = time.monotonic()
    with db.transaction() as tx:
        entries = list(store.load_entries(tx, version.id))
    index = Index.build(entries)
    log.info(
        "index.built",
        extra={
            "list": version.name,
            "version_id": version.id,
            "entries": len(entries),
            "seconds": round(time.monotonic() - started, 3),
        },
    )
    return index


def _lock_of(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.lock"


def _is_being_built(folder: Path) -> bool:
    """Say whether some process of this machine is at it."""
    try:
        with _lock_of(folder).open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Let one process of this machine at a time build this index."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock_of(folder).open("w") as file:
        # Let go by the system when the process ends, however it ends.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
