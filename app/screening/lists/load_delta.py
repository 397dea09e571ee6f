"""Bringing a list up to date by delta files: the version in force and they make a new one."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from app.db import Database
from app.errors import WatchlistRejected
from app.screening import store
from app.screening.lists import delta
from app.screening.lists.load import (
    MAX_BYTES,
    LoadReport,
    Progress,
    checksum,
    files_of,
    put_in_force,
    report_of,
    spool,
    unchanged,
)
from app.screening.lists.reading import KEEP
from app.screening.model import ListVersion
from app.screening.store import NewVersion

#: The format whose lists OpenSanctions publishes deltas of.
FORMAT = "ftm"

#: OpenSanctions keeps each delta in a folder called as the edition that it leads to.
_EDITION = re.compile(r"(\d{14})-\w{3}")


def load_delta(
    db: Database,
    name: str,
    paths: Sequence[Path],
    *,
    base: str | None = None,
    version: str | None = None,
    allow_shrink: bool = False,
    index_dir: Path | None = None,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
) -> LoadReport:
    """Apply delta files, the oldest first, to the version in force, and put the result in force.

    Files in folders named as OpenSanctions names its editions are put in order by these. Given a
    `base`, no other version is changed. A delta that was applied before changes nothing. Raises
    WatchlistRejected if the delta is broken, or not one of the version in force.
    """
    files = list(paths)
    if any(file.is_dir() for file in files):
        raise WatchlistRejected(f"name the delta files themselves, not a folder. {KEEP}")
    files_of(files, max_bytes)
    editions = [found[0] for file in files if (found := _EDITION.fullmatch(_folder(file)))]
    if len(editions) == len(files):
        files.sort(key=_folder)
        editions.sort()
    else:
        editions = []
    current, version_id = _based_on(db, name, base)
    if editions and _EDITION.fullmatch(current.version):
        if editions[-1] == current.version:
            return unchanged(current)
        if editions[0] <= current.version:
            raise WatchlistRejected(
                f"the delta leads to {editions[0]}, which is not newer than the version in force,"
                f" {current.version}. {KEEP}"
            )

    changes = delta.read_changes(files)
    with tempfile.TemporaryFile() as lines:
        # Read in one transaction: the version cannot change while its entries are streamed.
        # It is closed before the transaction ends, whatever happens: it has a cursor open.
        with db.transaction() as tx, closing(store.load_entries(tx, current.id)) as before:
            entries = spool(delta.apply(before, changes), version_id, lines, progress)
        if not changes.made:
            return unchanged(current)
        published_at = _published(editions)
        new = NewVersion(
            id=version_id,
            name=name,
            title=current.title,
            version=version
            or (
                editions[-1] if editions else (published_at or datetime.now(UTC)).date().isoformat()
            ),
            format=FORMAT,
            published_at=published_at,
            source=f"{', '.join(file.name for file in files)} on version {current.version}",
            sha256=checksum(files, current.sha256),
            # Not those of the version before: what the publisher has is asked for anew.
            validators={},
            topics=current.topics,
        )
        difference = put_in_force(
            db,
            new,
            entries,
            lines,
            allow_shrink,
            index_dir,
            based_on=current.id,
            progress=progress,
        )
    return report_of(new, entries, difference)


def _based_on(db: Database, name: str, base: str | None) -> tuple[ListVersion, int]:
    """Return the version in force, if a delta can change it, and the id of the one to come."""
    with db.transaction() as tx:
        current = store.current_versions(tx).get(name)
        if current is None:
            raise WatchlistRejected(
                f"no version of the list {name!r} is loaded that a delta could change;"
                " load entities.ftm.json first"
            )
        if base is not None and current.version != base:
            raise WatchlistRejected(
                f"the version in force is {current.version!r}, and not {base!r}. {KEEP}"
            )
        if (format := store.get_format(tx, current.id)) != FORMAT:
            raise WatchlistRejected(
                f"the version in force was read from the format {format!r}; a delta changes a list"
                f" that was read from {FORMAT!r}, entities.ftm.json. {KEEP}"
            )
        return current, store.reserve_id(tx)


def _folder(file: Path) -> str:
    return file.absolute().parent.name


def _published(editions: Sequence[str]) -> datetime | None:
    try:
        return datetime.strptime(editions[-1][:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except (IndexError, ValueError):
        return None
