"""Postgres: one pool per process, explicit transactions, SQL in .sql files."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import resources
from typing import Any

import psycopg2
from psycopg2.errors import (
    ForeignKeyViolation,
    IdleInTransactionSessionTimeout,
    ReadOnlySqlTransaction,
    TransactionTimeout,
)
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import parse_dsn
from psycopg2.extras import RealDictCursor, register_uuid

from app.errors import DatabaseUnavailable, TenantGone
from app.sealing import PLAIN, Sealer

Cursor = RealDictCursor

# Columns of type uuid arrive as UUID, and UUID may be passed as a parameter.
register_uuid()  # type: ignore[no-untyped-call]  # the stubs leave it bare

#: The world, not a bug: the server is gone, restarting or full, or has become one that only reads,
#: or has ended the transaction by its own clocks. The last three are no OperationalError.
CONNECTION_ERRORS = (
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    ReadOnlySqlTransaction,
    IdleInTransactionSessionTimeout,
    TransactionTimeout,
)

#: A connection unused for longer is asked whether it still lives before it is trusted again.
IDLE_SECONDS = 2.0

#: What is done in each transaction just before it commits, if anything: what it raises undoes it.
before_commit: ContextVar[Callable[[Cursor], None] | None] = ContextVar(
    "before_commit", default=None
)

_QUERY = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def is_address(text: str) -> bool:
    """Whether Postgres could be called by this URL, or libpq's `name=value` pairs; calls nobody."""
    try:
        ports = parse_dsn(text).get("port", "")
    except (psycopg2.ProgrammingError, UnicodeEncodeError):
        return False
    # libpq looks at the ports only when it dials, one for each host.
    return all(re.fullmatch(r"\d{0,5}", p) and int(p or 0) < 65_536 for p in ports.split(","))


class _Connection(Connection):
    """Knows how what it carries is sealed: see app/sealing.py."""

    sealer: Sealer


class Database:
    """Hands out transactions. Opens no connection until the first one is asked for.

    A caller that finds the pool empty waits for a connection, rather than failing or opening one
    more than Postgres was sized for. Works behind a transaction-pooling proxy: nothing is kept in
    the session.
    """

    def __init__(
        self,
        url: str,
        max_connections: int = 8,
        name: str = "muster",
        sealer: Sealer = PLAIN,
    ) -> None:
        self.sealer = sealer
        self._url = url
        self._name = name
        self._size = max_connections
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._idle: list[tuple[Connection, float]] = []
        self._slots = threading.BoundedSemaphore(self._size)

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        """Commit when the block ends, roll back when it raises.

        Raises DatabaseUnavailable if Postgres cannot be reached or goes away.
        """
        if self._pid != os.getpid():
            # A forked child must never share its parent's sockets.
            self._reset()
        with self._slots:
            try:
                connection = self._take()
                try:
                    with connection, connection.cursor(cursor_factory=RealDictCursor) as tx:
                        yield tx
                        if (check := before_commit.get()) is not None:
                            check(tx)
                except ForeignKeyViolation as error:
                    if str(error.diag.constraint_name).endswith("_tenant_id_fkey"):
                        raise TenantGone("The tenant of this token has been deleted.") from None
                    raise
                except CONNECTION_ERRORS:
                    # A connection keeps what it was told when it was opened, as that it may only
                    # read, and so do those that rest: each would fail somebody once.
                    connection.close()
                    self._close_idle()
                    raise
                finally:
                    self._give_back(connection)
            except CONNECTION_ERRORS as error:
                raise DatabaseUnavailable(
                    "The database cannot be reached. Try again in a moment."
                ) from error

    def _take(self) -> Connection:
        while True:
            try:
                connection, since = self._idle.pop()
            except IndexError:
                break
            if time.monotonic() - since < IDLE_SECONDS or _is_alive(connection):
                return connection
            connection.close()
            # Nor do the others live, most likely; and behind a pooler that has no connection to
            # give, each of them would be asked for as long as the pooler lets anybody wait.
            self._close_idle()
        connection = psycopg2.connect(
            self._url,
            connection_factory=_Connection,
            connect_timeout=3,
            application_name=self._name,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        connection.sealer = self.sealer
        return connection

    def _give_back(self, connection: Connection) -> None:
        if connection.closed == 0 and connection.info.transaction_status == 0:
            self._idle.append((connection, time.monotonic()))
        else:
            connection.close()

    def _close_idle(self) -> None:
        with suppress(IndexError):
            while True:
                connection, _ = self._idle.pop()
                connection.close()

    def close(self) -> None:
        if self._pid == os.getpid():
            self._close_idle()
        self._reset()


def _is_alive(connection: Connection) -> bool:
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except CONNECTION_ERRORS:
        return False
    return True


def load_queries(package: str, filename: str = "store.sql") -> dict[str, str]:
    """Read a .sql file into a mapping of query name to SQL text."""
    text = resources.files(package).joinpath(filename).read_text(encoding="utf-8")
    _header, *parts = _QUERY.split(text)
    return dict(zip(parts[::2], (sql.strip() for sql in parts[1::2]), strict=True))


def one(tx: Cursor) -> Mapping[str, Any]:
    """Return the row that the query promised."""
    row = tx.fetchone()
    assert row is not None, "the query promised exactly one row"
    return row


def counted_page(
    tx: Cursor, query: str, wanted: Mapping[str, Any], *, limit: int, offset: int
) -> tuple[list[dict[str, Any]], int]:
    """Return a page of rows, each of which has `matching`, how many there are, and that number."""
    tx.execute(query, {**wanted, "limit": limit, "offset": offset})
    rows = [dict(row) for row in tx.fetchall()]
    if rows or not offset:
        return rows, rows[0]["matching"] if rows else 0
    # Behind the last there is no row to say it.
    _, total = counted_page(tx, query, wanted, limit=1, offset=0)
    return [], total
