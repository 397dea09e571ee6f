"""Dialect D: accounts, and sessions that can be ended."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest

from app.accounts import service as accounts
from app.accounts import sessions, store
from app.errors import InvalidToken
from app.factory import create_app
from tests.integration.conftest import until
from tests.tagging import assert_detail, inline, start

pytestmark = pytest.mark.integration

ADA = {"email": "ada@example.com", "password": "correct horse battery", "full_name": "Ada L."}


@pytest.fixture
def anyone(web):
    return web.test_client()


@pytest.fixture
def ada(anyone):
    """What Ada was answered when she registered."""
    answer = anyone.post("/api/auth/register", json=ADA)
    assert answer.status_code == 201, answer.json
    return answer.json


def bearer(tokens):
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def refresh(client, token):
    return client.post("/api/auth/refresh", json={"refresh_token": token})


def test_who_registers_has_an_account_and_is_signed_in(anyone, ada):
    assert ada["user"] == {
        **{"id": ada["user"]["id"], "email": "ada@example.com", "full_name": "Ada L."},
        **{"is_active": True, "is_verified": False, "created_at": ada["user"]["created_at"]},
    }
    assert ada["tokens"].keys() == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert (ada["tokens"]["token_type"], ada["tokens"]["expires_in"]) == ("bearer", 1800)
    me = anyone.get("/api/auth/me", headers=bearer(ada["tokens"]))
    assert me.json == ada["user"]


def test_who_registers_has_a_tenant_of_their_own(web, ada):
    grace = web.test_client().post("/api/auth/register", json={**ADA, "email": "grace@example.com"})
    hers, his = web.test_client(), web.test_client()
    hers.environ_base["HTTP_AUTHORIZATION"] = bearer(ada["tokens"])["Authorization"]
    his.environ_base["HTTP_AUTHORIZATION"] = bearer(grace.json["tokens"])["Authorization"]

    job_id = start(hers, [inline(1)]).json["job_id"]

    assert_detail(his.get(f"/api/batch/jobs/{job_id}/status"), 404, "Job not found")


def test_an_address_is_registered_once(anyone, ada):
    again = anyone.post("/api/auth/register", json={**ADA, "email": "ADA@example.com"})

    assert_detail(again, 409)


@pytest.mark.parametrize(
    "change",
    [
        *({"email": "nobody"}, {"email": None}, {"email": 7}, {"password": "short"}),
        *({"password": None}, {"full_name": ["x"]}, {"full_name": "\x00"}),
    ],
)
def test_what_is_no_account_is_not_made(anyone, change, database):
    assert_detail(anyone.post("/api/auth/register", json={**ADA, **change}), 400)

    assert accounts.list_members(database) == []


def test_registration_is_closed_in_production_unless_switched_on(settings):
    for changes, status in (
        ({"environment": "production"}, 403),
        ({"environment": "production", "open_registration": "on"}, 201),
        ({"open_registration": "off"}, 403),
    ):
        client = create_app(replace(settings, **changes)).test_client()
        answer = client.post("/api/auth/register", json={**ADA, "email": f"{status}@example.com"})
        assert answer.status_code == status


def test_a_password_is_exchanged_for_tokens(anyone, ada):
    signed_in = anyone.post("/api/auth/login", json=ADA)

    assert signed_in.status_code == 200
    assert signed_in.headers["Cache-Control"] == "no-store"
    assert signed_in.json["user"] == ada["user"]


def test_a_login_that_fails_does_not_say_why(anyone, ada):
    wrong = anyone.post("/api/auth/login", json={**ADA, "password": "wrong horse battery"})
    unknown = anyone.post("/api/auth/login", json={**ADA, "email": "nobody@example.com"})

    assert_detail(wrong, 401)
    assert wrong.json == unknown.json
    assert_detail(anyone.post("/api/auth/login", json={"email": "x"}), 400, "password is required")


def test_a_refresh_token_is_good_for_one_use_and_its_copy_ends_the_session(anyone, ada):
    first = ada["tokens"]["refresh_token"]
    second = refresh(anyone, first)
    assert second.status_code == 200
    assert anyone.get("/api/auth/me", headers=bearer(second.json)).status_code == 200

    assert_detail(refresh(anyone, first), 401, "Invalid or expired token")
    # Nobody can tell the thief from the owner: what came of it is worthless as well.
    assert_detail(refresh(anyone, second.json["refresh_token"]), 401)


def test_of_two_uses_at_once_one_wins(web, ada):
    token, answers = ada["tokens"]["refresh_token"], []

    def use():
        answers.append(refresh(web.test_client(), token).status_code)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answers) == [200, 401, 401, 401]


def test_logging_out_ends_the_session(anyone, ada):
    other = anyone.post("/api/auth/login", json=ADA).json["tokens"]

    answer = anyone.post(
        "/api/auth/logout",
        json={"refresh_token": ada["tokens"]["refresh_token"]},
        headers=bearer(ada["tokens"]),
    )

    assert answer.status_code == 200
    assert_detail(refresh(anyone, ada["tokens"]["refresh_token"]), 401)
    assert refresh(anyone, other["refresh_token"]).status_code == 200


def test_logging_out_without_a_token_ends_every_session(anyone, ada):
    other = anyone.post("/api/auth/login", json=ADA).json["tokens"]

    anyone.post("/api/auth/logout", headers=bearer(other))

    for tokens in (ada["tokens"], other):
        assert_detail(refresh(anyone, tokens["refresh_token"]), 401)


def test_a_new_password_ends_every_session(anyone, ada, database):
    accounts.set_password(database, ADA["email"], "another good password")

    assert_detail(refresh(anyone, ada["tokens"]["refresh_token"]), 401)


def _log_out_of_all(database, user_id, _):
    sessions.end(database, user_id)


def _log_out_of_one(database, user_id, used):
    sessions.end(database, user_id, used)


def _show_again_what_was_used(database, _, used):
    with pytest.raises(InvalidToken):
        sessions.renew(database, used, seconds=60)


def _change_the_password(database, *_):
    accounts.set_password(database, ADA["email"], "another good password")


@pytest.mark.parametrize(
    "ending",
    [_log_out_of_all, _log_out_of_one, _show_again_what_was_used, _change_the_password],
)
def test_a_session_that_is_renewed_while_it_is_ended_ends_all_the_same(
    anyone, ada, database, ending
):
    used = ada["tokens"]["refresh_token"]
    token = refresh(anyone, used).json["refresh_token"]
    user_id = UUID(ada["user"]["id"])

    with ThreadPoolExecutor() as pool:
        with database.transaction() as tx:
            # The renewal stands still when it has written all there is: at its reference to here.
            tx.execute("SELECT FROM tenants FOR UPDATE")
            renewal = pool.submit(sessions.renew, database, token, seconds=60)
            until(lambda: _waiting(database) == 1, 20, "the renewal waits")
            end = pool.submit(ending, database, user_id, used)
            until(lambda: _waiting(database) == 2, 20, "the end waits")
        _, following = renewal.result(20)
        end.result(20)

    assert_detail(refresh(anyone, following), 401)


def _waiting(database):
    """Return how many others wait for a lock."""
    with database.transaction() as tx:
        tx.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return tx.fetchone()["count"]


def test_nobody_ends_the_session_of_somebody_else(web, ada):
    grace = web.test_client().post("/api/auth/register", json={**ADA, "email": "grace@example.com"})

    web.test_client().post(
        "/api/auth/logout",
        json={"refresh_token": ada["tokens"]["refresh_token"]},
        headers=bearer(grace.json["tokens"]),
    )

    assert refresh(web.test_client(), ada["tokens"]["refresh_token"]).status_code == 200


def test_a_disabled_account_is_told_so_and_signs_in_no_more(anyone, ada, database):
    accounts.set_active(database, ADA["email"], False)

    disabled = "User account is disabled"
    assert_detail(refresh(anyone, ada["tokens"]["refresh_token"]), 403, disabled)
    assert_detail(anyone.get("/api/auth/me", headers=bearer(ada["tokens"])), 403, disabled)
    assert_detail(anyone.post("/api/auth/login", json=ADA), 401)


@pytest.mark.parametrize(
    "token", ["", "x", "rt_" + "x" * 43, "eyJhbGciOiJIUzI1NiJ9.e30.x", "\ud800"]
)
def test_what_is_no_refresh_token_is_refused(anyone, token):
    answer = refresh(anyone, token)

    assert answer.status_code in {400, 401}
    assert_detail(answer, answer.status_code)


def test_an_access_token_is_no_refresh_token_nor_the_other_way_round(anyone, ada):
    tokens = ada["tokens"]

    assert_detail(refresh(anyone, tokens["access_token"]), 401)
    swapped = {"access_token": tokens["refresh_token"]}
    assert_detail(anyone.get("/api/auth/me", headers=bearer(swapped)), 401)


def test_a_refresh_token_expires_and_is_forgotten_a_day_later(anyone, ada, database):
    with database.transaction() as tx:
        tx.execute("UPDATE refresh_tokens SET expires_at = now() - interval '1 hour'")
    assert_detail(refresh(anyone, ada["tokens"]["refresh_token"]), 401, "Invalid or expired token")
    with database.transaction() as tx:
        assert store.forget_refresh_tokens(tx) == 0
        tx.execute("UPDATE refresh_tokens SET expires_at = now() - interval '2 days'")
        assert store.forget_refresh_tokens(tx) == 1


def test_no_token_is_stored_as_it_is(anyone, ada, database):
    secret = ada["tokens"]["refresh_token"]
    with database.transaction() as tx:
        tx.execute("SELECT row_to_json(refresh_tokens)::text AS row FROM refresh_tokens")
        rows = [row["row"] for row in tx.fetchall()]

    assert len(rows) == 1
    assert secret.removeprefix("rt_") not in rows[0]


def test_a_token_that_no_user_stands_behind_has_no_account(client):
    assert_detail(client.get("/api/auth/me"), 404)
