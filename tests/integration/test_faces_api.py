"""Dialect C: batches and single images, what is taken of them and what is refused."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.errors import CollectionNotFound
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
    form_of,
    images_left,
    new_collection,
    poll,
    post_batch,
)
from tests.idempotency import in_hand

__all__ = ["admin", "app", "collection"]

pytestmark = pytest.mark.integration


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

    again = admin.get(place, headers={"Prefer": "wait=1", "If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Preference-Applied"] == "wait=1"
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


def test_twenty_at_once_are_taken_and_one_more_is_not(app, collection):
    form = form_of([b"x"] * 21)

    error = assert_error(app.post(f"{faces_of(collection)}/batch", data=form), 400, "BAD_REQUEST")

    assert error["details"] == {"max": 20, "received": 21}


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
    key = {"Idempotency-Key": "nightly-7"}
    with in_hand(web, tenant, f"{faces_of(collection)}/batch-async", key, collection["id"]):
        answer = post_batch(app, collection["id"], form_of([b"x"]), headers=key)

    assert_error(answer, 409, "IDEMPOTENCY_KEY_IN_USE")
    assert answer.headers["Retry-After"] == "1"
    assert images_left(database) == 0
    later = post_batch(app, collection["id"], form_of([b"x"]), headers=key)
    assert data_of(later, 202)


def test_a_key_that_is_none_is_400(app, collection):
    headers = {"Idempotency-Key": "x" * 256}

    answer = post_batch(app, collection["id"], form_of([b"x"]), headers=headers)

    assert_error(answer, 400, "BAD_REQUEST")
