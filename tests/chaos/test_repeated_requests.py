"""The web process is killed over a request with an Idempotency-Key: sent again, it is done once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress

import pytest
import requests

from app.accounts.model import ALL_PERMISSIONS
from app.api import tokens
from tests.idempotency import KEY, move, rows
from tests.integration.conftest import until
from tests.integration.engine import waits_for_a_lock
from tests.kyc import CLEAR, LISTED, house_list, serving
from tests.verifications import TRUST

__all__ = ["house_list"]

#: Of a lock that nobody else takes.
_LOCK = 7_140_014


@pytest.fixture(scope="module")
def server(settings, tmp_path_factory):
    with serving(settings, tmp_path_factory.mktemp("web")) as web:
        yield web


@contextmanager
def stuck(database, table: str, when: str):
    """Let whoever writes to the table wait within its transaction, as long as the block runs."""
    with database.transaction() as tx:
        tx.execute(
            "CREATE FUNCTION wait_for_the_test() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN PERFORM pg_advisory_xact_lock({_LOCK}); RETURN NULL; END $$"
        )
        tx.execute(f"CREATE TRIGGER stuck AFTER {when} EXECUTE FUNCTION wait_for_the_test()")
    try:
        with database.transaction() as tx:
            tx.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            yield
    finally:
        with database.transaction() as tx:
            tx.execute(f"DROP TRIGGER stuck ON {table}")
            tx.execute("DROP FUNCTION wait_for_the_test()")


#: Before anything is committed, and after the job is, when it is about to be answered.
MOMENTS = {
    "before the commit": ("jobs", "INSERT ON jobs FOR EACH ROW"),
    "after the commit": (
        "idempotency_keys",
        "UPDATE ON idempotency_keys FOR EACH ROW WHEN (NEW.status IS NOT NULL)",
    ),
}


def kill_over(server, database, token, path, body, moment) -> None:
    """Send it, and kill the process that is at it at the moment."""
    sent = threading.Thread(target=lambda: _send(server, token, path, body))
    with stuck(database, *moment):
        sent.start()
        until(lambda: waits_for_a_lock(database), 30, "it is at work")
        for pid in server.children():
            os.kill(pid, signal.SIGKILL)
        sent.join(30)
    assert not sent.is_alive()


def _send(server, token, path, body) -> None:
    with suppress(requests.RequestException):
        server.call("POST", path, token, json=body, headers=KEY)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_job_is_made_once_whenever_the_web_process_is_killed(
    server, settings, tenant, database, house_list, moment
):
    token = tokens.mint_access(settings, tenant.id, "usr_x", ALL_PERMISSIONS)
    body = {"entities": [CLEAR, LISTED]}

    kill_over(server, database, token, "/kyc/jobs", body, MOMENTS[moment])

    made = jobs(database)
    assert len(made) == (moment == "after the commit")
    # Nobody knows that it is dead.
    until(lambda: _answers(server), 30, "the web is back")
    busy = server.call("POST", "/kyc/jobs", token, json=body, headers=KEY)
    assert (busy.status_code, busy.headers["Retry-After"]) == (409, "1")
    move(database, held_until=3600)

    again = [server.call("POST", "/kyc/jobs", token, json=body, headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in again] == [200, 200]
    assert {answer.json()["job_id"] for answer in again} == set(jobs(database))
    assert set(made) <= set(jobs(database))
    assert ("Idempotent-Replayed" in again[0].headers) == (moment == "after the commit")


def test_what_is_no_job_is_made_once_as_well(server, settings, tenant, database):
    token = tokens.mint_access(settings, tenant.id, "usr_x", ALL_PERMISSIONS)

    kill_over(server, database, token, "/v5/verifications", TRUST, MOMENTS["after the commit"])
    until(lambda: _answers(server), 30, "the web is back")
    move(database, held_until=3600)
    again = server.call("POST", "/v5/verifications", token, json=TRUST, headers=KEY)

    assert again.status_code == 409
    assert [each["code"] for each in again.json()["error"]["details"]] == [
        "idempotency_answer_not_kept"
    ]
    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS count FROM verifications")
        assert tx.fetchone()["count"] == 1
    assert [row["has_written"] for row in rows(database)] == [True]


def jobs(database) -> list[str]:
    with database.transaction() as tx:
        tx.execute("SELECT external_id FROM jobs")
        return [row["external_id"] for row in tx.fetchall()]


def _answers(server) -> bool:
    try:
        return server.call("GET", "/healthz").ok
    except requests.ConnectionError:
        return False
