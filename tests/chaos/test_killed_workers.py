"""A whole worker goes: killed by a power cut, or told to stop with work in hand."""

from __future__ import annotations

import socket
import time

from app.jobs import service, store
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, in_hand, kill, queued

#: One look for lost messages a second, one item, and a machine that is busy.
SLACK_SECONDS = 4.0

#: Clocks by which nothing comes back before the test has ended.
PATIENT = {"chunk_seconds": 30.0, "claim_seconds": 60.0, "visibility_timeout": 90.0}


def begun(resources, job) -> int:
    with resources.db.transaction() as tx:
        return store.live_claims(tx, job)


def test_a_killed_workers_chunks_are_finished_by_another_within_the_visibility_timeout(
    start, resources, submit, reload, finished, settings
):
    """The survivor looks after the queue, the callbacks and the sweep: none of it is lost."""
    victim, survivor = start("victim"), start("survivor", beat=True)
    victim.wait_until_ready()
    survivor.wait_until_ready()
    job = submit("slow", [{"sleep": 0.03, "matches": 1}] * 160, chunk_size=40)
    until(lambda: in_hand(resources.redis) >= 4, 10, "all four chunks are in hand")
    until(lambda: reload(job).done >= 20, 20, "all of them are being worked on")

    kill(victim)
    died = time.monotonic()

    job = finished(job)
    bound = settings.visibility_timeout + settings.chunk_seconds + SLACK_SECONDS
    assert time.monotonic() - died < bound
    assert_whole(resources, job)
    assert (job.succeeded, job.matches) == (160, 160)


def test_a_worker_told_to_stop_hands_its_chunks_back_at_once(
    start, resources, submit, reload, finished, settings
):
    """Nobody waits for a timeout: here none would end before the test does."""
    leaver, successor = (
        start("leaver", **PATIENT),
        start("successor", "-Q", "control", **PATIENT),
    )
    leaver.wait_until_ready()
    successor.wait_until_ready()
    job = submit("slow", [{"sleep": 0.05}] * 320, chunk_size=160)
    until(lambda: reload(job).done >= 10, 20, "it is working")

    told = time.monotonic()
    leaver.process.terminate()
    leaver.process.wait(settings.worker_grace_seconds + 10)
    left = time.monotonic() - told
    done = reload(job).done
    # Only now, so that what is done was done by who left.
    resources.celery.control.add_consumer(
        "screening", destination=[f"successor@{socket.gethostname()}"]
    )
    job = finished(job, 30)

    assert left < settings.worker_grace_seconds + 5
    assert 10 <= done < 240, "it did not stay to finish its chunks"
    assert_whole(resources, job)
    assert job.pass_no == 1, "its messages went back: the sweep had nothing to repair"


def test_what_a_stopping_worker_can_end_within_its_grace_it_ends_and_hands_nothing_back(
    start, resources, submit, reload, redis_client
):
    """Two seconds of work, eight of grace, and no other worker that could have done it."""
    leaver = start("leaver", beat=False, worker_grace_seconds=8.0, **PATIENT)
    leaver.wait_until_ready()
    job = submit("slow", [{"sleep": 0.1}] * 40, chunk_size=20)
    # In hand is not enough: a chunk that no process has begun goes back at once.
    until(lambda: begun(resources, job) == 2, 20, "both have been begun")

    leaver.process.terminate()
    leaver.process.wait(20)

    job = reload(job)
    assert (in_hand(redis_client), queued(redis_client), job.done) == (0, 0, 40)
    assert_whole(resources, job)
    rows = [row for page in service.results(resources, job) for row in page]
    assert {row["attempts"] for row in rows} == {1}
