"""What a process does when PgBouncer has no connection to give."""

from __future__ import annotations

from contextlib import ExitStack, closing

import psycopg2
import pytest

from app import db
from app.errors import DatabaseUnavailable
from tests import pgbouncer

pytestmark = pytest.mark.integration

POOL = 4


@pytest.fixture(scope="module")
def bouncer(servers):
    pgbouncer.needed()
    with pgbouncer.before(servers.admin_url, pool_size=POOL, wait_seconds=2) as running:
        yield running


def test_it_waits_once_and_not_once_for_each_connection_that_rests(bouncer, servers, monkeypatch):
    monkeypatch.setattr(db, "IDLE_SECONDS", 0.0)
    url = bouncer.url(servers.database_url)
    with closing(db.Database(url, POOL)) as database, ExitStack() as stack:
        with ExitStack() as at_once:
            for _ in range(POOL):
                at_once.enter_context(database.transaction()).execute("SELECT 1")
        for _ in range(POOL):
            other = stack.enter_context(closing(psycopg2.connect(url)))
            other.cursor().execute("SELECT 1")

        with pytest.raises(DatabaseUnavailable), database.transaction() as tx:
            tx.execute("SELECT 1")

        # The one that rested last was asked whether it lives, and then a new one was made.
        assert bouncer.sent_away() == 2
        stack.close()
        with database.transaction() as tx:
            tx.execute("SELECT 1")
