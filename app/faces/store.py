"""Collections, faces and images in Postgres. Every function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg2.extras import Json

from app.db import Cursor, counted_page, load_queries, one
from app.faces.choice import Selection
from app.faces.model import MODEL_VERSION

QUERIES = load_queries("app.faces")


@dataclass(frozen=True, slots=True)
class Collection:
    id: UUID
    tenant_id: UUID
    name: str
    description: str
    face_selection: Selection
    retention_days: int | None
    is_enabled: bool
    face_count: int
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A face of a collection, without what it is recognised by."""

    id: UUID
    collection_id: UUID
    external_id: str
    model_version: str
    quality_score: float
    metadata: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened to a collection since a version; `is_whole`: all of it, as that is too old."""

    version: int
    is_whole: bool
    added: Sequence[tuple[UUID, str, bytes]]
    removed: Sequence[UUID]


def insert_collection(
    tx: Cursor,
    tenant_id: UUID,
    *,
    name: str,
    description: str,
    face_selection: Selection,
    retention_days: int | None,
    created_by: str,
) -> Collection:
    tx.execute(
        QUERIES["insert_collection"],
        {
            "id": uuid4(),
            "tenant_id": tenant_id,
            "name": name,
            "description": description,
            "face_selection": face_selection,
            "retention_days": retention_days,
            "created_by": created_by,
        },
    )
    return _collection(one(tx))


def find_collection(tx: Cursor, tenant_id: UUID, collection_id: UUID) -> Collection | None:
    """Return the tenant's collection. Someone else's is as good as none at all."""
    tx.execute(QUERIES["find_collection"], {"id": collection_id, "tenant_id": tenant_id})
    row = tx.fetchone()
    return None if row is None else _collection(row)


def lock_collection(tx: Cursor, collection_id: UUID) -> Collection | None:
    """Return any tenant's collection, and keep others from changing it meanwhile."""
    tx.execute(QUERIES["lock_collection"], {"id": collection_id})
    row = tx.fetchone()
    return None if row is None else _collection(row)


def list_collections(
    tx: Cursor,
    tenant_id: UUID,
    *,
    only: UUID | None,
    must_be_enabled: bool,
    limit: int,
    offset: int,
) -> tuple[list[Collection], int]:
    """Return a page of the tenant's collections, newest first, and how many there are."""
    wanted = {"tenant_id": tenant_id, "id": only, "must_be_enabled": must_be_enabled}
    rows, total = counted_page(tx, QUERIES["list_collections"], wanted, limit=limit, offset=offset)
    return [_collection(row) for row in rows], total


def update_collection(tx: Cursor, collection: Collection) -> Collection | None:
    """Write what a caller may change of it."""
    tx.execute(
        QUERIES["update_collection"],
        {
            "id": collection.id,
            "tenant_id": collection.tenant_id,
            "name": collection.name,
            "description": collection.description,
            "face_selection": collection.face_selection,
            "retention_days": collection.retention_days,
            "is_enabled": collection.is_enabled,
        },
    )
    row = tx.fetchone()
    return None if row is None else _collection(row)


def delete_collection(tx: Cursor, tenant_id: UUID, collection_id: UUID) -> bool:
    """Delete it with its faces and keys, and return whether it was there."""
    tx.execute(QUERIES["delete_collection"], {"id": collection_id, "tenant_id": tenant_id})
    return tx.rowcount > 0


def count_faces(tx: Cursor, tenant_id: UUID) -> int:
    tx.execute(QUERIES["count_faces"], {"tenant_id": tenant_id})
    return int(one(tx)["faces"])


def advance_collection(tx: Cursor, collection_id: UUID, *, more: int) -> int:
    """Count faces that come, and return the version that they come with."""
    tx.execute(QUERIES["advance_collection"], {"id": collection_id, "more": more})
    return int(one(tx)["version"])


def insert_face(
    tx: Cursor,
    face_id: UUID,
    collection_id: UUID,
    *,
    external_id: str,
    embedding: bytes,
    quality_score: float,
    metadata: Mapping[str, Any],
    version: int,
) -> Enrolled:
    tx.execute(
        QUERIES["insert_face"],
        {
            "id": face_id,
            "collection_id": collection_id,
            "external_id": external_id,
            "embedding": embedding,
            "model_version": MODEL_VERSION,
            "quality_score": quality_score,
            "metadata": Json(metadata),
            "version": version,
        },
    )
    return _enrolled(one(tx))


