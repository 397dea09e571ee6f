"""Dialect C: keys, users, organizations and collections, and what each of them may."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import auth, tokens
from app.errors import JobError
from app.faces import models
from app.factory import create_app
from app.jobs import service
from app.kinds import faces
from tests.faces_api import (
    BASE,
    Client,
    admin,
    admin_of,
    app,
    assert_error,
    collection,
    data_of,
    enrol,
    faces_of,
    form_of,
    images_left,
    move,
    new_collection,
    new_key,
    one_image,
    poll,
    post_batch,
    registered,
    with_key,
)
from tests.integration.conftest import until

__all__ = ["admin", "app", "collection", "registered"]

pytestmark = pytest.mark.integration


def test_a_key_is_shown_once_listed_and_revoked(web, admin, tenant, collection):
    place = f"{BASE}/organizations/{tenant.id}/api-keys"
    body = {"name": "production-server", "collection_id": collection["id"]}
    made = data_of(admin.post(place, json=body), 201)
    app = with_key(web, made["key"])

    assert made["key"].startswith("fr_live_")
    assert made["scopes"] == ["face:read", "face:write"]
    assert data_of(app.get(faces_of(collection)))["total"] == 0
    (listed,) = data_of(admin.get(place))["api_keys"]
    assert "key" not in listed
    assert (listed["id"], listed["status"]) == (made["id"], "active")
    assert admin.delete(f"{place}/{made['id']}").status_code == 204
    auth._known_keys.clear()
    assert_error(app.get(faces_of(collection)), 403, "API_KEY_INACTIVE")
    assert_error(admin.delete(f"{place}/{uuid4()}"), 404, "API_KEY_NOT_FOUND")
    assert_error(admin.delete(f"{place}/x"), 404, "API_KEY_NOT_FOUND")


def test_a_key_is_good_for_its_collection_and_its_scopes_alone(web, admin, tenant, collection):
    other = new_collection(admin, tenant, name="visitors")
    reader = with_key(web, new_key(admin, tenant, collection["id"], scopes=["face:read"]))
    job_id = data_of(post_batch(admin, other["id"], form_of([b"x"])), 202)["job_id"]

    assert data_of(reader.get(faces_of(collection)))
    assert_error(reader.get(faces_of(other)), 403, "COLLECTION_NOT_ALLOWED")
    refused = post_batch(reader, collection["id"], form_of([b"x"]))
    assert assert_error(refused, 403, "INSUFFICIENT_SCOPE")["details"] == {
        "required_permission": "face:write"
    }
    place = f"{BASE}/organizations/{tenant.id}/batch"
    assert_error(reader.get(f"{place}/{job_id}"), 404, "BATCH_JOB_NOT_FOUND")
    assert data_of(reader.get(place))["jobs"] == []
    assert_error(reader.get(f"{BASE}/collections/{other['id']}"), 403, "INSUFFICIENT_SCOPE")


def test_a_key_may_be_bound_to_networks(web, admin, tenant, collection):
    app = with_key(web, new_key(admin, tenant, collection["id"], allowed_ips=["203.0.113.0/24"]))
    place = faces_of(collection)

    def asked(address: str):
        return app.get(place, environ_overrides={"REMOTE_ADDR": address})

    assert_error(asked("198.51.100.7"), 403, "IP_NOT_ALLOWED")
    assert data_of(asked("203.0.113.9"))["total"] == 0


def test_a_key_that_has_expired_says_so(web, admin, tenant, collection, database):
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    app = with_key(web, new_key(admin, tenant, collection["id"], expires_at=soon))
    move(database, "api_keys", "expires_at", 7_200)

    assert_error(app.get(faces_of(collection)), 403, "API_KEY_EXPIRED")


def test_a_key_that_is_used_too_often_is_429(web, admin, tenant, collection):
    app = with_key(web, new_key(admin, tenant, collection["id"], rate_limit_rpm=3))

    answers = [app.get(faces_of(collection)) for _ in range(8)]

    # The minute may turn once meanwhile.
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) >= 2
    assert_error(refused[-1], 429, "RATE_LIMIT_EXCEEDED")
    assert 1 <= int(refused[-1].headers["Retry-After"]) <= 60


def test_more_images_than_a_tenant_may_have_waiting_are_429(settings, tenant):
    strict = create_app(replace(settings, face_images_max_bytes=1_000))
    admin = admin_of(strict, settings, tenant)
    collection = new_collection(admin, tenant)
    post_batch(admin, collection["id"], form_of([bytes(1_000)]))

    answer = post_batch(admin, collection["id"], form_of([b"x"]))

    assert_error(answer, 429, "QUOTA_EXCEEDED")
    assert answer.headers["Retry-After"] == "30"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "TOKEN_INVALID"),
        ({"X-API-Key": "fr_live_x"}, 401, "INVALID_API_KEY"),
        ({"X-API-Key": f"fr_live_{'x' * 43}"}, 401, "INVALID_API_KEY"),
        ({"Authorization": f"Bearer fr_live_{'x' * 43}"}, 401, "INVALID_API_KEY"),
        ({"Authorization": "Bearer x"}, 401, "TOKEN_INVALID"),
        ({"Authorization": "Basic x"}, 401, "TOKEN_INVALID"),
        ({"X-API-Key": "\xff"}, 401, "INVALID_API_KEY"),
    ],
)
def test_who_cannot_be_known_is_401(web, collection, headers, status, code):
    answer = web.test_client().get(faces_of(collection), headers=headers)

    assert_error(answer, status, code)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="faces"'


def test_a_token_that_has_expired_says_so(web, settings, tenant, collection):
    token = tokens.mint_access(
        settings, tenant.id, "u", {"face:read"}, lifetime=timedelta(seconds=-5)
    )

    answer = web.test_client().get(
        faces_of(collection), headers={"Authorization": f"Bearer {token}"}
    )

    assert_error(answer, 401, "TOKEN_EXPIRED")


def test_what_belongs_to_others_does_not_exist(web, settings, resources, admin, tenant, collection):
    other = accounts.ensure_tenant(resources.db, "other")
    stranger = admin_of(web, settings, other)
    key = with_key(web, new_key(stranger, other))
    job_id = data_of(post_batch(admin, collection["id"], form_of([b"x"])), 202)["job_id"]
    mine, theirs = f"{BASE}/organizations/{tenant.id}", f"{BASE}/organizations/{other.id}"
    place, face = f"{BASE}/collections/{collection['id']}", str(uuid4())

    for client in (stranger, key):
        for path in ("", "/collections", "/batch", f"/batch/{job_id}"):
            answer = client.get(f"{mine}{path}")
            if answer.status_code != 403:
                assert_error(answer, 404, "ORGANIZATION_NOT_FOUND")
            else:
                # A key may not ask for these at all, whoever's they are.
                assert_error(answer, 403, "INSUFFICIENT_SCOPE")
        assert_error(client.get(f"{theirs}/batch/{job_id}"), 404, "BATCH_JOB_NOT_FOUND")
        assert_error(client.get(f"{place}/faces"), 404, "COLLECTION_NOT_FOUND")
        assert_error(client.get(f"{place}/faces/{face}"), 404, "COLLECTION_NOT_FOUND")
        assert_error(client.get(f"{place}/batch/{job_id}"), 404, "COLLECTION_NOT_FOUND")
        assert_error(client.get(f"{place}/export"), 404, "COLLECTION_NOT_FOUND")
        for path in ("faces", "faces/batch", "faces/batch-async", "identify", "verify"):
            refused = client.post(f"{place}/{path}", data=form_of([b"x"]))
            assert_error(refused, 404, "COLLECTION_NOT_FOUND")
        strange = one_image(b"x", collection_ids=collection["id"])
        assert_error(client.post(f"{BASE}/search", data=strange), 404, "COLLECTION_NOT_FOUND")
    assert_error(stranger.put(place, json={"name": "x"}), 404, "COLLECTION_NOT_FOUND")
    assert_error(stranger.delete(place), 404, "COLLECTION_NOT_FOUND")
    body = {"name": "x", "collection_id": collection["id"]}
    assert_error(stranger.post(f"{theirs}/api-keys", json=body), 404, "COLLECTION_NOT_FOUND")
    assert_error(stranger.post(f"{mine}/collections", json=body), 404, "ORGANIZATION_NOT_FOUND")


@pytest.mark.parametrize("job_id", ["x", "7", "550e8400e29b41d4a716446655440000"])
def test_a_job_id_that_is_none_is_400(admin, tenant, job_id):
    answer = admin.get(f"{BASE}/organizations/{tenant.id}/batch/{job_id}")

    assert_error(answer, 400, "BAD_REQUEST")


def test_batches_are_listed_newest_first_by_status_and_page(app, admin, tenant, collection):
    ids = [
        data_of(post_batch(app, collection["id"], form_of([b"x"])), 202)["job_id"] for _ in range(3)
    ]
    place = f"{BASE}/organizations/{tenant.id}/batch"
    app.post(f"{place}/{ids[0]}/cancel")

    listed = data_of(admin.get(place))

    assert [job["job_id"] for job in listed["jobs"]] == ids[::-1]
    assert (listed["total"], listed["limit"], listed["offset"]) == (3, 20, 0)
    assert listed["jobs"][0]["collection_id"] == collection["id"]
    failed = data_of(admin.get(f"{place}?status=failed"))
    assert [job["job_id"] for job in failed["jobs"]] == ids[:1]
    page = data_of(admin.get(f"{place}?limit=1&offset=1"))
    assert [job["job_id"] for job in page["jobs"]] == ids[1:2]
    for query in ("status=x", "limit=0", "limit=101", "offset=-1", "offset=x"):
        assert_error(admin.get(f"{place}?{query}"), 400, "BAD_REQUEST")


def test_somebody_registers_signs_in_and_out(web, registered):
    client, made = registered
    known = {"email": "ada@example.com", "password": "correct horse battery"}

    again = data_of(web.test_client().post(f"{BASE}/auth/login", json=known))
    assert again["organization_id"] == made["organization_id"]
    assert data_of(client.get(f"{BASE}/auth/me")) == made["user"]
    refresh = {"refresh_token": again["tokens"]["refresh_token"]}
    assert data_of(web.test_client().post(f"{BASE}/auth/refresh", json=refresh))["tokens"]
    wrong = web.test_client().post(f"{BASE}/auth/login", json={**known, "password": "no"})
    assert_error(wrong, 401, "INVALID_CREDENTIALS")
    strange = web.test_client().post(
        f"{BASE}/auth/login", json={**known, "organization_id": str(uuid4())}
    )
    assert_error(strange, 401, "INVALID_CREDENTIALS")
    assert data_of(client.post(f"{BASE}/auth/logout"))
    error = assert_error(web.test_client().post(f"{BASE}/auth/login", json={}), 400, "BAD_REQUEST")
    assert {each["field"] for each in error["details"]["errors"]} == {"email", "password"}


def test_a_user_acts_for_every_organization_they_belong_to(registered, collection):
    client, made = registered

    second = data_of(client.post(f"{BASE}/organizations", json={"name": "Second"}), 201)
    listed = data_of(client.get(f"{BASE}/organizations"))["organizations"]
    assert [each["id"] for each in listed] == [made["organization_id"], second["id"]]
    place = f"{BASE}/organizations/{second['id']}"
    assert data_of(client.get(place)) == second
    there = data_of(client.post(f"{place}/collections", json={"name": "there"}), 201)
    assert there["organization_id"] == second["id"]
    form = form_of([b"x"])
    job = data_of(post_batch(client, there["id"], form), 202)
    assert job["organization_id"] == second["id"]
    assert data_of(client.get(f"{place}/batch/{job['job_id']}"))["total"] == 1
    assert_error(client.get(faces_of(collection)), 404, "COLLECTION_NOT_FOUND")


def role_of(database, organization_id: str, role: str) -> None:
    with database.transaction() as tx:
        tx.execute("UPDATE memberships SET role = %s WHERE tenant_id = %s", (role, organization_id))


def signed_in(web, organization_id: str):
    known = {"email": "ada@example.com", "password": "correct horse battery"}
    body = {**known, "organization_id": organization_id}
    tokens = data_of(web.test_client().post(f"{BASE}/auth/login", json=body))["tokens"]
    client = Client(web, web.response_class)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {tokens['access_token']}"
    return client


def test_what_a_user_may_is_what_they_are_in_the_organization_that_is_asked(
    web, registered, database
):
    client, made = registered
    second = data_of(client.post(f"{BASE}/organizations", json={"name": "Second"}), 201)
    role_of(database, made["organization_id"], "viewer")
    viewer = signed_in(web, made["organization_id"])
    here, there = (
        f"{BASE}/organizations/{each}" for each in (made["organization_id"], second["id"])
    )

    made_there = data_of(viewer.post(f"{there}/collections", json={"name": "there"}), 201)
    assert data_of(post_batch(viewer, made_there["id"], form_of([b"x"])), 202)
    assert data_of(viewer.get(f"{there}/api-keys"))["api_keys"] == []
    assert_error(viewer.get(f"{here}/api-keys"), 403, "INSUFFICIENT_SCOPE")
    assert_error(viewer.get(f"{BASE}/organizations/{uuid4()}/api-keys"), 403, "INSUFFICIENT_SCOPE")
    admin_there = signed_in(web, second["id"])
    assert_error(
        admin_there.post(f"{here}/collections", json={"name": "x"}), 403, "INSUFFICIENT_SCOPE"
    )


def test_a_token_that_was_made_for_less_than_a_role_may_no_more_elsewhere(
    web, settings, registered
):
    client, made = registered
    second = data_of(client.post(f"{BASE}/organizations", json={"name": "Second"}), 201)
    token = tokens.mint_access(settings, made["organization_id"], made["user"]["id"], {"face:read"})
    narrow = Client(web, web.response_class)
    narrow.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    answer = narrow.post(f"{BASE}/organizations/{second['id']}/collections", json={"name": "x"})

    assert_error(answer, 403, "INSUFFICIENT_SCOPE")


def test_a_viewer_may_only_look(web, registered, database):
    client, made = registered
    place = f"{BASE}/organizations/{made['organization_id']}"
    kept = data_of(client.post(f"{place}/collections", json={"name": "x"}), 201)
    role_of(database, made["organization_id"], "viewer")
    viewer = signed_in(web, made["organization_id"])
    ids = {"org_id": made["organization_id"], "collection_id": kept["id"]}

    for rule in web.url_map.iter_rules():
        if not rule.rule.startswith(BASE) or not rule.arguments & ids.keys():
            continue
        wanted = web.view_functions[rule.endpoint].required_permission
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda m: ids.get(m[1], str(uuid4())), rule.rule)
        (method,) = rule.methods - {"HEAD", "OPTIONS"}
        answer = viewer.open(path, method=method)
        if wanted in PERMISSIONS[Role.VIEWER]:
            assert answer.status_code != 403, path
        else:
            assert_error(answer, 403, "INSUFFICIENT_SCOPE")


def test_two_organizations_of_one_name_do_not_know_of_each_other(registered, tenant):
    client, _ = registered

    made = data_of(client.post(f"{BASE}/organizations", json={"name": tenant.name}), 201)

    assert made["name"].startswith(tenant.name)
    assert made["id"] != str(tenant.id)


def test_a_collection_is_made_shown_changed_listed_and_deleted(admin, tenant):
    body = {
        "name": "employees",
        "description": "Employee face database",
        "retention_days": 90,
        "face_selection": "center",
    }
    made = new_collection(admin, tenant, **body)
    place = f"{BASE}/collections/{made['id']}"

    assert {name: made[name] for name in body} == body
    assert (made["face_count"], made["organization_id"]) == (0, str(tenant.id))
    assert data_of(admin.get(place)) == made
    changed = data_of(admin.put(place, json={"name": "staff", "retention_days": None}))
    assert (changed["name"], changed["retention_days"]) == ("staff", None)
    assert changed["face_selection"] == "center"
    listed = data_of(admin.get(f"{BASE}/organizations/{tenant.id}/collections"))
    assert (listed["collections"], listed["total"]) == ([changed], 1)
    assert admin.delete(place).status_code == 204
    assert_error(admin.get(place), 404, "COLLECTION_NOT_FOUND")
    assert_error(admin.get(f"{BASE}/collections/x"), 404, "COLLECTION_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x", "description": "y" * 501}, "description"),
        ({"name": "x", "face_selection": "best"}, "face_selection"),
        ({"name": "x", "retention_days": 0}, "retention_days"),
        ({"name": "x", "retention_days": "9"}, "retention_days"),
        ([], "the body"),
    ],
)
def test_what_is_wrong_with_a_collection_is_named(admin, tenant, body, field):
    answer = admin.post(f"{BASE}/organizations/{tenant.id}/collections", json=body)

    error = assert_error(answer, 400, "BAD_REQUEST")
    assert [each["field"] for each in error["details"]["errors"]] == [field]


@pytest.mark.parametrize(
    "more",
    [
        {"name": ""},
        {"collection_id": "x"},
        {"scopes": []},
        {"scopes": ["kyc:create"]},
        {"allowed_ips": ["x"]},
        {"allowed_ips": "203.0.113.0/24"},
        {"expires_at": "soon"},
        {"expires_at": "2001-01-01T00:00:00Z"},
        {"expires_at": "9999-12-31T23:00:00-05:00"},
        {"rate_limit_rpm": 0},
    ],
)
def test_what_is_wrong_with_a_key_is_400(admin, tenant, more):
    body = {"name": "x", **more}

    answer = admin.post(f"{BASE}/organizations/{tenant.id}/api-keys", json=body)

    assert_error(answer, 400, "BAD_REQUEST")


def test_a_paused_batch_that_never_began_is_queued_still(app, admin, tenant, collection, resources):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"])), 202)["job_id"]

    service.pause(resources, tenant.id, "faces", job_id)

    assert poll(admin, tenant, job_id)["status"] == "queued"


def test_without_its_extra_a_worker_fails_a_job_with_a_sentence_that_says_what_to_install(
    app, admin, tenant, collection, resources, monkeypatch
):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"])), 202)["job_id"]
    monkeypatch.setattr(models, "find_spec", lambda name: None)
    faces._networks.cache_clear()
    faces._engine.cache_clear()

    job = service.find(resources, tenant.id, "faces", job_id)
    with pytest.raises(JobError) as raised:
        faces.prepare(resources, job)

    assert raised.value.code == "faces_unavailable"
    assert "pip install 'muster[faces]'" in str(raised.value)


def test_without_a_worker_a_caller_who_waits_is_told_to_come_again(settings, tenant, database):
    hasty = create_app(replace(settings, sync_seconds=0.2))
    admin = admin_of(hasty, settings, tenant)
    collection = new_collection(admin, tenant)

    answer = enrol(admin, collection, b"x", "alice")

    assert_error(answer, 503, "SERVICE_BUSY")
    assert answer.headers["Retry-After"]
    until(lambda: images_left(database) >= 0, 1)
