"""Machines whose clocks are an hour off, or jump: those of Postgres and Redis count."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs import service
from app.jobs.dispatch import in_flight
from tests.chaos.programs import Program
from tests.integration.conftest import new_job, until
from tests.integration.engine import assert_whole, deliver, in_hand, messages, withhold
from tests.probes import clock

HOUR = 3600.0

#: Two visibility timeouts of 4 s, a pass, and a machine that is busy.
BOUND_SECONDS = 30.0


@pytest.fixture
def program(settings, tmp_path) -> Iterator[object]:
    """Call with a line of the Procfile, and by how much its clock is wrong: returns the program,
    and the file in which that can be changed."""
    made: list[Program] = []

    def start(line: str, wrong_by: float = 0.0, **env: str) -> tuple[Program, Path]:
        name = f"{line}{len(made)}"
        file = tmp_path / f"{name}.clock"
        file.write_text(str(wrong_by))
        made.append(Program(settings, tmp_path, line, name, {clock.VARIABLE: str(file), **env}))
        made[-1].start()
        return made[-1], file

    yield start
    for each in made:
        each.kill()


WRONG = pytest.mark.parametrize("wrong_by", [HOUR, -HOUR], ids=["ahead", "behind"])


@WRONG
def test_workers_whose_clocks_differ_by_an_hour_share_a_job_as_if_they_did_not(
    program, resources, tenant, reload, redis_client, wrong_by
):
    """Every chunk comes twice: who finds it in other hands puts it off, by a clock of its own, and
    the other must neither wait an hour for it nor come back at once for ever.
    """
    program("worker")
    program("worker", wrong_by)
    program("control", wrong_by)
    program("beat")
    payloads = [{"sleep": 0.05, "matches": 1}] * 160
    job, chunks = withhold(resources, new_job(tenant.id, "slow", payloads, 20))
    began = time.monotonic()
    deliver(redis_client, [each for chunk in chunks for each in (chunk, chunk)])
    most = 0

    def ended() -> bool:
        nonlocal most
        most = max(most, messages(redis_client))
        return reload(job).state.is_final

    until(ended, 60, lambda: f"it ends: {reload(job)}")
    took = time.monotonic() - began

    job = reload(job)
    assert_whole(resources, job)
    rows = [row for page in service.results(resources, job) for row in page]
    assert {row["attempts"] for row in rows} == {1}
    assert took < BOUND_SECONDS
    # The 16 that were sent, and beat's.
    assert most < 40, "nothing was given out again that somebody had in hand"
    # Who put one off by a clock that is ahead meant a second or two, and not an hour.
    until(lambda: not in_flight(redis_client, [job.id]), 15, "nobody holds a message any more")


def test_a_killed_workers_chunks_come_back_in_time_though_its_clock_was_an_hour_ahead(
    program, resources, submit, finished, reload, redis_client
):
    victim, _ = program("worker", HOUR)
    program("control")
    program("beat")
    job = submit("slow", [{"sleep": 0.05, "matches": 1}] * 80, chunk_size=20)
    until(lambda: reload(job).done >= 5, 20, "it is running")
    assert in_hand(redis_client) >= 2

    victim.kill()
    program("worker")
    ready = time.monotonic()
    job = finished(job, 60)
    took = time.monotonic() - ready

    assert_whole(resources, job)
    assert took < BOUND_SECONDS


@WRONG
def test_sweeps_of_a_beat_whose_clock_is_an_hour_off_are_made_all_the_same(
    program, resources, submit, finished, reload, redis_client, wrong_by
):
    program("worker")
    program("control")
    _, file = program("beat", wrong_by)
    repaired_after(resources, submit, finished, reload, redis_client)

    # And of one whose clock is put right, or the other way.
    file.write_text("0")
    repaired_after(resources, submit, finished, reload, redis_client)


def repaired_after(resources, submit, finished, reload, redis_client) -> None:
    """A job whose messages were lost, and which needs a sweep, gets it within the bound."""
    job = submit("slow", [{"sleep": 0.02, "matches": 1}] * 80, chunk_size=10)
    until(lambda: reload(job).done >= 5, 20, "it is running")
    redis_client.flushall()
    lost = time.monotonic()
    job = finished(job, 60)
    assert_whole(resources, job)
    assert time.monotonic() - lost < BOUND_SECONDS
