"""Loading a list from files: all of it or nothing, and what was in force stays when it fails."""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

from app.db import Cursor, Database
from app.errors import WatchlistRejected
from app.screening import resident, store
from app.screening.index import Index
from app.screening.lists import catalogue
from app.screening.lists.calibrate import seconds_per_entity
from app.screening.lists.catalogue import KnownList
from app.screening.lists.detect import detect
from app.screening.lists.readers import READERS
from app.screening.lists.reading import KEEP
from app.screening.model import Entry, ListVersion
from app.screening.store import Difference, NewVersion
from app.screening.topics import TOPICS, topics_of, unknown

log = logging.getLogger(__name__)

#: A version with fewer entries than this share of the one before is more likely a broken file
#: than a world with fewer sanctions.
LEAST_SHARE = 0.8
MAX_BYTES = 512 * 1024 * 1024


class Progress(Protocol):
    """Somebody who looks on: told how many entries have been read, and then filed."""

    def read(self, entries: int) -> None: ...

    def filed(self, done: int, total: int) -> None: ...


_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What loading did. `unchanged` says that the files are those already in force."""

    version: str
    entries: int
    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: bool = False


def load_list(
    db: Database,
    name: str,
    paths: Path | Sequence[Path],
    *,
    format: str | None = None,
    version: str | None = None,
    allow_shrink: bool = False,
    index_dir: Path | None = None,
    max_bytes: int = MAX_BYTES,
    source: str | None = None,
    published_at: datetime | None = None,
    validators: Mapping[str, Any] | None = None,
    topics: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Load a list from its files, or the folder they are in, and put it in force.

    Given an `index_dir`, the index is left there for the workers of this machine. Raises
    WatchlistRejected, naming file and line, if the list cannot be loaded.
    """
    if not _NAME.fullmatch(name):
        raise WatchlistRejected(
            "a list's name is up to 40 small letters, digits and _, a letter first"
        )
    if topics and unknown(topics):
        raise WatchlistRejected(f"a topic is one of: {', '.join(TOPICS)}")
    known = catalogue.find(name)
    if format is not None and format not in READERS:
        raise WatchlistRejected(f"there is no format {format!r}; known are {', '.join(READERS)}")
    files = files_of(paths, max_bytes)
    format = format or _format_of(known, files)
    reader = READERS[format]
    sha256 = checksum(files, format)

    with db.transaction() as tx:
        current = store.current_versions(tx).get(name)
        if current is not None and current.sha256 == sha256:
            # The publisher may have new words for "not changed" all the same.
            if validators is not None:
                store.set_validators(tx, name, validators)
            store.note_refresh(tx, name)
            return unchanged(current)
        version_id = store.reserve_id(tx)

    published_at = reader.published(files) or published_at
    with tempfile.TemporaryFile() as lines:
        entries = spool(reader.read(files), version_id, lines, progress)
        new = NewVersion(
            id=version_id,
            name=name,
            title=known.title if known else name,
            version=version or (published_at or datetime.now(UTC)).date().isoformat(),
            format=format,
            published_at=published_at,
            source=source or ", ".join(file.name for file in files),
            sha256=sha256,
            validators=validators or {},
            topics=topics or topics_of(name),
        )
        difference = put_in_force(
            db, new, entries, lines, allow_shrink, index_dir, progress=progress
        )
    return report_of(new, entries, difference)


def report_of(new: NewVersion, entries: int, difference: Difference) -> LoadReport:
    """Say what loading did, in the log as well."""
    log.info(
        "watchlist.loaded",
        extra={
            "list": new.name,
            "list_version": new.version,
            "version_id": new.id,
            "entries": entries,
            "added": difference.added,
            "removed": difference.removed,
            "changed": difference.changed,
        },
    )
    return LoadReport(
        new.version, entries, difference.added, difference.removed, difference.changed
    )


def _format_of(known: KnownList | None, files: Sequence[Path]) -> str:
    """Return the format of the files when nobody named it.

    A list of a known publisher is in that publisher's format, or in another that the same list is
    published in; a web page, or a list that is not this one, is for its reader to refuse.
    """
    found = detect(files)
    if known is None:
        return found or "plain"
    return found if found is not None and found in known.also else known.format


