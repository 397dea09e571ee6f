"""`kill -9` of the programs around the workers: of beat, of control, and of the web mid-request."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from app.jobs import service
from tests.chaos.programs import Program
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, ledger, queued, waits_for_a_lock
from tests.kyc import ENTRIES, load

#: From the moment that the program is back until its work is done again: a sweep, a pass of 2 s,
#: and a machine that is busy.
BOUND_SECONDS = 15.0

LINES = ("worker", "control", "beat", "web")


@pytest.fixture(scope="module")
def programs(settings, tmp_path_factory) -> Iterator[dict[str, Program]]:
    """The platform as the Procfile starts it, with the kinds of the tests."""
    folder = tmp_path_factory.mktemp("programs")
    started = {line: Program(settings, folder, line) for line in LINES}
    started["other web"] = Program(
        settings, folder, "web", "other-web", {"MUSTER_WEB_WORKERS": "1"}
    )
    try:
        for program in started.values():
            program.start(wait=False)
        for program in started.values():
            program.wait_until_ready()
        yield started
    finally:
        for program in started.values():
            program.kill()


@pytest.fixture(autouse=True)
def everything_runs(programs) -> Iterator[None]:
    yield
    for program in programs.values():
        if not program.runs:
            program.start()


@pytest.fixture
def post(token, resources, settings, tmp_path):
    """Submit so many entities to a web process; None if there was no answer."""
    load(resources, settings, tmp_path, "house", ENTRIES)

    def run(web: Program, count: int) -> requests.Response | None:
        entities = [{"subject": {"full_name": f"Harriet Ploughwright {n}"}} for n in range(count)]
        try:
            return requests.post(
                f"{web.url}/kyc/jobs",
                json={"entities": entities},
                headers={"Authorization": f"Bearer {token}"},
                timeout=30,
            )
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            # Killed before it answered, or between the head of its answer and the body.
            return None

    return run


def everyone(resources) -> list:
    """Every job that there is."""
    with resources.db.transaction() as tx:
        tx.execute("SELECT tenant_id, dialect, external_id FROM jobs")
        rows = tx.fetchall()
    return [service.find(resources, *row.values()) for row in rows]


def items(resources, job) -> int:
    with resources.db.transaction() as tx:
        tx.execute("SELECT count(*) AS items FROM items WHERE job_id = %s", (job.id,))
        return tx.fetchone()["items"]


def test_without_beat_jobs_run_and_what_needs_a_sweep_gets_it_when_beat_is_back(
    programs, resources, submit, reload, finished, redis_client
):
    programs["beat"].kill()
    ordinary = finished(submit("slow", [{"matches": 1}] * 40, chunk_size=10), 20)
    lost = submit("slow", [{"sleep": 0.02, "matches": 1}] * 400, chunk_size=20)
    until(lambda: reload(lost).done >= 10, 20, "it is running")
    redis_client.flushall()
    until(lambda: not ledger(resources, lost).claims, 20, "what was in hand is done")
    left = reload(lost)
    assert (queued(redis_client), left.state) == (0, "running"), "the rest is lost"

    programs["beat"].start()
    began = time.monotonic()
    until(lambda: reload(lost).done > left.done, 60, "it goes on")
    took = time.monotonic() - began
    lost = finished(lost, 60)

    assert_whole(resources, ordinary)
    assert_whole(resources, lost)
    assert (lost.succeeded, lost.matches) == (400, 400)
    assert took < BOUND_SECONDS


def test_beat_killed_again_and_again_sends_no_job_twice(
    programs, resources, submit, reload, finished
):
    job = submit("slow", [{"sleep": 0.03, "matches": 1}] * 240, chunk_size=20)

    for _ in range(3):
        programs["beat"].kill()
        programs["beat"].start()

    job = finished(job, 60)
    assert_whole(resources, job)
    assert job.pass_no < 5, "no passes but for what chunks hand back after their 2 s"


def test_without_control_chunks_end_their_jobs_and_what_needs_another_pass_gets_it_later(
    programs, resources, submit, reload, finished
):
    programs["control"].kill()
    ordinary = finished(submit("slow", [{"matches": 1}] * 40, chunk_size=10), 20)
    # More than a chunk works for: it hands back its rest, which needs another pass.
    long = submit("slow", [{"sleep": 0.1, "matches": 1}] * 40, chunk_size=40)
    until(lambda: reload(long).done >= 15, 20, "it is running")

    programs["control"].start()
    began = time.monotonic()
    long = finished(long, 60)
    took = time.monotonic() - began

    assert_whole(resources, ordinary)
    assert_whole(resources, long)
    assert took < BOUND_SECONDS


def test_a_web_process_killed_mid_request_has_accepted_all_of_a_job_or_nothing(
    programs, resources, post, finished
):
    """Four clients submit without a pause while the processes that serve them are killed."""
    web = programs["web"]
    answers: list[requests.Response | None] = []
    over = threading.Event()

    def client() -> None:
        while not over.is_set():
            answers.append(post(web, 400))

    clients = [threading.Thread(target=client) for _ in range(4)]
    for each in clients:
        each.start()
    chance = random.Random(7)
    for _ in range(6):
        until(web.children, 20, "gunicorn has a process")
        time.sleep(0.2 + chance.random() / 2)
        os.kill(chance.choice(until(web.children, 20, "gunicorn has one")), signal.SIGKILL)
    over.set()
    for each in clients:
        each.join()

    accepted = {answer.json()["job_id"] for answer in answers if answer is not None}
    assert {answer.status_code for answer in answers if answer is not None} == {200}
    jobs = {job.external_id: job for job in everyone(resources)}
    assert accepted <= jobs.keys(), "what was answered is there"
    assert len(jobs) <= len(answers), "who got no answer has one job at the most"
    for job in jobs.values():
        assert items(resources, job) == 400
        assert_whole(resources, finished(job, 90))


def test_a_request_that_was_not_accepted_leaves_nothing_and_another_web_process_goes_on(
    programs, resources, post, database, finished
):
    """Both halves: killed while the body arrives, and in the middle of the transaction."""
    web, other = programs["web"], programs["other web"]
    with socket.create_connection(("127.0.0.1", web.port)) as half:
        half.sendall(
            b"POST /kyc/jobs HTTP/1.1\r\nHost: muster\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100000\r\n\r\n{"entities": ['
        )
        answers: list[requests.Response | None] = []
        with database.transaction() as tx:
            # The job's row is written by now, and its items wait for us.
            tx.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
            asking = threading.Thread(target=lambda: answers.append(post(web, 50)))
            asking.start()
            until(lambda: waits_for_a_lock(database), 20, "a request waits in its transaction")
            web.kill()
            asking.join()

    began = time.monotonic()
    answer = post(other, 50)
    took = time.monotonic() - began

    assert answers == [None]
    assert answer is not None
    assert answer.ok
    assert took < 20.0
    [job] = everyone(resources)
    assert job.external_id == answer.json()["job_id"]
    assert_whole(resources, finished(job, 30))
