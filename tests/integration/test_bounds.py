"""What one request, one name, one chunk and one absent server may cost at the most."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from app.factory import create_app
from app.jobs import progress, service, store
from app.jobs.model import Item, Result
from app.jobs.states import Event, JobState
from app.kinds import KINDS
from app.kinds.base import Kind
from app.screening import resident
from app.screening.index import Index
from app.screening.model import Subject
from tests.integration.conftest import commits, new_job
from tests.kyc import CLEAR, LISTED, house_list, single_checks
from workers import chunk, sweep

pytestmark = pytest.mark.integration

__all__ = ["house_list"]


@pytest.fixture
def batches(monkeypatch) -> list[int]:
    """A kind of 20 ms an item, and how many items each of its calls was given."""
    sizes: list[int] = []

    def process(items: Sequence[Item]) -> Sequence[Result]:
        sizes.append(len(items))
        time.sleep(0.02 * len(items))
        return [Result.success(item, {}) for item in items]

    kind = Kind("heavy", lambda *_: process, queues=frozenset(), batch_size=100)
    monkeypatch.setitem(KINDS, "heavy", kind)
    return sizes


def test_a_call_takes_no_more_items_than_fit_between_two_saves(resources, submit, reload, batches):
    # Time for all of them in one chunk: on a busy machine its rest would go to another pass.
    settings = replace(resources.settings, chunk_seconds=60, visibility_timeout=120)
    job = submit("heavy", [{}] * 60, chunk_size=60)

    chunk.run(replace(resources, settings=settings), job.id, job.pass_no, 0)

    assert reload(job).state is JobState.COMPLETED
    most = resources.settings.flush_seconds / 0.02
    assert batches[0] <= 10
    assert all(size <= most for size in batches[1:])


def test_a_chunk_that_takes_down_every_worker_before_its_first_result_fails_the_job(
    resources, submit, reload
):
    """Not any item, then, but what the kind loads for all of them."""
    job = submit("fast", [{}] * 5)
    for _ in range(resources.settings.max_attempts + 5):
        _die_holding(resources, job)

    assert chunk.run(resources, job.id, job.pass_no, 0) is None

    ended = reload(job)
    assert ended.state is JobState.FAILED
    assert ended.error_code == "internal_error"
    assert "took its worker down 8 times" in ended.error_message


def test_a_job_that_is_given_up_is_on_the_disk_before_anybody_is_told(
    resources, submit, monkeypatch
):
    job = submit("fast", [{}] * 5)
    for _ in range(resources.settings.max_attempts + 5):
        _die_holding(resources, job)
    ends = commits(monkeypatch, Event.FATAL)

    chunk.run(resources, job.id, job.pass_no, 0)

    assert ends == ["on"]


def test_a_result_in_between_begins_the_count_of_lost_starts_anew(resources, submit, reload):
    job = submit("fast", [{}] * 5)
    for _ in range(3):
        _die_holding(resources, job)

    chunk.run(resources, job.id, job.pass_no, 0)

    assert reload(job).state is JobState.COMPLETED


def test_a_process_that_takes_up_its_own_chunk_again_has_not_died(resources, submit):
    """Postgres was away for a moment: that is held against no item."""
    job = submit("fast", [{}] * 5)
    starts = [_claim(resources, job, "here/1/a") for _ in range(3)]

    assert starts == [1, 1, 1]


def _die_holding(resources, job) -> None:
    """Claim the chunk as another worker does, and let the claim run out."""
    with resources.db.transaction() as tx:
        tx.execute("SELECT count(*) AS n FROM chunk_claims")
        holder = f"elsewhere/{time.monotonic_ns()}/x"
        store.claim_chunk(tx, job, 0, holder=holder, pass_no=1, seconds=-1)


def _claim(resources, job, holder: str) -> int | None:
    with resources.db.transaction() as tx:
        return store.claim_chunk(tx, job, 0, holder=holder, pass_no=1, seconds=-1)


def test_a_chunk_of_suspects_that_hands_back_its_rest_stays_suspect(resources, submit, tenant):
    """Else the rest would go in one call again, and take the next worker down with it."""
    settings = replace(resources.settings, chunk_seconds=0.05)
    job = submit("slow", [{"sleep": 0.03}] * 10)
    _die_holding(resources, job)

    chunk.run(replace(resources, settings=settings), job.id, job.pass_no, 0)

    assert _claim(resources, job, "elsewhere/2/x") > 1


def test_the_sweep_leaves_a_job_alone_that_somebody_has_claimed_meanwhile(
    resources, submit, reload
):
    job = submit("fast", [{}] * 5)
    with resources.db.transaction() as tx:
        store.claim_chunk(tx, job, 0, holder="elsewhere/1/x", pass_no=1, seconds=30)

    sweep._recover(resources, job)

    assert reload(job).pass_no == job.pass_no


def test_passes_that_come_to_nothing_are_counted_through_a_sweep(resources, submit, reload):
    job = submit("fast", [{}] * 5)
    with resources.db.transaction() as tx:
        store.begin_pass(tx, job, worked=True)
        swept = store.begin_pass(tx, job, worked=False)
        worked = store.begin_pass(tx, job, worked=True)

    assert (swept.idle_passes, worked.idle_passes) == (1, 2)


def test_single_checks_say_nothing_of_how_long_a_batch_takes(resources, submit, tenant):
    """They take their time for one item, of which a batch has thousands."""
    for _ in range(3):
        single = service.submit(
            resources, replace(new_job(tenant.id, "fast", [{}]), queue="interactive")
        )
        chunk.run(resources, single.id, 1, 0)
        with resources.db.transaction() as tx:
            tx.execute(
                "UPDATE jobs SET started_at = finished_at - interval '10 s' WHERE id = %s",
                (single.id,),
            )

    batch = submit("fast", [{}] * 1_000)

    assert batch.estimated_at - batch.created_at < timedelta(seconds=60)


def test_small_batches_say_little_of_how_long_a_large_one_takes(resources, submit):
    """They take their time for beginning and ending, whatever they hold."""
    for _ in range(3):
        small = submit("fast", [{}])
        chunk.run(resources, small.id, 1, 0)
        with resources.db.transaction() as tx:
            tx.execute(
                "UPDATE jobs SET started_at = finished_at - interval '10 s' WHERE id = %s",
                (small.id,),
            )

    large = submit("fast", [{}] * 1_000)
    again = submit("fast", [{}])

    assert large.estimated_at - large.created_at < timedelta(seconds=60)
    assert again.estimated_at - again.created_at >= timedelta(seconds=10)


def test_a_picture_of_another_version_of_this_program_is_not_believed(resources, submit, tenant):
    job = submit("fast", [{}] * 5)
    resources.redis.hset(progress._key(tenant.id, "fast", job.external_id), "job", '["old"]')

    snapshot = service.watch(resources, tenant.id, "fast", job.external_id)

    assert snapshot.total == 5


def test_a_single_check_without_redis_is_refused_at_once_and_leaves_no_job_behind(
    settings, resources, token, house_list
):
    # Nothing listens on port 1.
    web = create_app(replace(settings, redis_url="redis://127.0.0.1:1/0", sync_seconds=30.0))
    headers = {"Authorization": f"Bearer {token}"}

    began = time.monotonic()
    answer = web.test_client().post("/kyc", json=CLEAR, headers=headers)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert time.monotonic() - began < 15
    assert single_checks(resources) == ["cancelled"]


def test_a_folder_that_cannot_be_written_costs_time_and_no_screening(
    resources, settings, tmp_path, house_list
):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with resources.db.transaction() as tx:
        tx.execute("SELECT id FROM watchlists WHERE name = 'house'")
        version_id = tx.fetchone()["id"]

    index = resident.open_index(resources.db, blocked / "index", version_id)

    assert isinstance(index, Index)
    name = LISTED["subject"]["full_name"]
    assert [match.entry.id for match in index.screen([Subject(name)])[0]] == ["h-1"]
