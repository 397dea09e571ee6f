"""A reviewer's decision about an entity and an entry, and whether it is still about these two."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from app.screening.model import Entry

FALSE_POSITIVE = "false_positive"

#: entity_id, list, id of the entry.
Key = tuple[str, str, str]

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Holds only hashes of what was reviewed, under a salt of its own."""

    id: UUID
    tenant_id: UUID
    entity_id: str
    list_name: str
    entry_id: str
    decision: str
    reason: str
    salt: bytes
    subject_hash: bytes
    entry_hash: bytes
    job_id: UUID
    list_version: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    @property
    def key(self) -> Key:
        return self.entity_id, self.list_name, self.entry_id

    def still_fits(self, subject: Mapping[str, Any], entry: Entry) -> bool:
        """The subject as submitted and the entry are what the reviewer saw, in every field."""
        return hmac.compare_digest(
            self.subject_hash, subject_hash(self.salt, subject)
        ) and hmac.compare_digest(self.entry_hash, entry_hash(self.salt, entry))


def subject_hash(salt: bytes, subject: Mapping[str, Any]) -> bytes:
    """Return a hash of a subject as the client sent it."""
    return _hash(salt, subject)


def entry_hash(salt: bytes, entry: Entry) -> bytes:
    return _hash(salt, msgspec.to_builtins(entry))


def _hash(salt: bytes, fields: Mapping[str, Any]) -> bytes:
    # What is empty says nothing: a field that entries learn to have must not undo decisions.
    said = {name: value for name, value in fields.items() if value}
    return hashlib.blake2b(
        msgspec.json.encode(said, order="deterministic"), key=salt, digest_size=32
    ).digest()
