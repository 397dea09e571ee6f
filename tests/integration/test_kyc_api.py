"""Dialect A as a client meets it: submit, poll, read what was found, cancel, retry, look up."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from app.accounts import service as accounts
from app.accounts.model import ALL_PERMISSIONS, Role
from app.jobs import store
from app.jobs.model import ItemStatus, Result
from app.jobs.states import Event
from app.screening.model import ENGINE_VERSION
from tests.kyc import (
    CLEAR,
    ENTRIES,
    LISTED,
    NOT_LOADED,
    assert_flat,
    ended,
    house_list,
    load,
    screener,
    waiting,
)
from workers import chunk

__all__ = ["house_list", "screener", "waiting"]

pytestmark = pytest.mark.integration

ALWAYS = {
    "status",
    "job_id",
    "job_status",
    "total_entities",
    "processed_entities",
    "completed_entities",
    "failed_entities",
    "matches_found",
    "created_at",
    "updated_at",
}
MATCH = {
    "list_name",
    "list_version",
    "confidence_score",
    "match_type",
    "matched_name",
    "matched_fields",
    "matched_words",
    "explanations",
    "calculation",
    "match_data",
}
MATCH_DATA = {
    "id",
    "name",
    "aliases",
    "entity_type",
    "nationality",
    "birth_date",
    "identifiers",
    "programs",
    "topics",
    "source_url",
}


def submit(client, *entities, **more) -> str:
    answer = client.post("/kyc/jobs", json={"entities": list(entities), **more})
    assert answer.status_code == 200, answer.json
    return answer.json["job_id"]


def moment(text: str) -> datetime:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    return datetime.fromisoformat(text)


# --- submitting


def test_a_batch_is_accepted_before_any_of_it_is_screened(client, house_list):
    answer = client.post("/kyc/jobs", json={"entities": [LISTED, CLEAR]})

    assert answer.status_code == 200
    assert answer.json.keys() == {
        *("status", "job_id", "total_entities", "job_status", "created_at"),
        "estimated_completion",
    }
    assert answer.json["status"] == "success"
    assert answer.json["job_status"] == "processing"
    assert answer.json["total_entities"] == 2
    assert str(UUID(answer.json["job_id"])) == answer.json["job_id"]
    assert moment(answer.json["estimated_completion"]) >= moment(answer.json["created_at"])
    assert answer.headers["Location"] == f"/kyc/jobs/{answer.json['job_id']}"
    assert answer.headers["Retry-After"] == "5"


def test_a_job_runs_from_submission_to_its_results(client, house_list, screener):
    entities = [LISTED, CLEAR, NOT_LOADED, {"subject": {"imo_number": "IMO 9187629"}}]

    job = ended(client, submit(client, *entities))

    assert job.keys() == ALWAYS | {"completed_at", "results"}
    assert job["job_status"] == "completed"
    assert (job["total_entities"], job["processed_entities"]) == (4, 4)
    assert (job["completed_entities"], job["failed_entities"], job["matches_found"]) == (3, 1, 2)
    assert moment(job["created_at"]) <= moment(job["completed_at"]) <= moment(job["updated_at"])

    listed, clear, unlisted, vessel = job["results"]
    whole = {"index", "status", "is_match", "match_count", "matches"}
    versions = {"list_versions", "engine_version"}
    assert listed.keys() == whole | versions | {"entity_id"}
    assert (listed["entity_id"], listed["index"], listed["status"]) == ("listed", 0, "completed")
    assert (listed["is_match"], listed["match_count"]) == (True, 1)
    assert listed["list_versions"] == {"house": "v1"}
    assert listed["engine_version"] == ENGINE_VERSION
    assert (clear["is_match"], clear["match_count"], clear["matches"]) == (False, 0, [])
    assert unlisted == {
        "entity_id": "unlisted",
        "index": 2,
        "status": "failed",
        "is_match": False,
        "match_count": 0,
        "matches": [],
        "error": {"code": "list_unavailable", "message": "List un is not loaded."},
    }
    # It named itself nothing: the field is absent, and not null.
    assert vessel.keys() == whole | versions
    assert vessel["matches"][0]["match_type"] == "identifier"


def test_a_match_says_what_was_found_and_why(client, house_list, screener):
    subject = {"full_name": "Quartermain, Zebulon", "birth_date": "1961", "nationality": "gb"}

    job = ended(client, submit(client, {"subject": subject}))

    (match,) = job["results"][0]["matches"]
    assert match.keys() == MATCH
    assert (match["list_name"], match["list_version"]) == ("house", "v1")
    assert match["match_type"] == "name"
    assert 0.85 <= match["confidence_score"] <= 1
    assert "full_name" in match["matched_fields"]
    assert all(0 <= value <= 1 for value in match["explanations"].values())
    assert match["matched_words"]
    parts = match["calculation"]["parts"]
    assert sum(part["part"] for part in parts) == pytest.approx(
        match["confidence_score"], abs=0.5e-4 + 1e-5
    )
    assert {part["feature"] for part in parts} >= {"name", "birth_date", "nationality"}
    assert match["match_data"].keys() == MATCH_DATA
    assert match["match_data"]["id"] == "h-1"
    assert match["match_data"]["name"] == ENTRIES[0]["name"]
    assert match["match_data"]["aliases"] == ENTRIES[0]["aliases"]
    assert match["match_data"]["entity_type"] == "individual"
    assert match["match_data"]["nationality"] == "GB"
    assert match["match_data"]["birth_date"] == "1961-04-12"
    assert match["match_data"]["identifiers"] == ENTRIES[0]["identifiers"]
    assert match["match_data"]["programs"] == ["TEST"]
    assert match["match_data"]["source_url"] is None


def test_an_identifier_finds_its_entry_whatever_it_is_called(client, house_list, screener):
    subjects = [
        {"document_id": "X9988776"},
        {"document_id": "x-998-8776", "document_type": "National ID"},
        {"wallet_address": "bc1qtestwallet0000000001"},
        {"identifiers": [{"type": "Anything", "value": "X9988776"}]},
        {"imo_number": "9187629"},
    ]

    job = ended(client, submit(client, *({"subject": each} for each in subjects)))

    found = [result["matches"][0]["match_data"]["id"] for result in job["results"]]
    assert found == ["h-1", "h-1", "h-4", "h-1", "h-3"]


def test_the_threshold_decides_what_is_a_match(client, house_list, screener):
    entity = {"subject": {"full_name": "Zebulon Quartermane"}}

    strict = ended(client, submit(client, entity, threshold=1))
    loose = ended(client, submit(client, entity, threshold=0.8))

    assert (strict["matches_found"], loose["matches_found"]) == (0, 1)


def test_a_list_named_twice_is_counted_once(client, house_list, screener):
    job = ended(client, submit(client, {**LISTED, "lists": ["house", "house"]}))

    assert job["matches_found"] == 1
    assert len(job["results"][0]["matches"]) == 1


def test_more_matches_than_are_shown_are_counted_all_the_same(
    client, resources, settings, tmp_path, house_list, screener
):
    twins = [{"id": f"t-{n}", "name": "Zebulon Quartermain"} for n in range(130)]
    load(resources, settings, tmp_path, "twins", twins)

    job = ended(client, submit(client, LISTED))
    check = client.post("/kyc", json=LISTED)

    (result,) = job["results"]
    assert (job["matches_found"], result["match_count"], len(result["matches"])) == (131, 131, 100)
    scores = [match["confidence_score"] for match in result["matches"]]
    assert scores == sorted(scores, reverse=True)
    by_list = check.json["data"]["results"]
    assert {name: each["match_count"] for name, each in by_list.items()} == {
        "house": 1,
        "twins": 130,
    }
    assert check.json["data"]["summary"]["total_matches"] == 131


def test_a_lenient_batch_runs_what_is_valid_and_fails_the_rest_with_a_reason(
    client, house_list, screener
):
    wrong = {"entity_id": "wrong", "subject": {"birth_date": "1961-13-01"}}

    answer = client.post(
        "/kyc/jobs",
        json={"entities": [wrong, LISTED, "nothing like an entity"]},
        headers={"Prefer": "handling=lenient"},
    )
    job = ended(client, answer.json["job_id"])

    assert answer.headers["Preference-Applied"] == "handling=lenient"
    assert (job["completed_entities"], job["failed_entities"]) == (1, 2)
    assert job["results"][0]["entity_id"] == "wrong"
    assert job["results"][0]["error"]["code"] == "invalid_entity"
    assert "subject.birth_date" in job["results"][0]["error"]["message"]
    assert job["results"][1]["is_match"]
    assert "entity_id" not in job["results"][2]


def test_a_job_for_which_no_list_is_loaded_fails_and_says_so(client, screener):
    job = ended(client, submit(client, CLEAR))

    assert job.keys() == ALWAYS | {"error"}
    assert job["job_status"] == "failed"
    assert job["error"] == {
        "code": "no_lists_loaded",
        "message": "No watchlist data is loaded on this server.",
    }
    assert (job["total_entities"], job["processed_entities"]) == (1, 0)


def test_a_job_keeps_to_the_lists_that_were_loaded_when_it_was_submitted(
    client, resources, settings, tmp_path, house_list, waiting, screener
):
    old = waiting("Zebulon Quartermain")
    load(resources, settings, tmp_path, "later", ENTRIES)

    check = client.post("/kyc", json=LISTED)
    assert old.options["lists"].keys() == {"house"}
    assert check.json["data"]["results"].keys() == {"house", "later"}


# --- polling


@pytest.fixture
def put(resources):
    """Move a job by these events, as a worker or a caller would, and show it as they do."""

    def run(job, *events: Event, error: tuple[str, str] | None = None):
        for event in events:
            with resources.db.transaction() as tx:
                job = store.advance(tx, job.id, event, error=error)
                assert job is not None
                if event is Event.CLAIM:
                    # Else nobody holds any of it, and a sweep in between ends what is to stop.
                    store.claim_chunk(tx, job, 0, holder="h/1/x", pass_no=job.pass_no, seconds=60)
        resources.progress.show(job)
        return job

    return run


STATES = [
    ((), "processing", {"estimated_completion"}),
    ((Event.CLAIM,), "processing", {"estimated_completion"}),
    ((Event.CLAIM, Event.PAUSE), "processing", {"estimated_completion"}),
    ((Event.PAUSE,), "processing", {"estimated_completion", "paused"}),
    ((Event.CLAIM, Event.CANCEL), "processing", {"estimated_completion", "cancel_requested"}),
    ((Event.FATAL,), "failed", {"error"}),
    ((Event.CANCEL,), "failed", {"error"}),
    ((Event.CLAIM, Event.CANCEL, Event.DRAINED), "failed", {"error"}),
    ((Event.CLAIM, Event.DEADLINE), "failed", {"error"}),
]


@pytest.mark.parametrize(("events", "word", "more"), STATES)
def test_a_poll_shows_the_fields_of_its_state_and_no_other(
    client, waiting, put, events, word, more
):
    job = put(waiting(), *events, error=("broken", "It broke.") if Event.FATAL in events else None)

    answer = client.get(f"/kyc/jobs/{job.external_id}")

    assert answer.status_code == 200
    assert answer.json.keys() == ALWAYS | more
    assert answer.json["status"] == "success"
    assert answer.json["job_status"] == word
    assert ("Retry-After" in answer.headers) == (word == "processing")
    for flag in more & {"paused", "cancel_requested"}:
        assert answer.json[flag] is True
    if "error" in more:
        code = {Event.FATAL: "broken", Event.DEADLINE: "expired"}.get(events[-1], "cancelled")
        assert answer.json["error"]["code"] == code
        assert answer.json["error"]["message"]


def test_a_poll_counts_what_is_done_so_far(client, resources, waiting, put):
    job = put(waiting("A", "B", "C", "D"), Event.CLAIM)
    with resources.db.transaction() as tx:
        results = [
            Result(0, ItemStatus.SUCCEEDED, {"is_match": True}, matches=2),
            Result(1, ItemStatus.FAILED, error_code="list_unavailable", error_message="No."),
        ]
        store.save_results(tx, job, results, pass_no=1)
        job = store.add_counts(tx, job, succeeded=1, failed=1, matches=2)
    resources.progress.show(job)

    body = client.get(f"/kyc/jobs/{job.external_id}").json

    assert (body["total_entities"], body["processed_entities"]) == (4, 2)
    assert (body["completed_entities"], body["failed_entities"], body["matches_found"]) == (1, 1, 2)
    assert "results" not in body
    assert moment(body["estimated_completion"]) >= moment(body["updated_at"])


def test_a_poll_reads_the_same_with_and_without_the_live_picture(
    client, redis_client, waiting, put
):
    job = put(waiting(), Event.CLAIM, Event.CANCEL, Event.DRAINED)

    live = client.get(f"/kyc/jobs/{job.external_id}")
    redis_client.flushall()
    stored = client.get(f"/kyc/jobs/{job.external_id}")

    assert live.json == stored.json
    assert live.headers["ETag"] == stored.headers["ETag"]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
def test_a_poll_that_brings_the_etag_is_told_that_nothing_changed(client, waiting, form):
    url = f"/kyc/jobs/{waiting().external_id}"
    etag = client.get(url).headers["ETag"]

    answer = client.get(url, headers={"Prefer": "wait=1", "If-None-Match": form.format(etag)})

    assert answer.status_code == 304
    assert answer.data == b""
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert answer.headers["ETag"] == etag
    assert answer.headers["Retry-After"] == "5"


def test_the_etag_changes_with_every_change_of_the_job(client, waiting, put):
    job = waiting()
    url = f"/kyc/jobs/{job.external_id}"
    before = client.get(url).headers["ETag"]

    put(job, Event.CLAIM)
    answer = client.get(url, headers={"If-None-Match": before})

    assert answer.status_code == 200
    assert answer.headers["ETag"] != before


def test_a_finished_job_can_be_polled_without_its_results(client, house_list, screener):
    job_id = submit(client, LISTED)
    ended(client, job_id)

    answer = client.get(f"/kyc/jobs/{job_id}?results=false")

    assert answer.json.keys() == ALWAYS | {"completed_at"}


def test_a_job_is_found_by_its_id_in_capitals_too(client, house_list, screener):
    job_id = submit(client, LISTED)
    body = ended(client, job_id)

    assert client.get(f"/kyc/jobs/{job_id.upper()}").json == body


# --- results


def test_results_come_in_three_formats_that_say_the_same(client, house_list, screener):
    job_id = submit(client, LISTED, CLEAR, NOT_LOADED)
    whole = ended(client, job_id)["results"]
    url = f"/kyc/jobs/{job_id}/results"

    lines = client.get(url)
    page = client.get(url, headers={"Accept": "application/json"})
    table = client.get(url, headers={"Accept": "text/csv"})

    for answer in (lines, page, table):
        assert answer.headers["X-Job-Status"] == "completed"
        assert answer.headers["X-Job-Complete"] == "true"
        assert answer.headers["Vary"] == "Accept"
    assert lines.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in lines.text.splitlines()] == whole
    assert page.headers["Content-Type"] == "application/json"
    assert page.json == {
        "status": "success",
        "data": whole,
        "has_more": False,
        "next_cursor": None,
    }
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["entity_id"] for row in rows] == ["listed", "clear", "unlisted"]
    assert [row["match_id"] for row in rows] == ["h-1", "", ""]
    assert [row["error_code"] for row in rows] == ["", "", "list_unavailable"]
    assert rows[0]["calculation"].startswith("zebulon = zebulon (equal); ")
    assert [row["calculation"] for row in rows[1:]] == ["", ""]
    for word, kind in (("ndjson", lines), ("csv", table), ("json", page)):
        assert client.get(url, query_string={"format": word}).data == kind.data


def test_results_of_a_running_job_are_what_is_finished_so_far(client, resources, waiting, put):
    job = put(waiting("A", "B", "C"), Event.CLAIM)
    with resources.db.transaction() as tx:
        result = Result(0, ItemStatus.FAILED, error_code="broken", error_message="It broke.")
        store.save_results(tx, job, [result], pass_no=1)
        store.add_counts(tx, job, succeeded=0, failed=1, matches=0)

    answers = {
        word: client.get(f"/kyc/jobs/{job.external_id}/results?format={word}")
        for word in ("ndjson", "json", "csv")
    }

    for answer in answers.values():
        assert answer.headers["X-Job-Status"] == "processing"
        assert answer.headers["X-Job-Complete"] == "false"
    (line,) = map(json.loads, answers["ndjson"].text.splitlines())
    assert (line["index"], line["entity_id"], line["error"]["code"]) == (0, "e0", "broken")
    assert answers["json"].json["data"] == [line]
    assert len(answers["csv"].text.splitlines()) == 2


def test_results_are_filtered_and_read_page_by_page(client, house_list, screener):
    job_id = submit(client, *[{**CLEAR, "entity_id": f"c{n}"} for n in range(5)], NOT_LOADED)
    ended(client, job_id)
    url = f"/kyc/jobs/{job_id}/results"

    failed = client.get(url, query_string={"format": "json", "status": "failed"}).json
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        query = {"format": "json", "limit": 4, **({"cursor": cursor} if cursor else {})}
        page = client.get(url, query_string=query).json
        assert page["has_more"] == (page["next_cursor"] is not None)
        seen += [result["index"] for result in page["data"]]
        cursor, pages = page["next_cursor"], pages + 1
    rest = client.get(url, query_string={"cursor": "4"}).text.splitlines()

    assert [result["entity_id"] for result in failed["data"]] == ["unlisted"]
    assert (seen, pages) == ([0, 1, 2, 3, 4, 5], 2)
    assert [json.loads(line)["index"] for line in rest] == [4, 5]


def test_who_pages_through_a_running_job_misses_no_result(client, resources, house_list, waiting):
    job = waiting(*"abcdef", chunk_size=2)
    url = f"/kyc/jobs/{job.external_id}/results"
    seen: list[int] = []
    cursor = None

    def read() -> bool:
        nonlocal cursor
        query = {"format": "json", **({"cursor": cursor} if cursor else {})}
        page = client.get(url, query_string=query).json
        seen.extend(result["index"] for result in page["data"])
        cursor = page["next_cursor"]
        assert page["has_more"] == (cursor is not None)
        return page["has_more"]

    for number in (0, 2, 1):
        chunk.run(resources, job.id, 1, number)
        more = read()
        stream = client.get(url, query_string={"cursor": "0"}).text.splitlines()
        assert [json.loads(line)["index"] for line in stream] == seen
        if number == 2:
            assert (seen, more) == ([0, 1], True)
            # Without a cursor there is nothing to go on from, and all that is there is given.
            assert len(client.get(url).text.splitlines()) == 4

    assert (seen, more) == ([0, 1, 2, 3, 4, 5], False)


def test_results_of_a_job_that_stopped_half_way_end_with_the_last_there_is(
    client, resources, house_list, waiting
):
    job = waiting(*"abcdef", chunk_size=2)
    chunk.run(resources, job.id, 1, 2)
    client.post(f"/kyc/jobs/{job.external_id}/cancel")

    page = client.get(f"/kyc/jobs/{job.external_id}/results?format=json").json

    assert [result["index"] for result in page["data"]] == [4, 5]
    assert (page["has_more"], page["next_cursor"]) == (False, None)


def test_an_empty_id_names_no_job(client, waiting):
    waiting()

    assert_flat(client.get("/kyc/jobs/"), 404, "job_not_found")


def test_single_checks_are_not_among_the_batches(client, house_list, screener):
    job_id = submit(client, CLEAR)
    client.post("/kyc", json=CLEAR)

    assert [job["job_id"] for job in client.get("/kyc/jobs").json["jobs"]] == [job_id]


def test_a_retry_that_finds_nothing_tells_what_there_is(client, resources, house_list, waiting):
    job = waiting(*"abcdef", chunk_size=2)
    chunk.run(resources, job.id, 1, 2)
    client.post(f"/kyc/jobs/{job.external_id}/cancel")

    answer = client.post(f"/kyc/jobs/{job.external_id}/retry", json={"items": "failed"})

    assert assert_flat(answer, 409, "nothing_to_retry")["message"] == (
        "There is nothing to retry: of 6 items 2 were completed, 0 failed, 4 cancelled,"
        " and failed ones were asked for."
    )


def test_a_spreadsheet_is_given_no_formula(client, house_list, screener):
    entity = {**CLEAR, "entity_id": "=HYPERLINK(1)"}
    job_id = submit(client, entity)
    ended(client, job_id)

    (row,) = csv.DictReader(io.StringIO(client.get(f"/kyc/jobs/{job_id}/results?format=csv").text))

    assert row["entity_id"] == "'=HYPERLINK(1)"


# --- lists of jobs


def test_jobs_are_listed_newest_first_and_page_by_page(client, waiting):
    made = [waiting().external_id for _ in range(5)][::-1]

    seen, cursor, counts = [], None, []
    while not counts or cursor:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.get("/kyc/jobs", query_string=query).json
        assert page.keys() == {"status", "jobs", "count", "next_cursor"}
        assert page["count"] == len(page["jobs"])
        seen += [job["job_id"] for job in page["jobs"]]
        counts.append(page["count"])
        cursor = page["next_cursor"]

    assert seen == made
    assert counts == [2, 2, 1]


def test_jobs_are_listed_by_the_word_of_their_state(client, waiting, put):
    running, cancelled, failed = waiting(), waiting(), waiting()
    put(cancelled, Event.CANCEL)
    put(failed, Event.FATAL, error=("broken", "It broke."))

    def ids(word: str) -> list[str]:
        jobs = client.get("/kyc/jobs", query_string={"job_status": word}).json["jobs"]
        assert all(job["job_status"] == word for job in jobs)
        return [job["job_id"] for job in jobs]

    assert ids("processing") == [running.external_id]
    assert ids("failed") == [failed.external_id, cancelled.external_id]
    assert ids("completed") == []


# --- cancel and retry


def test_a_job_that_nobody_began_is_cancelled_at_once(client, waiting):
    job_id = waiting().external_id

    answer = client.post(f"/kyc/jobs/{job_id}/cancel")

    assert answer.json == {
        "status": "success",
        "job_id": job_id,
        "job_status": "failed",
        "cancel_requested": True,
        "message": "Job cancelled",
    }
    assert client.get(f"/kyc/jobs/{job_id}").json["error"]["code"] == "cancelled"


def test_a_job_in_hand_is_asked_to_stop_and_asking_again_is_no_error(client, waiting, put):
    job = put(waiting(), Event.CLAIM)

    first = client.post(f"/kyc/jobs/{job.external_id}/cancel")
    again = client.post(f"/kyc/jobs/{job.external_id}/cancel")

    for answer in (first, again):
        assert answer.status_code == 200
        assert answer.json["job_status"] == "processing"
        assert answer.json["cancel_requested"] is True
        assert answer.json["message"] == "Cancellation requested"


def test_what_failed_is_retried_as_a_new_job_against_the_lists_of_today(
    client, resources, settings, tmp_path, house_list, screener
):
    first = submit(client, LISTED, NOT_LOADED)
    before = ended(client, first)
    load(resources, settings, tmp_path, "un", ENTRIES)

    answer = client.post(f"/kyc/jobs/{first}/retry")
    after = ended(client, answer.json["job_id"])

    assert answer.status_code == 200
    assert answer.json["retry_of"] == first
    assert answer.json["total_entities"] == 1
    assert answer.headers["Location"] == f"/kyc/jobs/{answer.json['job_id']}"
    assert after.keys() == ALWAYS | {"completed_at", "results", "retry_of"}
    assert after["retry_of"] == first
    (result,) = after["results"]
    assert (result["entity_id"], result["index"], result["status"]) == ("unlisted", 0, "completed")
    assert client.get(f"/kyc/jobs/{first}").json == before


@pytest.mark.parametrize(
    ("body", "total"),
    [(None, 2), ({}, 2), ({"items": "unfinished"}, 2), ({"items": "cancelled"}, 2)],
)
def test_what_was_never_begun_is_retried_too(client, waiting, put, body, total):
    job = put(waiting(), Event.CANCEL)

    given = {} if body is None else {"json": body}
    answer = client.post(f"/kyc/jobs/{job.external_id}/retry", **given)

    assert (answer.status_code, answer.json["total_entities"]) == (200, total)


# --- the single check


def test_a_single_check_of_one_list_answers_with_its_result(client, house_list, screener):
    answer = client.post("/kyc", json={**LISTED, "list_name": "house"})

    assert answer.status_code == 200
    assert answer.json.keys() == {"status", "data", "meta"}
    assert answer.json["data"].keys() == {"result", "summary"}
    result = answer.json["data"]["result"]
    assert (result["list_name"], result["is_match"], result["match_count"]) == ("house", True, 1)
    assert result["matches"][0].keys() == MATCH
    assert answer.json["data"]["summary"] == {
        "lists_checked": 1,
        "total_matches": 1,
        "overall_risk_level": "high",
    }
    meta = answer.json["meta"]
    assert meta["request_id"] == answer.headers["X-Request-ID"]
    assert meta["duration_ms"] >= 0
    moment(meta["timestamp"])


def test_a_single_check_of_several_lists_answers_list_by_list(
    client, resources, settings, tmp_path, house_list, screener
):
    load(resources, settings, tmp_path, "other", ENTRIES[1:])

    answer = client.post("/kyc", json=LISTED)

    data = answer.json["data"]
    assert data.keys() == {"results", "summary"}
    assert {name: each["is_match"] for name, each in data["results"].items()} == {
        "house": True,
        "other": False,
    }
    assert data["summary"]["lists_checked"] == 2


def test_a_single_check_without_a_match_is_low_risk(client, house_list, screener):
    answer = client.post("/kyc", json=CLEAR)

    assert answer.json["data"]["result"]["matches"] == []
    assert answer.json["data"]["summary"]["overall_risk_level"] == "low"


def test_the_first_generation_of_clients_finds_the_result_at_the_top(client, house_list, screener):
    answer = client.post("/kyc?legacy=1", json=LISTED)

    assert answer.json["result"] == answer.json["data"]["result"]
    assert "result" not in client.post("/kyc", json=LISTED).json


def test_the_first_generation_of_clients_finds_one_result_for_several_lists(
    client, resources, settings, tmp_path, house_list, screener
):
    load(resources, settings, tmp_path, "other", ENTRIES)

    result = client.post("/kyc?legacy=1", json=LISTED).json["result"]

    assert result["is_match"] is True
    assert {match["list_name"] for match in result["matches"]} == {"house", "other"}
    assert result["match_count"] == len(result["matches"])


def test_a_single_check_of_a_list_that_is_not_loaded_is_answered_503(client, house_list, screener):
    answer = client.post("/kyc", json=NOT_LOADED)

    body = assert_flat(answer, 503, "list_unavailable")
    assert body["message"] == "List un is not loaded."
    assert answer.headers["Retry-After"]


def test_a_single_check_is_a_job_that_can_be_looked_up_later(client, house_list, screener):
    job_id = client.post("/kyc", json=LISTED).json["meta"]["job_id"]

    job = ended(client, job_id)

    assert (job["total_entities"], job["matches_found"]) == (1, 1)


# --- lists and tokens


def test_the_loaded_lists_are_named_with_version_and_count(client, house_list):
    body = client.get("/kyc/lists").json

    assert (body["status"], body["count"]) == ("success", 1)
    (shown,) = body["lists"]
    assert shown.keys() == {
        *("list_name", "description", "version", "published_at", "loaded_at", "entities"),
        *("own", "topics", "refreshed_at", "refresh_seconds", "stale"),
    }
    assert (shown["list_name"], shown["version"]) == ("house", "v1")
    assert shown["entities"] == len(ENTRIES)
    moment(shown["loaded_at"])


@pytest.fixture
def user(resources, tenant) -> dict[str, str]:
    given = {"email": "ada@example.com", "password": "correct horse battery"}
    accounts.create_user(resources.db, tenant.id, role=Role.OPERATOR, **given)
    return given


def test_a_password_is_exchanged_for_tokens_and_a_refresh_token_for_new_ones(web, user):
    anyone = web.test_client()

    first = anyone.post("/kyc/auth/token", json=user)
    again = anyone.post("/kyc/auth/token", json={"refresh_token": first.json["refresh_token"]})

    for answer in (first, again):
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json.keys() == {
            *("status", "access_token", "refresh_token", "token_type", "expires_in"),
            "permissions",
        }
        assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
        assert {"kyc:create", "kyc:read"} <= set(answer.json["permissions"])
        headers = {"Authorization": f"bearer {answer.json['access_token']}"}
        assert anyone.get("/kyc/jobs", headers=headers).status_code == 200


def test_a_key_opens_the_same_doors_as_a_token(web, resources, tenant, waiting):
    _, key = accounts.create_key(resources.db, tenant.id, "nightly", {"kyc:read"})
    job = waiting()

    answer = web.test_client().get(
        f"/kyc/jobs/{job.external_id}", headers={"Authorization": f"Bearer {key}"}
    )

    assert answer.json["job_id"] == job.external_id


def test_permissions_of_dialect_a_are_known_to_the_accounts():
    assert {"kyc:create", "kyc:read"} <= ALL_PERMISSIONS


def test_a_request_keeps_the_id_its_client_gave_it_if_that_is_harmless(client):
    given = client.get("/kyc/lists", headers={"X-Request-ID": "abc-123"})
    silent = client.get("/kyc/lists")
    spaced = client.get("/kyc/lists", headers={"X-Request-ID": "abc 123"})
    harmful = client.get("/kyc/lists", headers={"X-Request-ID": "caf\xe9"})

    assert given.headers["X-Request-ID"] == "abc-123"
    assert spaced.headers["X-Request-ID"] == "abc 123"
    assert silent.headers["X-Request-ID"].startswith("req_")
    assert harmful.headers["X-Request-ID"].startswith("req_")


def test_an_estimate_is_never_in_the_past(client, resources, waiting, put):
    job = put(waiting(), Event.CLAIM)

    body = client.get(f"/kyc/jobs/{job.external_id}").json

    end = moment(body["estimated_completion"])
    assert end + timedelta(seconds=1) >= datetime.now(end.tzinfo)
