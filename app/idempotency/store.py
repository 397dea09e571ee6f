"""The rows of idempotency keys. See migrations/0014_idempotency.sql."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.db import Cursor, load_queries, one

QUERIES = load_queries("app.idempotency")


@dataclass(frozen=True, slots=True)
class Name:
    """What a key is known by; `holder` is the request that asks."""

    tenant_id: UUID
    digest: bytes
    holder: UUID


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and the SHA-256 of what had been asked."""

    fingerprint: bytes
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def forget_expired(tx: Cursor, name: Name) -> None:
    """Delete the key's row if its day is over."""
    tx.execute(QUERIES["forget_expired"], _of(name))


def claim(tx: Cursor, name: Name, *, seconds: float, kept: float) -> Mapping[str, Any] | None:
    """Take the key for so many seconds; its row is kept for `kept`. None if another one has it."""
    tx.execute(QUERIES["claim"], {**_of(name), "seconds": seconds, "kept_seconds": kept})
    return tx.fetchone()


def look(tx: Cursor, name: Name) -> tuple[bool, Answer | None]:
    """Return whether a request is at work under the key, and the answer if there is one."""
    tx.execute(QUERIES["look"], _of(name))
    row = tx.fetchone()
    if row is None or row["status"] is None:
        return row is not None and row["is_held"], None
    headers = [(key, value) for key, value in row["headers"]]
    return False, Answer(bytes(row["fingerprint"]), row["status"], headers, bytes(row["body"]))


def is_writing(tx: Cursor) -> bool:
    """Say whether the transaction has changed anything so far."""
    tx.execute(QUERIES["is_writing"])
    return bool(one(tx)["is_writing"])


def note_write(tx: Cursor, name: Name, fingerprint: bytes | None, *, seconds: float) -> bool:
    """Note that the transaction writes for this request. False if it holds the key no more."""
    tx.execute(QUERIES["note_write"], {**_of(name), "fingerprint": fingerprint, "seconds": seconds})
    return tx.rowcount == 1


def note_job(tx: Cursor, name: Name, job_id: UUID) -> bool:
    """Note the job that the transaction makes. False if the request holds the key no more."""
    tx.execute(QUERIES["note_job"], {**_of(name), "job_id": job_id})
    return tx.rowcount == 1


def prolong(tx: Cursor, name: Name, *, seconds: float) -> None:
    """Hold the key for so many seconds from now."""
    tx.execute(QUERIES["prolong"], {**_of(name), "seconds": seconds})


def keep_answer(tx: Cursor, name: Name, answer: Answer) -> None:
    tx.execute(
        QUERIES["keep_answer"],
        {
            **_of(name),
            "http_status": answer.status,
            "headers": json.dumps(answer.headers),
            "body": answer.body,
            "fingerprint": answer.fingerprint,
        },
    )


def forget(tx: Cursor, name: Name) -> None:
    """Delete the row, whatever was written."""
    tx.execute(QUERIES["forget"], _of(name))


def forget_writes(tx: Cursor, name: Name) -> None:
    """Let what was written count for nothing; which request it was stays known."""
    tx.execute(QUERIES["forget_writes"], _of(name))


def forget_unwritten(tx: Cursor, name: Name) -> None:
    """Delete the row of a request that has written nothing."""
    tx.execute(QUERIES["forget_unwritten"], _of(name))


def let_go(tx: Cursor, name: Name) -> None:
    """Let the next request with the key have it at once."""
    tx.execute(QUERIES["let_go"], _of(name))


def purge(tx: Cursor) -> int:
    """Delete what is over, and return how many keys that were."""
    tx.execute(QUERIES["purge"])
    return int(one(tx)["count"])


def _of(name: Name) -> dict[str, Any]:
    return {"tenant_id": name.tenant_id, "digest": name.digest, "request": name.holder}
