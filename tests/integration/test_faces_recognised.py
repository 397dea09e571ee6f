"""Dialect C at work: real faces are enrolled, found again and deleted, by a real worker."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from uuid import uuid4

import pytest

from app.factory import create_app
from tests.faces import beside, blank, hostile, people
from tests.faces_api import (
    BASE,
    admin,
    admin_of,
    app,
    assert_error,
    collection,
    data_of,
    ended,
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
    recognizer,
    with_key,
)
from workers import sweep

__all__ = ["admin", "app", "collection", "people"]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def worker(settings, tmp_path_factory):
    """One worker for all tests of the module that need one."""
    pytest.importorskip("cv2", reason="faces need the extra: pip install 'muster[faces]'")
    with recognizer(settings, tmp_path_factory.mktemp("recognizer")) as started:
        yield started


def test_every_call_with_images_says_when_it_answers_the_same_request_again(
    worker, app, collection, people
):
    place, face = f"{BASE}/collections/{collection['id']}", people["person_a_1"]
    key = {"Idempotency-Key": "nightly-7"}
    calls = [
        (f"{place}/faces", lambda: one_image(face, external_id="alice")),
        (f"{place}/faces/batch", lambda: form_of([face], ["alice"])),
        (f"{place}/identify", lambda: one_image(face)),
        (f"{place}/verify", lambda: one_image(face, external_id="alice")),
        (f"{BASE}/search", lambda: one_image(face)),
        (
            f"{BASE}/compare",
            lambda: {name: (io.BytesIO(face), "x.jpg") for name in ("image1", "image2")},
        ),
    ]

    for path, form in calls:
        first = app.post(path, data=form(), headers=key)
        again = app.post(path, data=form(), headers=key)
        assert first.status_code in {200, 201}, first.get_data(as_text=True)
        assert "Idempotent-Replayed" not in first.headers
        assert again.headers["Idempotent-Replayed"] == "true"
        if not path.endswith("/faces"):
            assert data_of(again) == data_of(first)


def test_a_batch_is_done_and_says_of_every_image_what_came_of_it(
    worker, app, admin, tenant, collection, people, database
):
    images = [people["person_a_1"], blank(), people["person_b_1"], b"no image"]
    ids = ["alice", "nobody", "bob", "broken"]

    made = data_of(post_batch(app, collection["id"], form_of(images, ids)), 202)
    done = ended(admin, tenant, made["job_id"])

    counts = {name: done[name] for name in ("status", "total", "processed", "succeeded", "failed")}
    assert counts == {"status": "done", "total": 4, "processed": 4, "succeeded": 2, "failed": 2}
    alice, nobody, bob, broken = done["results"]
    assert alice.keys() == {"index", "external_id", "face_id", "success"}
    assert (alice["index"], alice["external_id"], alice["success"]) == (0, "alice", True)
    assert nobody == {
        "index": 1,
        "external_id": "nobody",
        "success": False,
        "error": "FACE_NOT_DETECTED",
        "error_message": "No face was detected in the submitted image.",
    }
    assert bob["success"]
    assert (broken["error"], broken["success"]) == ("INVALID_IMAGE", False)
    assert images_left(database) == 0
    listed = data_of(app.get(faces_of(collection)))
    assert {face["face_id"] for face in listed["faces"]} == {alice["face_id"], bob["face_id"]}
    assert data_of(admin.get(f"{BASE}/collections/{collection['id']}"))["face_count"] == 2


def test_what_was_seen_in_an_image_is_told_on_request(
    worker, app, admin, tenant, collection, people
):
    images = [people["person_a_1"]]
    job_id = data_of(post_batch(app, collection["id"], form_of(images)), 202)["job_id"]
    ended(admin, tenant, job_id)

    (seen,) = poll(admin, tenant, job_id, "?details=true")["results"]

    assert seen["image"]["format"] == "JPEG"
    assert seen["bounding_box"]["ratio"].keys() == {"left", "top", "width", "height"}
    assert 0.8 < seen["confidence"] <= 1
    assert len(seen["landmarks"]) == 5
    assert seen["faces_detected"] == 1
    assert seen["unindexed_faces"] == []
    assert "embedding" not in seen


def test_an_image_that_is_too_large_fails_alone_and_is_not_kept(
    worker, settings, tenant, people, database
):
    strict = create_app(replace(settings, face_image_max_bytes=60_000))
    admin = admin_of(strict, settings, tenant)
    collection = new_collection(admin, tenant)
    large, small = people["impostor_1"], people["person_a_1"]

    made = data_of(post_batch(admin, collection["id"], form_of([large, small])), 202)
    done = ended(admin, tenant, made["job_id"])

    assert [item.get("error") for item in done["results"]] == ["IMAGE_TOO_LARGE", None]
    assert images_left(database) == 0


def test_every_hostile_image_is_a_failed_item_and_the_worker_lives(
    worker, app, admin, tenant, collection, people
):
    named = [(n, d, c) for n, d, c in hostile(people["impostor_1"]) if len(d) < 10_000_000]
    images = [data for _, data, _ in named]
    before = worker.children()

    made = data_of(post_batch(app, collection["id"], form_of(images)), 202)
    done = ended(admin, tenant, made["job_id"], 120)

    for (name, _, code), item in zip(named, done["results"], strict=True):
        late = {"IMAGE_TIMEOUT"} if "scans" in name else set()
        assert item["error"] in {code.upper(), *late}, name
    assert worker.children() == before
    assert data_of(enrol(app, collection, people["person_a_1"], "alice"), 201)


def test_a_batch_replaces_the_faces_of_whom_it_brings_again(
    worker, app, admin, tenant, collection, people
):
    old = data_of(enrol(app, collection, people["person_a_1"], "alice"), 201)

    images = [people["person_a_2"]]
    made = data_of(post_batch(app, collection["id"], form_of(images, ["alice"])), 202)
    (new,) = ended(admin, tenant, made["job_id"])["results"]

    listed = data_of(app.get(f"{faces_of(collection)}?external_id=alice"))["faces"]
    assert [face["face_id"] for face in listed] == [new["face_id"]]
    assert new["face_id"] != old["face_id"]


def test_a_batch_that_brings_a_bad_image_of_somebody_leaves_the_good_one(
    worker, app, admin, tenant, collection, people
):
    old = data_of(enrol(app, collection, people["person_a_1"], "alice"), 201)

    made = data_of(post_batch(app, collection["id"], form_of([blank()], ["alice"])), 202)
    ended(admin, tenant, made["job_id"])

    listed = data_of(app.get(faces_of(collection)))["faces"]
    assert [face["face_id"] for face in listed] == [old["face_id"]]


@pytest.mark.parametrize(("mode", "faces_then"), [("add", 2), ("error", 1)])
def test_a_batch_may_add_to_whom_it_brings_again_or_fail(
    worker, app, admin, tenant, collection, people, mode, faces_then
):
    enrol(app, collection, people["person_a_1"], "alice")

    form = form_of([people["person_a_2"]], ["alice"], on_duplicate=mode)
    made = data_of(post_batch(app, collection["id"], form), 202)
    (item,) = ended(admin, tenant, made["job_id"])["results"]

    assert item.get("error") == (None if mode == "add" else "DUPLICATE_EXTERNAL_ID")
    assert data_of(app.get(faces_of(collection)))["total"] == faces_then


def test_a_face_is_enrolled_shown_changed_and_deleted(worker, app, collection, people):
    form = {"metadata": '{"name": "Alice Smith"}'}
    answer = enrol(app, collection, people["person_a_1"], "user_alice_001", **form)
    made = data_of(answer, 201)
    place = f"{faces_of(collection)}/{made['face_id']}"

    assert answer.headers["Location"] == place
    assert made["external_id"] == "user_alice_001"
    assert made["metadata"] == {"name": "Alice Smith"}
    assert 0 < made["quality_score"] <= 1
    assert data_of(app.get(place)) == made
    changed = data_of(app.patch(place, json={"metadata": {"team": 7}}))
    assert changed == {**made, "metadata": {"team": 7}}
    assert app.delete(place).status_code == 204
    assert_error(app.get(place), 404, "FACE_NOT_FOUND")
    assert_error(app.delete(place), 404, "FACE_NOT_FOUND")
    assert_error(app.patch(place, json={"metadata": {}}), 404, "FACE_NOT_FOUND")


def test_somebody_who_is_there_already_is_409(worker, app, collection, people):
    enrol(app, collection, people["person_a_1"], "alice")

    again = enrol(app, collection, people["person_a_2"], "alice")

    assert_error(again, 409, "DUPLICATE_EXTERNAL_ID")


def test_an_image_that_gives_no_face_is_refused_with_why(worker, app, collection, people, database):
    both = beside(people["person_a_1"], people["person_b_1"])
    place = faces_of(collection)

    def refused(image: bytes, status: int, code: str) -> None:
        assert_error(enrol(app, collection, image, "x"), status, code)

    refused(blank(), 422, "FACE_NOT_DETECTED")
    refused(both, 422, "MULTIPLE_FACES")
    refused(b"<html>", 400, "INVALID_IMAGE")
    refused(blank(40, 40), 400, "IMAGE_TOO_SMALL")
    refused(blank(9_000, 9_000, quality=1) if False else blank(12_001, 64), 413, "IMAGE_TOO_LARGE")
    assert data_of(app.get(place))["total"] == 0
    assert images_left(database) == 0


def test_a_face_that_cannot_be_recognised_is_refused_with_its_reasons(
    worker, app, collection, people
):
    from PIL import ImageFilter

    from tests.faces import encoded, opened

    blurred = encoded(opened(people["person_b_1"]).filter(ImageFilter.GaussianBlur(14)))

    error = assert_error(enrol(app, collection, blurred, "x"), 422, "FACE_QUALITY_TOO_LOW")

    assert error["details"] == {"reasons": ["LOW_SHARPNESS"]}


def test_a_collection_may_take_the_largest_of_several(worker, web, admin, tenant, people):
    choosing = new_collection(admin, tenant, face_selection="largest")
    both = beside(people["person_a_2"], people["person_a_1"])

    assert data_of(enrol(admin, choosing, both, "alice"), 201)
    found = data_of(
        admin.post(
            f"{BASE}/collections/{choosing['id']}/verify",
            data=one_image(people["person_a_2"], external_id="alice"),
        )
    )
    assert found["similarity"] > 0.9


def test_some_are_enrolled_at_once_while_the_caller_waits(worker, app, collection, people):
    form = form_of([people["person_a_1"], blank(), people["person_b_1"]])

    done = data_of(app.post(f"{faces_of(collection)}/batch", data=form))

    assert (done["total"], done["succeeded"], done["failed"]) == (3, 2, 1)
    assert [item["success"] for item in done["results"]] == [True, False, True]


def test_many_are_deleted_at_once(worker, app, collection, people):
    form = form_of([people["person_a_1"], people["person_b_1"]])
    done = data_of(app.post(f"{faces_of(collection)}/batch", data=form))
    ids = [item["face_id"] for item in done["results"]]
    strange = str(uuid4())

    gone = data_of(
        app.delete(f"{faces_of(collection)}/batch", json={"face_ids": [*ids, strange, "x"]})
    )

    assert gone == {"deleted": 2, "not_found": [strange, "x"]}
    assert data_of(app.get(faces_of(collection)))["total"] == 0


def test_faces_page_and_are_exported(worker, app, collection, people):
    form = form_of([people[name] for name in sorted(people)], on_duplicate="add")
    app.post(f"{faces_of(collection)}/batch", data=form)

    first = data_of(app.get(f"{faces_of(collection)}?limit=4"))
    rest = data_of(app.get(f"{faces_of(collection)}?limit=4&offset=4"))
    answer = app.get(f"{BASE}/collections/{collection['id']}/export")
    lines = [json.loads(line) for line in answer.text.splitlines()]

    assert (first["total"], first["limit"], first["offset"]) == (6, 4, 0)
    assert first["faces"] + rest["faces"] == lines
    with_more = app.get(f"{BASE}/collections/{collection['id']}/export?embeddings=true")
    assert all("embedding" in json.loads(line) for line in with_more.text.splitlines())


def test_a_person_is_found_again_on_another_photograph(worker, app, collection, people):
    enrol(app, collection, people["person_a_1"], "alice", metadata='{"team": 7}')
    enrol(app, collection, people["person_b_1"], "bob")
    place = f"{BASE}/collections/{collection['id']}"

    found = data_of(app.post(f"{place}/identify", data=one_image(people["person_a_2"])))
    nobody = data_of(app.post(f"{place}/identify", data=one_image(people["impostor_1"])))

    (match,) = found["matches"]
    assert (match["external_id"], match["rank"], match["metadata"]) == ("alice", 1, {"team": 7})
    assert 0.45 <= match["similarity"] <= 1
    assert found["searched"] == 2
    assert nobody["matches"] == []


def test_more_matches_and_lower_thresholds_can_be_asked_for(worker, app, collection, people):
    enrol(app, collection, people["person_a_1"], "alice")
    enrol(app, collection, people["person_a_2"], "alice", on_duplicate="add")
    enrol(app, collection, people["person_b_1"], "bob")
    place = f"{BASE}/collections/{collection['id']}/identify"

    def asked(**more):
        form = one_image(people["person_a_2"], top_k="10", **more)
        return [m["external_id"] for m in data_of(app.post(place, data=form))["matches"]]

    assert asked() == ["alice"]
    assert asked(deduplicate="false") == ["alice", "alice"]
    assert asked(threshold="-1") == ["alice", "bob"]
    plain = one_image(people["person_a_2"], return_metadata="false")
    assert "metadata" not in data_of(app.post(place, data=plain))["matches"][0]


def test_it_is_verified_whether_somebody_is_who_they_say(worker, app, collection, people):
    made = data_of(enrol(app, collection, people["person_a_1"], "alice"), 201)
    place = f"{BASE}/collections/{collection['id']}/verify"

    def asked(image: bytes, **whom):
        return data_of(app.post(place, data=one_image(image, **whom)))

    right = asked(people["person_a_2"], external_id="alice")
    wrong = asked(people["person_b_1"], face_id=made["face_id"])

    assert right == {
        **{"verified": True, "match": True, "face_id": made["face_id"]},
        **{"similarity": right["similarity"], "confidence": right["similarity"]},
        **{"threshold": 0.4, "threshold_used": 0.4},
    }
    assert (wrong["verified"], wrong["match"]) == (False, False)
    strange = one_image(b"x", external_id="nobody")
    assert_error(app.post(place, data=strange), 404, "FACE_NOT_FOUND")
    assert_error(app.post(place, data=one_image(b"x")), 400, "BAD_REQUEST")
    both = one_image(b"x", external_id="alice", face_id=made["face_id"])
    assert_error(app.post(place, data=both), 400, "BAD_REQUEST")


def test_several_collections_are_searched_at_once(worker, web, app, admin, tenant, people):
    one, other = new_collection(admin, tenant, name="a"), new_collection(admin, tenant, name="b")
    enrol(admin, one, people["person_a_1"], "alice")
    enrol(admin, other, people["person_a_1"], "alice too")
    key = with_key(web, new_key(admin, tenant, one["id"]))

    def asked(client, **more):
        form = one_image(people["person_a_2"], top_k="10", **more)
        return {
            m["external_id"] for m in data_of(client.post(f"{BASE}/search", data=form))["matches"]
        }

    assert asked(admin) == {"alice", "alice too"}
    assert asked(admin, collection_ids=other["id"]) == {"alice too"}
    assert asked(key) == {"alice"}
    strange = one_image(b"x", collection_ids=other["id"])
    assert_error(key.post(f"{BASE}/search", data=strange), 403, "COLLECTION_NOT_ALLOWED")


def test_two_images_are_compared_and_neither_is_kept(worker, app, people, database):
    def asked(one: str, other: str):
        form = {
            "image1": (io.BytesIO(people[one]), "1.jpg"),
            "image2": (io.BytesIO(people[other]), "2.jpg"),
        }
        return data_of(app.post(f"{BASE}/compare", data=form))

    assert asked("person_a_1", "person_a_2")["match"]
    assert not asked("person_a_1", "impostor_2")["match"]
    assert images_left(database) == 0
    assert_error(app.post(f"{BASE}/compare", data=one_image(b"x")), 400, "BAD_REQUEST")


def test_what_is_enrolled_or_deleted_is_seen_by_the_next_search(worker, app, collection, people):
    place = f"{BASE}/collections/{collection['id']}/identify"

    def found() -> list[str]:
        answer = app.post(place, data=one_image(people["person_a_2"]))
        return [match["face_id"] for match in data_of(answer)["matches"]]

    for _ in range(3):
        assert found() == []
        made = data_of(enrol(app, collection, people["person_a_1"], "alice"), 201)
        assert found() == [made["face_id"]]
        app.delete(f"{faces_of(collection)}/{made['face_id']}")


def test_faces_go_when_their_collection_keeps_them_no_longer(
    worker, app, admin, collection, people, resources, database
):
    admin.put(f"{BASE}/collections/{collection['id']}", json={"retention_days": 90})
    enrol(app, collection, people["person_a_1"], "alice")

    move(database, "faces", "created_at", 89 * 86_400)
    sweep.maintain(resources)
    assert data_of(app.get(faces_of(collection)))["total"] == 1
    move(database, "faces", "created_at", 86_401)
    sweep.maintain(resources)
    assert data_of(app.get(faces_of(collection)))["total"] == 0
    asked = app.post(
        f"{BASE}/collections/{collection['id']}/identify", data=one_image(people["person_a_1"])
    )
    assert data_of(asked)["matches"] == []
