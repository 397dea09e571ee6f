"""Reviewed false positives: suppressed until entity or entry change, and never out of sight."""

from __future__ import annotations

import csv
import io
from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from tests.kyc import CLEAR, ENTRIES, LISTED, assert_flat, ended, house_list, load, screener

__all__ = ["house_list", "screener"]

pytestmark = pytest.mark.integration


@pytest.fixture
def stranger(web, settings, resources):
    """An administrator of another tenant."""
    other = accounts.ensure_tenant(resources.db, "other")
    token = tokens.mint_access(settings, other.id, "usr_x", PERMISSIONS[Role.ADMIN])
    client = web.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def screen(client, *entities) -> dict:
    made = client.post("/kyc/jobs", json={"entities": list(entities)})
    return ended(client, made.json["job_id"])


def decide(client, job, **other):
    body = {
        "job_id": job["job_id"],
        "entity_id": "listed",
        "list_name": "house",
        "entry_id": "h-1",
        "reason": "Another person: our customer is forty years younger.",
        **other,
    }
    given = {name: value for name, value in body.items() if value is not ...}
    return client.post("/kyc/exclusions", json=given)


def test_a_reviewed_false_positive_is_shown_and_does_not_count(client, house_list, screener):
    first = screen(client, LISTED)
    made = decide(client, first)

    second = screen(client, LISTED, {**LISTED, "entity_id": "somebody-else"})

    assert made.status_code == 200
    exclusion = made.json["exclusion"]
    assert made.headers["Location"] == f"/kyc/exclusions/{exclusion['exclusion_id']}"
    assert first["matches_found"] == 1
    assert second["matches_found"] == 1
    ruled_out, other = second["results"]
    assert (ruled_out["is_match"], ruled_out["match_count"]) == (False, 0)
    assert ruled_out["suppressed_count"] == 1
    (match,) = ruled_out["matches"]
    assert match["suppressed"] is True
    assert match["exclusion_id"] == exclusion["exclusion_id"]
    assert match["match_data"]["id"] == "h-1"
    assert other["is_match"]
    assert "suppressed" not in other["matches"][0]


def test_a_single_check_and_a_spreadsheet_say_it_too(client, house_list, screener):
    job = screen(client, LISTED)
    decide(client, job)

    data = client.post("/kyc", json=LISTED).json["data"]
    again = screen(client, LISTED)
    text = client.get(f"/kyc/jobs/{again['job_id']}/results?format=csv").text

    assert (data["result"]["is_match"], data["result"]["match_count"]) == (False, 0)
    assert data["result"]["matches"][0]["suppressed"] is True
    assert data["summary"] == {
        **{"lists_checked": 1, "total_matches": 0, "overall_risk_level": "low"},
        "suppressed_matches": 1,
    }
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["is_match"], row["suppressed"], row["match_id"]) == ("false", "true", "h-1")


def test_a_decision_lapses_when_the_entity_changes(client, house_list, screener):
    exclusion = decide(client, screen(client, LISTED)).json["exclusion"]
    changed = {**LISTED, "subject": {**LISTED["subject"], "birth_date": "1961-04-12"}}

    (result,) = screen(client, changed)["results"]

    assert result["match_count"] == 1
    assert result["matches"][0]["lapsed_exclusion_id"] == exclusion["exclusion_id"]
    assert "suppressed" not in result["matches"][0]


def test_a_decision_lapses_when_the_entry_changes_and_not_with_another_one(
    client, resources, settings, tmp_path, house_list, screener
):
    decide(client, screen(client, LISTED))

    load(resources, settings, tmp_path, "house", [*ENTRIES, {"id": "h-9", "name": "Uma Orchard"}])
    after_another = screen(client, LISTED)
    changed = {**ENTRIES[0], "birth_dates": ["1962"]}
    load(resources, settings, tmp_path, "house", [changed, *ENTRIES[1:], {"id": "9", "name": "U"}])
    after_its_own = screen(client, LISTED)

    assert after_another["matches_found"] == 0
    assert after_its_own["matches_found"] == 1


def test_a_decision_that_is_revoked_suppresses_nothing_and_stays_on_record(
    client, house_list, screener
):
    exclusion = decide(client, screen(client, LISTED)).json["exclusion"]
    url = f"/kyc/exclusions/{exclusion['exclusion_id']}"

    ended_now = client.delete(url).json["exclusion"]
    again = client.delete(url).json["exclusion"]

    assert ended_now["revoked_by"] == "usr_test"
    assert again == ended_now == client.get(url).json["exclusion"]
    assert screen(client, LISTED)["matches_found"] == 1
    assert client.get("/kyc/exclusions").json["exclusions"] == []
    assert client.get("/kyc/exclusions?state=revoked").json["exclusions"] == [ended_now]


def test_a_newer_decision_takes_the_place_of_the_older_one(client, house_list, screener):
    job = screen(client, LISTED)
    decide(client, job)

    confirmed = decide(client, job, decision="true_match", reason="It is him.").json["exclusion"]

    (active,) = client.get("/kyc/exclusions").json["exclusions"]
    assert active == confirmed
    assert client.get("/kyc/exclusions?state=all").json["count"] == 2
    (result,) = screen(client, LISTED)["results"]
    assert result["match_count"] == 1
    assert result["matches"][0]["decision"] == "true_match"
    assert "suppressed" not in result["matches"][0]


