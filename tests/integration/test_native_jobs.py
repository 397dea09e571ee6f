"""The native API: jobs of every kind are read, listed, paused, resumed, cancelled and retried."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from app.accounts import service as accounts
from app.jobs import ids, service, store
from app.jobs.model import Item, Result
from app.jobs.states import Event, JobState
from tests.integration.conftest import new_job, until
from tests.integration.engine import assert_whole, claim, lasting_worker, ledger, queued
from tests.native import assert_problem
from workers import chunk
from workers.sweep import sweep

pytestmark = pytest.mark.integration

#: For what a busy machine may take long for. How soon a request is heard is told by the items that
#: are done after it, and not by a clock.
PATIENCE = 20.0


def path(job, action: str = "") -> str:
    return f"/v1/jobs/{ids.render(job.id)}{action}"


def tell(resources, job, event):
    with resources.db.transaction() as tx:
        return store.advance(tx, job.id, event)


def allow(resources, job, seconds):
    with resources.db.transaction() as tx:
        tx.execute("UPDATE jobs SET allowed_seconds = %s WHERE id = %s", (seconds, job.id))


# Reading.


def test_a_job_is_shown_with_all_that_is_known_of_it(client, submit):
    job = submit("slow", [{}] * 25)

    shown = client.get(path(job))

    assert shown.json["id"] == ids.render(job.id)
    assert shown.json["external_id"] == str(job.id)
    assert (shown.json["kind"], shown.json["dialect"]) == ("slow", "slow")
    assert (shown.json["status"], shown.json["progress"]) == ("queued", 0)
    assert shown.json["allowed_actions"] == ["pause", "cancel"]
    assert shown.json["counts"] == {
        **{"total": 25, "pending": 25, "running": 0, "succeeded": 0, "failed": 0},
        **{"cancelled": 0, "expired": 0},
    }
    assert shown.json["links"]["self"] == path(job)
    assert shown.headers["Retry-After"] == "2"
    assert client.get(f"/v1/jobs/{job.id}").json["id"] == ids.render(job.id)


def test_what_a_worker_has_in_hand_is_counted_as_running(client, resources, submit):
    job = submit("slow", [{}] * 25, chunk_size=10)
    chunk.run(resources, job.id, 1, 0)
    claim(resources, job, chunk_no=2)

    counts = client.get(path(job)).json["counts"]

    assert (counts["succeeded"], counts["running"], counts["pending"]) == (10, 5, 10)


def test_a_poll_that_has_nothing_new_is_answered_without_a_body(client, resources, submit):
    job = submit("slow", [{}] * 25)
    first = client.get(path(job))

    again = client.get(path(job), headers={"If-None-Match": first.headers["ETag"]})
    claim(resources, job)
    begun = client.get(path(job), headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert begun.status_code == 200


def test_progress_is_one_only_when_nothing_more_will_come(client, resources, submit):
    job = submit("slow", [{}] * 5)
    tell(resources, job, Event.CLAIM)
    with resources.db.transaction() as tx:
        tx.execute("UPDATE jobs SET total = 100000, succeeded = 99999 WHERE id = %s", (job.id,))

    assert client.get(path(job)).json["progress"] == 0.9999


def test_the_deadline_is_shown_while_the_time_runs(client, resources, submit):
    job = submit("slow", [{}] * 5)
    allow(resources, job, 3600)

    assert client.get(path(job)).json["deadline_at"] is None
    tell(resources, job, Event.CLAIM)
    assert client.get(path(job)).json["deadline_at"] is not None
    client.post(path(job, "/pause"))
    assert client.get(path(job)).json["deadline_at"] is None


def test_jobs_of_all_kinds_are_listed_newest_first_page_by_page(client, submit):
    made = [submit(kind, [{}]) for kind in ("slow", "fast", "slow", "fast", "slow")]
    seen, after = [], None
    while True:
        query = {"limit": 2, **({"after": after} if after else {})}
        page = client.get("/v1/jobs", query_string=query)
        seen += [job["id"] for job in page.json["data"]]
        after = page.json["next_cursor"]
        assert page.json["has_more"] == (after is not None) == ("Link" in page.headers)
        if after is None:
            break
        link = page.headers["Link"].partition(">")[0][1:]
        assert client.get(link).json["data"]

    assert seen == [ids.render(job.id) for job in reversed(made)]


def test_a_list_is_picked_by_status_kind_label_and_the_id_of_the_dialect(
    client, resources, tenant, submit
):
    slow, fast = submit("slow", [{}]), submit("fast", [{}])
    labelled = service.submit(
        resources, replace(new_job(tenant.id, "slow", [{}]), labels={"customer": "acme"})
    )
    client.post(path(fast, "/cancel"))

    def listed(**query):
        return [job["id"] for job in client.get("/v1/jobs", query_string=query).json["data"]]

    assert listed(status="cancelled,failed") == [ids.render(fast.id)]
    assert listed(kind="slow") == [ids.render(labelled.id), ids.render(slow.id)]
    assert listed(kind="fast,slow", status="queued") == listed(kind="slow")
    assert listed(external_id=slow.external_id) == [ids.render(slow.id)]
    assert listed(**{"label.customer": "acme"}) == [ids.render(labelled.id)]
    assert listed(**{"label.customer": "other"}) == []


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=x", "after=!", "status=done", "status=", "external_id=%00"),
        *("kind=%00", "label.%00=x", "label.x=%00"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(client, query):
    assert_problem(client.get(f"/v1/jobs?{query}"), 400, "invalid_parameter")


def test_an_empty_id_is_not_the_list(client):
    assert_problem(client.get("/v1/jobs/"), 404, "job_not_found")


def test_items_are_listed_with_how_each_stands(client, resources, submit):
    job = submit("slow", [{}, {"bad": "It is bad."}, {}, {}, {}, {}], chunk_size=2)
    chunk.run(resources, job.id, 1, 0)
    claim(resources, job, chunk_no=1)

    def listed(**query):
        page = client.get(path(job, "/items"), query_string=query).json
        return [(item["index"], item["ref"], item["status"]) for item in page["data"]]

    assert listed() == [
        *((0, "r0", "succeeded"), (1, "r1", "failed"), (2, "r2", "running")),
        *((3, "r3", "running"), (4, "r4", "pending"), (5, "r5", "pending")),
    ]
    failed = client.get(path(job, "/items?status=failed")).json["data"]
    assert failed[0]["error"] == {"code": "bad_item", "message": "It is bad."}
    assert [index for index, *_ in listed(status="pending,succeeded")] == [0, 4, 5]
    page = client.get(path(job, "/items?limit=4")).json
    assert page["has_more"]
    assert [each[0] for each in listed(after=page["next_cursor"])] == [4, 5]
    assert_problem(client.get(path(job, "/items?status=done")), 400, "invalid_parameter")


def test_items_that_were_never_begun_say_why_when_the_job_has_ended(client, resources, submit):
    cancelled, expired = submit("slow", [{}]), submit("slow", [{}])
    client.post(path(cancelled, "/cancel"))
    tell(resources, expired, Event.DEADLINE)

    for job, word in ((cancelled, "cancelled"), (expired, "expired")):
        assert client.get(path(job, "/items")).json["data"][0]["status"] == word


def test_failures_are_summed_up_by_what_they_are_the_commonest_first(
    client, resources, tenant, submit
):
    job = submit("slow", [{}] * 25)
    claim(resources, job)
    said = {0: ("invalid", "Line 7 is wrong."), 12: ("timeout", "It took too long.")}
    said |= {n: ("invalid", f"Line {n} is wrong.") for n in range(2, 12)}
    results = [Result.failure(Item(n, None, {}), *why) for n, why in said.items()]
    with resources.db.transaction() as tx:
        written = store.save_results(
            tx, job, [*results, Result.success(Item(1, None, {}), {})], pass_no=1
        )
        store.add_counts(tx, job, **written._asdict())

    first = client.get(path(job, "/errors?limit=1"))
    (many,) = first.json["data"]
    assert (many["code"], many["count"]) == ("invalid", 11)
    assert many["message"].startswith("Line ")
    assert many["indexes"] == [0, *range(2, 11)]
    assert first.json["has_more"]
    assert f"after={first.json['next_cursor']}" in first.headers["Link"]
    rest = client.get(path(job, f"/errors?limit=1&after={first.json['next_cursor']}"))
    assert rest.json["data"] == [
        {"code": "timeout", "message": "It took too long.", "count": 1, "indexes": [12]}
    ]
    assert (rest.json["has_more"], rest.json["next_cursor"]) == (False, None)


def test_a_job_that_has_ended_is_deleted_with_all_it_holds(client, resources, submit, database):
    job = submit("slow", [{}] * 3)
    assert_problem(client.delete(path(job)), 409, "invalid_state")
    chunk.run(resources, job.id, 1, 0)
    assert client.get(path(job)).json["status"] == "completed"

    gone = client.delete(path(job))

    assert (gone.status_code, gone.data) == (204, b"")
    assert_problem(client.get(path(job)), 404, "job_not_found")
    assert_problem(client.delete(path(job)), 404, "job_not_found")
    with database.transaction() as tx:
        for table in ("jobs", "items", "results", "job_events"):
            tx.execute(f"SELECT count(*) AS rows FROM {table}")
            assert tx.fetchone()["rows"] == 0, table


def test_results_come_as_lines_pages_and_a_table(client, resources, submit):
    job = submit("slow", [{"echo": n} for n in range(3)] + [{"bad": "=no"}], chunk_size=4)
    chunk.run(resources, job.id, 1, 0)

    lines = client.get(path(job, "/results"))
    page = client.get(path(job, "/results?format=json&limit=3")).json
    table = list(csv.DictReader(io.StringIO(client.get(path(job, "/results?format=csv")).text)))

    rows = [json.loads(line) for line in lines.text.splitlines()]
    assert lines.headers["X-Job-Status"] == "completed"
    assert lines.headers["X-Job-Complete"] == "true"
    assert [row["index"] for row in rows] == [0, 1, 2, 3]
    assert rows[1]["result"] == {"echo": 1}
    assert rows[3]["error"] == {"code": "bad_item", "message": "=no"}
    assert page["data"] == rows[:3]
    assert page["next_cursor"] == "3"
    assert client.get(path(job, "/results?format=json&after=3")).json["data"] == rows[3:]
    assert (
        client.get(path(job, "/results?status=failed")).text
        == json.dumps(rows[3], separators=(",", ":")) + "\n"
    )
    assert json.loads(table[0]["result"]) == {"echo": 0}
    assert table[3]["error_message"] == "'=no"


def test_pages_of_a_running_job_go_on_where_its_results_will(client, resources, submit):
    job = submit("slow", [{}] * 6, chunk_size=2)
    chunk.run(resources, job.id, 1, 1)

    page = client.get(path(job, "/results?format=json")).json
    assert (page["data"], page["has_more"], page["next_cursor"]) == ([], True, "0")
    chunk.run(resources, job.id, 1, 0)
    page = client.get(path(job, "/results?format=json&after=0")).json
    assert [row["index"] for row in page["data"]] == [0, 1, 2, 3]
    assert page["next_cursor"] == "4"


# Control, of a job that nobody works on.

#: Where each request leads, from each state; None is 409.
TABLE = {
    "queued": {"pause": "paused", "resume": None, "cancel": "cancelled"},
    "running": {"pause": "pausing", "resume": None, "cancel": "cancelling"},
    "pausing": {"pause": "pausing", "resume": "running", "cancel": "cancelling"},
    "paused": {"pause": None, "resume": "running", "cancel": "cancelled"},
    "cancelling": {"pause": None, "resume": None, "cancel": "cancelling"},
    **{
        final: {"pause": None, "resume": None, "cancel": None}
        for final in ("completed", "failed", "cancelled", "expired")
    },
}

_WAY = {
    "queued": (),
    "running": (Event.CLAIM,),
    "pausing": (Event.CLAIM, Event.PAUSE),
    "paused": (Event.CLAIM, Event.PAUSE, Event.DRAINED),
    "cancelling": (Event.CLAIM, Event.CANCEL),
    "cancelled": (Event.CANCEL,),
    "expired": (Event.DEADLINE,),
}


@pytest.fixture
def standing(resources, submit):
    """A job in the given state, with a chunk in somebody's hands where that can be."""

    def make(state: str):
        job = submit("slow", [{}] * 4, chunk_size=2)
        if state == "completed":
            for number in (0, 1):
                chunk.run(resources, job.id, 1, number)
        elif state == "failed":
            with resources.db.transaction() as tx:
                store.advance(tx, job.id, Event.FATAL, error=("internal_error", "It broke."))
        else:
            for event in _WAY[state]:
                tell(resources, job, event)
            if state in {"running", "pausing", "cancelling"}:
                claim(resources, job)
        return job

    return make


