"""That something was deleted on request, and what: the record, and who may be told of it.

A record says who asked, when, and how many rows of each table went, and of whom by a keyed hash of
what they were called: who knows the name finds the record, and nobody finds the name. Records are
chained by digests, as the audit of a verification is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from uuid import UUID

from app.db import Cursor, Database
from app.protection import store
from app.protection.store import Deletion
from app.settings import Settings

TENANT = "tenant"
SUBJECT = "subject"


class Record:
    """A deletion at work: counts what goes, in the transactions in which it does."""

    def __init__(self, db: Database, deletion: Deletion) -> None:
        self._db = db
        self.id = deletion.id

    @classmethod
    def begin(
        cls,
        db: Database,
        settings: Settings,
        tenant_id: UUID,
        scope: str,
        name: str,
        requested_by: str,
    ) -> Record:
        """Begin, or go on with what was broken off."""
        reference = hash_reference(settings, tenant_id, name)
        with db.transaction() as tx:
            return cls(db, store.begin_deletion(tx, tenant_id, scope, reference, requested_by))

    def add(self, tx: Cursor, counts: Mapping[str, int]) -> None:
        for name, rows in counts.items():
            if rows:
                store.note_deleted(tx, self.id, name, rows)

    def seal(self, tx: Cursor) -> Deletion:
        store.seal_deletion(tx, self.id)
        return store.show_deletion(tx, self.id)


def hash_reference(settings: Settings, tenant_id: UUID, name: str) -> str:
    """Return what a record calls a tenant or a subject: HMAC-SHA256, in hex.

    The key is derived from MUSTER_JWT_SECRET: who has the database alone cannot try names.
    """
    key = hashlib.sha256(b"muster deletions\n" + settings.jwt_secret.encode()).digest()
    return hmac.new(key, f"{tenant_id}\n{name}".encode(), hashlib.sha256).hexdigest()


def list_all(
    db: Database,
    settings: Settings,
    *,
    tenant_id: UUID | None = None,
    name: str | None = None,
    limit: int = 100,
) -> list[Deletion]:
    """Return the latest records, of all or one tenant, and of what was called `name` there."""
    reference = None
    if tenant_id is not None and name is not None:
        reference = hash_reference(settings, tenant_id, name)
    with db.transaction() as tx:
        return store.list_deletions(tx, tenant_id=tenant_id, reference=reference, limit=limit)


def check(db: Database) -> list[int]:
    """Return the numbers of records that somebody has changed, or that follow on a lost one."""
    with db.transaction() as tx:
        return store.check_deletions(tx)
