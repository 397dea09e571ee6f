"""Every error of dialect A: its status, its code, and always the same flat shape."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import jwt
import pytest

from app import embedded
from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.factory import create_app
from app.jobs import store
from app.jobs.states import Event
from tests.kyc import CLEAR, LISTED, assert_flat, house_list, single_checks, waiting

__all__ = ["house_list", "waiting"]

pytestmark = pytest.mark.integration

JSON = "application/json"


def post(client, body, **more):
    return client.post("/kyc/jobs", data=json.dumps(body), content_type=JSON, **more)


@pytest.fixture
def free_port() -> int:
    return embedded.free_port()


# --- 400 invalid_entities


@pytest.mark.parametrize(
    "body",
    [
        [],
        "entities",
        7,
        None,
        True,
        {},
        {"entities": None},
        {"entities": {}},
        {"entities": "x"},
        {"entities": []},
        {"Entities": [CLEAR]},
    ],
)
def test_a_body_without_entities_is_refused(client, body):
    error = assert_flat(post(client, body), 400, "invalid_entities")

    assert error["error"] == "Invalid entities"


SUBJECT = {"full_name": "Any Body"}
INVALID = [
    (None, "entity"),
    (7, "entity"),
    ("Any Body", "entity"),
    ([], "entity"),
    ({}, "subject"),
    ({"subject": None}, "subject"),
    ({"subject": "Any Body"}, "subject"),
    ({"subject": {}}, "subject"),
    ({"subject": {"nationality": "US", "birth_date": "1961"}}, "subject"),
    ({"subject": {"call_sign": "HB-JCA"}}, "subject"),
    ({"subject": {"identifiers": []}}, "subject"),
    ({"subject": {"full_name": ""}}, "subject.full_name"),
    ({"subject": {"full_name": "   "}}, "subject.full_name"),
    ({"subject": {"full_name": "x" * 501}}, "subject.full_name"),
    ({"subject": {"full_name": 7}}, "subject.full_name"),
    ({"subject": {"full_name": ["Any"]}}, "subject.full_name"),
    ({"subject": {**SUBJECT, "birth_date": "15/03/1985"}}, "subject.birth_date"),
    ({"subject": {**SUBJECT, "birth_date": "1985-02-30"}}, "subject.birth_date"),
    ({"subject": {**SUBJECT, "birth_date": "1985-13"}}, "subject.birth_date"),
    ({"subject": {**SUBJECT, "birth_date": "85"}}, "subject.birth_date"),
    ({"subject": {**SUBJECT, "birth_date": 1985}}, "subject.birth_date"),
    ({"subject": {**SUBJECT, "birth_date": "١٩٨٥"}}, "subject.birth_date"),
    ({"subject": {**SUBJECT, "nationality": "USA"}}, "subject.nationality"),
    ({"subject": {**SUBJECT, "nationality": "U1"}}, "subject.nationality"),
    ({"subject": {**SUBJECT, "entity_type": "person"}}, "subject.entity_type"),
    ({"subject": {**SUBJECT, "document_id": "x" * 129}}, "subject.document_id"),
    ({"subject": {**SUBJECT, "identifiers": {}}}, "subject.identifiers"),
    (
        {"subject": {**SUBJECT, "identifiers": [{"type": "a", "value": "1"}] * 51}},
        "subject.identifiers",
    ),
    ({"subject": {"identifiers": [{"value": "1"}]}}, "subject.identifiers[0].type"),
    ({"subject": {"identifiers": [{"type": "a"}]}}, "subject.identifiers[0].value"),
    ({"subject": {"identifiers": ["1"]}}, "subject.identifiers[0]"),
    ({"subject": SUBJECT, "entity_id": ""}, "entity_id"),
    ({"subject": SUBJECT, "entity_id": "x" * 129}, "entity_id"),
    ({"subject": SUBJECT, "entity_id": 7}, "entity_id"),
    ({"subject": SUBJECT, "lists": []}, "lists"),
    ({"subject": SUBJECT, "lists": "ofac"}, "lists"),
    ({"subject": SUBJECT, "lists": [7]}, "lists[0]"),
    ({"subject": SUBJECT, "lists": ["ofac", "offac"]}, "lists[1]"),
    ({"subject": SUBJECT, "list_name": "offac"}, "list_name"),
    ({"subject": SUBJECT, "list_name": ["ofac"]}, "list_name"),
    ({"subject": SUBJECT, "search_type": "fuzzy"}, "search_type"),
]


@pytest.mark.parametrize(("entity", "path"), INVALID)
def test_an_invalid_entity_is_refused_by_index_and_path(client, entity, path):
    error = assert_flat(post(client, {"entities": [CLEAR, entity]}), 400, "invalid_entities")

    assert error["message"] == "1 of 2 entities is invalid."
    assert error["invalid_count"] == 1
    for detail in error["details"]:
        assert detail.keys() == {"index", "entity_id", "path", "message"}
        assert detail["index"] == 1
        assert detail["message"]
    assert path in [detail["path"] for detail in error["details"]]


def test_an_unknown_list_is_named_in_the_answer(client):
    error = post(client, {"entities": [{**CLEAR, "lists": ["offac"]}]}).json

    assert error["details"] == [
        {
            "index": 0,
            "entity_id": "clear",
            "path": "lists[0]",
            "message": "unknown list 'offac'",
        }
    ]


def test_an_entity_id_may_be_used_once_in_a_batch(client):
    error = assert_flat(post(client, {"entities": [CLEAR, LISTED, CLEAR]}), 400, "invalid_entities")

    assert error["details"] == [
        {
            "index": 2,
            "entity_id": "clear",
            "path": "entity_id",
            "message": "already used by the entity at index 0",
        }
    ]


@pytest.mark.parametrize("body", [[], "x", 7, None])
def test_a_single_check_takes_one_entity_and_nothing_else(client, body):
    answer = client.post("/kyc", data=json.dumps(body), content_type=JSON)

    assert_flat(answer, 400, "invalid_entities")


def test_a_single_check_of_an_invalid_entity_says_what_is_wrong(client):
    error = assert_flat(client.post("/kyc", json={"subject": {}}), 400, "invalid_entities")

    assert [detail["path"] for detail in error["details"]] == ["subject"]


# --- 400 too_many_entities


def test_more_entities_than_allowed_are_refused_and_counted(client):
    error = assert_flat(post(client, {"entities": [CLEAR] * 10_001}), 400, "too_many_entities")

    assert error["error"] == "Too many entities"
    assert error["message"] == "A job may hold at most 10,000 entities; 10,001 were sent."
    assert error["details"] == {"max_entities": 10_000, "received": 10_001}


# --- 400 malformed_json, invalid_parameter


def test_a_body_that_is_not_json_is_refused_with_the_place(client):
    answer = client.post("/kyc/jobs", data=b'{"entities": [', content_type="application/json")

    error = assert_flat(answer, 400, "malformed_json")
    assert error["error"] == "Invalid request"
    assert "line 1, column" in error["message"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_of_another_content_type_is_refused(client, content_type):
    body = json.dumps({"entities": [CLEAR]})

    answer = client.post("/kyc/jobs", data=body, content_type=content_type)

    error = assert_flat(answer, 400, "invalid_parameter")
    assert "application/json" in error["message"]


OPTIONS = [
    {"threshold": 1.01},
    {"threshold": -0.1},
    {"threshold": "0.9"},
    {"threshold": True},
    {"threshold": [0.9]},
    {"labels": []},
    {"labels": {"a": 1}},
    {"labels": {"": "empty"}},
    {"labels": {f"l{n}": "x" for n in range(51)}},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_an_option_out_of_its_range_is_refused_by_name(client, options):
    error = assert_flat(post(client, {"entities": [CLEAR], **options}), 400, "invalid_parameter")

    assert next(iter(options)) in error["message"]


ODD_TIMES = [
    "2026-01-01T00:00:00+23:59",
    "2026-01-01T00:00:00+05:30:15.123456",
    "9999-12-31T23:59:59.999999-23:59",
    "2026-01-01T00:00:00",
]


def cursor(at: str) -> str:
    return b64encode(f"{at} {UUID(int=0)}".encode(), altchars=b"-_").decode()


QUERIES = [
    "/kyc/jobs?limit=0",
    "/kyc/jobs?limit=101",
    "/kyc/jobs?limit=ten",
    "/kyc/jobs?limit=-1",
    "/kyc/jobs?limit=",
    "/kyc/jobs?limit=00000000010000",
    "/kyc/jobs?limit=" + "9" * 5_000,
    "/kyc/jobs?limit=٣",
    "/kyc/jobs?cursor=nonsense",
    "/kyc/jobs?cursor=",
    "/kyc/jobs?cursor=%ff%00",
    "/kyc/jobs?cursor=MjAyNi0wMS0wMQ==",
    # Offsets that Python reads and Postgres does not.
    *(f"/kyc/jobs?cursor={cursor(at)}" for at in ODD_TIMES),
    "/kyc/jobs?job_status=running",
    "/kyc/jobs?job_status=",
    "/kyc/jobs/{job}?results=maybe",
    "/kyc/jobs/{job}/results?format=xml",
    "/kyc/jobs/{job}/results?status=done",
    "/kyc/jobs/{job}/results?cursor=-1",
    "/kyc/jobs/{job}/results?cursor=99999999999999999999",
    "/kyc/jobs/{job}/results?format=json&limit=101",
]


@pytest.mark.parametrize("url", QUERIES)
def test_a_bad_query_value_is_refused_and_says_what_is_possible(client, waiting, url):
    answer = client.get(url.replace("{job}", waiting().external_id))

    assert_flat(answer, 400, "invalid_parameter")


@pytest.mark.parametrize("body", [{"items": "all"}, {"items": 7}, [], "failed", 7])
def test_a_retry_of_something_unheard_of_is_refused(client, waiting, body):
    answer = client.post(f"/kyc/jobs/{waiting().external_id}/retry", json=body)

    assert_flat(answer, 400, "invalid_parameter")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"email": "a@example.com"},
        {"password": "x"},
        {"refresh_token": 7},
        {"grant_type": "magic", "email": "a@example.com", "password": "x"},
    ],
)
def test_a_token_is_given_for_a_password_or_a_refresh_token_only(web, servers, body):
    assert_flat(web.test_client().post("/kyc/auth/token", json=body), 400, "invalid_parameter")


# --- 401


def test_a_request_without_a_token_is_challenged(web, servers):
    answer = web.test_client().get("/kyc/jobs")

    error = assert_flat(answer, 401, "missing_token")
    assert error["error"] == "Unauthorized"
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="kyc"'


def _signed(settings, **claims) -> str:
    now = datetime.now(UTC)
    whole = {
        "sub": "usr_x",
        "tenant": str(uuid4()),
        "permissions": ["kyc:read"],
        "type": "access",
        "iss": tokens.ISSUER,
        "aud": tokens.AUDIENCE,
        "iat": now,
        "nbf": now,
        "exp": now + timedelta(hours=1),
        "jti": "1",
        "fresh": False,
        "csrf": "x",
        **claims,
    }
    secret = claims.pop("secret", settings.jwt_secret)
    whole.pop("secret", None)
    return jwt.encode({k: v for k, v in whole.items() if v is not None}, secret, "HS256")


def _unsigned() -> str:
    return jwt.encode({"sub": "usr_x", "permissions": ["kyc:read"]}, None, algorithm="none")


def test_a_token_of_the_right_make_is_believed(web, settings, servers):
    headers = {"Authorization": f"Bearer {_signed(settings)}"}

    assert web.test_client().get("/kyc/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"secret": "another secret that is long enough"},
        {"iss": "somebody"},
        {"aud": "something"},
        {"aud": None},
        {"type": "refresh"},
        {"tenant": None},
        {"tenant": "acme"},
        {"tenant": 7},
        {"sub": None},
        {"exp": None},
        {"nbf": datetime(2999, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_token_that_is_not_quite_ours_is_refused(web, settings, servers, claims):
    headers = {"Authorization": f"Bearer {_signed(settings, **claims)}"}

    answer = web.test_client().get("/kyc/jobs", headers=headers)

    assert_flat(answer, 401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer sk_nothing",
        "Bearer sk_",
        "Bearer sk_ключ",
        "Bearer ключ",
        "Bearer x y",
        "Basic dXNlcjpwYXNz",
        "token",
        "\x01",
        "Bearer " + "x" * 10_000,
    ],
)
def test_an_authorization_header_that_holds_no_token_is_refused(web, servers, header):
    sent = header.encode("utf-8").decode("latin-1")

    answer = web.test_client().get("/kyc/jobs", headers={"Authorization": sent})

    assert_flat(answer, 401, "invalid_token")


@pytest.mark.parametrize("permissions", [None, 7, "kyc:read", {"kyc:read": True}])
def test_a_token_without_a_list_of_permissions_may_do_nothing(web, settings, servers, permissions):
    headers = {"Authorization": f"Bearer {_signed(settings, permissions=permissions)}"}

    answer = web.test_client().get("/kyc/jobs", headers=headers)

    assert_flat(answer, 403, "insufficient_permissions")


def test_an_unsigned_token_is_refused(web, servers):
    headers = {"Authorization": f"Bearer {_unsigned()}"}

    assert_flat(web.test_client().get("/kyc/jobs", headers=headers), 401, "invalid_token")


def test_an_expired_token_is_told_apart_from_a_wrong_one(web, settings, servers):
    past = datetime.now(UTC) - timedelta(hours=2)
    headers = {"Authorization": f"Bearer {_signed(settings, exp=past)}"}

    assert_flat(web.test_client().get("/kyc/jobs", headers=headers), 401, "expired_token")


def test_an_access_token_buys_no_new_tokens(web, token):
    answer = web.test_client().post("/kyc/auth/token", json={"refresh_token": token})

    assert_flat(answer, 401, "invalid_token")


def test_a_wrong_password_and_an_unknown_user_read_the_same(web, resources, tenant):
    accounts.create_user(
        resources.db, tenant.id, "ada@example.com", "correct horse battery", Role.VIEWER
    )
    anyone = web.test_client()

    wrong = anyone.post("/kyc/auth/token", json={"email": "ada@example.com", "password": "x"})
    unknown = anyone.post("/kyc/auth/token", json={"email": "bob@example.com", "password": "x"})

    errors = [assert_flat(each, 401, "invalid_credentials") for each in (wrong, unknown)]
    assert errors[0]["message"] == errors[1]["message"]


# --- 403


def test_a_caller_without_the_permission_is_told_which_one_it_takes(web, settings, tenant):
    viewer = tokens.mint_access(settings, tenant.id, "usr_v", PERMISSIONS[Role.VIEWER])
    headers = {"Authorization": f"Bearer {viewer}"}

    answer = web.test_client().post("/kyc/jobs", json={"entities": [CLEAR]}, headers=headers)

    error = assert_flat(answer, 403, "insufficient_permissions")
    assert error["error"] == "Forbidden"
    assert error["required_permission"] == "kyc:create"


# --- 404

MALFORMED = [
    "7",
    "not-an-id",
    "550e8400-e29b-41d4-a716-44665544000",
    "550e8400-e29b-41d4-a716-4466554400000",
    "550e8400e29b41d4a716446655440000",
    "{550e8400e29b41d4a716446655440000-}",
    "----550e8400e29b41d4a716446655440000",
    "550e8400-e29b-41d4-a716-44665544000g",
    "٥50e8400-e29b-41d4-a716-446655440000",
    "%00",
    "%f0%9f%98%80",
    "%ff",
    "x" * 5_000,
    "' OR 1=1 --",
]


@pytest.mark.parametrize("job_id", ["7f0b1f0e-6c1d-4c55-9a53-0d8f6f3b2a11", *MALFORMED])
def test_a_job_that_does_not_exist_is_not_found(client, job_id):
    error = assert_flat(client.get(f"/kyc/jobs/{job_id}"), 404, "job_not_found")

    assert error["error"] == "Job not found"


@pytest.mark.parametrize("path", ["/kyc/nothing", "/kyc/jobs/..%2f..%2fetc%2fpasswd", "/kyc//jobs"])
def test_a_path_that_leads_nowhere_is_not_found(client, path):
    error = assert_flat(client.get(path), 404, "not_found")

    assert error["error"] == "Not found"


def test_a_job_of_another_dialect_is_not_found(client, submit):
    job = submit("slow", [{}])

    for method, path in (("get", ""), ("get", "/results"), ("post", "/cancel"), ("post", "/retry")):
        answer = getattr(client, method)(f"/kyc/jobs/{job.external_id}{path}")
        assert_flat(answer, 404, "job_not_found")


# --- 405


def test_a_method_that_a_path_does_not_take_is_refused_with_those_it_takes(client):
    answer = client.delete("/kyc/jobs")

    assert_flat(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


@pytest.mark.parametrize("path", ["/kyc", "/kyc/jobs", "/kyc/lists", "/kyc/auth/token"])
def test_asking_for_the_options_of_a_path_gives_no_page(client, path):
    assert_flat(client.options(path), 405, "method_not_allowed")


# --- 409


def test_a_job_that_has_ended_cannot_be_cancelled(client, resources, waiting):
    job = waiting()
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.CANCEL)

    answer = client.post(f"/kyc/jobs/{job.external_id}/cancel")

    error = assert_flat(answer, 409, "invalid_state")
    assert (error["error"], error["state"]) == ("Conflict", "cancelled")


def test_a_job_that_still_runs_cannot_be_retried(client, waiting):
    answer = client.post(f"/kyc/jobs/{waiting().external_id}/retry")

    error = assert_flat(answer, 409, "invalid_state")
    assert error["state"] == "queued"


def test_a_job_that_leaves_nothing_to_retry_is_not_retried(client, resources, waiting):
    job = waiting()
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.CANCEL)

    answer = client.post(f"/kyc/jobs/{job.external_id}/retry", json={"items": "failed"})

    assert_flat(answer, 409, "nothing_to_retry")


# --- 413


def test_a_body_over_the_limit_is_refused_with_the_limit(settings, token):
    small = create_app(replace(settings, max_body_bytes=1_000)).test_client()
    body = {"entities": [{"subject": {"full_name": "x" * 400}}] * 10}

    answer = small.post("/kyc/jobs", json=body, headers={"Authorization": f"Bearer {token}"})

    error = assert_flat(answer, 413, "payload_too_large")
    assert error["error"] == "Payload too large"
    assert error["max_bytes"] == 1_000


# --- 500 and 503


def test_a_bug_of_ours_tells_the_caller_nothing_but_whom_to_ask(client, database, house_list):
    """The items have nowhere to go: a mistake of ours, with the row in the database's message."""
    with database.transaction() as tx:
        tx.execute("ALTER TABLE items ADD CONSTRAINT broken CHECK (position > 5) NOT VALID")
    try:
        answer = post(client, {"entities": [LISTED]})
    finally:
        with database.transaction() as tx:
            tx.execute("ALTER TABLE items DROP CONSTRAINT broken")

    error = assert_flat(answer, 500, "internal_error")
    assert error["error"] == "Internal server error"
    assert error.keys() == {"status", "error", "code", "message", "request_id"}
    assert "Quartermain" not in answer.text
    assert "items" not in answer.text
    assert client.get("/kyc/jobs").json["count"] == 0


def test_without_its_database_the_service_asks_to_come_back(settings, token, free_port):
    away = replace(settings, database_url=f"postgresql://nobody@127.0.0.1:{free_port}/none")
    client = create_app(away).test_client()

    answer = client.get("/kyc/jobs", headers={"Authorization": f"Bearer {token}"})

    assert_flat(answer, 503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_single_check_that_nobody_does_in_time_is_cancelled(
    settings, resources, token, house_list
):
    impatient = create_app(replace(settings, sync_seconds=0.1)).test_client()

    answer = impatient.post("/kyc", json=LISTED, headers={"Authorization": f"Bearer {token}"})

    assert_flat(answer, 503, "timed_out")
    assert int(answer.headers["Retry-After"]) > 0
    assert single_checks(resources) == ["cancelled"]


def test_without_the_broker_a_job_is_accepted_and_kept(settings, token, free_port, client):
    away = replace(settings, redis_url=f"redis://127.0.0.1:{free_port}/0")
    lonely = create_app(away).test_client()

    answer = lonely.post(
        "/kyc/jobs", json={"entities": [LISTED]}, headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status_code == 200
    assert client.get(f"/kyc/jobs/{answer.json['job_id']}").json["job_status"] == "processing"