def unchanged(current: ListVersion) -> LoadReport:
    return LoadReport(current.version, current.entries, unchanged=True)


def files_of(paths: Path | Sequence[Path], max_bytes: int) -> list[Path]:
    """Return the files themselves, in the order of their names, or refuse them as a whole."""
    given = [paths] if isinstance(paths, Path) else list(paths)
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            found += [p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")]
        elif path.is_file():
            found.append(path)
        else:
            raise WatchlistRejected(f"{path.name}: there is no such file. {KEEP}")
    if not found:
        raise WatchlistRejected(f"there is no file to load. {KEEP}")
    size = sum(path.stat().st_size for path in found)
    if size > max_bytes:
        raise WatchlistRejected(
            f"the files have {size:,} bytes, more than the {max_bytes:,} allowed"
            f" (MUSTER_LIST_MAX_BYTES). {KEEP}"
        )
    return sorted(found, key=lambda path: path.name.lower())


def checksum(files: Sequence[Path], how: str) -> str:
    """Return the checksum of what was loaded: the files, and how they were read."""
    total = hashlib.sha256(how.encode())
    for path in files:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def spool(
    entries: Iterable[Entry], version_id: int, lines: IO[bytes], progress: Progress | None
) -> int:
    """Read the files to their end before the database hears of them, and return how many."""
    seen: set[str] = set()
    for entry in entries:
        if entry.id in seen:
            raise WatchlistRejected(
                f"entry {len(seen) + 1} has the id of an earlier one; ids must differ. {KEEP}"
            )
        seen.add(entry.id)
        lines.write(store.copy_line(version_id, entry))
        if progress and len(seen) % 1000 == 0:
            progress.read(len(seen))
    if not seen:
        raise WatchlistRejected(f"there is not one entry in these files. {KEEP}")
    lines.seek(0)
    if progress:
        progress.read(len(seen))
    return len(seen)


def put_in_force(
    db: Database,
    new: NewVersion,
    entries: int,
    lines: IO[bytes],
    allow_shrink: bool,
    index_dir: Path | None,
    *,
    based_on: int | None = None,
    progress: Progress | None = None,
) -> Difference:
    """Store the spooled entries as a version, and put it in force.

    A version made from another is only right as long as that one is in force: `based_on`.
    """
    with db.transaction() as tx:
        store.lock_list(tx, new.name)
        before = store.current_versions(tx).get(new.name)
        if based_on is not None and (before is None or before.id != based_on):
            raise WatchlistRejected(f"another version has been loaded meanwhile. {KEEP}")
        if before is None and store.owners_of(tx, new.name):
            raise WatchlistRejected(
                f"a tenant has a list of its own that is called {new.name!r}; choose another name"
            )
        if before is not None and not allow_shrink and entries < LEAST_SHARE * before.entries:
            raise WatchlistRejected(
                f"the new version has {entries:,} entries and the one in force"
                f" {before.entries:,}: more than a fifth is gone. {KEEP}"
                " If that is right, load it again and allow it to shrink."
            )
        store.insert_version(tx, new)
        store.copy_entries(tx, lines)
        store.analyze_entries(tx)
        difference = store.compare_versions(tx, before.id if before else None, new.id)
        seconds = _calibrate(tx, new, index_dir, progress)
        store.finish_version(tx, new.id, entries, difference, seconds)
        store.retire_current(tx, new.name)
        store.make_current(tx, new.id)
        store.note_refresh(tx, new.name)
    return difference


def _calibrate(
    tx: Cursor, new: NewVersion, index_dir: Path | None, progress: Progress | None
) -> float:
    """Build the index, which the workers will want anyway, and see how fast it is."""
    entries = list(store.load_entries(tx, new.id))
    index = Index.build(entries, progress.filed if progress else None)
    if index_dir is not None:
        resident.share(index, resident.folder_of(index_dir, new.id, new.sha256))
    return seconds_per_entity(index)
