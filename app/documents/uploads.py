"""Documents that a tenant sends and names in a job: kept in Postgres for a while.

An upload goes when the last item that needs it has ended well, or when it expires, whichever is
first; while a job that needs it lives it does not expire. What failed keeps its upload, so that it
can be tried again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from uuid import UUID

from app.db import Cursor, Database
from app.documents import codes, store
from app.documents.local import suffix_of
from app.documents.model import Content, Hint, Upload
from app.errors import Invalid, ItemError, TooLarge, UploadsFull
from app.settings import Settings

_LONGEST_NAME = 255


def save(
    db: Database, settings: Settings, tenant_id: UUID, *, name: str, data: bytes, created_by: str
) -> Upload:
    """Store a document. Raises Invalid, TooLarge or UploadsFull."""
    (made,) = save_all(db, settings, tenant_id, [(name, data)], created_by=created_by)
    return made


def save_all(
    db: Database,
    settings: Settings,
    tenant_id: UUID,
    documents: Sequence[tuple[str, bytes]],
    *,
    created_by: str,
) -> list[Upload]:
    """Store documents, each a name and its bytes: all of them or none. Raises as `save` does."""
    for number, (_, data) in enumerate(documents, 1):
        _check(data, settings, f"Document {number} of {len(documents)}" if documents[1:] else "")
    with db.transaction() as tx:
        store.lock_tenant(tx, tenant_id)
        store.purge(tx, tenant_id)
        size = sum(len(data) for _, data in documents)
        if store.stored_bytes(tx, tenant_id) + size > settings.uploads_max_bytes:
            raise UploadsFull(
                f"Your uploads would take more than the {settings.uploads_max_bytes:,} bytes"
                " allowed (MUSTER_UPLOADS_MAX_BYTES). Tag them, delete some, or wait until they"
                " expire."
            )
        return [
            store.insert_upload(
                tx,
                tenant_id,
                _shown(name),
                data,
                sha256=hashlib.sha256(data).hexdigest(),
                created_by=created_by,
                seconds=settings.upload_seconds,
            )
            for name, data in documents
        ]


def _check(data: bytes, settings: Settings, which: str) -> None:
    if not data:
        raise Invalid(f"{which or 'The uploaded document'} is empty: it has no bytes.")
    if len(data) > settings.document_max_bytes:
        raise TooLarge(
            f"{which or 'The document'} has {len(data):,} bytes; at most"
            f" {settings.document_max_bytes:,} are allowed (MUSTER_DOCUMENT_MAX_BYTES)."
        )


def load(db: Database, tenant_id: UUID, upload_id: UUID) -> Content:
    """Return the document. Raises ItemError not_found; what others have uploaded is not there."""
    with db.transaction() as tx:
        found = store.load_upload(tx, tenant_id, upload_id)
    if found is None:
        raise gone()
    data, name = found
    return Content(data, Hint(suffix=suffix_of(name)))


def missing(db: Database, tenant_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these a job of the tenant cannot name."""
    if not ids:
        return set()
    with db.transaction() as tx:
        return set(ids) - store.present_uploads(tx, tenant_id, ids)


def attach(tx: Cursor, tenant_id: UUID, job_id: UUID, uses: Sequence[tuple[int, UUID]]) -> None:
    """Keep these uploads for the items at these positions. Twice is as good as once."""
    if uses:
        positions, ids = zip(*uses, strict=True)
        store.attach(tx, tenant_id, job_id, positions, ids)


def release(tx: Cursor, job_id: UUID, position: int) -> None:
    """Let go of the upload of an item that has ended well. Twice is as good as once."""
    store.lock_used(tx, job_id, position)
    store.release(tx, job_id, position)


def delete(db: Database, tenant_id: UUID, upload_id: UUID) -> bool:
    """Delete an upload at once, and return whether there was one. Jobs that name it will fail."""
    with db.transaction() as tx:
        return store.delete_upload(tx, tenant_id, upload_id)


def purge(tx: Cursor) -> int:
    """Delete what has expired, of every tenant; return how many."""
    return store.purge(tx)


def gone() -> ItemError:
    return ItemError(
        codes.NOT_FOUND, "There is no such upload, or it has expired; upload the document again."
    )


def _shown(name: str) -> str:
    """Return a name as it can be shown: the last part of a path, and nothing that controls."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable())[:_LONGEST_NAME]
