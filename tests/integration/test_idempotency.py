"""Idempotency-Key: whatever is sent again, however often and whatever was killed, is done once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.accounts.model import ALL_PERMISSIONS
from app.api import idempotency as api
from app.api import tokens
from app.api.idempotency import HEADER
from app.errors import RequestInProgress
from app.factory import create_app
from app.idempotency import claims
from app.idempotency.claims import Claim
from app.jobs import ids, service
from app.jobs.model import NewItem
from app.kinds import kyc
from tests import faces_api, idempotency
from tests.idempotency import KEY, Nothing, in_hand, move, rows
from tests.kyc import CLEAR, LISTED, assert_flat, house_list, serving
from tests.native import assert_problem
from tests.tagging import CONFIG, assert_detail, inline
from tests.verifications import TRUST, assert_enveloped
from workers import sweep

__all__ = ["house_list"]

pytestmark = pytest.mark.integration

BATCH = {"entities": [CLEAR, LISTED]}


@pytest.fixture(scope="module")
def server(settings, tmp_path_factory):
    """A web process as in production, which nobody asks too often."""
    settings = replace(settings, rate_address="off", rate_tenant="off")
    with serving(settings, tmp_path_factory.mktemp("web")) as web:
        yield web


@pytest.fixture
def token(settings, tenant) -> str:
    return tokens.mint_access(settings, tenant.id, "usr_admin", ALL_PERMISSIONS)


@pytest.fixture
def ended_job(resources, tenant) -> str:
    """A job with something to retry, as the native API calls it."""
    items = [NewItem(None, service.encode_item({"subject": {"full_name": "Any Body"}}))]
    plan = kyc.plan(resources, tenant_id=tenant.id, created_by="usr_x", items=items)
    job = service.submit(resources, plan)
    service.cancel(resources, tenant.id, job.dialect, job.external_id)
    return ids.render(job.id)


def count(database, what: str) -> int:
    with database.transaction() as tx:
        tx.execute(f"SELECT count(*) AS count FROM {what}")
        return tx.fetchone()["count"]


# Twenty at once -----------------------------------------------------------------------------------


def _verification(call) -> str:
    return call("POST", "/v5/verifications", json=TRUST).json()["trace"]


def _collection(call, tenant) -> str:
    place = f"/api/v1/organizations/{tenant.id}/collections"
    return call("POST", place, json={"name": "employees"}).json()["data"]["id"]


#: What to post, and what there is one more of then.
MAKES: dict[str, tuple[Callable, str]] = {
    "A: a batch": (lambda call, tenant, job: ("/kyc/jobs", {"json": BATCH}), "jobs"),
    "A: a watchlist": (
        lambda call, tenant, job: ("/kyc/watchlists", {"json": {"name": "customers"}}),
        "monitors",
    ),
    "B: a verification": (
        lambda call, tenant, job: ("/v5/verifications", {"json": TRUST}),
        "verifications",
    ),
    "B: a run": (
        lambda call, tenant, job: (f"/v5/verifications/{_verification(call)}/watchlist", {}),
        "verification_runs",
    ),
    "C: a batch": (
        lambda call, tenant, job: (
            f"/api/v1/collections/{_collection(call, tenant)}/faces/batch-async",
            {
                "files": [("images", ("a.jpg", b"x" * 300_000))],
                "data": {"external_ids[]": "alice"},
            },
        ),
        "face_images GROUP BY batch",
    ),
    "D: a batch": (
        lambda call, tenant, job: (
            "/api/batch/start",
            {"json": {"documents": [inline(1)], "config": CONFIG}},
        ),
        "jobs",
    ),
    "D: an upload": (
        lambda call, tenant, job: ("/api/batch/upload", {"files": {"files": ("a.txt", b"text")}}),
        "uploads",
    ),
    "native: a retry": (
        lambda call, tenant, job: (f"/v1/jobs/{job}/retry", {"json": {"items": "unfinished"}}),
        "jobs",
    ),
}


@pytest.mark.parametrize("name", MAKES)
def test_twenty_of_the_same_request_at_once_make_one(
    server, tenant, token, house_list, ended_job, database, name
):
    def call(method, path, **given):
        return server.call(method, path, token, **given)

    prepare, table = MAKES[name]
    path, body = prepare(call, tenant, ended_job)
    before = count(database, table) if "GROUP" not in table else 0
    deadline = time.monotonic() + 60

    def send(_):
        while True:
            answer = call("POST", path, headers=KEY, **body)
            if answer.status_code != 409 or time.monotonic() > deadline:
                return answer
            assert answer.headers.get("Retry-After") == "1", answer.text
            time.sleep(0.05)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(send, range(20)))

    assert {answer.status_code for answer in answers} <= {200, 201, 202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert len({answer.headers.get("Location") for answer in answers}) == 1
    # Of a batch of images, its two parts.
    assert count(database, table) == (2 if "GROUP" in table else before + 1)


# What it is answered ------------------------------------------------------------------------------


@pytest.fixture
def client(web, token):
    client = web.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def post(client, path="/kyc/jobs", body=BATCH, **headers):
    return client.post(path, json=body, headers={**KEY, **headers})


def test_the_same_request_again_is_answered_as_before(client, house_list, database):
    first = post(client)
    again = client.post(
        "/kyc/jobs",
        data=json.dumps(dict(reversed(BATCH.items())), indent=3),
        content_type="application/json",
        headers=KEY,
    )

    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    for name in ("Location", "Retry-After", "Content-Type"):
        assert again.headers[name] == first.headers[name]
    assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
    assert count(database, "jobs") == 1


#: A path of each dialect, and how it says no.
SHAPES = [
    ("/kyc/jobs", assert_flat, "idempotency_key_reused"),
    ("/v5/verifications", assert_enveloped, "idempotency_key_reused"),
    (
        "/api/v1/organizations",
        lambda answer, status, code: faces_api.assert_error(
            answer,
            status,
            {
                "idempotency_key_reused": "IDEMPOTENCY_KEY_MISMATCH",
                "idempotency_in_progress": "IDEMPOTENCY_KEY_IN_USE",
                "invalid_idempotency_key": "BAD_REQUEST",
            }[code],
        ),
        "idempotency_key_reused",
    ),
    (
        "/api/batch/start",
        lambda answer, status, code: assert_detail(answer, status),
        "idempotency_key_reused",
    ),
    (
        "/v1/jobs/7f0b1f0e-6c1d-4c55-9a53-0d8f6f3b2a11/retry",
        assert_problem,
        "idempotency_key_reused",
    ),
]


@pytest.mark.parametrize(("path", "refused", "code"), SHAPES, ids=[path for path, *_ in SHAPES])
def test_each_dialect_refuses_in_its_own_words(client, web, tenant, database, path, refused, code):
    # Dialect B says of all that is wrong with a request that it is 422.
    malformed = 422 if path.startswith("/v5") else 400
    for key in ("", "x" * 256, "caf\u00e9"):
        answer = client.post(path, json={}, headers={HEADER: key})
        refused(answer, malformed, "invalid_idempotency_key")

    with in_hand(web, tenant, path):
        answer = post(client, path)
        refused(answer, 409, "idempotency_in_progress")
        assert answer.headers["Retry-After"] == "1"
        with database.transaction() as tx:
            tx.execute(
                "UPDATE idempotency_keys"
                " SET status = 200, headers = '[]', body = '', fingerprint = decode(%s, 'hex')",
                ("00" * 32,),
            )
        refused(post(client, path), 422, code)


def test_another_request_with_the_key_is_refused_and_not_carried_out(client, house_list, database):
    post(client)

    assert_flat(post(client, body={"entities": [CLEAR]}), 422, "idempotency_key_reused")
    assert_flat(post(client, "/kyc/jobs?x=1"), 422, "idempotency_key_reused")
    assert count(database, "jobs") == 1


def test_the_same_key_of_another_tenant_or_route_is_another_key(
    client, web, settings, resources, house_list, database
):
    other = accounts.ensure_tenant(resources.db, "other")
    theirs = web.test_client()
    token = tokens.mint_access(settings, other.id, "usr_y", ALL_PERMISSIONS)
    theirs.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    answers = [post(client), post(theirs), post(client, "/kyc/exclusions")]

    assert all("Idempotent-Replayed" not in answer.headers for answer in answers)
    assert answers[0].json["job_id"] != answers[1].json["job_id"]
    assert count(database, "jobs") == 2


def test_what_was_refused_is_not_kept_and_may_be_sent_again(client, house_list, database):
    assert_flat(post(client, body={"entities": []}), 400, "invalid_entities")
    assert rows(database) == []

    assert post(client).status_code == 200


def test_nobody_is_answered_who_may_not_ask(client, web, settings, tenant, house_list):
    post(client)
    weak = tokens.mint_access(settings, tenant.id, "usr_z", frozenset({"kyc:read"}))

    answer = web.test_client().post(
        "/kyc/jobs", json=BATCH, headers={**KEY, "Authorization": f"Bearer {weak}"}
    )

    assert_flat(answer, 403, "insufficient_permissions")


def test_a_key_is_good_for_a_day(client, house_list, resources, database):
    first = post(client)
    move(database, expires_at=24 * 3600 - 60)
    assert post(client).json == first.json

    move(database, expires_at=61)
    later = post(client)

    assert later.json["job_id"] != first.json["job_id"]
    move(database, expires_at=24 * 3600)
    sweep.maintain(resources)
    assert rows(database) == []


def test_redis_plays_no_part(settings, tenant, token, house_list, database):
    away = create_app(replace(settings, redis_url="redis://127.0.0.1:1/0")).test_client()
    away.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    first, again = post(away), post(away)

    assert first.status_code == 200
    assert again.json == first.json
    assert count(database, "jobs") == 1


def test_a_pause_that_is_sent_again_is_answered_as_before_and_not_refused(
    client, waiting_job, database
):
    path = f"/v1/jobs/{waiting_job}/pause"

    first, again = post(client, path, {}), post(client, path, {})
    without = client.post(path)

    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert without.status_code == 409


@pytest.fixture
def waiting_job(resources, tenant) -> str:
    items = [NewItem(None, service.encode_item({"subject": {"full_name": "Any Body"}}))]
    plan = kyc.plan(resources, tenant_id=tenant.id, created_by="usr_x", items=items)
    return ids.render(service.submit(resources, plan).id)


def test_a_secret_is_shown_once_and_kept_nowhere(client, tenant, database):
    place = f"/api/v1/organizations/{tenant.id}/api-keys"
    body = {"name": "server", "scopes": ["face:read"]}

    secret = post(client, place, body).json["data"]["key"]
    again = post(client, place, body)

    faces_api.assert_error(again, 409, "IDEMPOTENCY_ANSWER_NOT_KEPT")
    other = post(client, place, {**body, "name": "x"})
    faces_api.assert_error(other, 422, "IDEMPOTENCY_KEY_MISMATCH")
    assert count(database, "api_keys") == 1
    assert secret not in str(rows(database))


def test_a_key_is_nowhere_as_it_was_sent(client, house_list, database, redis_client):
    post(client)

    assert KEY[HEADER] not in str(rows(database))
    assert not [name for name in redis_client.keys("*") if KEY[HEADER].encode() in name]


def test_credentials_are_exchanged_each_time_and_their_key_is_looked_at(web, servers, database):
    ada = {"email": "ada@example.com", "password": "correct horse battery"}
    client = web.test_client()
    client.post("/api/auth/register", json=ada)

    first, again = (client.post("/api/auth/login", json=ada, headers=KEY) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 200)
    refreshed = [answer.json["tokens"]["refresh_token"] for answer in (first, again)]
    assert refreshed[0] != refreshed[1]
    assert_detail(client.post("/api/auth/login", json=ada, headers={HEADER: ""}), 400)
    assert rows(database) == []


def test_a_token_whose_tenant_is_gone_is_answered_as_without_a_key(web, settings, servers):
    token = tokens.mint_access(settings, uuid4(), "usr_x", ALL_PERMISSIONS)
    headers = {**KEY, "Authorization": f"Bearer {token}"}

    answer = web.test_client().post(f"/v1/jobs/{uuid4()}/pause", headers=headers)

    assert_problem(answer, 404, "job_not_found")


# Lost in between ----------------------------------------------------------------------------------


def lost(database) -> None:
    """Let the answer never have been kept, and its web process be long dead."""
    with database.transaction() as tx:
        tx.execute("UPDATE idempotency_keys SET status = NULL, headers = NULL, body = NULL")
    move(database, held_until=3600)


@pytest.mark.parametrize("name", [name for name in MAKES if "batch" in name or "run" in name])
def test_a_job_whose_answer_was_lost_is_found_again(
    server, tenant, token, house_list, ended_job, database, name
):
    def call(method, path, **given):
        return server.call(method, path, token, **given)

    path, body = MAKES[name][0](call, tenant, ended_job)
    first = call("POST", path, headers=KEY, **body)
    jobs = count(database, "jobs")
    lost(database)

    again = call("POST", path, headers=KEY, **body)

    assert again.status_code == first.status_code
    for field in ("job_id", "data"):
        told = [answer.json().get(field) for answer in (first, again)]
        assert told[0] == told[1]
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert count(database, "jobs") == jobs
    # And of the images that came with it a second time nothing stays.
    assert count(database, "face_images") == (2 if name.startswith("C") else 0)


def test_another_request_is_not_answered_with_a_job_that_was_lost(client, house_list, database):
    post(client)
    lost(database)

    assert_flat(post(client, body={"entities": [CLEAR]}), 422, "idempotency_key_reused")
    assert count(database, "jobs") == 1


def test_a_job_that_was_lost_and_deleted_is_not_made_again(
    client, house_list, resources, tenant, database
):
    made = post(client).json["job_id"]
    job = service.find(resources, tenant.id, kyc.NAME, made)
    service.delete(resources, service.cancel(resources, tenant.id, kyc.NAME, job.external_id))
    lost(database)

    assert_flat(post(client), 409, "idempotency_answer_not_kept")
    assert count(database, "jobs") == 0


def test_what_was_made_and_is_no_job_is_not_made_again(client, database):
    assert post(client, "/v5/verifications", TRUST).status_code == 201
    lost(database)

    for _ in range(2):
        answer = post(client, "/v5/verifications", TRUST)
        assert_enveloped(answer, 409, "idempotency_answer_not_kept")
    assert count(database, "verifications") == 1


def test_an_answer_that_is_too_long_to_be_kept_is_made_again_from_its_job(
    client, house_list, monkeypatch, database
):
    monkeypatch.setattr(api, "ANSWER_BYTES", 10)

    first, again = post(client), post(client)

    assert again.json["job_id"] == first.json["job_id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert [row["body"] for row in rows(database)] == [None]
    assert count(database, "jobs") == 1


def test_a_request_that_was_thought_lost_writes_nothing_once_another_has_its_key(
    resources, tenant, database
):
    def take(seconds):
        return Claim.take(resources.db, tenant.id, bytes(32), Nothing(), seconds=seconds)

    def has_written():
        (row,) = idempotency.rows(database)
        return row["has_written"]

    frozen = take(-1)
    after = take(60)
    with pytest.raises(RequestInProgress):
        take(60)

    with frozen.held(), pytest.raises(RequestInProgress), resources.db.transaction() as tx:
        tx.execute("UPDATE tenants SET name = 'frozen' WHERE id = %s", (tenant.id,))
    with after.held(), resources.db.transaction() as tx:
        tx.execute("SELECT 1")
    assert not has_written()
    with after.held(), claims.unwatched(), resources.db.transaction() as tx:
        tx.execute("UPDATE tenants SET name = name WHERE id = %s", (tenant.id,))
    assert not has_written()
    with after.held(), resources.db.transaction() as tx:
        tx.execute("UPDATE tenants SET name = 'after' WHERE id = %s", (tenant.id,))

    assert has_written()
    with database.transaction() as tx:
        tx.execute("SELECT name FROM tenants WHERE id = %s", (tenant.id,))
        assert tx.fetchone()["name"] == "after"
    after.release()
    assert has_written()


def test_a_repeat_does_not_wait_for_the_transaction_of_the_first(client, house_list, database):
    """Its job may be large: whoever asks again is told so at once."""
    post(client)
    with database.transaction() as tx:
        tx.execute(
            "UPDATE idempotency_keys SET status = NULL, headers = NULL, body = NULL,"
            " held_until = now() + interval '1 minute'"
        )
    with database.transaction() as tx:
        tx.execute("SELECT FROM idempotency_keys FOR UPDATE")

        again = post(client)

    assert_flat(again, 409, "idempotency_in_progress")


def test_a_request_whose_body_still_comes_in_is_not_thought_lost(resources, tenant, database):
    def take():
        return Claim.take(resources.db, tenant.id, bytes(32), Nothing(), seconds=60)

    slow = take()
    move(database, held_until=3600)

    slow.prolong()

    with pytest.raises(RequestInProgress):
        take()


def test_a_call_that_was_told_to_come_again_is_carried_out_when_it_does(
    settings, token, house_list, database
):
    """Nobody works: a single check is cancelled, and must not be answered 503 for a day."""
    hasty = create_app(replace(settings, sync_seconds=0.1)).test_client()
    hasty.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    for _ in range(2):
        assert_flat(post(hasty, "/kyc", CLEAR), 503, "timed_out")

    assert count(database, "jobs WHERE state = 'cancelled'") == 2
    assert_flat(post(hasty, "/kyc", LISTED), 422, "idempotency_key_reused")
