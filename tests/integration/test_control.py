"""Cancelling, retrying, pausing and deadlines: what is finished stays, and the rest is stopped."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.errors import IllegalTransition, JobNotFound
from app.jobs import service, store
from app.jobs.model import Item, Result
from app.jobs.states import Event, JobState
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, claim, lasting_worker, ledger, outcomes, queued
from workers import chunk, passes
from workers.sweep import sweep

pytestmark = pytest.mark.integration

#: For what a busy machine may take long for. How soon a request is heard is told by the items that
#: are done after it, and not by a clock.
PATIENCE = 20.0
#: Each of the two processes has one item of 0.05 s in hand and at most one that it has not saved:
#: it flushes every 0.1 s, and a request is heard at the next flush.
IN_HAND = 4


def cancel(resources, job):
    return service.cancel(resources, job.tenant_id, job.dialect, job.external_id)


def retry(resources, job, *statuses):
    return service.retry(
        resources,
        job.tenant_id,
        job.dialect,
        job.external_id,
        statuses=statuses,
        options={},
        created_by="usr_test",
    )


def tell(resources, job, event):
    with resources.db.transaction() as tx:
        return store.advance(tx, job.id, event)


#: Seconds; a quick machine claims, allows and sweeps within a millisecond.
NO_TIME = 1e-9


def allow(resources, job, seconds):
    with resources.db.transaction() as tx:
        tx.execute("UPDATE jobs SET allowed_seconds = %s WHERE id = %s", (seconds, job.id))


# What can be said of a job that nobody works on, or somebody elsewhere.


def test_a_queued_job_is_cancelled_at_once(resources, submit):
    job = cancel(resources, submit("slow", [{}] * 25))

    assert (job.state, job.cancelled) == ("cancelled", 25)


def test_a_job_whose_worker_died_is_cancelled_when_its_claim_runs_out(resources, submit):
    job = submit("slow", [{}] * 25)
    tell(resources, job, Event.CLAIM)
    claim(resources, job, seconds=0.5)

    assert cancel(resources, job).state == "cancelling"
    until(lambda: sweep(resources), 5, "the sweep ends it")

    now = service.find(resources, job.tenant_id, job.dialect, job.external_id)
    assert (now.state, now.cancelled) == ("cancelled", 25)


def test_a_running_job_that_nobody_holds_is_cancelled_at_once(resources, submit):
    job = submit("slow", [{}] * 25)
    tell(resources, job, Event.CLAIM)

    assert cancel(resources, job).state == "cancelled"


def test_asking_again_while_a_job_stops_is_no_error(resources, submit):
    job = submit("slow", [{}] * 25)
    tell(resources, job, Event.CLAIM)
    claim(resources, job)

    assert cancel(resources, job).state == "cancelling"
    assert cancel(resources, job).state == "cancelling"


def test_a_job_that_has_ended_cannot_be_cancelled(resources, submit):
    job = cancel(resources, submit("slow", [{}] * 25))

    with pytest.raises(IllegalTransition, match="A cancelled job cannot be cancelled"):
        cancel(resources, job)


def test_the_messages_of_a_cancelled_job_do_nothing_when_they_come(resources, submit):
    job = cancel(resources, submit("slow", [{}] * 25))

    assert chunk.run(resources, job.id, 1, 0) is None
    passes.finish(resources, job.id, 1)

    assert ledger(resources, job).results == 0


def test_what_a_worker_brings_after_the_end_is_thrown_away(resources, submit):
    """It may have been stuck for an hour: the counts of an ended job never change."""
    job = submit("slow", [{}] * 25)
    tell(resources, job, Event.CLAIM)
    ended = cancel(resources, job)
    late = chunk._Chunk(resources, job, 1, 0, "elsewhere/1/boot")

    goes_on = chunk._save(late, [Result.success(Item(0, None, {}), {})])

    assert not goes_on
    assert ledger(resources, job).results == 0
    assert service.find(resources, job.tenant_id, job.dialect, job.external_id) == ended


def test_another_tenants_job_cannot_be_touched(resources, submit):
    job = submit("slow", [{}] * 25)
    other = accounts.ensure_tenant(resources.db, "other")

    with pytest.raises(JobNotFound):
        service.cancel(resources, other.id, job.dialect, job.external_id)
    with pytest.raises(JobNotFound):
        service.cancel(resources, job.tenant_id, job.dialect, str(uuid4()))


def test_a_job_that_still_runs_cannot_be_retried(resources, submit):
    with pytest.raises(IllegalTransition, match="A queued job cannot be retried"):
        retry(resources, submit("slow", [{}] * 25), "failed", "cancelled")


def test_waiting_in_the_queue_does_not_use_up_the_deadline(resources, submit, reload):
    job = submit("slow", [{}] * 25)
    allow(resources, job, NO_TIME)

    sweep(resources)

    assert reload(job).state == "queued"


def test_being_paused_does_not_use_up_the_deadline(resources, submit, reload):
    job = submit("slow", [{}] * 25)
    tell(resources, job, Event.PAUSE)
    allow(resources, job, NO_TIME)

    sweep(resources)

    assert reload(job).state == "paused"


def test_a_job_over_its_deadline_expires_whoever_holds_it(resources, submit, reload):
    job = submit("slow", [{}] * 25)
    tell(resources, job, Event.CLAIM)
    claim(resources, job)
    allow(resources, job, NO_TIME)

    assert sweep(resources) == 1

    assert (reload(job).state, reload(job).expired) == ("expired", 25)


def test_a_cancelling_job_over_its_deadline_is_cancelled(resources, submit, reload):
    job = submit("slow", [{}] * 25)
    tell(resources, job, Event.CLAIM)
    claim(resources, job)
    cancel(resources, job)
    allow(resources, job, NO_TIME)

    sweep(resources)

    assert (reload(job).state, reload(job).cancelled) == ("cancelled", 25)


@pytest.fixture(scope="class")
def engine(settings, tmp_path_factory):
    with lasting_worker(settings, tmp_path_factory.mktemp("control")) as worker:
        yield worker


@pytest.mark.usefixtures("engine")
class TestWithAWorker:
    @pytest.fixture
    def running(self, submit, reload):
        """A job of slow items, with a few of them done."""

        def start(items: int):
            job = submit("slow", [{"sleep": 0.05}] * items, chunk_size=20)
            until(lambda: reload(job).done >= 5, 20, "a few are done")
            return job

        return start

    def test_a_running_job_stops_within_moments_and_keeps_what_is_done(
        self, resources, running, finished
    ):
        job = running(400)

        asked = cancel(resources, job)
        ended = finished(job, PATIENCE)

        assert asked.state == "cancelling"
        assert ended.state == "cancelled"
        assert 5 <= asked.done <= ended.succeeded <= asked.done + IN_HAND < 400
        assert ended.succeeded + ended.cancelled == 400
        assert ledger(resources, job).results == ended.succeeded

    def test_a_running_job_over_its_deadline_expires_and_keeps_what_is_done(
        self, resources, submit, finished, reload
    ):
        job = submit("slow", [{"sleep": 0.05}] * 400, chunk_size=40)
        allow(resources, job, 1.0)

        ended = finished(job, 20)

        assert ended.state == "expired"
        assert 0 < ended.succeeded < 400
        assert ended.succeeded + ended.expired == 400
        assert ledger(resources, job).results == ended.succeeded
        # The sweep looks every half second here, and workers flush every tenth.
        assert (ended.finished_at - ended.started_at).total_seconds() < 8.0

    def test_a_paused_job_stands_still_and_goes_on_where_it_stood(
        self, resources, running, reload, finished
    ):
        job = running(120)

        asked = tell(resources, job, Event.PAUSE)
        until(lambda: reload(job).state is JobState.PAUSED, PATIENCE, "it is paused")
        paused = reload(job)
        assert asked.state == "pausing"
        assert paused.done <= asked.done + IN_HAND
        # The messages of its remaining chunks come and go without a trace.
        until(lambda: not queued(resources.redis), 10, "they have all come")
        sweep(resources)
        assert reload(job) == paused
        assert ledger(resources, job).claims == 0

        tell(resources, job, Event.RESUME)
        assert_whole(resources, finished(job))

    def test_retrying_makes_a_new_job_of_what_failed_and_of_what_was_never_begun(
        self, resources, submit, finished
    ):
        payloads = [{"echo": n} for n in range(20)] + [{"bad": "no"}] * 5 + [{"sleep": 0.1}] * 200
        old = submit("slow", payloads, chunk_size=25)
        until(lambda: outcomes(resources, old)["bad_item"] == 5, 20, "the bad ones are through")
        cancel(resources, old)
        old = finished(old)

        new = finished(retry(resources, old, "failed"))

        assert (new.retry_of, new.total, new.failed) == (old.id, 5, 5)
        assert_whole(resources, new)
        rows = [row for page in service.results(resources, new) for row in page]
        assert [(row["position"], row["ref"]) for row in rows] == [
            (n, f"r{20 + n}") for n in range(5)
        ]
        both = retry(resources, old, "failed", "cancelled")
        assert both.total == old.failed + old.cancelled
        cancel(resources, both)
        finished(both)
        assert service.find(resources, old.tenant_id, old.dialect, old.external_id) == old

    def test_a_retry_of_a_job_in_which_all_succeeded_is_refused(self, resources, submit, finished):
        job = finished(submit("slow", [{}] * 5))

        with pytest.raises(IllegalTransition, match="nothing to retry"):
            retry(resources, job, "failed", "cancelled")
