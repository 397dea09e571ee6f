"""What the tests of Idempotency-Key share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from flask import g

from app.accounts.model import Caller
from app.api import idempotency
from app.api.context import resources
from app.idempotency.claims import Claim

KEY = {"Idempotency-Key": "nightly-7"}


class Nothing:
    """A request without a body, all of which has come in."""

    is_read = True

    def fingerprint(self) -> bytes:
        return bytes(32)


@contextmanager
def in_hand(
    web: Any,
    tenant: Any,
    path: str,
    key: Mapping[str, str] = KEY,
    collection_id: str | None = None,
) -> Iterator[None]:
    """Let a request with the key be at work for as long as the block runs."""
    bound = None if collection_id is None else UUID(collection_id)
    with web.test_request_context(path, method="POST"):
        g.caller = Caller(tenant.id, "usr_x", frozenset(), "user", collection_id=bound)
        name, db = idempotency._digest(key[idempotency.HEADER]), resources().db
        claim = Claim.take(db, tenant.id, name, Nothing(), seconds=60)
    assert isinstance(claim, Claim)
    yield
    claim.release()


def rows(database) -> list[dict[str, Any]]:
    with database.transaction() as tx:
        tx.execute("SELECT * FROM idempotency_keys")
        return [dict(row) for row in tx.fetchall()]


def move(database, **seconds: float) -> None:
    """Let the clock have moved on: what the column names was due so much earlier."""
    with database.transaction() as tx:
        for column, by in seconds.items():
            tx.execute(
                f"UPDATE idempotency_keys SET {column} = {column} - make_interval(secs => %s)",
                (by,),
            )