@pytest.mark.parametrize("request_word", ["pause", "resume", "cancel"])
@pytest.mark.parametrize("state", TABLE)
def test_a_request_leads_where_the_table_says_or_is_refused(
    client, standing, reload, state, request_word
):
    job = standing(state)
    assert reload(job).state == state

    answer = client.post(path(job, f"/{request_word}"))

    target = TABLE[state][request_word]
    allowed = [word for word, leads in TABLE[state].items() if leads not in {None, state}]
    if target is None:
        problem = assert_problem(answer, 409, "invalid_state")
        assert problem["current_status"] == state == reload(job).state
        retry = ["retry"] if state in {"failed", "cancelled", "expired"} else []
        assert problem["allowed_actions"] == allowed + retry
        assert state in problem["detail"]
    else:
        assert answer.status_code == 200
        assert answer.json["status"] == target == reload(job).state


def test_a_job_paused_before_it_began_is_queued_again(client, resources, submit, reload):
    job = submit("slow", [{}] * 4, chunk_size=2)
    assert client.post(path(job, "/pause")).json["status"] == "paused"
    resources.redis.flushdb()

    resumed = client.post(path(job, "/resume"))

    assert (resumed.json["status"], resumed.json["passes"]) == ("queued", 2)
    # Its messages had been lost or thrown away meanwhile.
    assert queued(resources.redis) == 2


