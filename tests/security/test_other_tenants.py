"""Another tenant's things: not there, on every route with an id in it, and in every list."""

from __future__ import annotations

import pytest

from app.accounts import service as accounts
from tests.contract.test_routes import OPEN, ROUTES
from tests.faces_api import admin_of
from tests.kyc import house_list, screener
from tests.scene import build

__all__ = ["house_list", "screener"]

pytestmark = pytest.mark.integration

#: Said by words instead of ids; where the tenant itself is named; or signed (test_exports.py).
ELSEWHERE = {("GET", "/api/batch/ws/<job_id>"), ("GET", "/exports/download/<key>")}
#: A body that each would take, so that it is the id that is refused.
BODIES = {
    ("POST", "/kyc/lists/<name>"): {"data": "id,name\n1,Ann\n", "content_type": "text/csv"},
    ("PATCH", "/kyc/watchlists/<watchlist_id>"): {"json": {"name": "stolen"}},
    ("POST", "/kyc/watchlists/<watchlist_id>/subjects"): {
        "json": {"subjects": [{"entity_id": "e", "subject": {"full_name": "A B"}}]}
    },
    ("POST", "/kyc/watchlists/<watchlist_id>/remove-subjects"): {"json": {"entity_ids": ["e"]}},
    ("POST", "/api/v1/organizations/<org_id>/collections"): {"json": {"name": "stolen"}},
    ("POST", "/api/v1/organizations/<org_id>/api-keys"): {"json": {"name": "stolen"}},
    ("PUT", "/api/v1/collections/<collection_id>"): {"json": {"name": "stolen"}},
    ("PATCH", "/api/v1/collections/<collection_id>/faces/<face_id>"): {"json": {"metadata": {}}},
    ("DELETE", "/api/v1/collections/<collection_id>/faces/batch"): {"json": {"face_ids": ["x"]}},
    ("PUT", "/v5/verifications/<trace>/monitoring"): {"json": {"frequency": "daily"}},
}
LISTS = (
    *("/kyc/jobs", "/kyc/exclusions", "/kyc/watchlists", "/kyc/lists", "/v1/jobs?limit=100"),
    *("/api/batch/active", "/api/history/jobs", "/api/history/documents", "/api/history/stats"),
    *("/api/history/documents/search?q=Note", "/v5/verifications", "/api/v1/organizations"),
)
NAMED = [route for route in ROUTES if "<" in route[1] and route not in ELSEWHERE]


@pytest.fixture
def others(web, settings, resources, house_list, screener):
    other = accounts.ensure_tenant(resources.db, "other")
    admin = admin_of(web, settings, other)
    return admin, build(admin, other, works=True)


def test_what_is_another_tenants_is_404_on_every_route_and_in_no_list(
    web, settings, tenant, database, others
):
    owner, scene = others
    thief = admin_of(web, settings, tenant)
    empty = {path: thief.get(path).get_data(as_text=True) for path in LISTS}
    before = fingerprint(database)

    missed, answered = [], []
    for method, rule in NAMED:
        path = scene.fill(rule)
        if path is None:
            missed.append((method, rule))
            continue
        assert (method, rule) not in OPEN
        answer = thief.open(path, method=method, **BODIES.get((method, rule), {}))
        if answer.status_code != 404:
            answered.append((method, rule, answer.status_code, answer.get_data(as_text=True)[:300]))
        else:
            said = answer.get_data(as_text=True)
            # Nothing of what is there: not even the tenant's name.
            assert "Quartermain" not in said
            assert "other" not in said.replace("another", "")

    assert answered == []
    assert missed == []
    assert fingerprint(database) == before
    for path in LISTS:
        shown = thief.get(path).get_data(as_text=True)
        assert not any(each in shown for ids in scene.ids.values() for each in long(ids)), path
        assert len(shown) == len(empty[path])
    # The same paths are there for whom they belong to.
    for method, rule in NAMED:
        if method == "GET" and "<face_id>" not in rule and "/events" not in rule:
            answer = owner.get(scene.fill(rule))
            assert answer.status_code in {200, 409}, (rule, answer.get_data(as_text=True))


def long(ids) -> list[str]:
    return [each for each in ids.values() if len(each) > 15]


def fingerprint(database) -> dict[str, str]:
    """What the tenant's rows are, apart from what a worker writes beside us."""
    tables = (
        *("exclusions", "collections", "faces", "api_keys", "monitors", "verifications"),
        *("stakeholders", "users", "memberships"),
    )
    with database.transaction() as tx:
        tx.execute("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
        known = {row["name"] for row in tx.fetchall()}
        assert known >= set(tables)
        found = {}
        for name in sorted(tables):
            columns = "to_jsonb(t) - 'last_used_at' - 'updated_at'"
            tx.execute(
                f"SELECT md5(string_agg(({columns})::text, '' ORDER BY ({columns})::text))"
                f" AS sum FROM {name} AS t"
            )
            found[name] = tx.fetchone()["sum"]
    return found
