"""Dialect D: documents are tagged in batches that can be watched, paused, resumed and retried."""

from __future__ import annotations

import csv
import io
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.api import tokens
from app.factory import create_app
from app.jobs import service, store
from app.jobs.states import Event
from tests.integration.conftest import until
from tests.integration.engine import claim, lasting_worker, waits_for_a_lock
from tests.tagging import CONFIG, TEXT, assert_detail, ended, inline, results, start, status

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def tagger(settings, tmp_path_factory):
    """One worker for all tests of the module that need one."""
    with lasting_worker(settings, tmp_path_factory.mktemp("tagger")) as worker:
        yield worker


def find(resources, tenant, job_id):
    return service.find(resources, tenant.id, "documents", job_id)


def tell(resources, tenant, job_id, event):
    with resources.db.transaction() as tx:
        store.advance(tx, find(resources, tenant, job_id).id, event)


# Starting.


def test_a_batch_is_accepted_before_any_document_is_read(client):
    answer = start(client, [inline(1), inline(2)])

    assert answer.json.keys() == {"job_id", "total_documents", "message"}
    assert re.fullmatch(r"batch-[0-9]+-[0-9a-f]{6}", answer.json["job_id"])
    assert answer.json["total_documents"] == 2
    assert answer.json["message"] == "Batch processing started"
    assert answer.headers["Location"] == f"/api/batch/jobs/{answer.json['job_id']}/status"
    native = client.get(answer.headers["Operation-Location"]).json
    assert (native["external_id"], native["kind"]) == (answer.json["job_id"], "documents")
    assert native["links"]["dialect"] == answer.headers["Location"]


def test_a_status_has_the_names_of_the_documentation_and_of_the_server(client):
    job_id = start(client, [inline(1)] * 10).json["job_id"]

    assert status(client, job_id) == {
        **{"job_id": job_id, "status": "pending", "total_documents": 10, "processed_count": 0},
        **{"failed_count": 0, "progress": 0.0, "total": 10, "results_count": 0},
    }


def test_a_status_that_has_not_changed_is_answered_without_a_body(client):
    job_id = start(client, [inline(1)]).json["job_id"]
    first = client.get(f"/api/batch/jobs/{job_id}/status")

    again = client.get(
        f"/api/batch/jobs/{job_id}/status",
        headers={"Prefer": "wait=1", "If-None-Match": first.headers["ETag"]},
    )

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Preference-Applied"] == "wait=1"
    assert first.headers["Retry-After"] == "3"


@pytest.mark.parametrize("documents", [None, []])
def test_without_documents_nothing_is_started(client, documents):
    answer = client.post("/api/batch/start", json={"documents": documents, "config": {}})

    assert_detail(answer, 400, "No documents provided")


@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({"config": None}, "config must be an object"),
        ({"config": {"num_tags": 2}}, "config.num_tags must be a whole number from 3 to 15"),
        ({"config": {"num_pages": 11}}, "config.num_pages must be a whole number from 1 to 10"),
        ({"documents": {}}, "documents must be a list"),
        ({"documents": ["x"]}, "documents.0 must be an object"),
        ({"documents": [{"title": ["x"]}]}, "documents.0.title must be a text"),
        ({"documents": [{"text": "\x00"}]}, None),
        (
            {"documents": [{"text": "x", "file_source_type": "ftp"}]},
            "documents.0.file_source_type must be one of: url, s3, local, upload, inline",
        ),
        ({"job_id": "../x"}, "Invalid job ID"),
        ({"job_id": ""}, "Invalid job ID"),
        ({"job_id": "x" * 129}, "Invalid job ID"),
        ({"job_id": 7}, "Invalid job ID"),
        ({"deadline": "soon"}, "deadline must be a duration such as PT2H (ISO 8601)"),
        ({"column_mapping": ["x"]}, "column_mapping must be an object of texts"),
    ],
)
def test_what_is_wrong_is_400_and_says_what(client, more, detail):
    body = {"documents": [inline(1)], "config": CONFIG, **more}

    assert_detail(client.post("/api/batch/start", json=body), 400, detail)


def test_several_things_that_are_wrong_are_all_named(client):
    body = {"documents": [inline(1)], "config": {"num_tags": 99, "num_pages": 0}}

    error = assert_detail(client.post("/api/batch/start", json=body), 400, "Invalid parameters")

    assert [each["loc"] for each in error["errors"]] == [
        ["config", "num_tags"],
        ["config", "num_pages"],
    ]
    assert all(each["msg"] for each in error["errors"])


