"""A tenant's own lists: uploaded, read to the end, stored as a version, and put in force.

A version is never changed: uploading adds one. Runs in the web, so no index is built here; the
first worker that needs one builds it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from app.db import Database
from app.errors import InvalidParameter, ListExists, ListNotFound, WatchlistRejected
from app.screening import store
from app.screening.lists import catalogue, plain
from app.screening.model import Entry, ListVersion
from app.screening.store import Difference, NewVersion
from app.screening.topics import DEFAULT

log = logging.getLogger(__name__)

#: Problems told of one upload.
PROBLEMS = 100
#: As for published lists: more than a fifth less is more likely half a file.
LEAST_SHARE = 0.8

#: Of one entry. An id is part of a key in Postgres, and names cost whoever screens.
ID_BYTES = 500
NAME_LENGTH = 500
NAMES = 200

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one line; quotes nothing of it."""

    line: int | None
    message: str

    def to_wire(self) -> dict[str, Any]:
        return {"line": self.line, "message": self.message}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A list as a tenant sends it. `file_type` is csv or jsonl."""

    tenant_id: UUID
    created_by: str
    name: str
    content: bytes
    file_type: str
    title: str | None = None
    version: str | None = None
    topics: Sequence[str] = ()
    allow_shrink: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    lists: int
    entries: int


@dataclass(frozen=True, slots=True)
class Uploaded:
    version: ListVersion
    difference: Difference
    unchanged: bool = False


def create(db: Database, upload: Upload, limits: Limits) -> Uploaded:
    """Store a list that the tenant does not have yet.

    Raises WatchlistRejected with the first problems, ListExists, or InvalidParameter.
    """
    if not _NAME.fullmatch(upload.name):
        raise InvalidParameter(
            "name: a list's name is up to 40 small letters, digits and _, a letter first."
        )
    with db.transaction() as tx:
        _check_new(upload, store.current_versions(tx, upload.tenant_id))
    return _store(db, upload, limits, is_new=True)


def add_version(db: Database, upload: Upload, limits: Limits) -> Uploaded:
    """Store a new version of the tenant's list and put it in force; the others stay.

    Raises ListNotFound, also for a list that is not the tenant's own, and what `create` raises.
    """
    find(db, upload.tenant_id, upload.name)
    return _store(db, upload, limits, is_new=False)


def find(db: Database, tenant_id: UUID, name: str) -> ListVersion:
    """Return the version in force of the tenant's own list, or raise ListNotFound."""
    with db.transaction() as tx:
        version = store.current_versions(tx, tenant_id).get(name)
    if version is None or version.tenant_id is None:
        raise _not_found()
    return version


def delete(db: Database, tenant_id: UUID, name: str) -> None:
    """Take the list out of force: from now on nobody can ask for it.

    Jobs that were submitted before keep their version; when no job cites it any more, it goes.
    Raises ListNotFound.
    """
    if not _NAME.fullmatch(name):
        raise _not_found()
    with db.transaction() as tx:
        store.lock_list(tx, _lock(tenant_id, name))
        if not store.retire_current(tx, name, tenant_id):
            raise _not_found()
    log.info("own_list.deleted", extra={"tenant_id": str(tenant_id)})


def _not_found() -> ListNotFound:
    return ListNotFound("You have no list of your own by this name.")


def _lock(tenant_id: UUID, name: str) -> str:
    return f"{tenant_id} {name}"


def _check_new(upload: Upload, current: dict[str, ListVersion]) -> None:
    if upload.name in current and current[upload.name].tenant_id is not None:
        raise ListExists(
            "You have a list by this name; send a new version of it to its own address."
        )
    if catalogue.find(upload.name) or upload.name in current:
        raise ListExists("This is the name of a public list; choose another.")


