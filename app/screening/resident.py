"""Indexes on the disk of this machine, opened by every worker process and shared among them.

A folder of the index directory holds the index of one list version. Who needs one that is not
there builds it; whoever needs the same one meanwhile waits. The directory may be deleted at any
time: it holds nothing that Postgres does not.
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
from app.errors import NotFound
from app.screening import store
from app.screening.arrays import Damaged
from app.screening.index import Index
from app.screening.model import ENGINE_VERSION, ListVersion

log = logging.getLogger(__name__)

#: Versions that one process holds open: every list in force, and a few that running jobs cite.
OPEN_VERSIONS = 24

_open: OrderedDict[tuple[Path, int], Index] = OrderedDict()
_lock = threading.Lock()


def open_index(db: Database, index_dir: Path, version_id: int) -> Index:
    """Return the index of a list version, building it if this machine has none."""
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


def folder_of(index_dir: Path, version_id: int, sha256: str) -> Path:
    return index_dir / f"{version_id}-{sha256[:12]}-engine{ENGINE_VERSION}"


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
    with db.transaction() as tx:
        version = store.get_version(tx, version_id)
    if version is None:
        raise NotFound(f"list version {version_id} is not loaded")
    folder = folder_of(index_dir, version_id, version.sha256)
    found = _open_folder(folder)
    if found is not None:
        return found
    try:
        with _only_one(folder):
            # Whoever held the lock before us has usually built it.
            found = _open_folder(folder)
            if found is None:
                publish(_build(db, version), folder)
                found = Index.open(folder)
            return found
    except OSError as error:
        _not_shared(folder, error)
        return _build(db, version)


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


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Let one process of this machine at a time build this index."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        # Let go by the system when the process ends, however it ends.
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
