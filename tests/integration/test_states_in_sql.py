"""Postgres holds the life of a job to the same table, whoever writes to it and however."""

from __future__ import annotations

import random

import psycopg2.errors
import pytest

from app.jobs import store
from app.jobs.model import Item, Result
from app.jobs.states import NEXT, Event, JobState
from tests.integration.conftest import new_job

TOTAL = 10
ERROR = ("internal_error", "It broke.")

#: A shortest way from submission to each state.
WAYS = {
    JobState.QUEUED: (),
    JobState.RUNNING: (Event.CLAIM,),
    JobState.PAUSING: (Event.CLAIM, Event.PAUSE),
    JobState.PAUSED: (Event.CLAIM, Event.PAUSE, Event.DRAINED),
    JobState.CANCELLING: (Event.CLAIM, Event.CANCEL),
    JobState.COMPLETED: (Event.CLAIM, Event.ALL_DONE),
    JobState.FAILED: (Event.FATAL,),
    JobState.CANCELLED: (Event.CANCEL,),
    JobState.REJECTED: (Event.GATE_HELD,),
    JobState.EXPIRED: (Event.DEADLINE,),
}


@pytest.fixture
def insert(resources, tenant):
    """Return a new job in the given state: nobody works on it."""

    def run(state: JobState = JobState.QUEUED, *, done: int | None = None):
        with resources.db.transaction() as tx:
            job = store.insert_job(tx, new_job(tenant.id, "slow", []), TOTAL)
            for event in WAYS[state]:
                if event is Event.CLAIM:
                    job = step(tx, job, event)
                    save(tx, job, TOTAL if done is None and state is JobState.COMPLETED else done)
                else:
                    job = step(tx, job, event)
            job = store.load_job(tx, job.id)
        assert job.state is state
        return job

    return run


def step(tx, job, event):
    return store.advance(tx, job.id, event, error=ERROR if event is Event.FATAL else None)


def save(tx, job, count):
    results = [Result.success(Item(n, None, {}), {}) for n in range(count or 0)]
    written = store.save_results(tx, job, results, pass_no=job.pass_no)
    store.add_counts(tx, job, succeeded=written[0], failed=written[1], matches=written[2])


def test_postgres_and_python_know_the_same_states_in_the_same_order(resources):
    with resources.db.transaction() as tx:
        tx.execute("SELECT unnest(enum_range(NULL::job_state))::text AS state")
        known = [row["state"] for row in tx.fetchall()]

    assert known == [str(state) for state in JobState]


@pytest.mark.parametrize("state", JobState)
def test_advance_moves_a_job_exactly_as_the_table_says(resources, insert, state):
    for event in Event:
        job = insert(state, done=TOTAL if event is Event.ALL_DONE else None)
        expected = NEXT.get(state, {}).get(event)

        with resources.db.transaction() as tx:
            moved = step(tx, job, event)
            now = store.load_job(tx, job.id)

        assert (moved and moved.state) == expected, event
        assert now == (moved or job), "what may not happen changes nothing"


@pytest.mark.parametrize("state", [state for state in JobState if state.is_final])
def test_an_ended_job_accounts_for_every_item(insert, state):
    job = insert(state)

    assert job.finished_at is not None
    assert job.succeeded + job.failed + job.cancelled + job.expired == TOTAL


@pytest.mark.parametrize(
    ("event", "counts"),
    [
        (Event.FATAL, {"succeeded": 4, "cancelled": 6, "expired": 0}),
        (Event.DEADLINE, {"succeeded": 4, "cancelled": 0, "expired": 6}),
    ],
)
def test_what_never_got_a_result_is_counted_when_a_job_is_cut_short(
    resources, insert, event, counts
):
    job = insert(JobState.RUNNING, done=4)

    with resources.db.transaction() as tx:
        ended = step(tx, job, event)

    assert {name: getattr(ended, name) for name in counts} == counts


def test_whatever_happens_to_a_job_its_counts_and_its_version_make_sense(resources, insert):
    """A hundred random events and results, each against what Postgres held before it."""
    chance = random.Random(20260711)
    for _ in range(10):
        job = insert()
        for _ in range(10):
            event, done = chance.choice(list(Event)), chance.randint(0, TOTAL)
            with resources.db.transaction() as tx:
                before = store.load_job(tx, job.id)
                if event is Event.ALL_DONE and before.done < TOTAL:
                    if before.state in {JobState.RUNNING, JobState.PAUSING}:
                        save(tx, before, done)
                else:
                    step(tx, before, event)
                now = store.load_job(tx, job.id)

            accounted = now.succeeded + now.failed + now.cancelled + now.expired
            assert accounted <= TOTAL
            assert (accounted == TOTAL) or not now.state.is_final
            assert now.done >= before.done
            assert now.version > before.version or now == before
            assert not before.state.is_final or now == before


def test_an_ended_job_takes_no_more_results(resources, insert):
    job = insert(JobState.CANCELLED)

    with resources.db.transaction() as tx:
        assert store.add_counts(tx, job, succeeded=1, failed=0, matches=0) is None


def test_only_time_spent_at_work_counts_against_the_deadline(resources, insert):
    def spent(job):
        with resources.db.transaction() as tx:
            tx.execute("SELECT spent_seconds, active_since FROM jobs WHERE id = %s", (job.id,))
            return tuple(tx.fetchone().values())

    queued, running, paused = map(insert, (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED))

    assert spent(queued) == (0, None)
    assert spent(running)[1] is not None
    assert spent(paused)[0] > 0
    assert spent(paused)[1] is None


# Each row below is one that no part of the program writes. Postgres must refuse it all the same:
# the next program to write here may be somebody's repair script.


