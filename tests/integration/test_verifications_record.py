"""The record and the audit of a verification: who did what, and how a change is found out."""

from __future__ import annotations

import json

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.verifications import checking, dispatch, record, record_html
from tests.kyc import house_list as house_list
from tests.verifications import (
    API,
    ZEBULON,
    assert_envelope,
    dispatched,
    made,
    work,
)
from tests.verifications import key as key
from tests.verifications import run as run
from tests.verifications import service_client as service_client
from tests.verifications import uid as uid
from tests.verifications import verified as verified


def test_the_history_says_who_did_what_against_which_lists_and_with_what_result(
    service_client, resources, tenant, uid, house_list
):
    trace = made(service_client, ZEBULON)
    job_id = dispatched(service_client, trace)
    work(resources, tenant, job_id)

    path = f"/v5/verifications/{trace}/watchlist/history"
    data = assert_envelope(service_client.get(path), 200)["data"]

    entries = data["entries"]
    assert [each["action"] for each in entries] == [
        *("run.completed", "run.dispatched", "verification.created"),
    ]
    completed, begun, _ = entries
    assert begun["by"] == {"action": "manual-api", "uid": uid}
    assert begun["detail"]["listVersions"] == {"house": "v1"}
    assert completed["jobId"] == begun["jobId"] == job_id
    outcome = completed["detail"]["outcome"]
    assert (outcome["totalHits"], outcome["sources"]) == (1, {"house": "v1"})
    assert (outcome["risk"]["from"], outcome["risk"]["to"]) == ("Undefined", "Medium")
    assert completed["previous"] == begun["digest"]
    page = service_client.get(f"{path}?limit=2").get_json()["data"]
    assert len(page["entries"]) == 2
    rest = service_client.get(f"{path}?limit=2&cursor={page['nextCursor']}").get_json()["data"]
    assert [each["seq"] for each in rest["entries"]] == [1]
    assert rest["nextCursor"] is None


def test_a_record_can_be_checked_without_us_and_a_change_is_found_out(
    service_client, resources, tenant, house_list
):
    trace = made(service_client, ZEBULON, name="<script>alert(1)</script> & Sons")
    work(resources, tenant, dispatched(service_client, trace))
    path = f"/v5/verifications/{trace}/record"

    made_ = assert_envelope(service_client.get(path), 200)["data"]
    page = service_client.get(f"{path}?format=html")

    assert made_["isIntact"] is True
    assert made_["problems"] == checking.problems(made_) == []
    assert len(made_["screenings"]) == 2
    assert [each["state"] for each in made_["runs"]] == ["completed"]
    for harm in (
        lambda audit: audit[1].update(text=audit[1]["text"].replace("manual-api", "scheduled")),
        lambda audit: audit.pop(1),
        lambda audit: audit.reverse(),
    ):
        audit = json.loads(json.dumps(made_["audit"]))
        harm(audit)
        assert not checking.is_intact(audit)
        assert "chain" in checking.problems({**made_, "audit": audit})[0]
    broken = record_html.render(
        {**made_, "isIntact": False, "problems": ["Of <Jane> all is wrong."]}
    )
    assert '<p class="bad">Of &lt;Jane&gt; all is wrong.</p>' in broken
    assert 'class="bad"' not in page.get_data(as_text=True)
    assert page.mimetype == "text/html"
    assert page.headers["Content-Disposition"].startswith("attachment")
    text = page.get_data(as_text=True)
    assert "<script" not in text
    assert "Zebulon Quartermain" in text
    assert "src=" not in text
    assert "http-equiv" not in text
    wrong = service_client.get(f"{path}?format=docx")
    assert_envelope(wrong, 422, "validation_error")


@pytest.fixture
def exported(service_client, resources, tenant, house_list):
    """The record of a verification with one completed, one cancelled and one rejected run."""
    trace = made(service_client, ZEBULON, documents=[{"kind": "deed", "data": "x"}])
    work(resources, tenant, dispatched(service_client, trace))
    holder = dispatched(service_client, trace)
    work(resources, tenant, dispatch.dispatch_background(resources, tenant.id, trace).run_id)
    service_client.post(f"/v5/verifications/{trace}/jobs/watchlist/{holder}/cancel")
    waiting = dispatched(service_client, trace)
    shown = service_client.get(f"/v5/verifications/{trace}/record").get_json()["data"]
    assert shown["problems"] == []
    assert [each["state"] for each in shown["runs"]] == [
        *("completed", "cancelled", "rejected", "queued"),
    ]
    assert shown["runs"][-1]["jobId"] == waiting
    return shown


def _at(*path):
    """Return what puts something else at a place of a record."""
    *way, last = path

    def put(value):
        def forge(shown):
            for step in way:
                shown = shown[step]
            assert shown[last] != value
            shown[last] = value

        return forge

    return put


