"""A list has changed: those whom that could concern are screened again, and nobody else.

Whom it could concern is asked of an index of the population, which is kept on the disk of this
machine and lags behind: who came or changed since is indexed for the occasion. The folder may be
deleted at any time; it holds names, so that nobody else may read it.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from app.errors import IndexNotReady
from app.monitoring.population import ListUpdate, Source, Waiting
from app.monitoring.sources import SOURCES
from app.resources import Resources
from app.screening import store as watchlists
from app.screening.arrays import Array, Damaged
from app.screening.index import can_compile
from app.screening.model import ENGINE_VERSION, Entry
from app.screening.population import Population
from app.screening.resident import only_one

log = logging.getLogger(__name__)

#: Fewer need no index on the disk.
_KEPT_FROM = 5_000
#: The index is made anew when more than this share of the population is not in it, or in it and
#: watched no longer.
_LAG = 0.1
#: Where more entries changed than this, everybody is screened.
_MOST_ENTRIES = 50_000
#: What making an index may take: less than the task that waits for it may (workers/tasks.py).
INDEXING_SECONDS = 3000.0
#: What the folder of an index is called that is still being written, also that of a list.
_UNFINISHED = ".building-"
#: Nobody is at a folder any more to which nothing was added for so long: tasks end before.
_ABANDONED_SECONDS = 7200.0


def take_up(resources: Resources, list_name: str) -> int:
    """Bring everybody who waits for this list's changes up to date; return how many are screened.

    Raises Unavailable. Doing it twice screens nobody twice.
    """
    screened = 0
    failed: IndexNotReady | None = None
    for source in SOURCES:
        try:
            screened += _take_up(resources, source, list_name)
        except IndexNotReady as error:
            # No reason to let the other population wait.
            failed = error
    if failed is not None:
        raise failed
    return screened


def _take_up(resources: Resources, source: Source, list_name: str) -> int:
    screened = 0
    for waiting in source.waiting(resources, list_name):
        began = time.monotonic()
        update = what_changed(resources, waiting)
        if update is None:
            continue
        numbers = None
        if update.gone_or_changed is not None:
            numbers = concerned(resources, source, update.entries, waiting.threshold)
        count = source.rescreen(resources, waiting, update, numbers)
        screened += count
        log.info(
            "update.taken_up",
            extra={
                "list": list_name,
                "population": source.name,
                "version_id": waiting.version_id,
                "entries": len(update.entries),
                "screened": count,
                "seconds": round(time.monotonic() - began, 2),
            },
        )
    return screened


def what_changed(resources: Resources, waiting: Waiting) -> ListUpdate | None:
    """Return what changed between the two versions; None if the later is not there any more."""
    with resources.db.transaction() as tx:
        after = watchlists.get_version(tx, waiting.version_id)
        if after is None:
            return None
        before = None
        if waiting.known_id is not None:
            before = watchlists.get_version(tx, waiting.known_id)
        if before is None:
            return ListUpdate(None, after, (), None)
        entries = watchlists.changed_entries(tx, before.id, after.id, limit=_MOST_ENTRIES + 1)
        if len(entries) > _MOST_ENTRIES:
            return ListUpdate(before, after, (), None)
        return ListUpdate(before, after, entries, watchlists.touched_ids(tx, before.id, after.id))


def concerned(
    resources: Resources, source: Source, entries: Sequence[Entry], threshold: float
) -> Collection[int]:
    """Return the numbers of all of the population who may match one of the entries."""
    if not entries:
        return ()
    there = np.unique(np.fromiter(source.numbers(resources), np.int64))
    known = _kept(resources, source, there)
    found: set[int] = set()
    missing = there
    if known is not None:
        found.update(known.concerned(entries, threshold).tolist())
        missing = np.setdiff1d(there, known.keys, assume_unique=True)
    if len(missing):
        others = Population.build(source.subjects(resources, missing.tolist()))
        found.update(others.concerned(entries, threshold).tolist())
    return found


def _kept(resources: Resources, source: Source, there: Array) -> Population | None:
    """Return an index of most of the population; None where it is too small to keep one."""
    if len(there) < _KEPT_FROM:
        return None
    folder = folder_of(resources, source)
    return _fresh(folder, there) or _made(resources, source, folder, there)


def _fresh(folder: Path, there: Array) -> Population | None:
    try:
        known = Population.open(folder)
    except Damaged:
        # There is none yet, or another version of the engine made it.
        return None
    lag = len(np.setxor1d(there, known.keys, assume_unique=True))
    return known if lag <= _LAG * len(there) else None


def _made(resources: Resources, source: Source, folder: Path, there: Array) -> Population:
    """Have the index made by a process of its own: what that takes of memory goes with it.

    One at a time on this machine. Raises IndexNotReady if the process failed.
    """
    with only_one(folder):
        # Whoever was at it before us has usually made it.
        known = _fresh(folder, there)
        if known is not None:
            return known
        status = _run(resources, source)
        try:
            if status == 0:
                return Population.open(folder)
        except Damaged:
            pass
    # Not in this process, which would keep the memory: whoever asked comes back.
    log.error("index.not_made", extra={"folder": folder.name, "status": status})
    raise IndexNotReady(f"The index of the population {source.name} could not be made here.")


def _run(resources: Resources, source: Source) -> int | None:
    """Return the status of the process that was to make the index; None if it took too long.

    It ends when its standard input does: when this process dies, however it dies.
    """
    settings = {name: text for name, text in resources.settings.to_env().items() if text}
    with subprocess.Popen(  # noqa: S603  # our own program, and a name of ours
        [sys.executable, "-m", "app.monitoring.indexing", source.name],
        stdin=subprocess.PIPE,
        env={**os.environ, **settings},
    ) as process:
        try:
            return process.wait(INDEXING_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            process.kill()


def make(resources: Resources, source: Source) -> None:
    """Index the population and leave the index for the workers of this machine."""
    began = time.monotonic()
    made = Population.build(source.subjects(resources, None))
    _publish(made, folder_of(resources, source))
    log.info(
        "population.indexed",
        extra={
            "population": source.name,
            "subjects": len(made),
            "seconds": round(time.monotonic() - began, 1),
        },
    )


def folder_of(resources: Resources, source: Source) -> Path:
    how = "" if can_compile() else "-plain"
    name = f"population-{source.name}-engine{ENGINE_VERSION}{how}"
    return resources.settings.index_dir / name


def _publish(made: Population, folder: Path) -> None:
    """Write it so that nobody sees it before it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
    try:
        made.save(unfinished)
        # Whoever has the old one open keeps it.
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def renew(resources: Resources) -> int:
    """Do what `forget` does, and make anew what it discarded. Return how many were made."""
    count = 0
    for source in forget(resources):
        there = np.unique(np.fromiter(source.numbers(resources), np.int64))
        if len(there) >= _KEPT_FROM:
            _made(resources, source, folder_of(resources, source), there)
            count += 1
    return count


def forget(resources: Resources) -> Sequence[Source]:
    """Discard what holds names on this disk and nobody uses, or has somebody's who must not be.

    Those are the indexes of other versions of the engine, what a process that died had begun, and
    each index that holds somebody who is watched no longer, or as he was before. Return whose index
    that was. Raises Unavailable.
    """
    used = {folder_of(resources, source) for source in SOURCES}
    for folder in resources.settings.index_dir.glob("population-*"):
        if folder not in used:
            shutil.rmtree(folder, ignore_errors=True)
    for folder in resources.settings.index_dir.glob(f"{_UNFINISHED}*"):
        if _age(folder) > _ABANDONED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
    discarded = []
    for source in SOURCES:
        folder = folder_of(resources, source)
        if folder.exists() and _is_stale(resources, source, folder):
            shutil.rmtree(folder, ignore_errors=True)
            discarded.append(source)
    return discarded


def _is_stale(resources: Resources, source: Source, folder: Path) -> bool:
    there = np.unique(np.fromiter(source.numbers(resources), np.int64))
    try:
        return bool(len(np.setdiff1d(Population.open(folder).keys, there, assume_unique=True)))
    except Damaged:
        return True


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except FileNotFoundError:
        # Whoever was at it has finished.
        return 0.0
