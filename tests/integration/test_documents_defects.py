"""What the original of dialect D did wrong, found in its source, and what is not repeated here.

One test, or a few, for each of the eight defects that the API contract lists in section 11.4.
"""

from __future__ import annotations

import csv
import io
import json
import time
from dataclasses import replace

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.factory import create_app
from app.jobs import service
from schemas.documents import TEXT_LENGTH
from tests.integration.conftest import until
from tests.integration.engine import kill, ledger
from tests.tagging import CONFIG, TEXT, assert_detail, ended, inline, results, start, status

pytestmark = pytest.mark.integration


@pytest.fixture
def tagger(worker):
    return worker()


@pytest.fixture
def stranger(web, settings, resources):
    """An administrator of another tenant, who may do everything there."""
    other = accounts.ensure_tenant(resources.db, "other")
    token = tokens.mint_access(settings, other.id, "usr_other", PERMISSIONS[Role.ADMIN])
    client = web.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def many(count: int) -> list[dict[str, str]]:
    """Documents long enough that a few take a moment."""
    return [{"title": f"Long {n}", "text": f"{TEXT} " * 60 + str(n)} for n in range(count)]


# 1: any user could control any job.


@pytest.mark.parametrize(
    ("method", "action"),
    [
        *(("GET", "status"), ("GET", "results"), ("POST", "pause"), ("POST", "resume")),
        *(("POST", "cancel"), ("POST", "retry")),
    ],
)
def test_1_nobody_reads_or_controls_the_job_of_another_tenant(client, stranger, method, action):
    job_id = start(client, [inline(1)]).json["job_id"]
    before = status(client, job_id)

    answer = stranger.open(f"/api/batch/jobs/{job_id}/{action}", method=method)

    assert_detail(answer, 404, "Job not found")
    assert status(client, job_id) == before
    assert stranger.get("/api/batch/active").json == {"jobs": []}


def test_1_the_same_job_id_of_two_tenants_is_two_jobs(client, stranger):
    mine = start(client, [inline(1)], job_id="monthly")
    theirs = start(stranger, [inline(1), inline(2)], job_id="monthly")

    assert "Idempotent-Replayed" not in theirs.headers
    stranger.post("/api/batch/jobs/monthly/cancel")
    assert status(client, "monthly")["status"] == "pending"
    assert (mine.json["total_documents"], theirs.json["total_documents"]) == (1, 2)


# 2: column_mapping was accepted and never applied.


def test_2_columns_are_mapped_and_the_others_come_back(client, tagger):
    documents = [
        {"Headline": "Fined", "Body": TEXT, "Nr": 7, "Desk": "Riga", "title": "not this one"}
    ]
    mapping = {"Headline": "title", "Body": "content", "Nr": "id"}

    job_id = start(client, documents, column_mapping=mapping).json["job_id"]
    ended(client, job_id)

    (found,) = results(client, job_id)
    assert (found["status"], found["title"], found["id"]) == ("success", "Fined", "7")
    assert found["extra"] == {"Desk": "Riga", "title": "not this one"}
    assert found["tags"]


@pytest.mark.parametrize(
    ("mapping", "detail"),
    [
        ({"Body": "txt"}, "column_mapping maps 'Body' to 'txt', which is none of: "),
        ({"Bdy": "text"}, "column_mapping names 'Bdy', which no document has"),
        (
            {"Body": "text", "Title": "content"},
            "column_mapping maps both 'Body' and 'Title' to text",
        ),
    ],
)
def test_2_a_mapping_that_cannot_be_meant_is_named(client, mapping, detail):
    body = {
        "documents": [{"Body": TEXT, "Title": "x"}],
        "config": CONFIG,
        "column_mapping": mapping,
    }

    error = assert_detail(client.post("/api/batch/start", json=body), 400)

    assert error["detail"].startswith(detail)


def send(client, text: str, **more: str):
    form = {"file": (io.BytesIO(text.encode()), "d.csv"), "config": json.dumps(CONFIG), **more}
    return client.post("/api/batch/start", data=form)


def test_2_the_columns_of_a_csv_file_are_mapped_as_well(client, tagger):
    text = 'Headline,Body,Desk\r\nFined,"It was fined,\r\nfor bribes.",Riga\r\nOther,Bribes.,\r\n'
    mapping = json.dumps({"Headline": "title", "Body": "text"})

    job_id = send(client, text, column_mapping=mapping, job_id="from-csv").json["job_id"]
    ended(client, job_id)

    assert job_id == "from-csv"
    found = results(client, job_id)
    assert [(each["status"], each["title"]) for each in found] == [
        ("success", "Fined"),
        ("success", "Other"),
    ]
    assert [each["extra"] for each in found] == [{"Desk": "Riga"}, {"Desk": None}]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("text\n", "No documents provided"),
        ("", "No documents provided"),
        ("text,text\nx,y\n", "The file names a column twice in its first line."),
        ("text\nx,y\n", "Line 2 has more cells than columns."),
        ('text\n"x', "Line 2 is not CSV: unexpected end of data."),
    ],
)
def test_2_a_csv_file_that_is_wrong_is_refused_with_the_line(client, text, detail):
    assert_detail(send(client, text), 400, detail)


def test_2_a_cell_may_be_as_long_as_a_text(settings, token):
    wide = create_app(replace(settings, max_body_bytes=8_000_000)).test_client()
    wide.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    head = '--x\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    form = head.format("config", "") + "{}\r\n" + head.format("file", '; filename="d.csv"')

    def sent(letters: int):
        return wide.post(
            "/api/batch/start",
            data=f"{form}text\n{'x' * letters}\n\r\n--x--\r\n",
            content_type="multipart/form-data; boundary=x",
        )

    limit = csv.field_size_limit()
    answer = sent(TEXT_LENGTH)

    assert answer.status_code == 200, answer.json
    assert csv.field_size_limit() == limit, "others in the process count on theirs"
    error = assert_detail(sent(TEXT_LENGTH + 1), 400)
    assert error["detail"].startswith("documents.0.text ")


