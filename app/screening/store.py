"""List versions and their entries in Postgres. Every function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any
from uuid import UUID

import msgspec
from psycopg2.extras import Json

from app.db import Cursor, load_queries, one
from app.screening.model import Entry, ListVersion

QUERIES = load_queries("app.screening", "store.sql")

_decode = msgspec.json.Decoder(Entry).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVersion:
    id: int
    name: str
    title: str
    version: str
    format: str
    published_at: datetime | None
    source: str
    sha256: str
    validators: Mapping[str, Any]
    topics: Sequence[str] = ()
    #: Whose list it is; None for everybody's.
    tenant_id: UUID | None = None
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    added: int
    removed: int
    changed: int


@dataclass(frozen=True, slots=True)
class Refresh:
    """When somebody last looked whether a public list has changed, and what came of it."""

    name: str
    attempted_at: datetime | None
    refreshed_at: datetime | None
    problem: str | None


def current_versions(tx: Cursor, tenant_id: UUID | None = None) -> dict[str, ListVersion]:
    """Return the version in force of everybody's lists, and of the tenant's own."""
    tx.execute(QUERIES["current_versions"], {"tenant_id": tenant_id})
    return {row["name"]: ListVersion(**row) for row in tx.fetchall()}


def get_version(tx: Cursor, version_id: int) -> ListVersion | None:
    tx.execute(QUERIES["get_version"], {"id": version_id})
    row = tx.fetchone()
    return None if row is None else ListVersion(**row)


def list_versions(tx: Cursor, name: str, tenant_id: UUID | None = None) -> list[ListVersion]:
    """Return every loaded version of everybody's or the tenant's list, the newest first."""
    tx.execute(QUERIES["list_versions"], {"name": name, "tenant_id": tenant_id})
    return [ListVersion(**row) for row in tx.fetchall()]


def get_format(tx: Cursor, version_id: int) -> str | None:
    """Return the format that a version was read from."""
    tx.execute(QUERIES["get_format"], {"id": version_id})
    row = tx.fetchone()
    return None if row is None else str(row["format"])


def get_validators(tx: Cursor, name: str) -> Mapping[str, Any]:
    tx.execute(QUERIES["get_validators"], {"name": name})
    row = tx.fetchone()
    return {} if row is None else row["validators"]


def set_validators(tx: Cursor, name: str, validators: Mapping[str, Any]) -> None:
    tx.execute(QUERIES["set_validators"], {"name": name, "validators": Json(validators)})


def lock_list(tx: Cursor, name: str) -> None:
    """Keep others from loading this list until the transaction ends."""
    tx.execute(QUERIES["lock_list"], {"name": name})


def reserve_id(tx: Cursor) -> int:
    """Return an id that no other version will have."""
    tx.execute(QUERIES["reserve_id"])
    return int(one(tx)["id"])


def insert_version(tx: Cursor, new: NewVersion) -> None:
    """Add a version that is not in force yet."""
    tx.execute(
        QUERIES["insert_version"],
        {
            "id": new.id,
            "name": new.name,
            "title": new.title,
            "version": new.version,
            "format": new.format,
            "published_at": new.published_at,
            "source": new.source,
            "sha256": new.sha256,
            "validators": Json(new.validators),
            "topics": list(new.topics),
            "tenant_id": new.tenant_id,
            "created_by": new.created_by,
        },
    )


def copy_line(version_id: int, entry: Entry) -> bytes:
    """Return the entry as one line for `copy_entries`."""
    body = msgspec.json.encode(entry)
    columns = (str(version_id).encode(), entry.id.encode(), body)
    return b"\t".join(column.replace(b"\\", b"\\\\") for column in columns) + b"\n"


def copy_entries(tx: Cursor, lines: IO[bytes]) -> None:
    tx.copy_expert(QUERIES["copy_entries"], lines)


def analyze_entries(tx: Cursor) -> None:
    tx.execute(QUERIES["analyze_entries"])


def compare_versions(tx: Cursor, before: int | None, after: int) -> Difference:
    tx.execute(QUERIES["compare_versions"], {"before": before, "after": after})
    return Difference(**one(tx))


def changed_entries(tx: Cursor, before: int, after: int, *, limit: int) -> list[Entry]:
    """Return entries of the later version that are new or not what they were, so many at most."""
    given = {"before": before, "after": after, "limit": limit}
    tx.execute(QUERIES["changed_entries"], given)
    return [_decode(row["entry"]) for row in tx.fetchall()]


def touched_ids(tx: Cursor, before: int, after: int) -> list[str]:
    """Return ids of the earlier version's entries that are gone or not what they were."""
    tx.execute(QUERIES["touched_ids"], {"before": before, "after": after})
    return [row["entry_id"] for row in tx.fetchall()]


