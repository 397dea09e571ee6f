"""Dialect C: how batches end, and how long images and results are kept."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.faces import images
from app.jobs import service, store
from app.jobs.states import Event
from app.kinds import faces
from tests.faces import people
from tests.faces_api import (
    BASE,
    admin,
    app,
    assert_error,
    collection,
    data_of,
    enrol,
    form_of,
    images_left,
    move,
    one_image,
    poll,
    post_batch,
)
from tests.native import assert_problem
from workers import sweep

__all__ = ["admin", "app", "collection", "people"]

pytestmark = pytest.mark.integration


def test_a_batch_is_cancelled_and_its_images_go(
    app, admin, tenant, collection, resources, database
):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"] * 3)), 202)["job_id"]
    place = f"{BASE}/organizations/{tenant.id}/batch/{job_id}"

    stopped = data_of(app.post(f"{place}/cancel"))
    sweep.sweep(resources)

    assert stopped["status"] == "failed"
    shown = data_of(admin.get(place))
    assert (shown["error"], shown["results"], shown["processed"]) == ("JOB_CANCELLED", [], 0)
    assert images_left(database) == 0
    error = assert_error(app.post(f"{place}/cancel"), 409, "INVALID_JOB_STATE")
    assert error["details"]["status"] == "failed"


def test_a_batch_fails_whose_collection_was_deleted_before_it_began(
    app, admin, tenant, collection, settings, tmp_path, resources, people
):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"] * 3)), 202)["job_id"]
    assert admin.delete(f"{BASE}/collections/{collection['id']}").status_code == 204

    job = service.find(resources, tenant.id, "faces", job_id)
    with pytest.raises(Exception, match="deleted") as raised:
        faces.prepare(resources, job)
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.FATAL, error=(raised.value.code, str(raised.value)))

    shown = poll(admin, tenant, job_id)
    assert (shown["status"], shown["error"]) == ("failed", "COLLECTION_NOT_FOUND")
    assert shown["error_message"]


def test_a_disabled_collection_takes_nothing_and_answers_nothing(app, admin, collection):
    place = f"{BASE}/collections/{collection['id']}"
    data_of(admin.put(place, json={"is_enabled": False}))

    assert_error(post_batch(app, collection["id"], form_of([b"x"])), 409, "COLLECTION_DISABLED")
    assert_error(enrol(app, collection, b"x", "a"), 409, "COLLECTION_DISABLED")
    asked = app.post(f"{place}/identify", data=one_image(b"x"))
    assert_error(asked, 409, "COLLECTION_DISABLED")
    data_of(admin.put(place, json={"is_enabled": True}))
    assert post_batch(app, collection["id"], form_of([b"x"])).status_code == 202


WEEK = 7 * 86_400


def test_a_batch_is_kept_for_seven_days_and_not_longer(
    app, admin, tenant, collection, resources, database
):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"])), 202)["job_id"]
    place = f"{BASE}/organizations/{tenant.id}/batch/{job_id}"
    move(database, "jobs", "created_at", 30 * 86_400)
    sweep.sweep(resources)
    app.post(f"{place}/cancel")

    move(database, "jobs", "finished_at", WEEK - 60)
    sweep.sweep(resources)
    assert data_of(admin.get(place))
    assert data_of(admin.get(f"{BASE}/organizations/{tenant.id}/batch"))["total"] == 1

    move(database, "jobs", "finished_at", 61)
    assert_error(admin.get(place), 404, "BATCH_JOB_NOT_FOUND")
    assert data_of(admin.get(f"{BASE}/organizations/{tenant.id}/batch"))["total"] == 0
    sweep.sweep(resources)
    # The native API remembers that it was there.
    assert_problem(admin.get(f"/v1/jobs/{job_id}"), 410, "job_expired")
    with database.transaction() as tx:
        tx.execute("SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM items) AS left")
        assert tx.fetchone()["left"] == 0


def test_images_of_a_request_that_was_killed_go_after_an_hour(
    resources, settings, tenant, database
):
    writer = images.Writer(resources.db, settings, tenant.id, uuid4())
    writer.begin(0)
    writer.write(bytes(300_000))
    sweep.sweep(resources)
    assert images_left(database) == 1

    move(database, "face_images", "expires_at", 3_601)
    sweep.sweep(resources)
    assert images_left(database) == 0


def test_a_request_that_takes_longer_than_an_hour_keeps_what_came_first(
    resources, settings, tenant, database
):
    writer = images.Writer(resources.db, settings, tenant.id, uuid4())
    writer.begin(0)
    writer.write(bytes(300_000))
    move(database, "face_images", "expires_at", 3_601)
    writer.write(bytes(300_000))

    sweep.sweep(resources)

    assert images_left(database) == 2


def test_a_batch_that_waits_longer_than_an_hour_keeps_its_images(
    app, collection, resources, database
):
    post_batch(app, collection["id"], form_of([b"x"] * 2))

    move(database, "face_images", "expires_at", 86_400)
    sweep.sweep(resources)

    assert images_left(database) == 2


def test_a_native_retry_says_that_the_images_are_gone(app, admin, tenant, collection, resources):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"])), 202)["job_id"]
    native = service.find(resources, tenant.id, "faces", job_id)
    app.post(f"{BASE}/organizations/{tenant.id}/batch/{job_id}/cancel")

    answer = admin.post(f"/v1/jobs/{native.id}/retry")

    assert answer.status_code == 409
    assert "images" in answer.get_json(force=True)["detail"]
