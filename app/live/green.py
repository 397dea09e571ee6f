"""Letting others go on while one waits for Postgres.

gevent makes everything that is written in Python wait politely; psycopg2 waits in C, and asks a
function of ours to do the waiting instead. This is the one that psycopg2's documentation shows,
with a limit: a server that has gone without a word must not hold a connection for ever.
"""

from __future__ import annotations

import psycopg2
from gevent.socket import wait_read, wait_write
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE, set_wait_callback
from psycopg2.extensions import connection as Connection

#: Longer than any of our queries takes, shorter than a watcher's patience.
_LONGEST_WAIT = 15.0


def make_postgres_polite() -> None:
    """Once, before the first connection of the process."""
    set_wait_callback(_wait)


def _wait(connection: Connection) -> None:
    while True:
        state = connection.poll()
        if state == POLL_OK:
            return
        waiting = {POLL_READ: wait_read, POLL_WRITE: wait_write}[state]
        try:
            waiting(connection.fileno(), timeout=_LONGEST_WAIT)
        except TimeoutError as error:
            raise psycopg2.OperationalError("Postgres says nothing.") from error
