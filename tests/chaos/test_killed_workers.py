"""A whole worker goes: killed by a power cut, or told to stop with work in hand."""

from __future__ import annotations

import time

from app.jobs import service
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, in_hand, kill

#: One look for lost messages a second, one item, and a machine that is busy.
SLACK_SECONDS = 4.0


def test_a_killed_workers_chunks_are_finished_by_another_within_the_visibility_timeout(
    start, resources, submit, reload, finished, settings
):
    """The survivor looks after the queue, the callbacks and the sweep: none of it is lost."""
    victim, survivor = start("victim"), start("survivor", beat=True)
    victim.wait_until_ready()
    survivor.wait_until_ready()
    job = submit("slow", [{"sleep": 0.03, "matches": 1}] * 160, chunk_size=40)
    until(lambda: in_hand(resources.redis) == 4, 10, "all four chunks are in hand")
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
    """No item is done twice, none is blamed, and nobody waits for a timeout."""
    leaver = start("leaver", "--concurrency", "2")
    leaver.wait_until_ready()
    job = submit("slow", [{"sleep": 0.05}] * 160, chunk_size=80)
    until(lambda: reload(job).done >= 10, 20, "it is working")
    successor = start("successor")
    successor.wait_until_ready()

    told = time.monotonic()
    leaver.process.terminate()
    leaver.process.wait(settings.worker_grace_seconds + 5)
    left = time.monotonic() - told

    job = finished(job)
    assert left < settings.worker_grace_seconds + 3
    assert_whole(resources, job)
    rows = [row for page in service.results(resources, job) for row in page]
    assert max(row["attempts"] for row in rows) <= 2
    assert job.pass_no >= 2