def test_resuming_sends_only_chunks_that_are_not_done(client, resources, submit):
    job = submit("slow", [{}] * 8, chunk_size=2)
    chunk.run(resources, job.id, 1, 1)
    client.post(path(job, "/pause"))
    resources.redis.flushdb()

    client.post(path(job, "/resume"))

    assert queued(resources.redis) == 3


def test_messages_of_a_paused_job_do_nothing_when_they_come(client, resources, submit, reload):
    job = submit("slow", [{}] * 4, chunk_size=2)
    client.post(path(job, "/pause"))

    assert chunk.run(resources, job.id, 1, 0) is None
    assert ledger(resources, job).results == 0
    assert reload(job).state == "paused"


def test_a_paused_job_whose_last_result_came_late_is_completed_when_resumed(
    client, resources, submit, reload
):
    """A worker was given up for lost, the job paused without it, and then it woke."""
    job = submit("slow", [{}] * 2, chunk_size=2)
    tell(resources, job, Event.CLAIM)
    client.post(path(job, "/pause"))
    late = chunk._Chunk(resources, job, 1, 0, "elsewhere/1/boot")
    chunk._save(late, [Result.success(Item(n, None, {}), {}) for n in range(2)], last=True)
    assert (reload(job).state, reload(job).done) == ("paused", 2)

    assert client.post(path(job, "/resume")).json["status"] == "completed"