@pytest.mark.parametrize(
    ("state", "illegal", "constraint"),
    [
        ("running", "finished_at = now(), cancelled = 10", "finished_iff_final"),
        ("completed", "finished_at = NULL", "finished_iff_final"),
        ("queued", "state = 'expired'", "finished_iff_final"),
        ("running", "started_at = NULL", "started_when_begun"),
        ("completed", "started_at = NULL", "started_when_begun"),
        ("running", "succeeded = 6, failed = 5", "counts_fit_total"),
        ("running", "succeeded = -1", "jobs_succeeded_check"),
        ("running", "failed = -1", "jobs_failed_check"),
        ("running", "cancelled = -1", "jobs_cancelled_check"),
        ("running", "expired = -1", "jobs_expired_check"),
        ("running", "matches = -1", "jobs_matches_check"),
        ("cancelled", "cancelled = 9", "counts_sum_at_the_end"),
        ("expired", "expired = 9", "counts_sum_at_the_end"),
        ("completed", "succeeded = 9, cancelled = 1", "completed_means_every_item"),
        ("failed", "error_code = NULL", "failed_says_why"),
        ("running", "error_code = 'internal_error'", "failed_says_why"),
        ("queued", "total = 0", "jobs_total_check"),
        ("queued", "chunk_size = 0", "jobs_chunk_size_check"),
        ("queued", "pass_no = 0", "jobs_pass_no_check"),
        ("queued", "month = '2026-07-02'", "jobs_month_check"),
        ("queued", "allowed_seconds = 0", "jobs_allowed_seconds_check"),
    ],
)
def test_postgres_refuses_an_illegal_job(resources, insert, state, illegal, constraint):
    job = insert(JobState(state))

    with (
        pytest.raises(psycopg2.errors.CheckViolation) as refused,
        resources.db.transaction() as tx,
    ):
        tx.execute(f"UPDATE jobs SET {illegal} WHERE id = %s", (job.id,))

    assert refused.value.diag.constraint_name == constraint


@pytest.mark.parametrize(
    ("columns", "illegal", "constraint"),
    [
        ("status, result", "'done', '{}'", "results_status_check"),
        ("status, result", "'succeeded', NULL", "succeeded_has_result"),
        ("status, result, error_code", "'failed', '{}', 'bad'", "succeeded_has_result"),
        ("status", "'failed'", "failed_says_why"),
        ("status, result, error_code", "'succeeded', '{}', 'bad'", "failed_says_why"),
        ("status, result, matches", "'succeeded', '{}', -1", "results_matches_check"),
    ],
)
def test_postgres_refuses_an_illegal_result(resources, insert, columns, illegal, constraint):
    job = insert(JobState.RUNNING)

    with (
        pytest.raises(psycopg2.errors.CheckViolation) as refused,
        resources.db.transaction() as tx,
    ):
        tx.execute(
            f"INSERT INTO results (kind, month, job_id, position, pass_no, {columns})"
            f" VALUES (%s, %s, %s, 0, 1, {illegal})",
            (job.kind, job.month, job.id),
        )

    assert refused.value.diag.constraint_name == constraint


def test_postgres_refuses_a_state_that_nobody_knows(resources, insert):
    job = insert()

    with (
        pytest.raises(psycopg2.errors.InvalidTextRepresentation),
        resources.db.transaction() as tx,
    ):
        tx.execute("UPDATE jobs SET state = 'dreaming' WHERE id = %s", (job.id,))


@pytest.mark.parametrize("state", NEXT)
def test_completing_a_job_that_lacks_a_result_is_refused(resources, insert, state):
    """Even if the engine asked for it: a job is never called done while an item has no result."""
    job = insert(state)
    if NEXT[state].get(Event.ALL_DONE) is not JobState.COMPLETED:
        return

    with pytest.raises(psycopg2.errors.CheckViolation), resources.db.transaction() as tx:
        step(tx, job, Event.ALL_DONE)


def test_the_first_result_of_an_item_stays_and_only_it_is_counted(resources, insert):
    job = insert(JobState.RUNNING)
    item = Item(3, None, {})

    with resources.db.transaction() as tx:
        first = store.save_results(tx, job, [Result.success(item, {}, matches=2)], pass_no=1)
        again = store.save_results(tx, job, [Result.failure(item, "late", "Late.")], pass_no=2)

    assert first == (1, 0, 2, "{[3,4)}")
    assert again == (0, 0, 0, None)


def test_a_result_lies_in_the_partition_of_its_kind_and_month(resources, tenant):
    with resources.db.transaction() as tx:
        job = store.insert_job(tx, new_job(tenant.id, "kyc", []), 1)
        store.save_results(tx, job, [Result.success(Item(0, None, {}), {})], pass_no=1)
        tx.execute("SELECT tableoid::regclass::text AS place FROM results")
        place = tx.fetchone()["place"]

    assert place == f"results_kyc_{job.month:%Y%m}"


def test_partitions_are_made_once_however_often_they_are_asked_for(resources):
    with resources.db.transaction() as tx:
        store.ensure_partitions(tx)
        assert store.ensure_partitions(tx) == 0


def test_who_holds_the_tables_as_a_dump_does_is_not_waited_for(resources, database):
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT max(relname) AS last FROM pg_class WHERE relname LIKE 'results\\_kyc\\_2%%'"
            " AND relkind = 'r'"
        )
        tx.execute(f"DROP TABLE {tx.fetchone()['last']}")
    with database.transaction() as dump:
        dump.execute("LOCK TABLE items, results, job_events IN ACCESS SHARE MODE")
        with resources.db.transaction() as tx:
            assert store.ensure_partitions(tx) == 0
            assert store.forget_claims(tx) == 0, "the rest is done all the same"

    with resources.db.transaction() as tx:
        assert store.ensure_partitions(tx) == 1
