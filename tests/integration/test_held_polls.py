"""`Prefer: wait=20` on a poll: the answer comes when there is something new, or the time is up."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.api import polling
from app.factory import create_app
from app.jobs import ids, service, store
from app.jobs.states import Event
from tests.integration.conftest import until
from tests.kyc import serving

pytestmark = pytest.mark.integration


def path(job) -> str:
    return f"/v1/jobs/{ids.render(job.id)}"


def cancel(resources, job) -> None:
    service.cancel(resources, job.tenant_id, job.dialect, job.external_id)


@pytest.fixture
def poll(web, token) -> Callable[..., Future]:
    """Poll in a thread of its own."""
    threads = ThreadPoolExecutor(4)

    def begin(job, wait: str, **headers: str) -> Future:
        given = {"Authorization": f"Bearer {token}", "Prefer": wait, **headers}
        return threads.submit(web.test_client().get, path(job), headers=given)

    yield begin
    threads.shutdown()


@pytest.fixture
def without_places(settings, token):
    client = create_app(replace(settings, held_polls=0)).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def applied(answer) -> str | None:
    return answer.headers.get("Preference-Applied")


def held() -> bool:
    return polling.PLACES.taken > 0


@pytest.mark.parametrize("says_what_it_knows", [True, False])
def test_a_poll_is_held_until_the_job_is_another(
    client, resources, submit, poll, says_what_it_knows
):
    job = submit("slow", [{}] * 5)
    known = client.get(path(job)).headers["ETag"]
    tag = {"If-None-Match": known} if says_what_it_knows else {}

    waiting = poll(job, "wait=30", **tag)
    until(held, 10, "it is held")
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.CLAIM)
    answer = waiting.result(20)

    assert (answer.status_code, applied(answer)) == (200, "wait=30")
    assert answer.json["status"] == "running"
    assert answer.headers["ETag"] != known
    assert not held()


def test_when_nothing_comes_the_answer_is_the_one_of_any_other_poll(client, submit):
    job = submit("slow", [{}] * 5)
    first = client.get(path(job))

    plain = client.get(path(job), headers={"Prefer": "wait=1"})
    conditional = client.get(
        path(job), headers={"Prefer": "wait=1", "If-None-Match": first.headers["ETag"]}
    )

    assert (plain.status_code, plain.json["id"]) == (200, first.json["id"])
    assert (conditional.status_code, conditional.data) == (304, b"")
    assert applied(plain) == applied(conditional) == "wait=1"
    assert plain.headers["Retry-After"] == conditional.headers["Retry-After"] == "2"


def test_who_asks_in_vain_is_not_held(without_places, client, resources, submit):
    """Neither a job that has ended, nor one that is not as the caller knows it, takes a place."""
    job = submit("slow", [{}] * 5)
    old = {"Prefer": "wait=30", "If-None-Match": '"of-yesterday"'}

    changed = without_places.get(path(job), headers=old)
    cancel(resources, job)
    ended = without_places.get(path(job), headers={"Prefer": "wait=30"})

    assert (changed.status_code, applied(changed)) == (200, "wait=30")
    assert (ended.json["status"], applied(ended)) == ("cancelled", "wait=30")


def test_where_no_place_is_free_the_answer_comes_at_once_and_says_so(without_places, submit):
    job = submit("slow", [{}] * 5)

    answer = without_places.get(path(job), headers={"Prefer": "wait=30"})

    assert (answer.status_code, applied(answer)) == (200, None)


@pytest.mark.parametrize(
    ("prefer", "said"),
    [
        ("wait=7", "wait=7"),
        ("Wait = 7; why=not", "wait=7"),
        ('respond-async, wait="7"', "wait=7"),
        ("wait=7, wait=9", "wait=7"),
        ("wait=31", "wait=30"),
        (f"wait={'9' * 5000}", "wait=30"),
        ("wait=0", "wait=0"),
        (f"wait={'0' * 20}7", "wait=7"),
        (f'wait={" " * 8000}"', None),
        (f"wait{' ' * 4000}={' ' * 4000}7", "wait=7"),
        ("wait", None),
        ("wait=", None),
        ("wait=x", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=²", None),
        ("waiting=7", None),
    ],
)
def test_the_header_is_read_as_the_standard_has_it(client, resources, submit, prefer, said):
    job = submit("slow", [{}] * 5)
    cancel(resources, job)

    answer = client.get(path(job), headers={"Prefer": prefer})

    assert (answer.status_code, applied(answer)) == (200, said)


def test_a_job_that_is_deleted_meanwhile_is_not_found(client, resources, submit, poll):
    job = submit("slow", [{}] * 5)

    waiting = poll(job, "wait=30")
    until(held, 10, "it is held")
    with resources.db.transaction() as tx:
        tx.execute("DELETE FROM jobs WHERE id = %s", (job.id,))

    assert waiting.result(20).status_code == 404
    assert not held()


@pytest.mark.parametrize("signal_", [signal.SIGTERM, signal.SIGQUIT])
def test_a_server_that_stops_answers_whom_it_holds(settings, token, submit, tmp_path, signal_):
    job = submit("slow", [{}] * 5)
    answers = []

    def ask(web, seconds: int):
        prefer = {"Prefer": f"wait={seconds}"}
        return web.call("GET", path(job), token, headers=prefer)

    with serving(replace(settings, held_polls=1), tmp_path) as web:

        def wait() -> None:
            # The other one may have the place just now.
            while not answers or applied(answers[-1]) is None:
                time.sleep(0.05)
                answers.append(ask(web, 30))

        waiting = threading.Thread(target=wait)
        waiting.start()
        until(lambda: applied(ask(web, 1)) is None, 20, "the only place is taken")

        for child in web.children():
            os.kill(child, signal_)
        waiting.join(15)

    assert not waiting.is_alive()
    assert answers[-1].json()["id"] == ids.render(job.id)