def test_a_retry_takes_the_items_that_were_asked_for(client, resources, submit):
    job = submit("slow", [{"echo": 0}, {"bad": "no"}, {"echo": 2}, {"echo": 3}], chunk_size=2)
    chunk.run(resources, job.id, 1, 0)
    client.post(path(job, "/cancel"))

    def retried(body=None):
        answer = client.post(path(job, "/retry"), json=body)
        assert answer.status_code == 202
        assert answer.headers["Location"] == answer.json["links"]["self"]
        assert answer.json["retry_of"] == ids.render(job.id)
        items = client.get(answer.json["links"]["items"]).json["data"]
        return [item["ref"] for item in items]

    assert retried() == retried({"items": "failed"}) == ["r1"]
    assert retried({"items": "cancelled"}) == ["r2", "r3"]
    assert retried({"items": "unfinished"}) == ["r1", "r2", "r3"]
    assert retried({"items": "all"}) == ["r0", "r1", "r2", "r3"]
    assert retried({"items": [3, 0, 3]}) == ["r0", "r3"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"items": "some"}, "#/items"),
        ({"items": []}, "#/items"),
        ({"items": [-1]}, "#/items"),
        ({"items": [True]}, "#/items"),
        ({"items": [4]}, "#/items"),
        ({"items": None}, "#/items"),
        ([], "#"),
    ],
)
def test_a_retry_that_is_worded_wrongly_is_refused_with_the_place(client, standing, body, pointer):
    job = standing("cancelled")

    problem = assert_problem(client.post(path(job, "/retry"), json=body), 422, "validation_error")

    assert [each["pointer"] for each in problem["errors"]] == [pointer]
    assert all(each["detail"] for each in problem["errors"])


def test_a_retry_of_what_runs_or_leaves_nothing_is_refused(client, standing):
    running = client.post(path(standing("running"), "/retry"))
    whole = client.post(path(standing("completed"), "/retry"))

    assert assert_problem(running, 409, "invalid_state")["current_status"] == "running"
    assert assert_problem(whole, 409, "nothing_to_retry")["allowed_actions"] == []


@pytest.mark.parametrize("action", ["", "/items", "/results"])
def test_what_is_no_id_or_another_tenants_does_not_exist(client, resources, action):
    other = accounts.ensure_tenant(resources.db, "other")
    job = service.submit(resources, new_job(other.id, "slow", [{}]))

    for job_id in (ids.render(job.id), job.id, "job_7", "x", "%00"):
        assert_problem(client.get(f"/v1/jobs/{job_id}{action}"), 404, "job_not_found")
    assert_problem(client.post(path(job, "/cancel")), 404, "job_not_found")


