"""Dialect C: whose face is this? Identify, verify and search, as far as no network is needed."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from app.api import auth
from app.factory import create_app
from tests.faces_api import (
    BASE,
    admin,
    admin_of,
    app,
    assert_error,
    collection,
    data_of,
    faces_of,
    file_of,
    images_left,
    new_collection,
    new_key,
    one_image,
    registered,
    with_key,
)

__all__ = ["admin", "app", "collection", "registered"]

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "more",
    [
        {"top_k": "0"},
        {"top_k": "101"},
        {"top_k": "x"},
        {"threshold": "nan"},
        {"threshold": "2"},
        {"deduplicate": "maybe"},
    ],
)
def test_a_question_that_is_wrong_is_400(app, collection, database, more):
    place = f"{BASE}/collections/{collection['id']}/identify"

    assert_error(app.post(place, data=one_image(b"x", **more)), 400, "BAD_REQUEST")
    assert_error(app.post(place, data={"top_k": "1"}), 400, "BAD_REQUEST")
    assert images_left(database) == 0


def search(client, **more):
    return client.post(f"{BASE}/search", data=one_image(b"x", **more))


def test_a_search_of_all_collections_leaves_none_of_them_out(settings, tenant, database):
    hasty = create_app(replace(settings, sync_seconds=0.2))
    admin = admin_of(hasty, settings, tenant)
    made = [new_collection(admin, tenant, name=f"c{n}")["id"] for n in range(22)]
    for each in made[-2:]:
        data_of(admin.put(f"{BASE}/collections/{each}", json={"is_enabled": False}))

    # There is no worker: that it is waited for is what matters.
    assert_error(search(admin), 503, "SERVICE_BUSY")

    with database.transaction() as tx:
        tx.execute("SELECT options -> 'collection_ids' AS ids FROM jobs")
        (job,) = tx.fetchall()
    assert sorted(job["ids"]) == sorted(made[:-2])
    data_of(admin.put(f"{BASE}/collections/{made[-1]}", json={"is_enabled": True}))
    error = assert_error(search(admin), 400, "BAD_REQUEST")
    assert error["details"] == {"max": 20, "received": 21}


def test_a_search_counts_as_one_request_however_many_collections_it_names(
    settings, tenant, database
):
    hasty = create_app(replace(settings, sync_seconds=0.2))
    admin = admin_of(hasty, settings, tenant)
    ids = [new_collection(admin, tenant, name=f"c{n}")["id"] for n in range(20)]
    auth._known_keys.clear()
    app = with_key(hasty, new_key(admin, tenant, rate_limit_rpm=3))

    assert_error(search(app, collection_ids=",".join(ids)), 503, "SERVICE_BUSY")
    assert_error(search(app, collection_ids=[*ids, ids[0].upper()]), 503, "SERVICE_BUSY")
    error = assert_error(search(app, collection_ids=[*ids, str(uuid4())]), 400, "BAD_REQUEST")
    assert error["details"] == {"max": 20, "received": 21}


def test_a_search_beyond_the_organization_of_the_token_says_what_to_do(registered, database):
    client, _ = registered
    second = data_of(client.post(f"{BASE}/organizations", json={"name": "Second"}), 201)
    place = f"{BASE}/organizations/{second['id']}/collections"
    there = data_of(client.post(place, json={"name": "there"}), 201)

    error = assert_error(search(client, collection_ids=there["id"]), 400, "BAD_REQUEST")

    assert "organization_id" in error["message"]
    assert images_left(database) == 0


@pytest.mark.parametrize("text", ["%00", "a%00b"])
def test_an_external_id_that_nobody_can_have_is_400(app, collection, text):
    answer = app.get(f"{faces_of(collection)}?external_id={text}")

    assert_error(answer, 400, "BAD_REQUEST")


def test_the_job_of_a_call_that_waits_is_no_batch(settings, tenant, database):
    hasty = create_app(replace(settings, sync_seconds=0.2))
    admin = admin_of(hasty, settings, tenant)
    collection = new_collection(admin, tenant)
    pair = {"image1": file_of(b"x"), "image2": file_of(b"y")}
    assert_error(admin.post(f"{BASE}/compare", data=pair), 503, "SERVICE_BUSY")
    asked = admin.post(f"{BASE}/collections/{collection['id']}/identify", data=one_image(b"x"))
    assert_error(asked, 503, "SERVICE_BUSY")

    with database.transaction() as tx:
        tx.execute("SELECT id FROM jobs")
        made = [row["id"] for row in tx.fetchall()]
    assert len(made) == 2
    for each in made:
        job = admin.get(f"/v1/jobs/{each}").json
        assert job["external_id"]
        assert "dialect" not in job["links"]
        place = f"{BASE}/organizations/{tenant.id}/batch/{job['external_id']}"
        assert_error(admin.get(place), 404, "BATCH_JOB_NOT_FOUND")
        assert_error(admin.post(f"{place}/cancel"), 404, "BATCH_JOB_NOT_FOUND")
        inner = f"{BASE}/collections/{collection['id']}/batch/{job['external_id']}"
        assert_error(admin.get(inner), 404, "BATCH_JOB_NOT_FOUND")