def test_a_decision_says_who_made_it_when_why_and_about_what(client, house_list, screener):
    job = screen(client, LISTED)

    exclusion = decide(client, job).json["exclusion"]

    said = {
        **{"entity_id": "listed", "list_name": "house", "entry_id": "h-1"},
        **{"decision": "false_positive", "job_id": job["job_id"], "list_version": "v1"},
        **{"created_by": "usr_test", "revoked_at": None, "revoked_by": None},
        "reason": "Another person: our customer is forty years younger.",
    }
    assert {name: exclusion[name] for name in said} == said
    assert exclusion["created_at"]


def test_nothing_of_who_was_reviewed_is_kept_in_the_clear(client, database, house_list, screener):
    decide(client, screen(client, LISTED))

    with database.transaction() as tx:
        tx.execute("SELECT e::text AS text FROM exclusions AS e")
        (row,) = tx.fetchall()
    assert "quartermain" not in row["text"].lower()


def test_decisions_are_listed_newest_first_page_by_page_and_filtered(client, house_list, screener):
    entities = [{**LISTED, "entity_id": f"e{n}"} for n in range(5)]
    job = screen(client, *entities)
    for entity in entities:
        assert decide(client, job, entity_id=entity["entity_id"]).status_code == 200

    first = client.get("/kyc/exclusions?limit=3").json
    second = client.get(f"/kyc/exclusions?limit=3&cursor={first['next_cursor']}").json
    one = client.get("/kyc/exclusions?entity_id=e2").json
    none = client.get("/kyc/exclusions?list_name=ofac").json

    assert [each["entity_id"] for each in first["exclusions"]] == ["e4", "e3", "e2"]
    assert [each["entity_id"] for each in second["exclusions"]] == ["e1", "e0"]
    assert second["next_cursor"] is None
    assert [each["entity_id"] for each in one["exclusions"]] == ["e2"]
    assert none["count"] == 0


def test_what_another_tenant_decided_does_not_exist(
    client, stranger, resources, house_list, screener
):
    job = screen(client, LISTED)
    url = f"/kyc/exclusions/{decide(client, job).json['exclusion']['exclusion_id']}"

    assert_flat(stranger.get(url), 404, "exclusion_not_found")
    assert_flat(stranger.delete(url), 404, "exclusion_not_found")
    assert_flat(decide(stranger, job), 404, "job_not_found")
    assert stranger.get("/kyc/exclusions?state=all").json["count"] == 0
    assert screen(stranger, LISTED)["matches_found"] == 1
    assert screen(client, LISTED)["matches_found"] == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"job_id": "7"},
        {"job_id": ...},
        {"job_id": None},
        {"entity_id": "nobody"},
        {"entity_id": "clear"},
        {"entity_id": 7},
        {"entity_id": ""},
        {"entity_id": "\x00"},
        {"list_name": "ofac"},
        {"list_name": ...},
        {"entry_id": "h-2"},
        {"entry_id": "x" * 501},
        {"reason": ...},
        {"reason": "  "},
        {"reason": "x" * 2_001},
        {"decision": "maybe"},
    ],
)
def test_a_decision_about_no_match_or_without_a_reason_is_refused(
    client, house_list, screener, wrong
):
    job = screen(client, LISTED, CLEAR)

    assert_flat(decide(client, job, **wrong), 400, "invalid_parameter")
    assert client.get("/kyc/exclusions?state=all").json["count"] == 0


def test_a_decision_about_a_job_that_does_not_exist_is_not_found(client, servers):
    assert_flat(decide(client, {"job_id": str(uuid4())}), 404, "job_not_found")


@pytest.mark.parametrize("body", [[], "x", None, 7])
def test_a_decision_is_an_object(client, servers, body):
    assert_flat(client.post("/kyc/exclusions", json=body), 400, "invalid_parameter")


@pytest.mark.parametrize(
    "query", ["state=gone", "limit=0", "limit=101", "cursor=x", "entity_id=%00"]
)
def test_a_query_that_is_not_understood_is_refused(client, servers, query):
    assert_flat(client.get(f"/kyc/exclusions?{query}"), 400, "invalid_parameter")


@pytest.mark.parametrize("exclusion_id", ["7", "7f0b1f0e-6c1d-4c55-9a53-0d8f6f3b2a11", "x" * 300])
def test_a_decision_that_does_not_exist_is_not_found(client, servers, exclusion_id):
    url = f"/kyc/exclusions/{exclusion_id}"

    assert_flat(client.get(url), 404, "exclusion_not_found")
    assert_flat(client.delete(url), 404, "exclusion_not_found")


def test_a_viewer_reads_decisions_and_makes_none():
    assert "exclusions:read" in PERMISSIONS[Role.VIEWER]
    assert "exclusions:manage" not in PERMISSIONS[Role.VIEWER]
    assert "exclusions:manage" in PERMISSIONS[Role.OPERATOR]


def test_a_match_of_high_score_that_is_ruled_out_stands_behind_those_that_count(
    client, resources, settings, tmp_path, screener
):
    twins = [{"id": f"t{n}", "type": "person", "name": "Zebulon Quartermain"} for n in range(3)]
    load(resources, settings, tmp_path, "house", twins)
    job = screen(client, LISTED)
    best = job["results"][0]["matches"][0]["match_data"]["id"]

    decide(client, job, entry_id=best)

    (result,) = screen(client, LISTED)["results"]
    assert result["match_count"] == 2
    assert [m.get("suppressed", False) for m in result["matches"]] == [False, False, True]
    assert result["matches"][-1]["match_data"]["id"] == best
