"""PgBouncer in transaction mode before the Postgres of the tests: real, on loopback, throwaway."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2
import pytest
from psycopg2.extras import RealDictCursor

from app import embedded
from devtools.guard import Guard, note

#: Ends it at once, in every version; SIGTERM has meant two things.
STOP = signal.SIGQUIT
START_SECONDS = 30.0


def find() -> Path | None:
    """Return the program: PGBOUNCER_BIN, or the one on PATH or where Debian puts it, or None."""
    given = os.environ.get("PGBOUNCER_BIN")
    found = given or shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    return Path(found) if found else None


@dataclass(frozen=True, slots=True)
class Bouncer:
    """A PgBouncer that runs."""

    port: int
    postgres_url: str
    log: Path

    def url(self, database_url: str) -> str:
        """Return the URL by which the database is reached through it."""
        parts = urlsplit(database_url)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def show(self, what: str) -> list[Mapping[str, Any]]:
        """Return what its console shows, as `show("pools")`."""
        with self._console() as cursor:
            cursor.execute(f"SHOW {what}")
            return list(cursor.fetchall())

    def sent_away(self) -> int:
        """Return how many waited for a connection until they were sent away."""
        return self.log.read_text().count("closing because: query_wait_timeout")

    def cut(self, database: str) -> None:
        """Cut off everybody who is connected to the database, whatever they are at."""
        with self._console() as cursor:
            cursor.execute(f"KILL {database}")
            cursor.execute(f"RESUME {database}")

    @contextmanager
    def _console(self) -> Iterator[RealDictCursor]:
        url = self.url(urlsplit(self.postgres_url)._replace(path="/pgbouncer").geturl())
        with closing(psycopg2.connect(url, connect_timeout=10)) as connection:
            connection.autocommit = True  # It knows no transactions.
            with connection.cursor(cursor_factory=RealDictCursor) as cursor:
                yield cursor


def needed() -> None:
    """Skip where there is no program; in CI fail, for a test that CI skips is one nobody runs."""
    if find() is None:
        end = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        end("no program pgbouncer in PGBOUNCER_BIN, on PATH or in /usr/sbin")


@contextmanager
def before(postgres_url: str, *, pool_size: int, wait_seconds: float) -> Iterator[Bouncer]:
    """Start one before this Postgres; `pool_size` connections for each database.

    Who gets no connection within `wait_seconds` is sent away.
    """
    program = find()
    assert program is not None, "ask find() first"
    guard = Guard(secrets.token_hex(8))
    home = embedded.make_home(embedded.scratch())
    guard.delete_at_the_end(home)
    port = embedded.free_port()
    server = urlsplit(postgres_url)
    _write(home / "users", f'"{server.username}" "{unquote(server.password or "")}"\n')
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": home / "users",
        "admin_users": server.username,
        "logfile": home / "pgbouncer.log",
        "pool_mode": "transaction",
        "default_pool_size": pool_size,
        "max_client_conn": 400,
        "query_wait_timeout": wait_seconds,
        # One that finds Postgres away tries again soon.
        "server_login_retry": 1,
    }
    lines = [
        *("[databases]", f"* = host=127.0.0.1 port={server.port}", "[pgbouncer]"),
        *(f"{name} = {value}" for name, value in settings.items()),
    ]
    _write(home / "pgbouncer.ini", "\n".join(lines) + "\n")
    # It is as little willing to be root as Postgres.
    user = embedded.account()
    whose: dict[str, Any] = (
        {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    )
    try:
        process = embedded.plain_launch(
            [program, home / "pgbouncer.ini"],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **whose,
        )
        guard.watch(note("pgbouncer", process.pid, "servers", STOP))
        _wait_for(process, port, home / "pgbouncer.log")
        yield Bouncer(port, postgres_url, home / "pgbouncer.log")
    finally:
        guard.finish()
    process.wait()


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
    user = embedded.account()
    if user is not None:
        user.owns(file)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        said = log.read_text() if log.exists() else "nothing"
        assert process.poll() is None, f"PgBouncer ended at once: {said}"
        assert time.monotonic() < deadline, f"PgBouncer does not listen: {said}"
        time.sleep(0.02)
