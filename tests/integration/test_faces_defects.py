"""Dialect C: what a cold review found, each with the promise that was broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.accounts import service as accounts
from app.errors import DatabaseUnavailable, JobError
from app.factory import create_app
from app.jobs import service, store
from app.jobs.model import Job
from app.jobs.states import Event, JobState
from app.kinds import faces
from tests.faces import people
from tests.faces_api import (
    BASE,
    admin_of,
    assert_error,
    data_of,
    form_of,
    images_left,
    new_collection,
    one_image,
    post_batch,
    recognizer,
)
from tests.integration.engine import age
from workers import sweep

__all__ = ["people"]

pytestmark = pytest.mark.integration

KEY = {"Idempotency-Key": "nightly-7"}


@pytest.fixture(autouse=True)
def _engine_closed(resources):
    """What these tests do in place of a worker leaves no child of its engine behind."""
    yield
    if faces._engine.cache_info().currsize:
        faces.engine_of(resources).close()


@pytest.fixture
def admin(web, settings, tenant):
    return admin_of(web, settings, tenant)


@pytest.fixture
def hasty(settings, tenant):
    """Somebody whose calls nobody waits for."""
    return admin_of(create_app(replace(settings, sync_seconds=0.2)), settings, tenant)


@pytest.fixture
def collection(admin, tenant):
    return new_collection(admin, tenant)


@pytest.fixture
def place(collection) -> str:
    return f"{BASE}/collections/{collection['id']}/faces"


def the_job(resources, tenant):
    """The one job of faces there is."""
    (job,) = service.search_jobs(resources, tenant.id, kinds=["faces"], limit=2)
    return job


def begun(resources, job):
    """Its items, and what a worker that has claimed the job does with them."""
    with resources.db.transaction() as tx:
        job = store.advance(tx, job.id, Event.CLAIM)
        items = store.load_outstanding(tx, job, job.chunk(0))
    return faces.prepare(resources, job), items


def listed(admin, place) -> int:
    return data_of(admin.get(place))["total"]


def test_a_call_that_came_to_nothing_is_done_when_it_is_sent_again(
    settings, admin, hasty, place, people, tmp_path
):
    def enrol(client):
        form = one_image(people["person_a_1"], external_id="alice")
        return client.post(place, data=form, headers=KEY)

    assert_error(enrol(hasty), 503, "SERVICE_BUSY")

    with recognizer(settings, tmp_path):
        made = data_of(enrol(admin), 201)
        again = data_of(enrol(admin), 201)

    assert made["external_id"] == "alice"
    assert again == made


def test_a_batch_that_was_cut_short_never_answers_as_if_it_were_whole(hasty, place, database):
    for _ in range(2):
        answer = hasty.post(f"{place}/batch", data=form_of([b"x", b"y"]), headers=KEY)
        assert_error(answer, 503, "SERVICE_BUSY")

    other = hasty.post(f"{place}/batch", data=form_of([b"x", b"z"]), headers=KEY)
    assert_error(other, 422, "IDEMPOTENCY_KEY_MISMATCH")


def test_jobs_are_repaired_whatever_becomes_of_the_store_of_images(resources, submit):
    job = submit("slow", [{}])
    resources.redis.flushall()
    age(resources, job)
    # No client of S3 can be made for it.
    broken = replace(resources.settings, face_store="s3://b", s3_endpoint="no address")

    moved = sweep.sweep(replace(resources, settings=broken))

    assert moved == 1


def test_a_call_that_was_answered_as_cancelled_enrols_nobody(
    hasty, admin, resources, tenant, place, people, monkeypatch
):
    def claimed_meanwhile(plan):
        nonlocal claimed
        job = submit(resources, plan)
        claimed = job, *begun(resources, job)
        with resources.db.transaction() as tx:
            store.claim_chunk(tx, job, 0, holder="elsewhere/1/x", pass_no=job.pass_no, seconds=60)
        return job

    claimed, submit = None, service.submit
    monkeypatch.setattr(service, "submit", lambda _, plan: claimed_meanwhile(plan))
    form = one_image(people["person_a_1"], external_id="alice")

    assert_error(hasty.post(place, data=form), 503, "SERVICE_BUSY")
    job, process, items = claimed
    assert service.find(resources, tenant.id, "faces", job.external_id).state is JobState.CANCELLING
    with pytest.raises(JobError):
        process(items)

    assert listed(admin, place) == 0


@pytest.mark.parametrize("event", [Event.FATAL, Event.DEADLINE])
def test_a_face_whose_item_never_had_a_result_goes_with_the_job(
    admin, resources, tenant, collection, place, people, database, event
):
    data_of(post_batch(admin, collection["id"], form_of([people["person_a_1"]] * 2)), 202)
    job = the_job(resources, tenant)
    process, (first, second) = begun(resources, job)
    with resources.db.transaction() as tx:
        (told,) = process([first])
        store.save_results(tx, job, [told], pass_no=job.pass_no)
        faces.settle(tx, job, [told])
    process([second])
    assert listed(admin, place) == 2

    with resources.db.transaction() as tx:
        store.advance(tx, job.id, event, error=("internal_error", "The worker was killed."))
    sweep.sweep(resources)

    (left,) = data_of(admin.get(place))["faces"]
    assert left["external_id"] == "employee-000"
    assert data_of(admin.get(f"{BASE}/collections/{collection['id']}"))["face_count"] == 1
    assert images_left(database) == 0


def test_whoever_is_replaced_by_a_face_that_nobody_is_told_of_keeps_the_old_one(
    admin, resources, tenant, collection, place, people
):
    def sent_again() -> Job:
        form = form_of([people["person_a_1"]], ["alice"])
        made = data_of(post_batch(admin, collection["id"], form), 202)
        return service.find(resources, tenant.id, "faces", made["job_id"])

    job = sent_again()
    process, items = begun(resources, job)
    told = process(items)
    with resources.db.transaction() as tx:
        store.save_results(tx, job, told, pass_no=job.pass_no)
        faces.settle(tx, job, told)
    (old,) = data_of(admin.get(place))["faces"]

    job = sent_again()
    process, items = begun(resources, job)
    process(items)
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.FATAL, error=("internal_error", "The worker was killed."))
    sweep.sweep(resources)

    assert data_of(admin.get(place))["faces"] == [old]


def test_a_question_that_is_wrong_is_refused_before_anybody_is_enrolled(admin, place, people):
    for where, form in (
        (place, one_image(people["person_a_1"], external_id="alice")),
        (f"{place}/batch", form_of([people["person_a_1"]])),
    ):
        assert_error(admin.post(f"{where}?details=banana", data=form), 400, "BAD_REQUEST")

    assert listed(admin, place) == 0


def test_behind_the_last_page_it_is_still_said_how_many_there_are(admin, tenant, collection):
    data_of(post_batch(admin, collection["id"], form_of([b"x"])), 202)
    here = f"{BASE}/organizations/{tenant.id}"

    for where in (f"{here}/collections", f"{here}/batch"):
        assert data_of(admin.get(f"{where}?offset=1000"))["total"] == 1


def test_a_field_that_only_a_comparison_has_is_ignored_by_a_batch(admin, collection):
    form = {**form_of([b"x"], ["alice"]), "source": "hr"}

    assert data_of(post_batch(admin, collection["id"], form), 202)["total"] == 1


def test_a_key_that_is_not_listed_with_those_for_faces_is_not_ended_with_them(
    admin, database, tenant
):
    made, _ = accounts.create_key(database, tenant.id, "kyc", ["kyc:read"])
    place = f"{BASE}/organizations/{tenant.id}/api-keys"

    assert data_of(admin.get(place))["total"] == 0
    assert_error(admin.delete(f"{place}/{made.id}"), 404, "API_KEY_NOT_FOUND")

    (left,) = accounts.list_keys(database, tenant.id)
    assert left.revoked_at is None


def test_one_request_takes_no_more_room_than_there_is(settings, tenant, database):
    strict = create_app(replace(settings, face_images_max_bytes=1_000))
    admin = admin_of(strict, settings, tenant)
    collection = new_collection(admin, tenant)

    refused = post_batch(admin, collection["id"], form_of([bytes(600)] * 2))

    assert_error(refused, 429, "QUOTA_EXCEEDED")
    assert images_left(database) == 0
    data_of(post_batch(admin, collection["id"], form_of([bytes(500)] * 2)), 202)


def test_a_job_whose_commit_was_not_heard_of_keeps_its_images(
    admin, resources, tenant, collection, database, monkeypatch
):
    def unheard(resources, plan):
        submit(resources, plan)
        raise DatabaseUnavailable("The database cannot be reached.")

    submit = service.submit
    monkeypatch.setattr(service, "submit", unheard)

    assert_error(post_batch(admin, collection["id"], form_of([b"x"] * 2)), 503, "SERVICE_BUSY")

    assert the_job(resources, tenant).total == 2
    assert images_left(database) == 2
    sweep.sweep(resources)
    assert images_left(database) == 2