LATER = "2031-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("forge", "says"),
    [
        (_at("verification", "entity", "name")("Somebody Else"), "entity or its stakeholders"),
        (_at("verification", "entity", "documents")([]), "entity or its stakeholders"),
        (_at("verification", "userId")("cust-9"), "entity or its stakeholders"),
        (_at("verification", "createdAt")(LATER), "entity or its stakeholders"),
        (_at("verification", "stakeholders")([]), "entity or its stakeholders"),
        (_at("verification", "stakeholders", 0, "role")("x"), "entity or its stakeholders"),
        (_at("verification", "stakeholders", 0, "stakeholderId")("x"), "entity or its stake"),
        (_at("verification", "idvRisk", "description")("Low"), "The risk"),
        (_at("verification", "idvRisk")({"description": "Undefined"}), "The risk"),
        (_at("verification", "screenedAt")(LATER), "The risk"),
        (_at("screenings", 1, "matchedSources")([]), "changed"),
        (_at("screenings", 1, "stakeholderId")(None), "changed"),
        (_at("screenings", 1, "isComplete")(False), "changed"),
        (_at("screenings", 1, "risk", "points")(0.0), "changed"),
        (_at("screenings", 1, "screenedAt")(LATER), "changed"),
        (_at("screenings", 1, "jobId")("x"), "changed"),
        (_at("screenings", 1, "subject")({}), "changed"),
        (lambda shown: shown["screenings"].pop(), "missing"),
        (_at("screenings", 0, "screeningId")("scr_x"), "not of the audit"),
        (lambda shown: shown["screenings"].append(shown["screenings"][0]), "twice"),
        (lambda shown: shown["runs"].pop(), "The runs"),
        (lambda shown: shown["runs"].append({**shown["runs"][0], "jobId": "x"}), "The runs"),
        (_at("runs", 0, "sourceAction")("scheduled"), "The run "),
        (_at("runs", 0, "sourceUid")("x"), "The run "),
        (_at("runs", 0, "sourceEmail")("x@example.com"), "The run "),
        (_at("runs", 0, "type")("x"), "The run "),
        (_at("runs", 0, "state")("failed"), "The run "),
        (_at("runs", 0, "attemptCount")(9), "The run "),
        (_at("runs", 0, "requestedAt")(LATER), "The run "),
        (_at("runs", 0, "startedAt")(LATER), "The run "),
        (_at("runs", 1, "completedAt")(None), "The run "),
        (_at("runs", 1, "errorSummary")("It broke."), "The run "),
        (_at("runs", 2, "conflictingJobId")(None), "The run "),
        (_at("runs", 3, "completedAt")(LATER), "The run "),
        (_at("runs", 3, "state")("completed"), "The run "),
        (_at("lastDigest")("0" * 64), "lastDigest"),
    ],
)
def test_whatever_of_a_record_is_not_as_its_audit_says_is_found_out(exported, forge, says):
    forge(exported)

    assert says in "\n".join(checking.problems(exported))


def test_a_record_holds_all_there_is_however_much_that_is(
    resources, tenant, database, house_list, verified, run
):
    verification = verified()
    begun = run(verification)
    work(resources, tenant, begun.run_id)
    many = 100_001
    with database.transaction() as tx:
        tx.execute(
            "INSERT INTO screenings (screening_id, verification_id, job_id, stakeholder_id,"
            " subject, total_hits, matched_sources, sources_checked, is_complete, risk)"
            " SELECT 'scr_' || n, %s, %s, n, '{}', 0, '[]', '[]', true, '{}'"
            " FROM generate_series(1, %s) AS n",
            (verification.id, begun.id, many),
        )

    shown = record.make(resources, tenant.id, verification.trace, by=API)

    assert len(shown["screenings"]) == many + 1
    assert len(shown["problems"]) == many
    assert not shown["isIntact"]


def test_the_audit_names_who_cancelled_a_run_and_not_who_dispatched_it(
    web, settings, resources, tenant, service_client, uid
):
    user = accounts.create_user(
        resources.db, tenant.id, "ops@example.com", "correct horse battery", Role.OPERATOR
    )
    token = tokens.mint_access(settings, tenant.id, str(user.id), PERMISSIONS[Role.OPERATOR])
    trace = made(service_client)
    job_id = dispatched(service_client, trace)

    path = f"/v5/verifications/{trace}/jobs/watchlist/{job_id}/cancel"
    web.test_client().post(path, headers={"Authorization": f"Bearer {token}"})

    path = f"/v5/verifications/{trace}/watchlist/history"
    ended, asked, *_ = assert_envelope(service_client.get(path), 200)["data"]["entries"]
    person = {"action": "manual-portal", "uid": str(user.id), "email": "ops@example.com"}
    assert (asked["action"], asked["by"]) == ("run.cancel_requested", person)
    assert (ended["action"], ended["by"]) == ("run.cancelled", {"action": "system"})
    assert ended["detail"]["dispatchedBy"] == {"action": "manual-api", "uid": uid}
    assert asked["jobId"] == ended["jobId"] == job_id


def test_the_audit_names_who_pauses_resumes_and_cancels_a_run_through_v1_too(
    service_client, client, resources, tenant
):
    trace = made(service_client)
    answer = service_client.post(f"/v5/verifications/{trace}/watchlist")
    job_id, native = answer.get_json()["data"]["jobId"], answer.headers["Operation-Location"]

    for what in ("resume", "pause", "resume", "cancel", "cancel"):
        client.post(f"{native}/{what}")

    path = f"/v5/verifications/{trace}/watchlist/history"
    entries = assert_envelope(service_client.get(path), 200)["data"]["entries"]
    # What could not be done, at first and at last, was not done, and is no part of it.
    assert [(each["action"], each["by"]["action"]) for each in entries[:-2]] == [
        ("run.cancelled", "system"),
        ("run.cancel_requested", "manual-portal"),
        ("run.resume_requested", "manual-portal"),
        ("run.pause_requested", "manual-portal"),
    ]
    assert all(each["by"].get("uid") == "usr_test" for each in entries[1:-2])
    assert {each["jobId"] for each in entries[:-1]} == {job_id}
