"""Dialect D: the uploads that a job names are its own from the moment there is a job."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest

from app.documents import uploads
from app.factory import create_app
from app.jobs import service
from app.kinds import documents
from tests.integration.conftest import until
from tests.integration.engine import waits_for_a_lock
from tests.tagging import CONFIG, TEXT, assert_detail, ended, start

pytestmark = pytest.mark.integration


@pytest.fixture
def upload(client):
    """Upload one document and return its path."""

    def run(data: bytes = TEXT.encode(), name: str = "note.txt") -> str:
        made = client.post("/api/batch/upload", data={"file": (io.BytesIO(data), name)})
        assert made.status_code == 201, made.json
        return made.json["files"][0]["file_path"]

    return run


@pytest.fixture
def is_there(client):
    def look(path: str) -> bool:
        checked = client.post("/api/batch/validate-paths", json={"paths": [path]}).json
        return checked["results"][0]["valid"]

    return look


@pytest.fixture
def held_at_launch(database, monkeypatch):
    """How many uploads each job holds when its messages are sent: a worker may begin at once."""
    found = []
    launch = service.launch

    def looked_at(resources, job, chunks):
        found.append(uses(database, job.id))
        launch(resources, job, chunks)

    monkeypatch.setattr(service, "launch", looked_at)
    return found


def uses(database, job_id) -> int:
    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS n FROM upload_uses WHERE job_id = %s", (job_id,))
        return tx.fetchone()["n"]


def delete(resources, tenant, path: str) -> None:
    assert uploads.delete(resources.db, tenant.id, UUID(path.removeprefix("upload://")))


def test_a_job_holds_its_uploads_before_a_worker_hears_of_it(client, upload, held_at_launch):
    one, two = upload(), upload(b"Another text, of bribes.")

    start(client, [{"file_path": one}, {"file_path": two}, {"text": TEXT}, {"file_path": one}])

    assert held_at_launch == [3]


def test_a_retry_holds_the_uploads_before_a_worker_hears_of_it(client, upload, held_at_launch):
    texts = [{"text": TEXT}] * 150
    old = start(client, [{"file_path": upload()}, *texts, {"file_path": upload()}])
    job_id = old.json["job_id"]
    client.post(f"/api/batch/jobs/{job_id}/cancel")

    again = client.post(f"/api/batch/jobs/{job_id}/retry")

    assert again.json["total_documents"] == 152
    assert held_at_launch == [2, 2]


def test_an_upload_that_goes_while_its_job_is_made_leaves_no_job(client, database, upload):
    """Whoever was told yes has the document."""
    path = upload()
    body = {"documents": [{"text": TEXT}, {"file_path": path}], "config": CONFIG, "job_id": "mine"}
    with ThreadPoolExecutor(1) as threads:
        with database.transaction() as tx:
            tx.execute("DELETE FROM uploads")
            answer = threads.submit(client.post, "/api/batch/start", json=body)
            until(lambda: waits_for_a_lock(database), 20, "the submission waits")
        refused = answer.result(20)

    error = assert_detail(refused, 400)
    assert error["detail"].startswith("documents.1.file_path names the upload")
    assert_detail(client.get("/api/batch/jobs/mine/status"), 404)


def test_a_request_that_comes_again_is_answered_when_its_upload_is_gone(
    client, worker, upload, is_there
):
    """The first answer got lost, and the document has been tagged meanwhile."""
    path = upload()
    worker()
    job_id = start(client, [{"file_path": path}], job_id="once").json["job_id"]
    assert ended(client, job_id)["processed_count"] == 1
    assert not is_there(path)

    again = start(client, [{"file_path": path}], job_id="once")

    assert again.headers["Idempotent-Replayed"] == "true"


def _singles(resources, tenant):
    states = tuple(service.JobState)
    found, _ = service.list_history(
        resources, tenant.id, documents.NAME, states=states, limit=10, offset=0
    )
    return found


def test_the_upload_of_a_single_document_goes_when_that_ends_well(
    client, worker, upload, is_there, held_at_launch
):
    path = upload()
    worker()

    answer = client.post("/api/single/process", json={"file_path": path})

    assert (answer.status_code, answer.json["status"]) == (200, "success")
    assert held_at_launch == [1]
    assert not is_there(path)


def test_the_upload_of_a_single_document_that_fails_stays(client, worker, upload, is_there):
    path = upload(b"%PDF-1.7 and nothing more", "broken.pdf")
    worker()

    answer = client.post("/api/single/process", json={"file_path": path})

    assert (answer.status_code, answer.json["status"]) == (200, "failed")
    assert is_there(path)


def test_a_single_document_whose_upload_is_not_there_is_refused(client, resources, tenant, upload):
    path = upload()
    delete(resources, tenant, path)

    error = assert_detail(client.post("/api/single/process", json={"file_path": path}), 400)

    assert error["detail"].startswith("documents.0.file_path names the upload")
    assert _singles(resources, tenant) == []


@pytest.mark.parametrize(
    ("changes", "status", "detail"),
    [
        ({}, 400, "Document 3 of 3 is empty: it has no bytes."),
        ({"document_max_bytes": 5}, 413, "Request too large"),
        ({"uploads_max_bytes": 9}, 413, None),
    ],
)
def test_of_files_that_come_together_all_are_kept_or_none(
    settings, token, database, changes, status, detail
):
    client = create_app(replace(settings, **changes)).test_client()
    last = b"The third." if changes else b""
    files = [(io.BytesIO(data), "a.txt") for data in (b"One.", b"Two.", last)]

    answer = client.post(
        "/api/batch/upload",
        data={"files": files},
        headers={"Authorization": f"Bearer {token}"},
    )

    assert_detail(answer, status, detail)
    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS n FROM uploads")
        assert tx.fetchone()["n"] == 0
