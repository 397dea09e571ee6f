"""Dialect B to the letter: one envelope, its credentials, its errors, and the seed's examples."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.accounts import service as accounts
from app.accounts.model import ALL_PERMISSIONS, PERMISSIONS, Role
from app.api import auth, tokens
from app.factory import create_app
from app.verifications import dispatch
from tests.integration.conftest import until
from tests.kyc import house_list as house_list
from tests.verifications import (
    ID,
    JANE,
    NO_JOB,
    TRUST,
    ZEBULON,
    assert_envelope,
    basic,
    dispatched,
    made,
    work,
)
from tests.verifications import key as key
from tests.verifications import run as run
from tests.verifications import service_client as service_client
from tests.verifications import uid as uid
from tests.verifications import verified as verified


def test_a_verification_is_made_and_read_back(service_client, uid):
    answer = service_client.post(
        "/v5/verifications",
        json={
            **{"userId": "cust-42", "country": "AUS", "type": "trust", "subType": "bareTrust"},
            **{"name": "My Trust", "industry": "My industry", "website": "https://example.com"},
            "inputRisk": "unknown",
            "identifiers": {"abn": "12345678901"},
            "addresses": {"registeredAddress": "125 York St, Sydney, NSW, Australia"},
            "documents": [
                {
                    **{"kind": "trustDeed", "mimeType": "application/pdf", "source": "url"},
                    **{"data": "https://example.com/deed.pdf", "description": ""},
                }
            ],
            "stakeholders": [
                {
                    "role": "trustee",
                    "entity": {
                        **{"type": "individual", "country": "AUS", "name": "Jane Citizen"},
                        "dateOfBirth": "1982-12-20",
                    },
                }
            ],
        },
    )

    body = assert_envelope(answer, 201)
    data = body["data"]
    assert ID.fullmatch(data["trace"])
    assert body["trace"] == data["trace"]
    assert body["serviceUid"] == uid
    assert len(uid) == 28
    assert (body["path"], body["pathParams"]) == ("/v5/verifications", {})
    assert data["idvRisk"] == {"description": "Undefined"}
    assert (data["userId"], data["verificationStatus"]) == ("cust-42", "pending")
    (stakeholder,) = data["stakeholders"]
    assert ID.fullmatch(stakeholder["stakeholderId"])
    assert (stakeholder["role"], stakeholder["name"]) == ("trustee", "Jane Citizen")
    assert abs(data["createdAt"] - time.time() * 1000) < 600_000
    assert answer.headers["Location"] == f"/v5/verifications/{data['trace']}"

    read = assert_envelope(service_client.get(answer.headers["Location"]), 200)["data"]
    assert read["identifiers"] == {"abn": "12345678901"}
    assert read["documents"][0]["kind"] == "trustDeed"
    assert read["stakeholders"][0]["entity"]["dateOfBirth"] == "1982-12-20"
    listed = service_client.get("/v5/verifications?userId=cust-42").get_json()["data"]
    assert [each["trace"] for each in listed["verifications"]] == [data["trace"]]
    none = service_client.get("/v5/verifications?userId=cust-43").get_json()["data"]
    assert none == {"verifications": [], "nextCursor": None}


def test_a_dispatch_answers_as_the_contract_says(service_client, uid):
    trace = made(service_client)

    answer = service_client.post(f"/v5/verifications/{trace}/watchlist", json={})

    body = assert_envelope(answer, 202)
    assert body["message"] == "Watchlist screening triggered."
    assert body["path"] == "/v5/verifications/:trace/watchlist"
    assert (body["pathParams"], body["trace"]) == ({"trace": trace}, trace)
    assert body["data"].keys() == {"triggered", "jobId"}
    assert body["data"]["triggered"] is True
    job_id = body["data"]["jobId"]
    assert ID.fullmatch(job_id)
    assert answer.headers["Location"] == f"/v5/verifications/{trace}/jobs/watchlist/{job_id}"
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["Operation-Location"].startswith("/v1/jobs/job_")


def test_a_job_is_pending_and_completed_in_the_seeds_words(
    service_client, resources, tenant, uid, house_list
):
    trace = made(service_client, JANE)
    job_id = dispatched(service_client, trace)
    path = f"/v5/verifications/{trace}/jobs/watchlist/{job_id}"

    answer = service_client.get(path)
    pending = assert_envelope(answer, 200)
    assert pending["message"] == "Job retrieved."
    assert pending["path"] == "/v5/verifications/:trace/jobs/:type/:jobId"
    assert list(pending["pathParams"].items()) == [
        ("trace", trace),
        ("type", "watchlist"),
        ("jobId", job_id),
    ]
    run = pending["data"]["run"]
    assert list(run) == [
        *("jobId", "type", "payload", "requestedAt", "sourceAction", "sourceUid"),
    ]
    assert (run["jobId"], run["type"], run["payload"]) == (job_id, "watchlist", {})
    assert (run["sourceAction"], run["sourceUid"]) == ("manual-api", uid)
    assert pending["data"]["result"] == {
        **{"jobId": job_id, "type": "watchlist", "status": "pending", "attemptCount": 0},
    }
    assert answer.headers["Retry-After"] == "2"

    work(resources, tenant, job_id)

    done = service_client.get(path)
    body = assert_envelope(done, 200)
    assert body["data"]["run"] == run
    result = body["data"]["result"]
    assert list(result) == [
        *("jobId", "type", "status", "attemptCount", "startedAt", "completedAt"),
    ]
    assert (result["status"], result["attemptCount"]) == ("completed", 1)
    assert run["requestedAt"] <= result["startedAt"] <= result["completedAt"]
    assert "Retry-After" not in done.headers
    assert done.headers["ETag"]
    unchanged = service_client.get(
        path, headers={"Prefer": "wait=1", "If-None-Match": done.headers["ETag"]}
    )
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert unchanged.headers["Preference-Applied"] == "wait=1"


def test_a_failed_job_is_still_a_good_answer(service_client, resources, tenant):
    trace = made(service_client)
    job_id = dispatched(service_client, trace)
    work(resources, tenant, job_id)

    body = assert_envelope(
        service_client.get(f"/v5/verifications/{trace}/jobs/watchlist/{job_id}"), 200
    )

    result = body["data"]["result"]
    assert list(result) == [
        *("jobId", "type", "status", "attemptCount", "startedAt", "completedAt", "errorSummary"),
    ]
    assert result["status"] == "failed"
    assert "No watchlist is loaded" in result["errorSummary"]


def test_a_rejected_job_names_the_one_that_held_the_gate(service_client, resources, tenant):
    trace = made(service_client)
    holder = dispatched(service_client, trace)
    lost = dispatch.dispatch_background(resources, tenant.id, trace)
    work(resources, tenant, lost.run_id)

    path = f"/v5/verifications/{trace}/jobs/watchlist/{lost.run_id}"
    data = assert_envelope(service_client.get(path), 200)["data"]

    assert list(data["result"]) == [
        *("jobId", "type", "status", "attemptCount", "completedAt", "conflictingJobId"),
    ]
    assert data["result"]["status"] == "rejected"
    assert data["result"]["conflictingJobId"] == holder
    assert data["run"]["sourceAction"] == "scheduled"
    assert "sourceUid" not in data["run"]
    listed = service_client.get(f"/v5/verifications/{trace}/jobs").get_json()["data"]["jobs"]
    assert [each["run"]["jobId"] for each in listed] == [lost.run_id, holder]


def test_a_dispatch_while_a_run_is_in_flight_is_429_and_names_it(service_client):
    trace = made(service_client)
    job_id = dispatched(service_client, trace)

    answer = service_client.post(f"/v5/verifications/{trace}/watchlist")

    body = assert_envelope(answer, 429, "too_many_requests")
    assert body["message"] == "A watchlist job is already in flight for this verification."
    assert body["error"] == {
        "type": "too_many_requests",
        "conflictingJobId": job_id,
        "details": [
            {
                "message": "Poll the job in conflictingJobId instead.",
                "code": "job_in_flight",
                "path": ["type"],
            }
        ],
    }
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["Location"] == f"/v5/verifications/{trace}/jobs/watchlist/{job_id}"


def test_of_fifty_requests_at_once_one_is_accepted_and_the_others_name_its_job(
    settings, service_client, uid, key
):
    trace = made(service_client)
    app = create_app(settings)

    def one(_: int):
        client = app.test_client()
        return client.post(
            f"/v5/verifications/{trace}/watchlist",
            headers={"Authorization": f"ApiKey {uid}:{key}"},
        )

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))

    (accepted,) = [each for each in answers if each.status_code == 202]
    job_id = accepted.get_json()["data"]["jobId"]
    refused = [each for each in answers if each.status_code == 429]
    assert len(refused) == 49
    assert {each.get_json()["error"]["conflictingJobId"] for each in refused} == {job_id}
    jobs_ = service_client.get(f"/v5/verifications/{trace}/jobs/watchlist").get_json()
    assert [each["run"]["jobId"] for each in jobs_["data"]["jobs"]] == [job_id]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_token"),
        ("Basic", "invalid_token"),
        ("Basic !!!", "invalid_token"),
        ("ApiKey nobody", "invalid_token"),
        ("Digest x", "invalid_token"),
        (basic("5qA5Hq0n1JQTY2TASItxYXSRyND3", "sk_" + "x" * 43), "invalid_token"),
        (basic("", ""), "invalid_token"),
    ],
)
def test_who_does_not_say_who_they_are_is_told_how(web, servers, header, code):
    headers = {} if header is None else {"Authorization": header}

    answer = web.test_client().get(f"/v5/verifications/{NO_JOB}", headers=headers)

    body = assert_envelope(answer, 401, "unauthorized")
    assert body["error"]["details"][0]["code"] == code
    assert body["serviceUid"] is None
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="v5"'


def test_a_page_that_fetches_is_not_asked_for_a_password_by_the_browser(web, servers):
    answer = web.test_client().get("/v5/verifications", headers={"Sec-Fetch-Mode": "cors"})

    assert_envelope(answer, 401, "unauthorized")
    assert "WWW-Authenticate" not in answer.headers


def test_a_service_is_known_by_uid_and_key_together(web, resources, uid, key):
    other = accounts.ensure_tenant(resources.db, "other")
    others_uid = accounts.service_uid(resources.db, other.id)
    client = web.test_client()

    def call(header: str) -> int:
        auth._known_keys.clear()
        return client.get("/v5/verifications", headers={"Authorization": header}).status_code

    assert call(basic(uid, key)) == 200
    assert call(f"ApiKey {uid}:{key}") == 200
    assert call(f"apikey {uid}:{key}") == 200
    assert call(f"Bearer {key}") == 200
    assert call(basic(others_uid, key)) == 401
    assert call(f"ApiKey {others_uid}:{key}") == 401
    assert call(basic(uid, key[:-1])) == 401


def test_a_person_who_dispatches_is_named_with_their_address(
    web, settings, resources, tenant, service_client
):
    user = accounts.create_user(
        resources.db, tenant.id, "ops@example.com", "correct horse battery", Role.OPERATOR
    )
    token = tokens.mint_access(settings, tenant.id, str(user.id), PERMISSIONS[Role.OPERATOR])
    trace = made(service_client)

    answer = web.test_client().post(
        f"/v5/verifications/{trace}/watchlist", headers={"Authorization": f"Bearer {token}"}
    )

    job_id = assert_envelope(answer, 202)["data"]["jobId"]
    path = f"/v5/verifications/{trace}/jobs/watchlist/{job_id}"
    run = service_client.get(path).get_json()["data"]["run"]
    assert run["sourceAction"] == "manual-portal"
    assert (run["sourceUid"], run["sourceEmail"]) == (str(user.id), "ops@example.com")


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("jobs/watchlst/{job}", [["type"]]),
        ("jobs/watchlst/nothing", [["type"]]),
        ("jobs/watchlist/", [["jobId"]]),
        ("jobs/watchlist/%20", [["jobId"]]),
        ("jobs/watchlst/", [["type"], ["jobId"]]),
        ("jobs/watchlst", [["type"]]),
        ("jobs//{job}", [["type"]]),
        ("jobs//", [["type"], ["jobId"]]),
        ("jobs/", [["type"]]),
    ],
)
def test_a_wrong_type_or_an_empty_id_is_422_before_anything_is_looked_for(
    service_client, path, places
):
    trace = made(service_client)
    job = dispatched(service_client, trace)

    for whose in (trace, NO_JOB):
        answer = service_client.get(f"/v5/verifications/{whose}/{path.format(job=job)}")

        body = assert_envelope(answer, 422, "validation_error")
        assert body["message"] == "Validation error"
        assert [each["path"] for each in body["error"]["details"]] == places
    if "watchlst" in path:
        assert body["error"]["details"][0] == {
            "message": "Unknown job type 'watchlst'. Expected one of: watchlist.",
            "code": "invalid_enum_value",
            "path": ["type"],
        }


@pytest.mark.parametrize("job_id", [NO_JOB, "x", "%00", "ü", "x" * 300, "%F0%9F%98%80"])
def test_a_job_that_is_not_there_is_404(service_client, job_id):
    trace = made(service_client)

    for whose in (trace, NO_JOB, "%00"):
        answer = service_client.get(f"/v5/verifications/{whose}/jobs/watchlist/{job_id}")
        assert_envelope(answer, 404, "not_found")


def test_the_job_of_another_verification_is_404(service_client):
    one, other = made(service_client), made(service_client)
    job_id = dispatched(service_client, one)

    answer = service_client.get(f"/v5/verifications/{other}/jobs/watchlist/{job_id}")

    assert_envelope(answer, 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "", 200),
        ("POST", "/watchlist", 429),
        ("GET", "/watchlist/latest", 200),
        ("GET", "/watchlist/history", 200),
        ("GET", "/stakeholders/{stakeholder}/watchlist/latest", 200),
        ("GET", "/jobs", 200),
        ("GET", "/jobs/watchlist", 200),
        ("GET", "/jobs/watchlist/{job}", 200),
        ("GET", "/record", 200),
        ("POST", "/jobs/watchlist/{job}/cancel", 200),
    ],
)
def test_what_is_another_tenants_is_404_everywhere(
    web, resources, service_client, tenant, house_list, method, path, status
):
    trace = made(service_client, JANE)
    work(resources, tenant, dispatched(service_client, trace))
    (jane,) = service_client.get(f"/v5/verifications/{trace}").get_json()["data"]["stakeholders"]
    names = {"stakeholder": jane["stakeholderId"], "job": dispatched(service_client, trace)}
    path = f"/v5/verifications/{trace}{path.format(**names)}"
    other = accounts.ensure_tenant(resources.db, "other")
    _, key = accounts.create_key(resources.db, other.id, "theirs", ALL_PERMISSIONS)
    theirs = {"Authorization": basic(accounts.service_uid(resources.db, other.id), key)}

    answer = web.test_client().open(path, method=method, headers=theirs)

    assert_envelope(answer, 404, "not_found")
    # Of one's own it is none, or this would say nothing; and nobody has changed it meanwhile.
    assert service_client.open(path, method=method).status_code == status


def test_a_user_id_is_good_for_one_verification(service_client):
    body = {**TRUST, "userId": "cust-42"}
    assert service_client.post("/v5/verifications", json=body).status_code == 201

    assert_envelope(service_client.post("/v5/verifications", json=body), 409, "conflict")


@pytest.mark.parametrize(
    ("change", "path", "code"),
    [
        ({"name": None}, ["name"], "required"),
        ({"name": ""}, ["name"], "invalid_length"),
        ({"name": "  "}, ["name"], "invalid_format"),
        ({"name": 7}, ["name"], "invalid_type"),
        ({"type": None}, ["type"], "required"),
        ({"country": "Australia"}, ["country"], "invalid_format"),
        ({"country": "ZZZ"}, ["country"], "invalid_format"),
        (
            {"stakeholders": [{"role": "x", "entity": {"name": "y", "country": "QQ"}}]},
            ["stakeholders", 0, "entity", "country"],
            "invalid_format",
        ),
        ({"nationality": "ZZ"}, ["nationality"], "invalid_format"),
        ({"addresses": {"a": "x" * 2_001}}, ["addresses", "a", "value"], "invalid_length"),
        ({"addresses": dict.fromkeys(map(str, range(51)), "x")}, ["addresses"], "invalid_length"),
        ({"documents": [{"kind": None}]}, ["documents", 0, "kind"], "required"),
        ({"inputRisk": "huge"}, ["inputRisk"], "invalid_enum_value"),
        ({"website": "example.com"}, ["website"], "invalid_format"),
        ({"identifiers": []}, ["identifiers"], "invalid_type"),
        ({"identifiers": {"abn": 7}}, ["identifiers", "abn"], "invalid_format"),
        ({"stakeholders": {}}, ["stakeholders"], "invalid_type"),
        ({"stakeholders": [{}]}, ["stakeholders", 0, "role"], "required"),
        (
            {"stakeholders": [JANE, {"role": "x", "entity": {}}]},
            ["stakeholders", 1, "entity", "name"],
            "required",
        ),
        (
            {"stakeholders": [{"role": "x", "entity": {"name": "y", "dateOfBirth": "1-1-1"}}]},
            ["stakeholders", 0, "entity", "dateOfBirth"],
            "invalid_format",
        ),
        ({"name": "a\x00b"}, [], "invalid_format"),
        ({"userId": "\ud800"}, [], "invalid_format"),
    ],
)
def test_what_is_wrong_with_a_verification_is_said_with_its_place(
    service_client, change, path, code
):
    answer = service_client.post(
        "/v5/verifications",
        data=json.dumps({**TRUST, **change}),
        content_type="application/json",
    )

    body = assert_envelope(answer, 422, "validation_error")
    assert body["message"] == "Validation error"
    assert (path, code) in [(each["path"], each["code"]) for each in body["error"]["details"]], (
        body["error"]
    )


def test_what_is_null_is_as_good_as_left_out(service_client):
    names = ("subType", "userId", "country", "identifiers", "addresses", "documents", "inputRisk")
    body = {**TRUST, **dict.fromkeys(names)}
    body["stakeholders"] = [{**JANE, "entity": {**JANE["entity"], "nationality": None}}]

    answer = service_client.post("/v5/verifications", json=body)

    trace = assert_envelope(answer, 201)["data"]["trace"]
    read = service_client.get(f"/v5/verifications/{trace}").get_json()["data"]
    assert not {*names} - {"userId"} & read.keys()
    assert read["userId"] is None
    assert read["stakeholders"][0]["entity"] == JANE["entity"]


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'{"name": 1, "name": 2}', "application/json"),
        (b"\xff", "application/json"),
        (b"{}", "text/plain"),
    ],
)
def test_a_body_that_cannot_be_read_is_422_in_the_envelope(service_client, data, content_type):
    trace = made(service_client)
    for path in ("", f"/{trace}/watchlist"):
        answer = service_client.post(
            f"/v5/verifications{path}", data=data, content_type=content_type
        )
        assert_envelope(answer, 422, "validation_error")


def test_a_body_that_is_too_large_is_413_in_the_envelope(service_client, settings):
    answer = service_client.post(
        "/v5/verifications",
        data=b'{"name":"' + b"x" * settings.max_body_bytes + b'"}',
        content_type="application/json",
    )

    assert_envelope(answer, 413, "payload_too_large")


def test_routes_that_lead_nowhere_and_methods_that_are_not_taken_are_in_the_envelope(
    service_client,
):
    assert_envelope(service_client.get("/v5"), 404, "not_found")
    assert_envelope(service_client.get("/v5/forms"), 404, "not_found")
    answer = service_client.delete("/v5/verifications/abc/jobs/watchlist/x")
    body = assert_envelope(answer, 405, "method_not_allowed")
    assert body["path"] == "/v5/verifications/:trace/jobs/:type/:jobId"
    assert body["pathParams"] == {"trace": "abc", "type": "watchlist", "jobId": "x"}
    assert "GET" in answer.headers["Allow"]


def test_a_bug_of_ours_is_500_in_the_envelope_and_says_nothing_of_itself(
    service_client, monkeypatch
):
    trace = made(service_client)

    def broken(*args, **kwargs):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("app.verifications.service.get", broken)
    answer = service_client.get(f"/v5/verifications/{trace}")

    assert_envelope(answer, 500, "internal_error")
    assert b"secret" not in answer.data


def test_a_database_that_is_away_is_503_in_the_envelope(settings, servers):
    from dataclasses import replace

    app = create_app(replace(settings, database_url="postgresql://nobody@127.0.0.1:1/none"))

    answer = app.test_client().get(
        "/v5/verifications", headers={"Authorization": basic("x", "sk_" + "x" * 43)}
    )

    assert_envelope(answer, 503, "service_unavailable")
    assert answer.headers["Retry-After"]


def test_a_run_is_cancelled_once_and_leaves_no_screening(service_client):
    trace = made(service_client)
    job_id = dispatched(service_client, trace)
    path = f"/v5/verifications/{trace}/jobs/watchlist/{job_id}"

    result = assert_envelope(service_client.post(f"{path}/cancel"), 200)["data"]["result"]

    assert (result["status"], result["errorSummary"]) == ("failed", "Job cancelled")
    answer = service_client.post(f"{path}/cancel")
    assert assert_envelope(answer, 409, "conflict")["error"]["jobStatus"] == "failed"
    latest = service_client.get(f"/v5/verifications/{trace}/watchlist/latest")
    assert_envelope(latest, 404, "not_found")
    assert service_client.post(f"/v5/verifications/{trace}/watchlist").status_code == 202


def test_a_run_that_is_paused_before_a_worker_saw_it_is_pending_and_keeps_the_gate(
    service_client, client, resources, tenant, house_list
):
    trace = made(service_client)
    answer = service_client.post(f"/v5/verifications/{trace}/watchlist")
    path, native = answer.headers["Location"], answer.headers["Operation-Location"]

    def status() -> str:
        return service_client.get(path).get_json()["data"]["result"]["status"]

    assert client.post(f"{native}/pause").get_json()["status"] == "paused"
    assert status() == "pending"
    assert service_client.post(f"/v5/verifications/{trace}/watchlist").status_code == 429
    client.post(f"{native}/resume")
    work(resources, tenant, answer.get_json()["data"]["jobId"], 2)
    assert status() == "completed"


def test_the_latest_screening_is_shown_for_the_entity_and_for_each_stakeholder(
    service_client, resources, tenant, uid, house_list
):
    trace = made(service_client, JANE, ZEBULON)
    before = service_client.get(f"/v5/verifications/{trace}/watchlist/latest")
    assert_envelope(before, 404, "not_found")
    job_id = dispatched(service_client, trace)
    work(resources, tenant, job_id)

    path = f"/v5/verifications/{trace}/watchlist/latest"
    data = assert_envelope(service_client.get(path), 200)["data"]

    assert data["screeningId"].startswith("scr_")
    assert (data["trace"], data["jobId"]) == (trace, job_id)
    assert (data["totalHits"], data["hasMatches"], data["matchedSources"]) == (0, False, [])
    assert (data["triggeredByAction"], data["triggeredByUid"]) == ("manual-api", uid)
    (checked,) = data["sourcesChecked"]
    assert (checked["source"], checked["category"]) == ("house", "internal")
    assert (checked["version"], checked["records"], checked["status"]) == ("v1", 4, "ok")
    jane, zebulon = data["stakeholders"]
    assert (jane["totalHits"], zebulon["totalHits"]) == (0, 1)
    path = f"/v5/verifications/{trace}/stakeholders/{zebulon['stakeholderId']}/watchlist/latest"
    found = assert_envelope(service_client.get(path), 200)["data"]
    (source,) = found["matchedSources"]
    assert (source["source"], source["hits"]) == ("house", 1)
    (hit,) = source["records"]
    assert (hit["id"], hit["name"]) == ("h-1", "Zebulon Quartermain")
    assert hit["score"] > 0.95
    assert "name" in " ".join(hit["matchedOn"])
    nobody = f"/v5/verifications/{trace}/stakeholders/{NO_JOB}/watchlist/latest"
    assert_envelope(service_client.get(nobody), 404, "not_found")
    risk = service_client.get(f"/v5/verifications/{trace}").get_json()["data"]["idvRisk"]
    assert (risk["description"], risk["score"]) == ("Medium", 36.0)


def test_lists_page_from_the_newest_to_the_oldest(service_client):
    traces = [made(service_client) for _ in range(5)]
    seen, query = [], "limit=2"
    while query:
        data = service_client.get(f"/v5/verifications?{query}").get_json()["data"]
        seen += [each["trace"] for each in data["verifications"]]
        query = data["nextCursor"] and f"limit=2&cursor={data['nextCursor']}"

    assert seen == traces[::-1]
    assert_envelope(service_client.get("/v5/verifications?limit=0"), 422, "validation_error")
    assert_envelope(service_client.get("/v5/verifications?cursor=x"), 422, "validation_error")


def test_a_run_is_never_retried_nor_deleted_but_dispatched_anew(
    service_client, client, resources, tenant
):
    trace = made(service_client)
    job_id = dispatched(service_client, trace)
    service_client.post(f"/v5/verifications/{trace}/jobs/watchlist/{job_id}/cancel")
    (job,) = client.get("/v1/jobs").get_json()["data"]
    assert job["kind"] == "verifications"
    assert job["links"]["dialect"] == f"/v5/verifications/{trace}/jobs/watchlist/{job_id}"
    assert job["allowed_actions"] == []

    assert client.post(f"/v1/jobs/{job['id']}/retry").status_code == 409
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 409
    until(lambda: service_client.get(f"/v5/verifications/{trace}").status_code == 200, 5)
