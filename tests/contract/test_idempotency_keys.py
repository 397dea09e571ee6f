"""No POST forgets its Idempotency-Key, whoever writes the next: the URL map is walked."""

from __future__ import annotations

import pytest

from app.accounts.model import ALL_PERMISSIONS
from app.api import tokens
from tests.contract.test_routes import OPEN, ROUTES, fill
from tests.idempotency import in_hand
from tests.verifications import assert_enveloped

POSTS = [rule for method, rule in ROUTES if method == "POST"]
KEPT = [rule for rule in POSTS if ("POST", rule) not in OPEN]


@pytest.fixture
def admin(web, settings, tenant):
    client = web.test_client()
    token = tokens.mint_access(settings, tenant.id, "usr_x", ALL_PERMISSIONS)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def filled(admin, tenant):
    """A path of the rule, whose organization or collection is there."""

    def fill_in(rule: str) -> str:
        place = f"/api/v1/organizations/{tenant.id}"
        if "<collection_id>" in rule:
            made = admin.post(f"{place}/collections", json={"name": "x"})
            rule = rule.replace("<collection_id>", made.json["data"]["id"])
        return fill(rule.replace("<org_id>", str(tenant.id)))

    return fill_in


def test_there_are_posts_of_every_dialect():
    for prefix in ("/kyc", "/v5", "/api/v1", "/api/batch", "/v1"):
        assert [rule for rule in KEPT if rule.startswith(prefix)]


@pytest.mark.parametrize("rule", KEPT)
def test_a_post_waits_for_the_one_with_the_same_key(web, admin, tenant, filled, rule):
    """Before it has looked at anything else of the request."""
    path = filled(rule)

    with in_hand(web, tenant, path):
        answer = admin.post(path, headers={"Idempotency-Key": "nightly-7"})

    assert answer.status_code == 409, answer.text
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("rule", POSTS)
def test_a_post_refuses_a_malformed_key(admin, filled, rule):
    answer = admin.post(filled(rule), headers={"Idempotency-Key": "x" * 256})

    if rule.startswith("/v5"):
        assert_enveloped(answer, 422, "invalid_idempotency_key")
    else:
        assert answer.status_code == 400, answer.text
        assert "Idempotency-Key" in answer.text
