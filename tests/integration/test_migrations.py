"""A database of an earlier day is brought up to date with what it holds."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app import migrate
from app.accounts import service as accounts
from app.db import Database

pytestmark = pytest.mark.integration


@pytest.fixture
def earlier(servers):
    """A database that knows the migrations up to a number."""
    made = []

    def make(last: str) -> Database:
        db = Database(servers.new_empty_database(f"earlier_{last}"))
        made.append(db)
        with pytest.MonkeyPatch.context() as patch:
            known = [each for each in migrate._files() if each[0][:4] <= last]
            patch.setattr(migrate, "_files", lambda: known)
            migrate.migrate(db)
        return db

    yield make
    for db in made:
        db.close()


def test_what_a_verification_was_sent_with_is_found_after_its_table_has_changed(earlier):
    db = earlier("0013")
    tenant = accounts.ensure_tenant(db, "acme")
    with db.transaction() as tx:
        tx.execute(
            "INSERT INTO verifications (id, tenant_id, trace, entity, risk)"
            " VALUES (%s, %s, %s, %s, '{}')",
            (uuid4(), tenant.id, "t" * 21, '{"name": "Trust", "documents": [{"kind": "deed"}]}'),
        )

    applied = migrate.migrate(db)

    assert applied[0] > "0013"
    assert migrate.pending(db) == []
    with db.transaction() as tx:
        tx.execute("SELECT entity, documents FROM verifications")
        assert dict(tx.fetchone()) == {
            "entity": {"name": "Trust"},
            "documents": [{"kind": "deed"}],
        }


def test_migrations_that_were_made_by_different_people_come_in_any_order(earlier):
    """Each is applied once, whatever numbers were applied before it."""
    db = earlier("0016")

    assert [name[:4] for name in migrate.migrate(db)] == ["0018", "0020", "0021", "0022"]
    assert migrate.migrate(db) == []