def _store(db: Database, upload: Upload, limits: Limits, *, is_new: bool) -> Uploaded:
    sha256 = hashlib.sha256(f"plain {upload.file_type} ".encode() + upload.content).hexdigest()
    with db.transaction() as tx:
        version_id = store.reserve_id(tx)
    with tempfile.TemporaryFile() as lines:
        entries = _read(upload, version_id, lines, limits.entries)
        with db.transaction() as tx:
            # The name alone too: whoever loads a public list of that name must wait, or we.
            store.lock_list(tx, upload.name)
            store.lock_list(tx, _lock(upload.tenant_id, upload.name))
            current = store.current_versions(tx, upload.tenant_id)
            before = current.get(upload.name)
            if is_new:
                _check_new(upload, current)
                if store.count_own(tx, upload.tenant_id) >= limits.lists:
                    raise ListExists(
                        f"You have {limits.lists} lists, and may have no more; delete one first."
                    )
            elif before is None or before.tenant_id is None:
                raise _not_found()
            topics = tuple(upload.topics) or (tuple(before.topics) if before else DEFAULT)
            title = upload.title or (before.title if before else upload.name)
            if before and (before.sha256, tuple(before.topics), before.title) == (
                *(sha256, topics, title),
            ):
                return Uploaded(before, Difference(0, 0, 0), unchanged=True)
            _check_size(before, entries, upload.allow_shrink)
            version = upload.version or datetime.now(UTC).isoformat(timespec="milliseconds")
            if store.is_version_used(tx, upload.tenant_id, upload.name, version):
                raise ListExists("The list has had a version of this name; choose another.")
            store.insert_version(
                tx,
                NewVersion(
                    id=version_id,
                    name=upload.name,
                    title=title,
                    version=version,
                    format="plain",
                    published_at=None,
                    source="upload",
                    sha256=sha256,
                    validators={},
                    topics=topics,
                    tenant_id=upload.tenant_id,
                    created_by=upload.created_by,
                ),
            )
            store.copy_entries(tx, lines)
            difference = store.compare_versions(tx, before.id if before else None, version_id)
            store.finish_version(tx, version_id, entries, difference, 0.0)
            store.retire_current(tx, upload.name, upload.tenant_id)
            store.make_current(tx, version_id)
            stored = store.current_versions(tx, upload.tenant_id)[upload.name]
    log.info(
        "own_list.stored",
        extra={
            "tenant_id": str(upload.tenant_id),
            "version_id": version_id,
            "entries": entries,
        },
    )
    return Uploaded(stored, difference)


def _too_long(entry: Entry) -> str | None:
    """Say what of the entry is longer than anything that somebody is called."""
    names = (entry.name, *entry.aliases, *entry.weak_aliases)
    if len(entry.id.encode()) > ID_BYTES:
        return f"the id is longer than {ID_BYTES} bytes."
    if max(map(len, names)) > NAME_LENGTH:
        return f"a name is longer than {NAME_LENGTH} letters."
    if len(names) > NAMES:
        return f"there are more than {NAMES} names."
    return None


def _check_size(before: ListVersion | None, entries: int, allow_shrink: bool) -> None:
    if before is not None and not allow_shrink and entries < LEAST_SHARE * before.entries:
        raise WatchlistRejected(
            f"The new version has {entries:,} entries and the one in force {before.entries:,}:"
            " more than a fifth is gone. If that is right, send it with allow_shrink=true."
        )


def _read(upload: Upload, version_id: int, lines: IO[bytes], most: int) -> int:
    """Write the entries as lines for COPY and return how many, or raise with what is wrong."""
    seen: dict[str, int] = {}
    problems: list[Problem] = []
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="muster-own-") as folder:
        # The reader knows the format by the ending, and reads from a file.
        path = Path(folder) / f"list.{upload.file_type}"
        path.write_bytes(upload.content)
        try:
            for line, entry in plain.read_lines(path):
                if not isinstance(entry, str) and entry.id in seen:
                    entry = f"the id is that of line {seen[entry.id]}; ids must differ."
                if not isinstance(entry, str):
                    entry = _too_long(entry) or entry
                if isinstance(entry, str):
                    wrong += 1
                    if len(problems) < PROBLEMS:
                        problems.append(Problem(line, entry))
                    continue
                seen[entry.id] = line
                if len(seen) > most:
                    raise WatchlistRejected(
                        f"A list may hold at most {most:,} entries.",
                        problems=[Problem(line, f"this is entry {most + 1:,}.")],
                        invalid_count=1,
                    )
                lines.write(store.copy_line(version_id, entry))
        except WatchlistRejected as error:
            if "problem" not in error.details:
                raise
            # The file cannot be read on from here.
            wrong += 1
            line_no = error.details["line"]
            assert line_no is None or isinstance(line_no, int)
            problems = problems[: PROBLEMS - 1]
            problems.append(Problem(line_no, str(error.details["problem"])))
    if wrong:
        raise WatchlistRejected(
            f"{wrong:,} {'line is' if wrong == 1 else 'lines are'} wrong; nothing was stored.",
            problems=problems,
            invalid_count=wrong,
        )
    if not seen:
        raise WatchlistRejected("There is not one entry in this list.")
    lines.seek(0)
    return len(seen)
