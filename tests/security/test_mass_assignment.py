"""Members that nobody asked for: they choose no tenant, no role, no state and no id."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.factory import create_app
from tests.contract.test_routes import fill
from tests.faces_api import admin_of
from tests.kyc import house_list
from tests.scene import build
from tests.security.bodies import BODIES, objects, spoilt

__all__ = ["house_list"]

pytestmark = pytest.mark.integration

MARK = "00000000-0000-4000-8000-00000000feed"


@pytest.fixture(scope="module")
def web(settings):
    app = create_app(replace(settings, sync_seconds=0.1))
    yield app
    app.extensions["muster"].close()


@pytest.fixture
def admin(web, settings, tenant, house_list):
    return admin_of(web, settings, tenant)


ALONE = ("tenant_id", "created_by", "id", "role", "state", "status", "user_id")


def wishes(other) -> dict:
    """What somebody might hope to be believed about."""
    return {
        **{"tenant_id": str(other.id), "tenant": str(other.id), "tenantId": str(other.id)},
        **{"created_by": MARK, "createdBy": MARK, "id": MARK, "user_id": MARK},
        **{"role": "admin", "permissions": ["keys:manage"], "is_admin": True, "is_active": False},
        **{"state": "completed", "status": "completed", "job_status": "completed"},
        **{"succeeded": 99, "attempts": 99, "queue": "control", "kind": "slow", "trace": MARK},
        **{"watchlist_id": MARK, "collection_count": 99, "organization_id": str(other.id)},
        **{"revoked_at": None, "prefix": "sk_", "key": "sk_mine", "__class__": "x"},
    }


def test_no_member_that_nobody_asked_for_is_believed(
    web, settings, admin, tenant, resources, database
):
    other = accounts.ensure_tenant(resources.db, "other")
    scene = build(admin, tenant, works=False)
    failed = []
    for (method, rule), body in BODIES.items():
        path = scene.fill(rule) or fill(rule)
        for place in objects(body):
            if place and place[-1] in {"labels", "metadata", "config", "a"}:
                continue
            wanted = {n: v for n, v in wishes(other).items() if n not in _own(body, place)}
            # One at a time as well, where the first that is unknown would hide the others.
            alone = [] if place or "/auth/" in rule else [n for n in ALONE if n in wanted]
            for given in (wanted, *({name: wanted[name]} for name in alone)):
                answer = admin.open(path, method=method, json=spoilt(body, place, given))
                if answer.status_code >= 500 and answer.status_code != 503:
                    failed.append((method, rule, place, given, answer.get_data(as_text=True)))

    assert failed == []
    with database.transaction() as tx:
        tx.execute("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
        names = sorted(row["name"] for row in tx.fetchall())
        for name in names:
            tx.execute(f"SELECT row_to_json(t)::text AS row FROM {name} AS t")
            for row in map(json.loads, (each["row"] for each in tx.fetchall())):
                owner = row.get("tenant_id")
                assert owner != str(other.id), (name, row)
                assert MARK not in {row.get("id"), row.get("created_by"), row.get("user_id")}, row
                if name == "jobs":
                    assert row["state"] not in {"completed"}, row
                    assert (row["succeeded"], row["kind"] == "slow") == (0, False), row
                if name == "users":
                    assert row.get("active", row.get("is_active", True)), row
    known = {each.name for each in accounts.list_tenants(database)}
    assert {"acme", "other"} <= known
    assert accounts.list_members(database, other.id) == []
    assert accounts.list_keys(database, other.id) == []


def _own(body, place) -> dict:
    for key in place:
        body = body[key]
    return body


def test_who_registers_gets_a_tenant_of_their_own_whatever_they_ask_for(web, resources, tenant):
    body = {
        **{"email": f"{uuid4()}@example.com", "password": "correct horse battery"},
        **{"tenant_id": str(tenant.id), "organization_id": str(tenant.id), "role": "admin"},
    }
    for path in ("/api/auth/register", "/api/v1/auth/register"):
        answer = web.test_client().post(path, json={**body, "email": f"{uuid4()}@example.com"})
        assert answer.status_code in {201, 400, 422}, answer.json
    assert accounts.list_members(resources.db, tenant.id) == []
