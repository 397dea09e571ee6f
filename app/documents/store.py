"""Uploaded documents in Postgres. Every function runs inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from app.db import Cursor, load_queries, one
from app.documents.model import Upload

QUERIES = load_queries("app.documents")


def lock_tenant(tx: Cursor, tenant_id: UUID) -> None:
    """Let one transaction at a time store uploads of the tenant."""
    tx.execute(QUERIES["lock_tenant"], {"tenant_id": tenant_id})


def stored_bytes(tx: Cursor, tenant_id: UUID) -> int:
    tx.execute(QUERIES["stored_bytes"], {"tenant_id": tenant_id})
    return int(one(tx)["size"])


def insert_upload(
    tx: Cursor,
    tenant_id: UUID,
    name: str,
    data: bytes,
    *,
    sha256: str,
    created_by: str,
    seconds: float,
) -> Upload:
    """Store the bytes, to expire after so many seconds."""
    tx.execute(
        QUERIES["insert_upload"],
        {
            "id": uuid4(),
            "tenant_id": tenant_id,
            "name": name,
            "size": len(data),
            "sha256": sha256,
            "data": data,
            "created_by": created_by,
            "seconds": seconds,
        },
    )
    return Upload(**one(tx))


def load_upload(tx: Cursor, tenant_id: UUID, upload_id: UUID) -> tuple[bytes, str] | None:
    """Return bytes and name, or None if there is no such upload (any more)."""
    tx.execute(QUERIES["load_upload"], {"tenant_id": tenant_id, "id": upload_id})
    row = tx.fetchone()
    return None if row is None else (bytes(row["data"]), row["name"])


def present_uploads(tx: Cursor, tenant_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these are there, the tenant's, and not expired."""
    tx.execute(QUERIES["present_uploads"], {"tenant_id": tenant_id, "ids": list(ids)})
    return {row["id"] for row in tx.fetchall()}


def attach(
    tx: Cursor, tenant_id: UUID, job_id: UUID, positions: Sequence[int], ids: Sequence[UUID]
) -> None:
    """Note that the items of a job at these positions need these uploads."""
    tx.execute(
        QUERIES["attach"],
        {
            "tenant_id": tenant_id,
            "job_id": job_id,
            "positions": list(positions),
            "ids": list(ids),
        },
    )


def lock_used(tx: Cursor, job_id: UUID, position: int) -> None:
    """Let one transaction at a time release the upload that this item uses."""
    tx.execute(QUERIES["lock_used"], {"job_id": job_id, "position": position})


def release(tx: Cursor, job_id: UUID, position: int) -> bool:
    """Note that an item has done with its upload, which was locked; return whether it went."""
    tx.execute(QUERIES["release"], {"job_id": job_id, "position": position})
    return tx.rowcount > 0


def delete_upload(tx: Cursor, tenant_id: UUID, upload_id: UUID) -> bool:
    """Return whether there was one to delete."""
    tx.execute(QUERIES["delete_upload"], {"tenant_id": tenant_id, "id": upload_id})
    return tx.rowcount > 0


def purge(tx: Cursor, tenant_id: UUID | None = None) -> int:
    """Delete what has expired, of one tenant or of all; return how many."""
    tx.execute(QUERIES["purge"], {"tenant_id": tenant_id})
    return int(tx.rowcount)