_DEEP = '{"documents": [{"text": "x", "more": %s}], "config": {}}'


@pytest.mark.parametrize("depth", [100, 700, 900, 950, 980, 2_000])
def test_a_document_may_be_nested_or_is_too_deep_and_nothing_else(client, depth):
    body = _DEEP % ("[" * depth + "]" * depth)

    answer = client.post("/api/batch/start", data=body, content_type="application/json")

    if answer.status_code != 200:
        assert_detail(answer, 400, "The body is nested too deeply.")


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "7", '{"documents": [], "documents": []}', _DEEP % "1e999"]
)
def test_a_body_that_is_no_request_is_400(client, body):
    answer = client.post("/api/batch/start", data=body, content_type="application/json")

    assert_detail(answer, 400)


def test_more_documents_than_a_job_may_hold_are_refused(settings, token):
    small = create_app(replace(settings, max_documents=2)).test_client()
    body = {"documents": [inline(1)] * 3, "config": {}}

    answer = small.post("/api/batch/start", json=body, headers={"Authorization": f"Bearer {token}"})

    assert_detail(answer, 400, "documents may hold at most 2 documents; 3 were sent")


def test_an_upload_that_is_not_there_is_named(client):
    missing = f"upload://{uuid4()}"
    body = {"documents": [inline(1), {"file_path": missing}], "config": {}}

    error = assert_detail(client.post("/api/batch/start", json=body), 400)

    assert error["detail"].startswith("documents.1.file_path names the upload")


def test_a_key_in_the_request_is_taken_and_kept_nowhere(client, database):
    config = {**CONFIG, "api_key": "sk-verysecret-0123456789"}
    job_id = start(client, [inline(1)], config=config).json["job_id"]

    shown = client.get(f"/api/history/jobs/{job_id}")

    assert "verysecret" not in shown.text
    with database.transaction() as tx:
        tx.execute("SELECT options::text AS options FROM jobs")
        assert "verysecret" not in tx.fetchone()["options"]


def test_what_the_configuration_has_no_meaning_for_is_ignored_and_said(client, database):
    config = {**CONFIG, "num_tag": 3, "entities": {"model": "x"}, "apikey": "sk-verysecret-1"}
    answer = start(client, [inline(1)], config=config).json

    assert [each["code"] for each in answer["warnings"]] == ["unknown_config"] * 3
    assert [each["message"].split()[0] for each in answer["warnings"]] == [
        *("config.num_tag", "config.entities.model", "config.apikey"),
    ]
    assert status(client, answer["job_id"])["warnings"] == answer["warnings"]
    with database.transaction() as tx:
        tx.execute("SELECT options::text AS options FROM jobs")
        assert "verysecret" not in tx.fetchone()["options"]


# The client's own id.


def test_the_same_request_twice_is_one_job(client, resources):
    first = start(client, [inline(1)], job_id="batch-1704454800-abc123")
    again = start(client, [inline(1)], job_id="batch-1704454800-abc123")

    assert first.json == again.json
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(client.get("/api/batch/active").json["jobs"]) == 1


def test_the_same_request_many_times_at_once_is_one_job(web, client):
    body, answers = {"documents": [inline(1)], "config": CONFIG, "job_id": "monthly"}, []

    def send():
        caller = web.test_client()
        caller.environ_base |= client.environ_base
        answers.append(caller.post("/api/batch/start", json=body))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answer.status_code for answer in answers] == [200] * 8
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert len(client.get("/api/history/jobs").json["jobs"]) == 1


# Control of a job that nobody works on: contract 8.3.

TABLE = {
    "pending": {"pause": "paused", "resume": None, "cancel": "cancelled"},
    "processing": {"pause": "processing", "resume": None, "cancel": "processing"},
    "pausing": {"pause": "processing", "resume": "processing", "cancel": "processing"},
    "paused": {"pause": None, "resume": "processing", "cancel": "cancelled"},
    "cancelling": {"pause": None, "resume": None, "cancel": "processing"},
    "completed": {"pause": None, "resume": None, "cancel": None},
    "failed": {"pause": None, "resume": None, "cancel": None},
    "cancelled": {"pause": None, "resume": None, "cancel": None},
}
WAYS = {
    "pending": (),
    "processing": (Event.CLAIM,),
    "pausing": (Event.CLAIM, Event.PAUSE),
    "paused": (Event.CLAIM, Event.PAUSE, Event.DRAINED),
    "cancelling": (Event.CLAIM, Event.CANCEL),
    "failed": (Event.DEADLINE,),
    "cancelled": (Event.CANCEL,),
}