def test_2_a_form_that_is_wrong_is_refused(client):
    mapping = json.dumps({"Bdy": "text"})

    assert_detail(send(client, "text\nx\n", column_mapping="{"), 400)
    assert_detail(send(client, "text\nx\n", config="[]"), 400, "config must be an object")
    assert_detail(
        send(client, "text\nx\n", column_mapping=mapping),
        400,
        "column_mapping names 'Bdy', which no document has",
    )
    assert_detail(client.post("/api/batch/start", data={"config": "{}"}), 400)


# 3: pause lasted one second.


def test_3_a_paused_job_stays_paused_and_goes_on_with_the_next_document(
    client, resources, tenant, tagger
):
    job_id = start(client, many(400)).json["job_id"]
    until(lambda: status(client, job_id)["results_count"] >= 3, 30, "a few are tagged")

    client.post(f"/api/batch/jobs/{job_id}/pause")
    until(lambda: status(client, job_id)["status"] == "paused", 30, "it is paused")
    standing = status(client, job_id)
    assert standing["results_count"] < 400
    stops = time.monotonic() + 5
    while time.monotonic() < stops:
        assert status(client, job_id) == standing
        time.sleep(0.25)

    assert client.post(f"/api/batch/jobs/{job_id}/resume").json["status"] == "processing"
    assert ended(client, job_id, 90)["processed_count"] == 400
    job = service.find(resources, tenant.id, "documents", job_id)
    assert ledger(resources, job).results == 400


# 4: a paused job was missing from the active ones.


def test_4_waiting_running_and_paused_jobs_are_active_and_ended_ones_are_not(
    client, resources, tenant
):
    waiting = start(client, [inline(1)], job_id="waiting").json["job_id"]
    paused = start(client, [inline(1)], job_id="paused").json["job_id"]
    client.post(f"/api/batch/jobs/{paused}/pause")
    cancelled = start(client, [inline(1)], job_id="cancelled").json["job_id"]
    client.post(f"/api/batch/jobs/{cancelled}/cancel")

    active = client.get("/api/batch/active").json["jobs"]

    assert [(job["job_id"], job["status"]) for job in active] == [
        (paused, "paused"),
        (waiting, "pending"),
    ]
    assert active[0].keys() == {
        *("job_id", "status", "progress", "processed_count", "failed_count"),
        *("total_documents", "total", "created_at"),
    }


def test_4_the_active_jobs_are_those_of_the_current_user(client, web, settings, tenant):
    start(client, [inline(1)])
    token = tokens.mint_access(settings, tenant.id, "usr_colleague", PERMISSIONS[Role.OPERATOR])

    answer = web.test_client().get(
        "/api/batch/active", headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.json == {"jobs": []}


# 5: control always answered 200.


@pytest.mark.parametrize("action", ["pause", "resume", "cancel"])
def test_5_control_of_an_unknown_job_is_404_and_of_an_ended_one_409(client, action):
    job_id = start(client, [inline(1)]).json["job_id"]
    client.post(f"/api/batch/jobs/{job_id}/cancel")

    assert_detail(client.post(f"/api/batch/jobs/unknown/{action}"), 404, "Job not found")
    assert assert_detail(
        client.post(f"/api/batch/jobs/{job_id}/{action}"),
        409,
        f"Cannot {action} a job that is cancelled",
    ) == {
        "detail": f"Cannot {action} a job that is cancelled",
        "job_id": job_id,
        "status": "cancelled",
    }


# 6: a job id that existed overwrote the other job.


def test_6_a_job_id_that_exists_is_refused_and_harms_nothing(client):
    start(client, [inline(1)], job_id="batch-1704454800-abc123")
    before = status(client, "batch-1704454800-abc123")
    other = {
        "documents": [inline(2), inline(3)],
        "config": CONFIG,
        "job_id": "batch-1704454800-abc123",
    }

    answer = client.post("/api/batch/start", json=other)

    error = assert_detail(answer, 409, "Job ID already exists")
    assert error["job_id"] == "batch-1704454800-abc123"
    assert status(client, "batch-1704454800-abc123") == before


def test_6_a_colleague_cannot_take_over_a_job_id_either(client, web, settings, tenant):
    body = {"documents": [inline(1)], "config": CONFIG, "job_id": "monthly"}
    client.post("/api/batch/start", json=body)
    token = tokens.mint_access(settings, tenant.id, "usr_colleague", PERMISSIONS[Role.OPERATOR])

    answer = web.test_client().post(
        "/api/batch/start", json=body, headers={"Authorization": f"Bearer {token}"}
    )

    assert_detail(answer, 409, "Job ID already exists")


# 7: jobs lived in one process.


def test_7_a_job_outlives_the_processes_that_worked_on_it(client, settings, token, worker):
    first = worker()
    job_id = start(client, many(60)).json["job_id"]
    until(lambda: status(client, job_id)["results_count"] >= 3, 30, "a few are tagged")

    kill(first)
    elsewhere = create_app(settings).test_client()
    elsewhere.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    worker()

    assert ended(elsewhere, job_id, 90)["processed_count"] == 60
    assert [each["index"] for each in results(elsewhere, job_id)] == list(range(60))


# 8: results expired in Redis after a day.


def test_8_status_and_results_do_not_need_redis(client, resources, tagger):
    job_id = start(client, [inline(1)]).json["job_id"]
    ended(client, job_id)

    resources.redis.flushall()

    assert status(client, job_id)["status"] == "completed"
    assert results(client, job_id)[0]["tags"]
