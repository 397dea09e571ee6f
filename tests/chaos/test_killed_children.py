"""A process of the pool dies with a chunk in hand: killed, poisoned, or hanging."""

from __future__ import annotations

import time

import pytest

from app.jobs import service
from tests.chaos.conftest import kill_one_that_works
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, outcomes


def test_a_killed_childs_chunk_is_taken_up_again_within_seconds(
    start, resources, submit, reload, finished
):
    """Its message goes back, and its holder is known to be dead: nobody waits for a timeout.

    The first of them would end after 30 s. Celery sees most deaths at once, and looks every 5 s for
    those it missed.
    """
    worker = start("patient", chunk_seconds=30.0, claim_seconds=60.0, visibility_timeout=90.0)
    worker.wait_until_ready()
    job = submit("slow", [{"sleep": 0.05}] * 12, chunk_size=12)
    until(lambda: reload(job).done >= 2, 20, "it is being worked on")

    kill_one_that_works(worker, resources)
    began = time.monotonic()

    assert_whole(resources, finished(job, 25))
    assert time.monotonic() - began < 20.0
    assert reload(job).pass_no == 1, "nothing had to be repaired"


def test_a_child_killed_mid_chunk_loses_no_item_and_repeats_none(
    engine, resources, submit, reload, finished
):
    job = submit("slow", [{"sleep": 0.03, "matches": 1}] * 120, chunk_size=40)

    for done in (20, 50, 80):
        until(lambda done=done: reload(job).done >= done, 20, f"{done} are done")
        kill_one_that_works(engine, resources)

    job = finished(job)
    assert_whole(resources, job)
    assert (job.succeeded, job.matches) == (120, 120)


@pytest.mark.parametrize("how", ["die", "segfault"])
def test_a_poisonous_item_fails_alone_after_three_deaths(engine, resources, submit, finished, how):
    payloads = [{"echo": n} for n in range(60)]
    payloads[33] = {how: True}

    job = finished(submit("slow", payloads, chunk_size=20))

    assert_whole(resources, job)
    assert outcomes(resources, job) == {"succeeded": 59, "attempts_exhausted": 1}
    rows = [row for page in service.results(resources, job) for row in page]
    assert (rows[33]["error_code"], rows[33]["attempts"]) == ("attempts_exhausted", 3)
    # What was in other chunks never came under suspicion.
    assert {row["attempts"] for row in rows[:20] + rows[40:]} == {1}


@pytest.mark.parametrize("how", ["hang", "spin"])
def test_an_item_that_never_ends_is_killed_and_fails_alone(start, resources, submit, finished, how):
    """The hard time limit, between a chunk's time and the visibility timeout: 1.25 s here."""
    worker = start(
        "strict",
        chunk_seconds=0.5,
        claim_seconds=1.0,
        visibility_timeout=2.0,
        max_attempts=2,
    )
    worker.wait_until_ready()
    payloads = [{"echo": n} for n in range(30)]
    payloads[4] = {how: True}

    job = finished(submit("slow", payloads), 60)

    assert_whole(resources, job)
    assert outcomes(resources, job) == {"succeeded": 29, "attempts_exhausted": 1}


def test_an_item_that_takes_all_memory_fails_alone_and_takes_no_process_with_it(
    start, resources, submit, finished
):
    worker = start("modest", item_memory_bytes=200_000_000)
    worker.wait_until_ready()
    before = worker.children()
    payloads = [{"echo": n} for n in range(30)]
    payloads[4] = {"hog": 1_500_000_000}
    # What it may.
    payloads[5] = {"hog": 100_000_000}

    for kind in ("slow", "fast"):
        job = finished(submit(kind, payloads), 30)

        assert_whole(resources, job)
        assert outcomes(resources, job) == {"succeeded": 29, "attempts_exhausted": 1}
        rows = [row for page in service.results(resources, job) for row in page]
        assert (rows[4]["error_code"], rows[4]["attempts"]) == ("attempts_exhausted", 1)
    assert worker.children() == before