@pytest.mark.parametrize("action", ["pause", "resume", "cancel"])
@pytest.mark.parametrize("state", TABLE)
def test_a_request_leads_where_the_contract_says(client, resources, tenant, state, action):
    job_id = start(client, [inline(1)] * 3).json["job_id"]
    if state == "completed":
        with resources.db.transaction() as tx:
            tx.execute(
                "UPDATE jobs SET state = 'completed', succeeded = total, started_at = now(),"
                " finished_at = now()"
            )
        resources.redis.flushdb()
    else:
        for event in WAYS[state]:
            tell(resources, tenant, job_id, event)
        resources.redis.flushdb()
        if state in {"processing", "pausing", "cancelling"}:
            claim(resources, find(resources, tenant, job_id))

    answer = client.post(f"/api/batch/jobs/{job_id}/{action}")

    wanted = TABLE[state][action]
    if wanted is None:
        error = assert_detail(answer, 409)
        assert error["job_id"] == job_id
        assert error["status"] == status(client, job_id)["status"]
        assert error["detail"].startswith(f"Cannot {action} a job that is ")
    else:
        assert answer.status_code == 200
        assert answer.json["job_id"] == job_id
        assert answer.json["message"]
        assert answer.json["status"] == wanted == status(client, job_id)["status"]


def test_a_job_on_its_way_says_what_was_asked(client, resources, tenant):
    job_id = start(client, [inline(1)] * 3).json["job_id"]
    tell(resources, tenant, job_id, Event.CLAIM)
    resources.redis.flushdb()
    claim(resources, find(resources, tenant, job_id))

    client.post(f"/api/batch/jobs/{job_id}/pause")
    assert status(client, job_id)["pause_requested"] is True
    client.post(f"/api/batch/jobs/{job_id}/cancel")
    assert status(client, job_id)["cancel_requested"] is True
    assert "pause_requested" not in status(client, job_id)


def test_pausing_a_job_that_rests_keeps_it_from_going_on_by_itself(client, resources, tenant):
    job_id = start(client, [inline(1)]).json["job_id"]
    client.post(f"/api/batch/jobs/{job_id}/pause")
    with resources.db.transaction() as tx:
        tx.execute("UPDATE jobs SET resume_at = now() + interval '1 hour', version = version + 1")
    resources.redis.flushdb()
    assert status(client, job_id)["resume_at"]

    assert client.post(f"/api/batch/jobs/{job_id}/pause").status_code == 200
    assert find(resources, tenant, job_id).resume_at is None
    assert_detail(client.post(f"/api/batch/jobs/{job_id}/pause"), 409)


# Errors.


@pytest.mark.parametrize("action", ["status", "results"])
def test_an_unknown_job_is_404_and_an_empty_id_400(client, action):
    assert_detail(client.get(f"/api/batch/jobs/nothing/{action}"), 404, "Job not found")
    assert_detail(client.get(f"/api/batch/jobs//{action}"), 400, "Invalid job ID")


@pytest.mark.parametrize("action", ["pause", "resume", "cancel", "retry"])
def test_an_unknown_job_cannot_be_controlled(client, action):
    assert_detail(client.post(f"/api/batch/jobs/nothing/{action}"), 404, "Job not found")
    assert_detail(client.post(f"/api/batch/jobs//{action}"), 400, "Invalid job ID")
    assert_detail(client.post(f"/api/batch/jobs/%00/{action}"), 404, "Job not found")


def test_a_job_of_another_dialect_does_not_exist_here(client, submit):
    job = submit("slow", [{}])

    assert_detail(client.get(f"/api/batch/jobs/{job.external_id}/status"), 404, "Job not found")
    assert_detail(client.get(f"/api/history/jobs/{job.id}"), 404, "Job not found")