def finish_version(
    tx: Cursor, version_id: int, entries: int, difference: Difference, seconds_per_entity: float
) -> None:
    tx.execute(
        QUERIES["finish_version"],
        {
            "id": version_id,
            "entries": entries,
            "added": difference.added,
            "removed": difference.removed,
            "changed": difference.changed,
            "seconds_per_entity": seconds_per_entity,
        },
    )


def retire_current(tx: Cursor, name: str, tenant_id: UUID | None = None) -> bool:
    """Take the list's version out of force; return whether there was one."""
    tx.execute(QUERIES["retire_current"], {"name": name, "tenant_id": tenant_id})
    return tx.rowcount > 0


def make_current(tx: Cursor, version_id: int) -> None:
    """Put a version in force; the one before must have been retired."""
    tx.execute(QUERIES["make_current"], {"id": version_id})


def load_entries(tx: Cursor, version_id: int) -> Generator[Entry, None, None]:
    """Yield the entries of a version, in the order of their ids, without holding them all."""
    # A cursor of the server: the rows come as they are read.
    with tx.connection.cursor("entries") as rows:
        rows.itersize = 5000
        rows.execute(QUERIES["load_entries"], {"id": version_id})
        for (text,) in rows:
            yield _decode(text)


def owners_of(tx: Cursor, name: str) -> int:
    """Return how many tenants have a list of their own by this name."""
    tx.execute(QUERIES["owners_of"], {"name": name})
    return int(one(tx)["owners"])


def count_own(tx: Cursor, tenant_id: UUID) -> int:
    """Return how many lists of its own the tenant has."""
    tx.execute(QUERIES["count_own"], {"tenant_id": tenant_id})
    return int(one(tx)["lists"])


def is_version_used(tx: Cursor, tenant_id: UUID, name: str, version: str) -> bool:
    """Say whether the tenant's list ever had a version that is called so."""
    given = {"tenant_id": tenant_id, "name": name, "version": version}
    tx.execute(QUERIES["is_version_used"], given)
    return bool(one(tx)["used"])


def purge_retired(tx: Cursor) -> int:
    """Delete old versions of tenants' own lists that no job cites; return how many."""
    tx.execute(QUERIES["purge_retired"])
    return int(tx.rowcount)


def get_entry(tx: Cursor, version_id: int, entry_id: str) -> Entry | None:
    """Return the entry as it stands in this version."""
    tx.execute(QUERIES["get_entry"], {"id": version_id, "entry_id": entry_id})
    row = tx.fetchone()
    return None if row is None else _decode(row["entry"])


def list_refreshes(tx: Cursor) -> dict[str, Refresh]:
    """Return, by list, when it was last looked after."""
    tx.execute(QUERIES["list_refreshes"])
    return {row["name"]: Refresh(**row) for row in tx.fetchall()}


def claim_refresh(tx: Cursor, name: str, pause: float) -> bool:
    """Say whether it is for the caller to refresh the list: nobody began within `pause` s."""
    tx.execute(QUERIES["claim_refresh"], {"name": name, "pause": pause})
    return tx.fetchone() is not None


def note_refresh(tx: Cursor, name: str) -> None:
    """Note that the list is, at this moment, as its publisher has it."""
    tx.execute(QUERIES["note_refresh"], {"name": name})


def note_problem(tx: Cursor, name: str, problem: str) -> None:
    """Note why the last attempt to refresh the list failed."""
    tx.execute(QUERIES["note_problem"], {"name": name, "problem": problem})