def test_a_deadline_given_at_submission_expires_the_job(client, resources, tenant):
    made = client.post(
        "/kyc/jobs",
        json={"entities": [{"subject": {"full_name": "A B"}}], "deadline": "PT0.000001S"},
    )
    job = service.get(resources, tenant.id, ids.parse(made.json["job_id"]))
    tell(resources, job, Event.CLAIM)

    until(lambda: sweep(resources), 5, "the sweep sees it")

    ended = client.get(f"/v1/jobs/{job.id}").json
    assert (ended["status"], ended["counts"]["expired"]) == ("expired", 1)


@pytest.fixture(scope="class")
def engine(settings, tmp_path_factory):
    with lasting_worker(settings, tmp_path_factory.mktemp("native")) as worker:
        yield worker


@pytest.mark.usefixtures("engine")
class TestWithAWorker:
    def test_a_slow_job_stops_before_its_next_item_and_stays(
        self, client, resources, submit, reload, finished
    ):
        """One item takes longer than two flushes: what is heard must be heard before the next."""
        job = submit("slow", [{"sleep": 0.3}] * 40, chunk_size=20)
        until(lambda: reload(job).done >= 2, 20, "a few are done")

        client.post(path(job, "/pause"))
        asked = reload(job)
        until(lambda: reload(job).state is JobState.PAUSED, PATIENCE, "it is paused")
        paused = reload(job)
        assert paused.done <= asked.done + 2, "what the two processes had in hand, and no more"
        until(lambda: not queued(resources.redis), 10, "its messages have all come")
        sweep(resources)

        assert reload(job) == paused
        assert ledger(resources, job).claims == 0
        client.post(path(job, "/cancel"))
        assert reload(job).state == "cancelled"
        assert ledger(resources, job).results == paused.done == reload(job).done

    @pytest.mark.parametrize("kind", ["slow", "fast"])
    def test_a_job_paused_and_resumed_again_and_again_does_each_item_once(
        self, client, resources, submit, reload, finished, kind
    ):
        job = submit(kind, [{"sleep": 0.01, "echo": n} for n in range(300)], chunk_size=50)
        for share in (20, 80, 150):
            until(lambda: reload(job).done >= share, 20, "some are done")  # noqa: B023
            client.post(path(job, "/pause"))
            until(lambda: reload(job).state in {"paused", "completed"}, PATIENCE, "it pauses")
            standing = reload(job)
            assert share <= standing.done <= 300
            client.post(path(job, "/resume"))

        assert_whole(resources, finished(job))
        rows = [row for page in service.results(resources, job) for row in page]
        assert [json.loads(row["result"])["echo"] for row in rows] == list(range(300))

    def test_a_job_resumed_while_it_still_pauses_goes_on(
        self, client, resources, submit, reload, finished
    ):
        job = submit("slow", [{"sleep": 0.2}] * 30, chunk_size=10)
        until(lambda: reload(job).done >= 1, 20, "one is done")

        assert client.post(path(job, "/pause")).json["status"] == "pausing"
        assert client.post(path(job, "/resume")).json["status"] == "running"
        for _ in range(4):
            # By now a chunk may have stopped for the pause before, and then nothing is in hand.
            assert client.post(path(job, "/pause")).json["status"] in ("pausing", "paused")
            assert client.post(path(job, "/resume")).json["status"] in ("running", "queued")

        assert_whole(resources, finished(job))

    def test_a_job_paused_before_a_worker_saw_it_runs_when_it_is_resumed(
        self, client, resources, tenant, submit, finished, reload
    ):
        job = submit("slow", [{"sleep": 0.05}] * 400, chunk_size=100)
        waiting = submit("slow", [{}] * 10)
        client.post(path(waiting, "/pause"))
        client.post(path(job, "/cancel"))
        finished(job)
        assert reload(waiting).state == "paused"

        client.post(path(waiting, "/resume"))

        assert_whole(resources, finished(waiting))

    def test_what_failed_is_retried_as_a_new_job(self, client, resources, submit, finished):
        old = finished(submit("slow", [{}] * 8 + [{"bad": "no"}] * 2))

        answer = client.post(path(old, "/retry"))

        new = finished(service.get(resources, old.tenant_id, ids.parse(answer.json["id"])))
        assert (new.total, new.failed, new.retry_of) == (2, 2, old.id)
        assert service.get(resources, old.tenant_id, old.id) == old
