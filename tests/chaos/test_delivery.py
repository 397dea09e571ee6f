"""Messages that come twice, late, early or not at all: the rows and the counts do not show it."""

from __future__ import annotations

import pytest

from app.jobs.dispatch import CONTROL, FINISH_PASS, dispatch
from tests.integration.conftest import new_job, until
from tests.integration.engine import assert_whole, deliver, ledger, messages, withhold


@pytest.fixture
def call_back(resources):
    """Send the job's callback, as whoever finds the last part of a chord does."""

    def send(job, pass_no, times=1):
        for _ in range(times):
            resources.celery.send_task(
                FINISH_PASS, kwargs={"job_id": str(job.id), "pass_no": pass_no}, queue=CONTROL
            )

    return send


@pytest.fixture
def withheld(resources, tenant):
    """Submit a job whose messages no worker gets to see until they are delivered."""
    return lambda payloads, chunk_size=10: withhold(
        resources, new_job(tenant.id, "slow", payloads, chunk_size)
    )


def quiet(redis_client):
    until(lambda: messages(redis_client) == 0, 15, "every message is through")


@pytest.mark.usefixtures("engine")
class TestWithAWorker:
    def test_every_message_delivered_three_times_at_once(
        self, resources, withheld, finished, redis_client
    ):
        job, sent = withheld([{"sleep": 0.01, "matches": 1}] * 60)
        deliver(redis_client, sent * 3)

        job = finished(job)
        quiet(redis_client)

        assert_whole(resources, job)
        assert (job.succeeded, job.matches) == (60, 60)

    def test_every_message_delivered_again_after_the_end(
        self, resources, withheld, finished, reload, redis_client
    ):
        job, sent = withheld([{"matches": 1}] * 60)
        deliver(redis_client, sent)
        ended = finished(job)
        quiet(redis_client)

        deliver(redis_client, sent)
        quiet(redis_client)

        assert reload(job) == ended, "not even its version changed"
        assert ledger(resources, job).results == 60

    def test_a_whole_pass_sent_twice(self, resources, submit, finished, redis_client):
        """A publisher that thought it had failed."""
        job = submit("slow", [{"sleep": 0.01, "matches": 1}] * 60)
        dispatch(resources.celery, job, range(job.chunk_count))

        job = finished(job)
        quiet(redis_client)

        assert_whole(resources, job)
        assert job.matches == 60

    def test_the_callback_comes_early_twice_and_long_after(
        self, resources, submit, finished, reload, redis_client, call_back
    ):
        job = submit("slow", [{"sleep": 0.02, "matches": 1}] * 80)
        call_back(job, 1, times=5)
        until(lambda: reload(job).done >= 10, 20, "it is running")
        call_back(job, 1, times=5)

        ended = finished(job)
        call_back(job, 1, times=5)
        call_back(job, ended.pass_no, times=5)
        quiet(redis_client)

        assert_whole(resources, ended)
        assert ended.matches == 80
        assert ended.pass_no <= 3
        assert reload(job) == ended

    def test_callbacks_of_passes_that_are_over_begin_none(
        self, resources, submit, finished, reload, redis_client, call_back
    ):
        job = submit("slow", [{"sleep": 0.02}] * 160, chunk_size=80)
        until(lambda: reload(job).done >= 5, 20, "it is running")

        call_back(job, 0, times=50)
        call_back(job, 99, times=50)

        job = finished(job)
        assert_whole(resources, job)
        assert job.pass_no <= 3, "two or three are what its slow chunks take"
