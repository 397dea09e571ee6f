"""Dialect C: what is taken and what is refused, who may, and how long things stay."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from flask import g

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Caller, Role
from app.api import auth, rates, tokens
from app.errors import CollectionNotFound, JobError
from app.faces import images, models
from app.factory import create_app
from app.jobs import service, store
from app.jobs.states import Event
from app.kinds import faces
from tests.faces import people
from tests.faces_api import (
    BASE,
    Client,
    admin_of,
    assert_error,
    data_of,
    form_of,
    images_left,
    new_collection,
    new_key,
    one_image,
    poll,
    post_batch,
    with_key,
)
from tests.integration.conftest import until
from workers import sweep

__all__ = ["people"]

pytestmark = pytest.mark.integration


@pytest.fixture
def admin(web, settings, tenant):
    auth._known_keys.clear()
    return admin_of(web, settings, tenant)


@pytest.fixture
def collection(admin, tenant):
    return new_collection(admin, tenant)


@pytest.fixture
def app(web, admin, tenant, collection):
    """A program with a key for the collection, as the seed has it."""
    return with_key(web, new_key(admin, tenant, collection["id"]))


def faces_of(collection) -> str:
    return f"{BASE}/collections/{collection['id']}/faces"


def enrol(app, collection, image: bytes, external_id: str, **more):
    form = one_image(image, external_id=external_id, **more)
    return app.post(faces_of(collection), data=form)


# Batches.


def test_a_batch_is_accepted_before_any_image_is_looked_at(app, admin, tenant, collection):
    answer = post_batch(app, collection["id"], form_of([b"one", b"two"]))

    made = data_of(answer, 202)
    known = {name: made[name] for name in ("status", "total", "processed", "succeeded", "failed")}
    assert known == {"status": "queued", "total": 2, "processed": 0, "succeeded": 0, "failed": 0}
    assert (made["collection_id"], made["organization_id"]) == (collection["id"], str(tenant.id))
    place = f"{BASE}/organizations/{tenant.id}/batch/{made['job_id']}"
    assert (answer.headers["Location"], answer.headers["Retry-After"]) == (place, "2")
    shown = data_of(admin.get(place))
    assert (shown["status"], shown["results"]) == ("queued", [])
    native = admin.get(answer.headers["Operation-Location"]).json
    assert (native["kind"], native["links"]["dialect"]) == ("faces", place)


def test_the_polls_that_the_seed_and_the_later_contract_name_answer_the_same(
    app, admin, tenant, collection
):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"])), 202)["job_id"]

    by_user = poll(admin, tenant, job_id)
    by_key = data_of(app.get(f"{BASE}/collections/{collection['id']}/batch/{job_id}"))

    assert by_key == by_user
    assert poll(app, tenant, job_id) == by_user


def test_a_poll_that_brings_nothing_new_has_no_body(app, admin, tenant, collection):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"])), 202)["job_id"]
    place = f"{BASE}/organizations/{tenant.id}/batch/{job_id}"
    first = admin.get(place)

    again = admin.get(place, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert first.headers["Retry-After"] == "2"


@pytest.mark.parametrize("names", ["images[]", "images[{}]"])
def test_other_ways_to_send_a_batch_are_taken_as_well(app, admin, tenant, collection, names):
    form: dict = {
        "entries": json.dumps([{"externalId": "a", "metadata": {"team": 7}}, {"external_id": "b"}])
    }
    files = [(io.BytesIO(b"one"), "1.jpg"), (io.BytesIO(b"two"), "2.jpg")]
    if "{}" in names:
        form |= {names.format(n): file for n, file in enumerate(files)}
    else:
        form[names] = files

    made = data_of(post_batch(app, collection["id"], form), 202)

    assert made["total"] == 2


def file_of(data: bytes):
    return io.BytesIO(data), "x.jpg"


@pytest.mark.parametrize(
    "ids",
    [
        {"entries": json.dumps([{"external_id": "alice"}, {"external_id": "bob"}])},
        {"external_ids": ["alice", "bob"]},
        {"external_ids[1]": "bob", "external_ids[0]": "alice"},
    ],
)
def test_an_image_that_has_a_number_belongs_to_the_person_of_that_number(
    app, admin, tenant, collection, database, ids
):
    form = {"images[1]": file_of(b"of bob"), "images[0]": file_of(b"of alice"), **ids}

    answer = post_batch(app, collection["id"], form)

    data_of(answer, 202)
    listed = admin.get(f"{answer.headers['Operation-Location']}/items").json["data"]
    with database.transaction() as tx:
        tx.execute("SELECT position, data FROM face_images ORDER BY position")
        kept = [(row["position"], bytes(row["data"])) for row in tx.fetchall()]
    assert [each["ref"] for each in listed] == ["alice", "bob"]
    assert kept == [(0, b"of alice"), (1, b"of bob")]


TWO = {"external_ids[]": ["alice", "bob"]}


@pytest.mark.parametrize(
    ("images", "more"),
    [
        (["images[0]", "images[2]"], TWO),
        (["images[1]", "images[2]"], TWO),
        (["images[1]", "images[1]"], TWO),
        (["images[0]", "images[00]"], TWO),
        (["images[0]", "image[0]"], TWO),
        (["images", "images[0]"], TWO),
        (["images[0]", "images[]"], TWO),
        (["images[0]", "images[7000]"], TWO),
        (["images[a]", "images[b]"], TWO),
        (["images[-1]", "images[0]"], TWO),
        (["images", "images"], {"external_ids[]": "alice", "external_ids": "bob"}),
        (["images", "images"], {"external_ids[0]": "alice", "external_ids[2]": "bob"}),
        (["images", "images"], {"external_ids[0]": "alice", "external_ids[]": "bob"}),
        (["images", "images"], {"external_ids[0]": ["alice", "bob"]}),
        (["images", "images"], {"external_ids[x]": ["alice", "bob"], **TWO}),
        (["images", "images"], {**TWO, "metadata[]": "{}", "metadata": "{}"}),
        (["images", "images"], {**TWO, "entries": '[{"external_id":"a"},{"external_id":"b"}]'}),
        (["images"], {"entries": ['[{"external_id":"a"}]', '[{"external_id":"b"}]']}),
        (["images"], {"entries": '[{"external_id":"a"}]', "metadata[]": "{}"}),
    ],
)
def test_a_batch_is_400_where_it_cannot_be_told_who_is_on_which_image(
    app, collection, database, images, more
):
    parts = [(name, file_of(b"x")) for name in images]
    form: dict = {}
    for name, file in parts:
        form.setdefault(name, []).append(file)

    answer = post_batch(app, collection["id"], {**form, **more})

    assert_error(answer, 400, "BAD_REQUEST")
    assert images_left(database) == 0


WRONG_FORMS = [
    (form_of([]), None),
    (form_of([b"x"], []), {"images": 1, "external_ids": 0}),
    (form_of([b"x"], ["a", "b"]), {"images": 1, "external_ids": 2}),
    (form_of([b"x"], [""]), None),
    (form_of([b"x"], ["  "]), None),
    (form_of([b"x"], ["y" * 256]), None),
    (form_of([b"x"] * 2, ["a", "a"]), {"index": 1}),
    (form_of([b"x"], on_duplicate="maybe"), None),
    (form_of([b"x"], **{"metadata[]": ["{"]}), None),
    (form_of([b"x"], **{"metadata[]": ["[]"]}), None),
    (form_of([b"x"], **{"metadata[]": ['{"a": "\\u0000"}']}), None),
    (form_of([b"x"], **{"metadata[]": ["{}", "{}"]}), None),
    (form_of([b"x"], **{"metadata[]": [json.dumps({"a": "b" * 5000})]}), None),
    (form_of([b"x"], entries="{"), None),
    (form_of([b"x"], entries="{}"), None),
    (form_of([b"x"], entries="[7]"), None),
    (form_of([b"x"], entries='[{"external_id": 7}]'), None),
    (form_of([b"x"], ["\x00"]), None),
    (form_of([b"x"], [], entries='[{"external_id": "a\\u0000"}]'), None),
    (form_of([b"x"], [], entries='[{"external_id": "a", "metadata": []}]'), None),
    (form_of([b"x"], [], entries='[{"external_id": "a", "metadata": 0}]'), None),
    (form_of([b"x"], [], entries='[{"external_id": "a", "metadata": ""}]'), None),
    (form_of([b"x"], **{"metadata[]": ['{"a": "\\ud800"}']}), None),
    (form_of([b"x"], **{"metadata[]": ['{"a": [{"\\udc00": 1}]}']}), None),
    (form_of([b"x"], **{"metadata[]": ['{"a": 1e999}']}), None),
    (form_of([b"x"], **{"metadata[]": ['{"a": ' + "[" * 20 + "]" * 20 + "}"]}), None),
    (form_of([b"x"], [], entries='[{"external_id": "a\\ud800"}]'), None),
]


@pytest.mark.parametrize("number", range(len(WRONG_FORMS)))
def test_what_is_wrong_with_a_form_is_400_and_nothing_of_it_stays(
    app, collection, database, number
):
    form, details = WRONG_FORMS[number]
    # Flask's client closes what it has sent.
    form = {
        **form,
        "images": [(io.BytesIO(b"x"), "x.jpg") for _ in form["images"]],
    }

    error = assert_error(post_batch(app, collection["id"], form), 400, "BAD_REQUEST")

    assert images_left(database) == 0
    if details is not None:
        assert error["details"] == details


@pytest.mark.parametrize(
    ("body", "type"),
    [
        (b"{}", "application/json"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=b"),
        (b"--b\r\nContent-Disposition: form-data; name=images\r\n\r\nx", None),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", None),
        (b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--b--\r\n", None),
        (b"--b\r\nno header at all\r\n\r\nx\r\n--b--\r\n", None),
        (b"--b--\r\n", None),
    ],
)
def test_a_body_that_is_no_form_is_400(app, collection, database, body, type):
    answer = app.post(
        f"{faces_of(collection)}/batch-async",
        data=body,
        content_type=type or "multipart/form-data; boundary=b",
    )

    assert_error(answer, 400, "BAD_REQUEST")
    assert images_left(database) == 0


def test_a_hundred_images_are_taken_and_one_more_is_not(app, collection, database):
    taken = post_batch(app, collection["id"], form_of([b"x"] * 100))
    refused = post_batch(app, collection["id"], form_of([b"x"] * 101))

    assert data_of(taken, 202)["total"] == 100
    error = assert_error(refused, 400, "BAD_REQUEST")
    assert error["details"] == {"max": 100, "received": 101}
    assert images_left(database) == 100


def test_a_body_beyond_all_limits_is_413(settings, tenant, database):
    strict = create_app(replace(settings, face_image_max_bytes=1_000))
    admin = admin_of(strict, settings, tenant)
    collection = new_collection(admin, tenant)

    answer = post_batch(admin, collection["id"], form_of([bytes(2_000_000)]))

    assert_error(answer, 413, "PAYLOAD_TOO_LARGE")
    assert images_left(database) == 0


def test_texts_that_are_too_long_are_refused(app, collection, database):
    answer = post_batch(app, collection["id"], form_of([b"x"], notes="y" * 2_000_000))

    assert_error(answer, 400, "BAD_REQUEST")
    assert images_left(database) == 0


@pytest.mark.parametrize(
    "metadata",
    [
        r'{"path": "C:\\u0000"}',
        r'{"path": "\\ud800 and \\udc00"}',
        r'{"smile": "\ud83d\ude00"}',
        '{"a": ' + "[" * 19 + "]" * 19 + "}",
    ],
)
def test_metadata_may_say_anything_that_can_be_stored(app, collection, metadata):
    form = form_of([b"x"], **{"metadata[]": [metadata]})

    assert data_of(post_batch(app, collection["id"], form), 202)


def test_a_poll_for_details_is_another_answer_than_one_without(app, admin, tenant, collection):
    job_id = data_of(post_batch(app, collection["id"], form_of([b"x"])), 202)["job_id"]
    place = f"{BASE}/organizations/{tenant.id}/batch/{job_id}"
    short = {"If-None-Match": admin.get(place).headers["ETag"]}
    long = {"If-None-Match": admin.get(f"{place}?details=true").headers["ETag"]}

    assert admin.get(f"{place}?details=true", headers=short).status_code == 200
    assert admin.get(place, headers=long).status_code == 200
    assert admin.get(f"{place}?details=true", headers=long).status_code == 304


def test_no_key_is_made_for_a_collection_that_went_meanwhile(resources, tenant):
    with pytest.raises(CollectionNotFound):
        accounts.create_key(resources.db, tenant.id, "late", ["face:read"], collection_id=uuid4())


# One at a time.


def test_twenty_at_once_are_taken_and_one_more_is_not(app, collection):
    form = form_of([b"x"] * 21)

    error = assert_error(app.post(f"{faces_of(collection)}/batch", data=form), 400, "BAD_REQUEST")

    assert error["details"] == {"max": 20, "received": 21}


# Whose face is this?


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


# Ends.


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


def move(database, table: str, column: str, seconds: float) -> None:
    """Let the clock have moved on: what is in the table happened so long ago."""
    with database.transaction() as tx:
        tx.execute(
            f"UPDATE {table} SET {column} = {column} - make_interval(secs => %s)", (seconds,)
        )


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


# The same request again.


def test_the_same_request_again_is_the_same_job(app, collection, database):
    key = {"Idempotency-Key": "nightly-7"}
    first = post_batch(app, collection["id"], form_of([b"x"] * 2), headers=key)
    again = post_batch(app, collection["id"], form_of([b"x"] * 2), headers=key)

    assert data_of(first, 202)["job_id"] == data_of(again, 202)["job_id"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert images_left(database) == 2


def test_another_request_with_the_same_key_is_422(app, collection, database):
    key = {"Idempotency-Key": "nightly-7"}
    post_batch(app, collection["id"], form_of([b"x"]), headers=key)

    other = post_batch(app, collection["id"], form_of([b"y"]), headers=key)

    assert_error(other, 422, "IDEMPOTENCY_KEY_MISMATCH")
    assert images_left(database) == 1


def test_a_key_that_is_in_use_is_409(app, web, tenant, collection, database):
    place, key = f"{faces_of(collection)}/batch-async", "nightly-7"
    with web.test_request_context(place, method="POST"):
        g.caller = Caller(tenant.id, "usr_x", frozenset(), "user")
        with rates.in_progress(key):
            answer = post_batch(
                app, collection["id"], form_of([b"x"]), headers={"Idempotency-Key": key}
            )

    assert_error(answer, 409, "IDEMPOTENCY_KEY_IN_USE")
    assert answer.headers["Retry-After"] == "1"
    assert images_left(database) == 0
    later = post_batch(app, collection["id"], form_of([b"x"]), headers={"Idempotency-Key": key})
    assert data_of(later, 202)


def test_a_key_that_is_none_is_400(app, collection):
    headers = {"Idempotency-Key": "x" * 256}

    answer = post_batch(app, collection["id"], form_of([b"x"]), headers=headers)

    assert_error(answer, 400, "BAD_REQUEST")


# Who may.


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


# Organizations and collections.


@pytest.fixture
def registered(web):
    ada = {"email": "ada@example.com", "password": "correct horse battery", "full_name": "Ada"}
    made = data_of(web.test_client().post(f"{BASE}/auth/register", json=ada), 201)
    client = Client(web, web.response_class)
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {made['tokens']['access_token']}"
    return client, made


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