def test_errors_of_every_sort_are_in_the_shape_of_the_dialect(web, client, settings, token):
    small = create_app(replace(settings, max_body_bytes=1_000)).test_client()
    large = {"documents": [inline(1)] * 20, "config": {}}
    headers = {"Authorization": f"Bearer {token}"}

    anyone = web.test_client().get("/api/batch/active")
    wrong = web.test_client().get("/api/batch/active", headers={"Authorization": "Bearer x.y.z"})
    assert_detail(anyone, 401, "Not authenticated")
    assert_detail(wrong, 401, "Invalid or expired token")
    assert anyone.headers["WWW-Authenticate"] == wrong.headers["WWW-Authenticate"] == "Bearer"
    assert_detail(client.get("/api/nothing"), 404)
    answer = client.put("/api/batch/start")
    assert_detail(answer, 405, "Method Not Allowed")
    assert answer.headers["Allow"] == "POST"
    assert_detail(
        small.post("/api/batch/start", json=large, headers=headers), 413, "Request too large"
    )


def test_an_error_of_ours_tells_nothing(client, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(service, "sum_up", broken)

    assert_detail(client.get("/api/history/stats"), 500, "Internal server error")


# Paths, template, uploads.


def test_paths_are_looked_at_without_being_read(client):
    answer = client.post(
        "/api/batch/validate-paths",
        json={"paths": ["http://127.0.0.1/x", "/etc/passwd", "s3://a/b", f"upload://{uuid4()}"]},
    )

    assert answer.status_code == 200
    assert (answer.json["valid_count"], answer.json["invalid_count"]) == (0, 4)
    assert [each["error_type"] for each in answer.json["results"]] == [
        *("address-not-allowed", "source-not-configured", "source-not-configured", "not-found"),
    ]
    assert_detail(client.post("/api/batch/validate-paths", json={}), 400, "No paths provided")


def test_the_template_is_a_file_that_can_be_filled_in(client):
    answer = client.get("/api/batch/template")

    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert {"title", "file_path", "file_source_type"} <= row.keys()


def test_uploads_come_back_as_paths(client):
    answer = client.post(
        "/api/batch/upload",
        data={"files": [(io.BytesIO(b"One."), "one.txt"), (io.BytesIO(b"Two."), "../two.txt")]},
    )

    assert answer.status_code == 201
    one, two = answer.json["files"]
    assert one["file_path"].startswith("upload://")
    assert (one["name"], one["size"], two["name"]) == ("one.txt", 4, "two.txt")
    checked = client.post("/api/batch/validate-paths", json={"paths": [one["file_path"]]})
    assert checked.json["results"][0]["valid"]


def test_what_is_no_upload_is_refused(client):
    assert_detail(client.post("/api/batch/upload", json={}), 400)
    assert_detail(client.post("/api/batch/upload", data={"x": "y"}), 400)
    empty = {"files": [(io.BytesIO(b""), "empty.txt")]}
    assert_detail(client.post("/api/batch/upload", data=empty), 400)


# History.


def test_a_page_behind_the_last_says_how_many_there_are(client):
    start(client, [inline(1), inline(2)])
    start(client, [inline(3)])

    for path, name, total in (
        ("/api/history/jobs?", "jobs", 2),
        ("/api/history/jobs?status=failed&", "jobs", 0),
        ("/api/history/documents?", "documents", 3),
        ("/api/history/documents/search?q=note%202&", "documents", 1),
        ("/api/history/documents/search?q=nothing&", "documents", 0),
    ):
        page = client.get(f"{path}offset=50").json
        assert (path, page[name], page["total"]) == (path, [], total)


def test_a_job_that_has_not_ended_is_not_deleted(client):
    job_id = start(client, [inline(1)]).json["job_id"]

    error = assert_detail(
        client.delete(f"/api/history/jobs/{job_id}"), 409, "Cannot delete a job that is pending"
    )

    assert (error["status"], error["job_id"]) == ("pending", job_id)


@pytest.mark.parametrize("dialect", ["documents", "native"])
def test_a_retry_of_a_job_that_is_being_deleted_is_404(client, resources, tenant, dialect):
    job_id = start(client, [inline(1)]).json["job_id"]
    client.post(f"/api/batch/jobs/{job_id}/cancel")
    job = find(resources, tenant, job_id)
    path = f"/api/batch/jobs/{job_id}" if dialect == "documents" else f"/v1/jobs/{job.id}"
    with ThreadPoolExecutor(1) as threads:
        with resources.db.transaction() as tx:
            store.lock_job(tx, job.id)
            store.delete_items(tx, job)
            assert store.delete_job(tx, job)
            answer = threads.submit(client.post, f"{path}/retry", json={"items": "all"})
            until(lambda: waits_for_a_lock(resources.db), 20, "the retry waits")
        refused = answer.result(20)

    assert refused.status_code == 404, refused.text
    if dialect == "documents":
        assert_detail(refused, 404, "Job not found")


def test_a_retry_whose_old_job_is_deleted_at_once_is_a_retry(
    client, resources, tenant, monkeypatch
):
    job_id = start(client, [inline(1)]).json["job_id"]
    client.post(f"/api/batch/jobs/{job_id}/cancel")
    launch = service.launch

    def deleted_before(*args):
        service.delete(resources, find(resources, tenant, job_id))
        launch(*args)

    monkeypatch.setattr(service, "launch", deleted_before)
    again = client.post(f"/api/batch/jobs/{job_id}/retry")

    assert again.status_code == 200, again.json
    assert "retry_of" not in again.json
    assert status(client, again.json["job_id"])["status"] == "pending"


@pytest.mark.parametrize(
    "path",
    [
        "/api/history/jobs?limit=0",
        "/api/history/jobs?limit=101",
        "/api/history/jobs?offset=x",
        "/api/history/jobs?status=done",
        "/api/history/documents?status=done",
        "/api/history/documents/search",
        "/api/history/documents/search?q=%00",
    ],
)
def test_a_query_that_is_not_understood_is_400(client, path):
    assert_detail(client.get(path), 400)


# With a worker.


@pytest.mark.usefixtures("tagger")
class TestWithAWorker:
    def test_a_batch_is_tagged_and_each_document_has_its_result(self, client):
        documents = [inline(n, id=f"d{n}", ledger=n) for n in range(5)] + [{"title": "Nothing"}]
        job_id = start(client, documents).json["job_id"]

        done = ended(client, job_id)
        found = results(client, job_id)

        assert (done["status"], done["progress"]) == ("completed", 1.0)
        assert (done["processed_count"], done["failed_count"], done["results_count"]) == (5, 1, 6)
        assert [each["index"] for each in found] == [0, 1, 2, 3, 4, 5]
        assert [each.get("id") for each in found] == ["d0", "d1", "d2", "d3", "d4", None]
        assert found[1]["status"] == "success"
        assert found[1]["extra"] == {"ledger": 1}
        assert {tag["type"] for tag in found[1]["tags"]} <= {
            *("category", "keyphrase", "entity", "language"),
        }
        assert found[1]["tags"]
        text = documents[1]["text"]
        for tag in found[1]["tags"]:
            for offset in tag["offsets"]:
                if offset["field"] == "text":
                    assert text[offset["start"] : offset["end"]]
        assert "text" not in found[1]
        assert found[5]["status"] == "failed"
        assert found[5]["error_type"] == "invalid-document"
        assert "tags" not in found[5]

    def test_results_come_as_pages_and_as_a_table(self, client):
        job_id = start(client, [inline(n, title="=SUM(1)") for n in range(3)]).json["job_id"]
        ended(client, job_id)

        page = client.get(f"/api/batch/jobs/{job_id}/results?format=json&limit=2").json
        rest = client.get(
            f"/api/batch/jobs/{job_id}/results?format=json&cursor={page['next_cursor']}"
        ).json
        table = client.get(f"/api/batch/jobs/{job_id}/results", headers={"Accept": "text/csv"})

        assert [each["index"] for each in page["results"] + rest["results"]] == [0, 1, 2]
        assert (page["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
        rows = list(csv.DictReader(io.StringIO(table.text)))
        assert len(rows) == 3
        assert rows[0]["title"] == "'=SUM(1)"
        assert rows[0]["tags"]

    def test_an_upload_is_tagged(self, client):
        made = client.post(
            "/api/batch/upload", data={"file": (io.BytesIO(TEXT.encode()), "note.txt")}
        )
        path = made.json["files"][0]["file_path"]

        job_id = start(client, [{"title": "Uploaded", "file_path": path}]).json["job_id"]

        assert ended(client, job_id)["processed_count"] == 1
        (found,) = results(client, job_id)
        assert found["document"]["type"] == "text"
        assert found["file_path"] == path
        # Nobody needs it any more.
        checked = client.post("/api/batch/validate-paths", json={"paths": [path]}).json
        assert not checked["results"][0]["valid"]

    def test_a_document_that_may_not_be_read_fails_alone(self, client):
        hostile = [{"file_path": "http://169.254.169.254/latest"}, {"file_path": "/etc/passwd"}]
        job_id = start(client, [*hostile, inline(1)]).json["job_id"]

        assert ended(client, job_id)["status"] == "completed"

        found = results(client, job_id)
        assert [each.get("error_type") for each in found] == [
            *("address-not-allowed", "source-not-configured", None),
        ]

    def test_what_failed_is_retried_as_a_new_job(self, client):
        old = start(client, [inline(1), {"title": "Nothing"}]).json["job_id"]
        ended(client, old)

        answer = client.post(f"/api/batch/jobs/{old}/retry")

        assert answer.status_code == 200
        assert answer.json["retry_of"] == old
        assert answer.json["total_documents"] == 1
        assert re.fullmatch(r"batch-[0-9]+-[0-9a-f]{6}", answer.json["job_id"])
        assert ended(client, answer.json["job_id"])["failed_count"] == 1
        whole = start(client, [inline(1)]).json["job_id"]
        ended(client, whole)
        error = assert_detail(client.post(f"/api/batch/jobs/{whole}/retry"), 409)
        assert (error["job_id"], error["status"]) == (whole, "completed")

    def test_one_document_is_tagged_while_the_caller_waits(self, client):
        answer = client.post("/api/single/process", json={**inline(1), "config": CONFIG})
        nested = client.post("/api/single/process", json={"document": inline(1), "config": CONFIG})
        failed = client.post("/api/single/process", json={"file_path": "/etc/passwd"})

        assert answer.status_code == 200
        assert answer.json["status"] == "success"
        assert answer.json["tags"] == nested.json["tags"]
        assert (failed.status_code, failed.json["status"]) == (200, "failed")
        assert failed.json["error_type"] == "source-not-configured"
        assert client.get("/api/batch/active").json == {"jobs": []}
        jobs = client.get("/api/history/jobs").json["jobs"]
        assert {job["job_type"] for job in jobs} == {"single"}

    def test_what_was_tagged_is_found_again(self, client):
        job_id = start(
            client,
            [inline(1), {"title": "50% of it", "text": TEXT}, {"title": "Nothing"}],
            config={**CONFIG, "api_key": "sk-secret"},
        ).json["job_id"]
        ended(client, job_id)

        listed = client.get("/api/history/jobs?status=completed").json
        shown = client.get(f"/api/history/jobs/{listed['jobs'][0]['id']}").json
        assert (listed["total"], listed["jobs"][0]["job_id"]) == (1, job_id)
        assert shown["config"] == CONFIG
        assert [each["status"] for each in shown["documents"]] == ["success", "success", "failed"]
        assert client.get(f"/api/history/jobs/{job_id}").json == shown
        assert client.get("/api/history/jobs?status=failed").json["jobs"] == []

        found = client.get("/api/history/documents/search?q=50%25").json
        assert [each["title"] for each in found["documents"]] == ["50% of it"]
        one = client.get(f"/api/history/documents/{found['documents'][0]['id']}").json
        assert one["title"] == "50% of it"
        failed = client.get("/api/history/documents?status=failed").json
        assert (failed["total"], failed["documents"][0]["job_id"]) == (1, job_id)
        page = client.get("/api/history/documents?limit=1&offset=1").json
        assert (len(page["documents"]), page["total"]) == (1, 3)
        assert client.get("/api/history/stats").json["processed_documents"] == 2

        deleted = client.delete(f"/api/history/jobs/{job_id}")
        assert deleted.status_code == 200
        assert_detail(client.get(f"/api/batch/jobs/{job_id}/status"), 404, "Job not found")
        assert_detail(client.get(f"/api/history/jobs/{job_id}"), 404, "Job not found")
        assert client.get("/api/history/documents").json["documents"] == []

    def test_the_history_of_another_tenant_is_not_there(self, client, web, settings, resources):
        job_id = start(client, [inline(1)]).json["job_id"]
        ended(client, job_id)
        document = client.get("/api/history/documents").json["documents"][0]["id"]
        other = accounts.ensure_tenant(resources.db, "other")
        token = tokens.mint_access(
            settings, other.id, "usr_other", {"documents:read", "documents:create"}
        )
        stranger = web.test_client()
        stranger.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

        assert_detail(stranger.get(f"/api/history/jobs/{job_id}"), 404)
        assert_detail(stranger.delete(f"/api/history/jobs/{job_id}"), 404)
        assert_detail(stranger.get(f"/api/history/documents/{document}"), 404)
        assert stranger.get("/api/history/documents").json["total"] == 0
        assert stranger.get("/api/history/documents/search?q=note").json["total"] == 0
        assert stranger.get("/api/history/stats").json["total_jobs"] == 0