def find_face(tx: Cursor, collection_id: UUID, face_id: UUID) -> Enrolled | None:
    tx.execute(QUERIES["find_face"], {"collection_id": collection_id, "id": face_id})
    row = tx.fetchone()
    return None if row is None else _enrolled(row)


def was_removed(tx: Cursor, collection_id: UUID, face_id: UUID) -> bool:
    """The face was there, not long ago."""
    tx.execute(QUERIES["was_removed"], {"collection_id": collection_id, "id": face_id})
    return tx.fetchone() is not None


def find_ids(tx: Cursor, collection_id: UUID, external_id: str) -> list[UUID]:
    """Return the faces of one person, newest first."""
    tx.execute(QUERIES["find_ids"], {"collection_id": collection_id, "external_id": external_id})
    return [row["id"] for row in tx.fetchall()]


def find_older(tx: Cursor, collection_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Return the faces that the people of these had before them."""
    tx.execute(QUERIES["find_older"], {"collection_id": collection_id, "ids": list(ids)})
    return [row["id"] for row in tx.fetchall()]


def list_faces(
    tx: Cursor, collection_id: UUID, *, external_id: str | None, limit: int, offset: int
) -> tuple[list[Enrolled], int]:
    """Return a page of the faces, newest first, and how many there are."""
    wanted = {"collection_id": collection_id, "external_id": external_id}
    rows, total = counted_page(tx, QUERIES["list_faces"], wanted, limit=limit, offset=offset)
    return [_enrolled(row) for row in rows], total


def page_faces(
    tx: Cursor,
    collection_id: UUID,
    *,
    before: tuple[datetime, UUID],
    with_embeddings: bool,
    limit: int,
) -> list[tuple[Enrolled, bytes | None]]:
    """Return faces from before the given place on, newest first."""
    tx.execute(
        QUERIES["page_faces"],
        {
            "collection_id": collection_id,
            "before": before[0],
            "before_id": before[1],
            "with_embeddings": with_embeddings,
            "limit": limit,
        },
    )
    return [
        (_enrolled(row), None if row["embedding"] is None else bytes(row["embedding"]))
        for row in tx.fetchall()
    ]


def show_faces(tx: Cursor, ids: Sequence[UUID]) -> dict[UUID, tuple[str, Mapping[str, Any]]]:
    """Return external id and metadata of those of these faces that are there."""
    tx.execute(QUERIES["show_faces"], {"ids": list(ids)})
    return {row["id"]: (row["external_id"], row["metadata"]) for row in tx.fetchall()}


def load_embeddings(
    tx: Cursor, collection_id: UUID, *, face_id: UUID | None, external_id: str | None
) -> list[tuple[UUID, bytes]]:
    """Return what one face, or the faces of one person, are recognised by."""
    tx.execute(
        QUERIES["load_embeddings"],
        {
            "collection_id": collection_id,
            "model_version": MODEL_VERSION,
            "id": face_id,
            "external_id": external_id,
        },
    )
    return [(row["id"], bytes(row["embedding"])) for row in tx.fetchall()]


def update_face(
    tx: Cursor, collection_id: UUID, face_id: UUID, metadata: Mapping[str, Any]
) -> Enrolled | None:
    tx.execute(
        QUERIES["update_face"],
        {"collection_id": collection_id, "id": face_id, "metadata": Json(metadata)},
    )
    row = tx.fetchone()
    return None if row is None else _enrolled(row)


def delete_faces(tx: Cursor, collection_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Delete those of these faces that are there, from a locked collection; return which."""
    tx.execute(QUERIES["delete_faces"], {"collection_id": collection_id, "ids": list(ids)})
    return [row["id"] for row in tx.fetchall()]


def changes(tx: Cursor, collection_id: UUID, since: int) -> Changes | None:
    """Return what has changed since a version, or None if the collection is gone."""
    asked = {"collection_id": collection_id, "model_version": MODEL_VERSION, "since": since}
    tx.execute(QUERIES["changes"], asked)
    rows = tx.fetchall()
    if rows and rows[0]["forgotten"] > since > 0:
        tx.execute(QUERIES["changes"], {**asked, "since": 0})
        rows = tx.fetchall()
        since = 0
    if not rows:
        return None
    return Changes(
        version=rows[0]["version"],
        is_whole=since == 0,
        added=[
            (row["id"], row["external_id"], bytes(row["embedding"]))
            for row in rows
            if row["id"] is not None
        ],
        removed=() if since == 0 else removals(tx, collection_id, since),
    )


def removals(tx: Cursor, collection_id: UUID, since: int) -> list[UUID]:
    """Return the faces that went after a version."""
    tx.execute(QUERIES["removals"], {"collection_id": collection_id, "since": since})
    return [row["face_id"] for row in tx.fetchall()]


def expired_faces(tx: Cursor, *, limit: int) -> dict[UUID, list[UUID]]:
    """Return faces whose time is over, by collection."""
    tx.execute(QUERIES["expired_faces"], {"limit": limit})
    found: dict[UUID, list[UUID]] = {}
    for row in tx.fetchall():
        found.setdefault(row["collection_id"], []).append(row["id"])
    return found


def forget_removals(tx: Cursor) -> None:
    """Let go of removals that everybody has heard of."""
    tx.execute(QUERIES["forget_removals"])


def lightly(tx: Cursor) -> None:
    """Let the transaction commit without waiting for the disk: what follows in earnest will."""
    tx.execute(QUERIES["lightly"])


def insert_part(
    tx: Cursor,
    tenant_id: UUID,
    batch: UUID,
    position: int,
    part_no: int,
    data: bytes,
    *,
    object_size: int | None = None,
    seconds: float,
) -> None:
    """Write a part of an image, or with a size that an object store has it."""
    tx.execute(
        QUERIES["insert_part"],
        {
            "batch": batch,
            "position": position,
            "part_no": part_no,
            "tenant_id": tenant_id,
            "data": data,
            "object_size": object_size,
            "seconds": seconds,
        },
    )


def load_image(
    tx: Cursor, tenant_id: UUID, batch: UUID, position: int
) -> tuple[bytes, bool] | None:
    """Return the bytes of an image that are here, and whether they are elsewhere."""
    tx.execute(
        QUERIES["load_image"], {"batch": batch, "position": position, "tenant_id": tenant_id}
    )
    rows = tx.fetchall()
    if not rows:
        return None
    return b"".join(bytes(row["data"]) for row in rows), rows[0]["object_size"] is not None


def delete_images(tx: Cursor, batch: UUID, positions: Sequence[int] | None = None) -> int:
    """Delete images of a batch, or all of it; return how many parts there were here.

    Of those that an object store has it is noted that they are to go.
    """
    tx.execute(
        QUERIES["delete_images"],
        {"batch": batch, "positions": None if positions is None else list(positions)},
    )
    return tx.rowcount


def waiting_bytes(tx: Cursor, tenant_id: UUID) -> int:
    """Return what the tenant's images take that wait for their turn."""
    tx.execute(QUERIES["waiting_bytes"], {"tenant_id": tenant_id})
    return int(one(tx)["bytes"])


def purge_images(tx: Cursor, batch: UUID | None) -> list[tuple[UUID, UUID, int]]:
    """Delete images that no living job needs, of one request or of all.

    Return job, collection and position of those that were to be enrolled, and have no result.
    """
    tx.execute(QUERIES["purge_images"], {"batch": batch})
    return [(row["job_id"], row["collection_id"], row["position"]) for row in tx.fetchall()]


def list_done(
    tx: Cursor, batch: UUID | None, *, after: tuple[UUID, int] | None, limit: int
) -> list[tuple[UUID, int]]:
    """Return objects that are to be deleted, of one request or of all, in their order."""
    after_batch, after_position = after or (None, None)
    tx.execute(
        QUERIES["list_done"],
        {
            "batch": batch,
            "after_batch": after_batch,
            "after_position": after_position,
            "limit": limit,
        },
    )
    return [(row["batch"], row["position"]) for row in tx.fetchall()]


def forget_done(tx: Cursor, gone: Sequence[tuple[UUID, int]]) -> None:
    """Delete the rows of objects that have been deleted."""
    batches, positions = zip(*gone, strict=True)
    tx.execute(QUERIES["forget_done"], {"batches": list(batches), "positions": list(positions)})


def _collection(row: Mapping[str, Any]) -> Collection:
    return Collection(
        id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        description=row["description"],
        face_selection=Selection(row["face_selection"]),
        retention_days=row["retention_days"],
        is_enabled=row["is_enabled"],
        face_count=row["face_count"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _enrolled(row: Mapping[str, Any]) -> Enrolled:
    return Enrolled(
        id=row["id"],
        collection_id=row["collection_id"],
        external_id=row["external_id"],
        model_version=row["model_version"],
        quality_score=row["quality_score"],
        metadata=row["metadata"],
        created_at=row["created_at"],
    )
