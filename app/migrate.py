"""Bringing the schema up to date: numbered .sql files, each applied once, one process at a time."""

from __future__ import annotations

import logging
from importlib import resources

from app.db import Database

log = logging.getLogger(__name__)

#: Any number will do, as long as every process that migrates uses the same one.
_LOCK = 7_243_001


def migrate(db: Database) -> list[str]:
    """Apply what has not been applied yet, in one transaction, and return the file names.

    A second process waits for the lock and then finds nothing to do.
    """
    applied: list[str] = []
    with db.transaction() as tx:
        tx.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        tx.execute(
            "CREATE TABLE IF NOT EXISTS migrations ("
            " name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        tx.execute("SELECT name FROM migrations")
        done = {row["name"] for row in tx.fetchall()}
        for name, sql in _files():
            if name not in done:
                tx.execute(sql)
                tx.execute("INSERT INTO migrations (name) VALUES (%s)", (name,))
                applied.append(name)
                log.info("migration.applied", extra={"migration": name})
    return applied


def pending(db: Database) -> list[str]:
    """Return the files that `migrate` would apply."""
    with db.transaction() as tx:
        tx.execute("SELECT to_regclass('migrations') IS NOT NULL AS known")
        row = tx.fetchone()
        if row is None or not row["known"]:
            return [name for name, _ in _files()]
        tx.execute("SELECT name FROM migrations")
        done = {row["name"] for row in tx.fetchall()}
    return [name for name, _ in _files() if name not in done]


def _files() -> list[tuple[str, str]]:
    folder = resources.files("app").joinpath("migrations")
    files = (f for f in folder.iterdir() if f.name.endswith(".sql"))
    return sorted((f.name, f.read_text(encoding="utf-8")) for f in files)
