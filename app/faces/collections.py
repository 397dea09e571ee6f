"""What can be asked of collections and their faces. Each function is one use case."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from app.db import Cursor, Database
from app.errors import CollectionNotFound, DuplicateFace, FaceNotFound, QuotaExceeded
from app.faces import store
from app.faces.choice import Selection
from app.faces.store import Collection, Enrolled

log = logging.getLogger(__name__)

#: Faces of one read, and of one deletion.
_PAGE = 500

#: Seconds until somebody may have deleted faces: the caller's own doing, so no sooner.
_FULL_FOR = 3600


class OnDuplicate(StrEnum):
    """What becomes of the faces that a person has already."""

    REPLACE = "replace"
    ADD = "add"
    ERROR = "error"


def create(
    db: Database,
    tenant_id: UUID,
    *,
    name: str,
    description: str = "",
    face_selection: Selection = Selection.SINGLE,
    retention_days: int | None = None,
    created_by: str,
) -> Collection:
    with db.transaction() as tx:
        made = store.insert_collection(
            tx,
            tenant_id,
            name=name,
            description=description,
            face_selection=face_selection,
            retention_days=retention_days,
            created_by=created_by,
        )
    log.info("collection.created", extra={"collection_id": str(made.id)})
    return made


def get(db: Database, tenant_id: UUID, collection_id: UUID) -> Collection:
    """Return the tenant's collection, or raise CollectionNotFound."""
    with db.transaction() as tx:
        found = store.find_collection(tx, tenant_id, collection_id)
    return _there(found)


def list_all(
    db: Database,
    tenant_id: UUID,
    *,
    only: UUID | None = None,
    must_be_enabled: bool = False,
    limit: int,
    offset: int = 0,
) -> tuple[list[Collection], int]:
    """Return a page of the tenant's collections, newest first, and how many there are.

    `only` is the one that the caller may see, if it may not see all.
    """
    with db.transaction() as tx:
        return store.list_collections(
            tx,
            tenant_id,
            only=only,
            must_be_enabled=must_be_enabled,
            limit=limit,
            offset=offset,
        )


def update(
    db: Database, tenant_id: UUID, collection_id: UUID, changed: Mapping[str, Any]
) -> Collection:
    """Change what is given, of name, description, face_selection, retention_days, is_enabled."""
    with db.transaction() as tx:
        _there(store.lock_collection(tx, collection_id))
        known = _there(store.find_collection(tx, tenant_id, collection_id))
        moved = store.update_collection(tx, dataclasses.replace(known, **changed))
    return _there(moved)


def delete(db: Database, tenant_id: UUID, collection_id: UUID) -> None:
    """Delete a collection with its faces and the keys that are good for it."""
    with db.transaction() as tx:
        if not store.delete_collection(tx, tenant_id, collection_id):
            raise CollectionNotFound("There is no such collection.")
    log.info("collection.deleted", extra={"collection_id": str(collection_id)})


def enrol(
    tx: Cursor,
    collection_id: UUID,
    face_id: UUID,
    *,
    external_id: str,
    embedding: bytes,
    quality_score: float,
    metadata: Mapping[str, Any],
    on_duplicate: OnDuplicate,
    faces_max: int,
) -> Enrolled | None:
    """Keep a face. Doing so again under the same id changes nothing, and returns the same.

    Those that it is to replace stay beside it until `replace` is called. Return None if it was
    kept and deleted since. Raises CollectionNotFound, DuplicateFace or QuotaExceeded.
    """
    collection = _there(store.lock_collection(tx, collection_id))
    known = store.find_face(tx, collection_id, face_id)
    if known is not None:
        return known
    if store.was_removed(tx, collection_id, face_id):
        return None
    others = store.find_ids(tx, collection_id, external_id)
    if others and on_duplicate is OnDuplicate.ERROR:
        raise DuplicateFace(
            "The collection has a face of this external_id already; say on_duplicate=replace to"
            " replace it, or on_duplicate=add to keep both."
        )
    is_one_more = not (others and on_duplicate is OnDuplicate.REPLACE)
    if is_one_more and store.count_faces(tx, collection.tenant_id) >= faces_max:
        raise QuotaExceeded(
            f"Your collections hold the {faces_max:,} faces allowed (MUSTER_FACES_MAX).",
            retry_after=_FULL_FOR,
        )
    version = store.advance_collection(tx, collection_id, more=1)
    return store.insert_face(
        tx,
        face_id,
        collection_id,
        external_id=external_id,
        embedding=embedding,
        quality_score=quality_score,
        metadata=metadata,
        version=version,
    )


def replace(tx: Cursor, collection_id: UUID, ids: Sequence[UUID]) -> None:
    """Delete the older faces of whom these are. Twice is as good as once."""
    if store.lock_collection(tx, collection_id) is not None:
        store.delete_faces(tx, collection_id, store.find_older(tx, collection_id, ids))


def get_face(db: Database, collection_id: UUID, face_id: UUID) -> Enrolled:
    with db.transaction() as tx:
        found = store.find_face(tx, collection_id, face_id)
    return _known(found)


def list_faces(
    db: Database, collection_id: UUID, *, external_id: str | None, limit: int, offset: int
) -> tuple[list[Enrolled], int]:
    """Return a page of the faces, newest first, and how many there are."""
    with db.transaction() as tx:
        return store.list_faces(
            tx, collection_id, external_id=external_id, limit=limit, offset=offset
        )


def update_face(
    db: Database, collection_id: UUID, face_id: UUID, metadata: Mapping[str, Any]
) -> Enrolled:
    """Put other metadata in place of a face's own."""
    with db.transaction() as tx:
        moved = store.update_face(tx, collection_id, face_id, metadata)
    return _known(moved)


def delete_faces(db: Database, collection_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Delete faces with their embeddings: the next search does without. Return which there were."""
    with db.transaction() as tx:
        _there(store.lock_collection(tx, collection_id))
        gone = store.delete_faces(tx, collection_id, ids)
    log.info("faces.deleted", extra={"collection_id": str(collection_id), "faces": len(gone)})
    return gone


def delete_face(db: Database, collection_id: UUID, face_id: UUID) -> None:
    if not delete_faces(db, collection_id, [face_id]):
        raise _no_face()


def export(
    db: Database, collection_id: UUID, *, with_embeddings: bool
) -> Iterator[tuple[Enrolled, bytes | None]]:
    """Yield every face, newest first. Each page is a transaction of its own."""
    before = datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1)
    while True:
        with db.transaction() as tx:
            page = store.page_faces(
                tx, collection_id, before=before, with_embeddings=with_embeddings, limit=_PAGE
            )
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1][0]
        before = last.created_at, last.id


def purge(db: Database) -> int:
    """Delete faces whose collection keeps them no longer, and return how many there were."""
    purged = 0
    while True:
        with db.transaction() as tx:
            store.forget_removals(tx)
            expired = store.expired_faces(tx, limit=_PAGE)
        for collection_id, ids in expired.items():
            with db.transaction() as tx:
                if store.lock_collection(tx, collection_id) is not None:
                    purged += len(store.delete_faces(tx, collection_id, ids))
        if sum(map(len, expired.values())) < _PAGE:
            return purged


def _there(found: Collection | None) -> Collection:
    if found is None:
        raise CollectionNotFound("There is no such collection.")
    return found


def _known(found: Enrolled | None) -> Enrolled:
    if found is None:
        raise _no_face()
    return found


def _no_face() -> FaceNotFound:
    return FaceNotFound("No face found with the given ID in this collection.")
