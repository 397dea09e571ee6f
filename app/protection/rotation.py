"""Sealing anew, with the first key, what is sealed with another one or not at all.

A batch is a transaction, and what is sealed with the first key is passed over: it may be broken off
and run again. Jobs in work are sealed as well; workers read what they find.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from app.db import Cursor, Database
from app.errors import Misconfigured
from app.jobs.model import Job
from app.protection import store

log = logging.getLogger(__name__)

_JOBS = 100
_ROWS = 500

Say = Callable[[int, int, int], None]


def rotate(db: Database, *, say: Say = lambda jobs, total, rows: None) -> int:
    """Seal everything with the first key; return how many rows had to be.

    `say` hears after each page of jobs how many were looked at, of how many, and the rows so far.
    Raises Misconfigured without keys, and KeyUnavailable where an old one is missing.
    """
    if db.sealer.prefix is None:
        raise Misconfigured("There are no keys: name some in MUSTER_PAYLOAD_KEYS.")
    with db.transaction() as tx:
        total = store.count_jobs(tx)
    after, looked, rows = UUID(int=0), 0, 0
    while True:
        with db.transaction() as tx:
            page = store.page_jobs(tx, after=after, limit=_JOBS)
        if not page:
            log.info("payloads.rotated", extra={"jobs": looked, "rows": rows})
            return rows
        for job in page:
            rows += _rotate(db, job, store.list_unsealed, store.seal_items)
            rows += _rotate(db, job, store.list_unsealed_results, store.seal_results)
        after, looked = page[-1].id, looked + len(page)
        say(looked, max(looked, total), rows)


def _rotate(
    db: Database,
    job: Job,
    read: Callable[..., list[tuple[int, str]]],
    write: Callable[[Cursor, Job, list[tuple[int, str]]], None],
) -> int:
    sealer, first, done = db.sealer, 0, 0
    while True:
        with db.transaction() as tx:
            found = read(tx, job, prefix=sealer.prefix, first=first, limit=_ROWS)
            sealed = [
                (position, sealer.seal((sealer.open_text(text) or "").encode()).decode())
                for position, text in found
            ]
            if sealed:
                write(tx, job, sealed)
        done += len(found)
        if len(found) < _ROWS:
            return done
        first = found[-1][0] + 1
