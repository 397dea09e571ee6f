"""A worker for faces dies in the middle of a batch: nothing is lost, and nobody is there twice."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

pytest.importorskip("cv2", reason="faces need the extra: pip install 'muster[faces]'")

from app.factory import create_app
from app.jobs import service
from tests.faces import people
from tests.faces_api import (
    BASE,
    QUEUES,
    admin_of,
    data_of,
    ended,
    form_of,
    images_left,
    new_collection,
    poll,
    post_batch,
)
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, kill, start_worker

__all__ = ["people"]

pytestmark = pytest.mark.chaos

COUNT = 40


@pytest.fixture(scope="module")
def patient(settings):
    """A process that overstays a chunk's time is killed halfway to the visibility timeout: by the
    clocks of the other tests, one that a busy machine holds up for a second over an image.
    """
    return replace(settings, claim_seconds=8.0, visibility_timeout=20.0)


@pytest.fixture(scope="module")
def web(settings):
    return create_app(settings)


@pytest.fixture
def batch(web, settings, tenant, people):
    admin = admin_of(web, settings, tenant)
    collection = new_collection(admin, tenant)
    images = [people[name] for name in sorted(people)]
    form = form_of([images[n % len(images)] for n in range(COUNT)])
    job_id = data_of(post_batch(admin, collection["id"], form), 202)["job_id"]
    return admin, collection, job_id


def check(admin, collection, job_id, tenant, resources, database) -> None:
    done = ended(admin, tenant, job_id, 120)
    assert (done["status"], done["succeeded"], done["failed"]) == ("done", COUNT, 0)
    assert_whole(resources, service.find(resources, tenant.id, "faces", job_id))
    listed = data_of(admin.get(f"{BASE}/collections/{collection['id']}/faces?limit=100"))
    assert listed["total"] == COUNT
    assert {each["face_id"] for each in listed["faces"]} == {
        each["face_id"] for each in done["results"]
    }
    assert data_of(admin.get(f"{BASE}/collections/{collection['id']}"))["face_count"] == COUNT
    assert images_left(database) == 0


def test_a_killed_worker_loses_no_image_and_doubles_no_face(
    batch, patient, tenant, tmp_path, resources, database
):
    admin, collection, job_id = batch
    first = start_worker(patient, tmp_path, "first", "-Q", QUEUES, beat=True)
    until(lambda: poll(admin, tenant, job_id)["processed"] >= 2, 60, "it is on its way")

    kill(first)
    assert poll(admin, tenant, job_id)["processed"] < COUNT
    second = start_worker(patient, tmp_path, "second", "-Q", QUEUES, beat=True)

    try:
        check(admin, collection, job_id, tenant, resources, database)
    finally:
        kill(second)


def test_a_killed_pool_process_is_replaced_and_its_images_are_done(
    batch, patient, tenant, tmp_path, resources, database
):
    admin, collection, job_id = batch
    worker = start_worker(patient, tmp_path, "only", "-Q", QUEUES, beat=True)
    try:
        until(lambda: poll(admin, tenant, job_id)["processed"] >= 2, 60, "it is on its way")
        os.kill(worker.children()[0], signal.SIGKILL)

        check(admin, collection, job_id, tenant, resources, database)
    finally:
        kill(worker)
