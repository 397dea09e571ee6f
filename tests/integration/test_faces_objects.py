"""Images in an S3-compatible store instead of Postgres: against moto's server, over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

pytest.importorskip("boto3", reason="an object store needs the extra [s3]")
pytest.importorskip("moto.server", reason="the tests of an object store need moto")
pytest.importorskip("cv2", reason="faces need the extra: pip install 'muster[faces]'")

import boto3

from app import embedded
from app.errors import Unavailable
from app.faces import images, objects
from app.factory import create_app
from app.jobs import service, store
from app.kinds import faces
from tests.faces import people
from tests.faces_api import (
    admin_of,
    assert_error,
    data_of,
    ended,
    form_of,
    images_left,
    move,
    new_collection,
    post_batch,
    recognizer,
)
from tests.integration.conftest import until
from workers import sweep

__all__ = ["people"]

pytestmark = pytest.mark.integration

BUCKET = "images"
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory) -> Iterator[str]:
    port = embedded.free_port()
    log = tmp_path_factory.mktemp("moto") / "log"
    with pytest.MonkeyPatch.context() as patch, log.open("wb") as output:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=output,
            env=dict(os.environ),
        )
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: b"Running on" in log.read_bytes(), 60, log.read_text)
            boto3.client("s3", endpoint_url=url).create_bucket(Bucket=BUCKET)
            yield url
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def stored(settings, endpoint):
    """The settings of web and workers that keep their images in the bucket."""
    return replace(settings, face_store=f"s3://{BUCKET}/faces", s3_endpoint=endpoint)


@pytest.fixture
def admin(stored, tenant):
    return admin_of(create_app(stored), stored, tenant)


@pytest.fixture
def collection(admin, tenant):
    return new_collection(admin, tenant)


@pytest.fixture
def keys(endpoint):
    """Return what is in the bucket."""

    def look() -> list[str]:
        listed = boto3.client("s3", endpoint_url=endpoint).list_objects_v2(Bucket=BUCKET)
        return [each["Key"] for each in listed.get("Contents", [])]

    return look


def test_a_batch_goes_by_way_of_the_bucket_and_leaves_nothing_there(
    stored, admin, tenant, collection, people, keys, database, tmp_path
):
    form = form_of([people["person_a_1"], b"broken", people["person_b_1"]])

    job_id = data_of(post_batch(admin, collection["id"], form), 202)["job_id"]
    assert len(keys()) == 3
    assert all(key.startswith("faces/") for key in keys())
    with database.transaction() as tx:
        tx.execute("SELECT sum(octet_length(data)) AS bytes FROM face_images")
        assert tx.fetchone()["bytes"] == 0
    with recognizer(stored, tmp_path):
        done = ended(admin, tenant, job_id)
        until(lambda: not images_left(database), 20, "the rows are gone")

    assert [item["success"] for item in done["results"]] == [True, False, True]
    assert keys() == []


def test_a_request_that_is_refused_leaves_nothing_in_the_bucket(admin, collection, keys, database):
    refused = post_batch(admin, collection["id"], form_of([b"x", b"y"], ["only one"]))

    assert_error(refused, 400, "BAD_REQUEST")
    assert keys() == []
    assert images_left(database) == 0


def test_an_image_that_is_too_large_never_reaches_the_bucket(stored, tenant, keys):
    strict = replace(stored, face_image_max_bytes=1_000)
    admin = admin_of(create_app(strict), strict, tenant)
    collection = new_collection(admin, tenant)

    data_of(post_batch(admin, collection["id"], form_of([bytes(2_000), b"x"])), 202)

    assert len(keys()) == 1
    images.discard(admin.application.extensions["muster"].db, strict, _batch(keys))


def _batch(keys):
    from uuid import UUID

    (key,) = keys()
    return UUID(key.split("/")[1])


def test_the_sweep_deletes_what_a_killed_process_or_a_cancelled_job_left(
    admin, tenant, collection, stored, resources, keys, database
):
    ours = replace(resources, settings=stored)
    job_id = data_of(post_batch(admin, collection["id"], form_of([b"x"] * 3)), 202)["job_id"]
    admin.post(f"/api/v1/organizations/{tenant.id}/batch/{job_id}/cancel")
    writer = images.Writer(resources.db, stored, tenant.id, tenant.id)
    writer.begin(0)
    writer.write(b"left behind")
    writer.finish()
    assert len(keys()) == 4

    sweep.sweep(ours)
    assert len(keys()) == 1
    move(database, "face_images", "expires_at", 3_601)
    sweep.sweep(ours)
    assert keys() == []
    assert images_left(database) == 0


def test_while_the_store_is_away_a_request_is_503_and_nothing_is_forgotten(
    stored, tenant, resources, database, keys
):
    away = replace(stored, s3_endpoint=f"http://127.0.0.1:{embedded.free_port()}")
    admin = admin_of(create_app(away), away, tenant)
    collection = new_collection(admin, tenant)

    answer = post_batch(admin, collection["id"], form_of([b"x"]))

    assert_error(answer, 503, "SERVICE_BUSY")
    # It may have arrived, for all we know: noted, until the store can be asked.
    assert images_left(database) == 1
    sweep.sweep(replace(resources, settings=stored))
    assert images_left(database) == 0
    assert keys() == []


def test_many_objects_are_deleted_in_one_go(stored, tenant, keys):
    kept = objects.of(stored)
    wanted = [(tenant.id, position) for position in range(5)]
    for each in wanted:
        kept.put(*each, b"x")

    assert kept.get(tenant.id, 3) == b"x"
    kept.delete([*wanted, (tenant.id, 99)])

    assert keys() == []
    assert kept.get(tenant.id, 3) is None


def test_a_worker_that_does_not_know_the_store_leaves_its_images_alone(
    admin, tenant, collection, settings, resources, database, keys, endpoint
):
    job_id = data_of(post_batch(admin, collection["id"], form_of([b"x"])), 202)["job_id"]
    job = service.find(resources, tenant.id, "faces", job_id)
    with database.transaction() as tx:
        (item,) = store.load_outstanding(tx, job, job.chunk(0))

    for wrong in (settings, replace(settings, face_store=f"s3://{BUCKET}", s3_endpoint="none")):
        process = faces.prepare(replace(resources, settings=wrong), job)
        with pytest.raises(Unavailable):
            process([item])

    assert len(keys()) == images_left(database) == 1
    service.cancel(resources, tenant.id, "faces", job_id)


def test_an_object_that_cannot_be_deleted_keeps_no_other_waiting(
    stored, tenant, resources, database, monkeypatch
):
    mine = replace(stored, face_store=f"s3://{BUCKET}/locked")
    monkeypatch.setattr(objects, "AT_ONCE", 1)
    writer = images.Writer(resources.db, mine, tenant.id, tenant.id)
    for position in range(3):
        writer.begin(position)
        writer.write(b"x")
        writer.finish()
    locked = {"Key": f"locked/{tenant.id}/0", "Code": "AccessDenied"}

    def refuse(parsed, **_):
        parsed["Errors"] = [locked]

    events = objects.of(mine)._client.meta.events
    events.register("after-call.s3.DeleteObjects", refuse)
    images.discard(resources.db, mine, tenant.id)
    assert images_left(database) == 1

    events.unregister("after-call.s3.DeleteObjects", refuse)
    sweep.sweep(replace(resources, settings=mine))
    assert images_left(database) == 0
