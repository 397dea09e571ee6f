"""Decisions in Postgres. Every function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from app.db import Cursor, load_queries, one
from app.screening.exclusions.model import Exclusion, Key

QUERIES = load_queries("app.screening.exclusions")

_BYTES = ("salt", "subject_hash", "entry_hash")


def lock_entity(tx: Cursor, tenant_id: UUID, entity_id: str) -> None:
    """Keep others from deciding about this entity until the transaction ends."""
    tx.execute(QUERIES["lock_entity"], {"tenant_id": str(tenant_id), "entity_id": entity_id})


def insert(tx: Cursor, new: Exclusion) -> Exclusion:
    """Write the decision and return it as stored: the time is Postgres's."""
    tx.execute(QUERIES["insert"], asdict(new))
    return _read(one(tx))


def supersede(tx: Cursor, new: Exclusion) -> None:
    """End the decision in force about the same pair, if there is one."""
    tx.execute(
        QUERIES["supersede"],
        {
            "tenant_id": new.tenant_id,
            "entity_id": new.entity_id,
            "list_name": new.list_name,
            "entry_id": new.entry_id,
            "by": new.created_by,
        },
    )


def revoke(tx: Cursor, tenant_id: UUID, exclusion_id: UUID, by: str) -> Exclusion | None:
    """End the tenant's decision; return it, or None if there is none of this id."""
    tx.execute(QUERIES["revoke"], {"tenant_id": tenant_id, "id": exclusion_id, "by": by})
    row = tx.fetchone()
    return None if row is None else _read(row)


def find(tx: Cursor, tenant_id: UUID, exclusion_id: UUID) -> Exclusion | None:
    tx.execute(QUERIES["find"], {"tenant_id": tenant_id, "id": exclusion_id})
    row = tx.fetchone()
    return None if row is None else _read(row)


def in_force(tx: Cursor, tenant_id: UUID, entity_ids: Collection[str]) -> dict[Key, Exclusion]:
    """Return the tenant's decisions about these entities."""
    tx.execute(QUERIES["in_force"], {"tenant_id": tenant_id, "entity_ids": list(entity_ids)})
    return {found.key: found for found in map(_read, tx.fetchall())}


def list_page(
    tx: Cursor,
    tenant_id: UUID,
    *,
    entity_id: str | None,
    list_name: str | None,
    revoked: bool | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Exclusion]:
    """Return one page of the tenant's decisions, the newest first."""
    tx.execute(
        QUERIES["list_page"],
        {
            "tenant_id": tenant_id,
            "entity_id": entity_id,
            "list_name": list_name,
            "revoked": revoked,
            "before_at": before and before[0],
            "before_id": before and before[1],
            "limit": limit,
        },
    )
    return [_read(row) for row in tx.fetchall()]


def _read(row: Mapping[str, Any]) -> Exclusion:
    values = {each.name: row[each.name] for each in fields(Exclusion)}
    # psycopg2 hands bytes out as a view of its buffer.
    return Exclusion(**{**values, **{name: bytes(values[name]) for name in _BYTES}})
