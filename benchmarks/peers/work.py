"""The work that every peer does: store items, read a chunk of them, write its results, close.

The tables have the columns of ours and their primary key; the statements are the same kind. There
is one connection a process and one commit a chunk.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from uuid import UUID, uuid4

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extras import execute_values, register_uuid

from app.jobs.model import NewItem

register_uuid()  # type: ignore[no-untyped-call]  # the stubs leave it bare

_TABLES = """
CREATE TABLE IF NOT EXISTS peer_jobs (
    id uuid PRIMARY KEY, total integer NOT NULL, finished_at timestamptz);
CREATE TABLE IF NOT EXISTS peer_items (
    job_id uuid NOT NULL, position integer NOT NULL, ref text, payload json NOT NULL,
    PRIMARY KEY (job_id, position));
CREATE TABLE IF NOT EXISTS peer_results (
    job_id uuid NOT NULL, position integer NOT NULL, status text NOT NULL,
    matches integer NOT NULL, result json, finished_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job_id, position));
"""

#: Each queue has a Redis database to itself.
_REDIS_DATABASES = {"celery_chord": 1, "dramatiq_group": 2, "rq_jobs": 3, "huey_chord": 4}


def environment(database_url: str, redis_url: str, module: str) -> dict[str, str]:
    """Return the variables that a peer's module reads."""
    server = redis_url.rpartition("/")[0]
    number = _REDIS_DATABASES.get(module, 9)
    return {"DATABASE_URL": database_url, "PEER_REDIS_URL": f"{server}/{number}"}


def create_tables(database_url: str) -> None:
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute(_TABLES)
    connection.close()


def store_items(items: Sequence[NewItem]) -> UUID:
    """Write a job and its items in one transaction, the items by COPY."""
    job_id = uuid4()
    head = str(job_id).encode()
    lines = [
        b"%b\t%d\t%b\t%b\n" % (head, position, (item.ref or "").encode(), item.payload)
        for position, item in enumerate(items)
    ]
    with open_connection() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO peer_jobs (id, total) VALUES (%s, %s)", (job_id, len(items)))
        cursor.copy_expert(
            "COPY peer_items (job_id, position, ref, payload) FROM STDIN",
            BytesIO(b"".join(lines)),
        )
    return job_id


def chunks(total: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def run_chunk(job_id: str, start: int, stop: int) -> None:
    with open_connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT position, ref, payload FROM peer_items"
            " WHERE job_id = %s AND position >= %s AND position < %s ORDER BY position",
            (UUID(job_id), start, stop),
        )
        rows = [(UUID(job_id), position, "succeeded", 0, "{}") for position, *_ in cursor]
        execute_values(
            cursor,
            "INSERT INTO peer_results (job_id, position, status, matches, result) VALUES %s"
            " ON CONFLICT (job_id, position) DO NOTHING RETURNING status, matches",
            rows,
            page_size=len(rows),
            fetch=True,
        )


def finish(job_id: str) -> None:
    with open_connection() as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE peer_jobs SET finished_at = now() WHERE id = %s", (UUID(job_id),))


def finish_if_complete(job_id: str) -> None:
    """Close the job if every item has its result. After the commit, or two would each see less."""
    with open_connection() as connection, connection.cursor() as cursor:
        cursor.execute(
            "UPDATE peer_jobs SET finished_at = now() WHERE id = %(id)s"
            " AND total = (SELECT count(*) FROM peer_results WHERE job_id = %(id)s)",
            {"id": UUID(job_id)},
        )


def open_connection() -> Connection:
    return _connect(os.getpid())


@cache
def _connect(_pid: int) -> Connection:
    # By process, since some queues fork after they have imported their tasks.
    return psycopg2.connect(os.environ["DATABASE_URL"])
