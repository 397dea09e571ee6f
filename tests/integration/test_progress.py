"""Live progress: cheap to read, never wrong for long, and safe to lose."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
import redis
from hypothesis import given
from hypothesis import settings as settings_for
from hypothesis import strategies as st
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import embedded
from app.db import Database
from app.errors import JobNotFound
from app.jobs import service, store
from app.jobs.progress import FINAL_MS, LIVE_MS, Progress, Snapshot
from app.jobs.states import Event, JobState
from tests.integration.conftest import new_job, until
from tests.integration.engine import lasting_worker

pytestmark = pytest.mark.integration


@pytest.fixture
def job(submit):
    """A queued job; nobody shows it but the test."""
    return submit("slow", [{}] * 25)


@pytest.fixture
def progress(resources):
    return Progress(resources.redis)


def read(progress, job):
    return progress.read(job.tenant_id, job.dialect, job.external_id)


def key_of(client):
    return next(client.scan_iter("progress:*"))


def test_what_is_shown_is_what_is_read(progress, job):
    progress.show(job)

    assert read(progress, job) == Snapshot.of(job)


def test_the_newer_picture_wins_in_whatever_order_they_come(progress, job):
    older, newer = (replace(job, version=version, succeeded=version) for version in (5, 6))

    for each in (older, newer, older, newer, older):
        progress.show(each)

    assert read(progress, job).succeeded == 6


def test_showing_a_picture_twice_changes_nothing(progress, job):
    progress.show(job)
    progress.show(job)

    assert read(progress, job) == Snapshot.of(job)


def test_versions_are_compared_as_numbers(progress, job):
    progress.show(replace(job, version=10))
    progress.show(replace(job, version=9))

    assert read(progress, job).version == 10


def test_a_picture_that_still_moves_fades_in_seconds_and_a_final_one_in_an_hour(
    progress, job, redis_client
):
    """A write that never arrived must not mislead for longer than that."""
    progress.show(job)
    assert 0 < redis_client.pttl(key_of(redis_client)) <= LIVE_MS

    progress.show(replace(job, version=99, state=JobState.CANCELLED))
    assert LIVE_MS < redis_client.pttl(key_of(redis_client)) <= FINAL_MS


def deleted(resources, job):
    """Delete the job while Redis is away, and return it as it ended."""
    ended = service.cancel(resources, job.tenant_id, job.dialect, job.external_id)
    away = Progress(resources.redis)
    away._resting_until = time.monotonic() + 60
    service.delete(replace(resources, progress=away), ended)
    return ended


@pytest.fixture
def again(resources, tenant):
    """Submit a job, each time under the same name."""

    def run():
        new = replace(new_job(tenant.id, "slow", [{}] * 3), external_id="monthly")
        return service.submit(resources, new)

    return run


def test_a_job_that_was_deleted_does_not_hide_a_new_one_of_its_name(resources, again):
    old = deleted(resources, again())
    assert read(resources.progress, old).state is JobState.CANCELLED

    new = again()

    assert new.version < old.version
    assert read(resources.progress, new) == Snapshot.of(new)
    resources.progress.show(old)
    assert read(resources.progress, new) == Snapshot.of(new), "whoever is late changes nothing"


def test_a_job_that_was_deleted_is_not_there_though_its_end_is_still_shown(resources, job):
    old = deleted(resources, job)
    assert read(resources.progress, old) is not None

    with pytest.raises(JobNotFound):
        service.watch(resources, old.tenant_id, old.dialect, old.external_id)

    assert read(resources.progress, old) is None


def test_the_end_that_is_shown_is_told_while_postgres_is_away(resources, job):
    ended = service.cancel(resources, job.tenant_id, job.dialect, job.external_id)
    without = replace(resources, db=Database(f"postgresql://127.0.0.1:{embedded.free_port()}/none"))

    seen = service.watch(without, job.tenant_id, job.dialect, job.external_id)
    assert seen == Snapshot.of(ended)


def test_redis_holds_ids_counts_and_times_and_nothing_of_the_items(resources, submit, redis_client):
    submit("slow", [{"echo": "Jonathan Secretname"}], secret="Jonathan Secretname")

    held = [redis_client.hget(key_of(redis_client), "job")]
    held += [m for queue in ("screening", "control") for m in redis_client.lrange(queue, 0, -1)]

    assert len(held) == 2
    assert not any(b"Secretname" in each for each in held)


def test_the_warnings_of_a_job_which_quote_the_caller_stay_in_postgres(
    resources, submit, redis_client
):
    warnings = [{"code": "unknown_config", "message": "config.Secretname is not known here."}]
    job = submit("slow", [{}] * 3, warnings=warnings)

    for _ in range(2):
        seen = service.watch(resources, job.tenant_id, job.dialect, job.external_id)
        assert (seen, seen.warnings) == (Snapshot.of(job), warnings)

    held = redis_client.hgetall(key_of(redis_client))
    assert held[b"version"] == b"%d" % job.version, "who watches hears of it none the less"
    assert not any(b"Secretname" in each for each in held.values())


def test_nothing_in_redis_means_ask_postgres_and_never_zero(resources, job, redis_client):
    redis_client.flushall()

    seen = service.watch(resources, job.tenant_id, job.dialect, job.external_id)

    assert seen == Snapshot.of(job)
    assert read(resources.progress, job) == seen, "and the next poll is cheap again"


def test_a_poll_of_a_job_that_redis_knows_asks_postgres_nothing(resources, job, monkeypatch):
    monkeypatch.setattr(store, "find_job", lambda *_: pytest.fail("it asked Postgres"))

    assert service.watch(resources, job.tenant_id, job.dialect, job.external_id).id == job.id


def test_another_tenants_job_is_as_good_as_none(resources, progress, job):
    progress.show(job)

    assert progress.read(uuid4(), job.dialect, job.external_id) is None
    with pytest.raises(JobNotFound):
        service.watch(resources, uuid4(), job.dialect, job.external_id)


def test_without_redis_nothing_is_raised_and_nobody_is_kept_waiting(resources, job):
    port = embedded.free_port()
    client = redis.Redis(port=port, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0))
    without = replace(resources, redis=client, progress=Progress(client))
    began = time.monotonic()

    without.progress.show(job)
    seen = [service.watch(without, job.tenant_id, job.dialect, job.external_id) for _ in range(20)]

    assert seen == [Snapshot.of(job)] * 20
    # Waiting for each of them would take ten seconds.
    assert time.monotonic() - began < 4.0


def test_redis_is_asked_again_soon_after_it_failed(resources, job, monkeypatch, progress):
    monkeypatch.setattr(progress, "_resting_until", time.monotonic() + 0.1)
    progress.show(job)
    assert read(progress, job) is None

    def shown():
        progress.show(job)
        return read(progress, job)

    assert until(shown, 2, "it is shown again") == Snapshot.of(job)


times = st.datetimes(timezones=st.just(UTC)) | st.none()
counts = st.integers(0, 10_000)
snapshots = st.builds(
    Snapshot,
    id=st.uuids(),
    external_id=st.text(),
    state=st.sampled_from(JobState),
    version=st.integers(1, 2**63 - 1),
    total=counts,
    succeeded=counts,
    failed=counts,
    cancelled=counts,
    expired=counts,
    matches=st.integers(0, 2**63 - 1),
    created_at=st.datetimes(timezones=st.just(UTC)),
    updated_at=st.datetimes(timezones=st.just(UTC)),
    started_at=times,
    finished_at=times,
    estimated_at=times,
    retry_of=st.uuids() | st.none(),
    error_code=st.text() | st.none(),
    error_message=st.text() | st.none(),
    warnings=st.just([]),
)


@given(snapshots)
@settings_for(max_examples=30)
def test_a_picture_survives_the_way_through_redis(snapshot):
    assert Snapshot.from_json(snapshot.to_json().encode()) == snapshot


def test_a_picture_has_no_field_that_a_job_lacks(job):
    made = Snapshot.of(job)

    assert isinstance(made.id, UUID)
    assert isinstance(made.created_at, datetime)
    assert made.version == job.version


@pytest.mark.usefixtures("engine")
class TestWithAWorker:
    def test_progress_never_goes_back_and_never_runs_ahead_of_the_rows(self, resources, submit):
        job = submit("slow", [{"sleep": 0.02}] * 150, chunk_size=15)
        seen, states = [0], []

        def ended():
            now = service.watch(resources, job.tenant_id, job.dialect, job.external_id)
            with resources.db.transaction() as tx:
                rows = store.count_results(tx, job)
            assert seen[-1] <= now.succeeded <= rows
            seen.append(now.succeeded)
            states.append(now.state)
            return now.state.is_final

        until(ended, 30, "it ends")
        assert states[-1] is JobState.COMPLETED
        assert len(set(seen)) > 5, "the way was seen, not only the end"

    def test_the_end_of_a_job_is_seen_at_once(self, resources, submit, finished):
        job = finished(submit("fast", [{}] * 20))

        # Between its end and what is shown of it, Redis has the picture before.
        until(lambda: read(resources.progress, job) == Snapshot.of(job), 10, "its end is shown")


@pytest.fixture(scope="class")
def engine(settings, tmp_path_factory):
    with lasting_worker(settings, tmp_path_factory.mktemp("progress")) as worker:
        yield worker


def test_whatever_moves_a_job_gives_it_a_newer_version(resources, job):
    """Else a poller would be shown what was there before."""
    with resources.db.transaction() as tx:
        claimed = store.advance(tx, job.id, Event.CLAIM)
        counted = store.add_counts(tx, job, succeeded=1, failed=0, matches=0)
        ended = store.advance(tx, job.id, Event.FATAL, error=("internal_error", "It broke."))

    assert job.version < claimed.version < counted.version < ended.version
