"""Tenants share a queue: none waits for all that another has put into it, and all go on."""

from __future__ import annotations

import json
from dataclasses import replace
from unittest import mock

import pytest

from app.accounts import service as accounts
from app.jobs import service, store, turns
from app.jobs.dispatch import INTERACTIVE, SCREENING, SHARED, dispatch, in_flight
from app.jobs.model import Item, Result
from app.jobs.states import Event
from tests.integration.conftest import new_job, until
from tests.integration.engine import age, assert_whole, claim, lasting_worker, waiting
from workers.chunk import end_if_over
from workers.sweep import sweep


@pytest.fixture
def other(resources):
    return accounts.ensure_tenant(resources.db, "other")


def put(resources, tenant, chunks, *, queue=SCREENING, kind="slow", each=None):
    """Submit a job of so many chunks of one item."""
    new = new_job(tenant.id, kind, [each or {}] * chunks, chunk_size=1)
    return service.submit(resources, replace(new, queue=queue))


def levels(client, queue=SCREENING):
    """Return how many messages wait at each level, up to the last that holds one."""
    sizes = [client.llen(name) for name in reversed(turns.lists(queue))]
    while sizes and not sizes[-1]:
        sizes.pop()
    return sizes


def end(resources, job):
    """Let workers have done all of it."""
    done = [Result.success(Item(n, None, {}), {}) for n in range(job.total)]
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.CLAIM)
        store.save_results(tx, job, done, pass_no=1)
        counted = store.add_counts(tx, job, succeeded=job.total, failed=0, matches=0)
        assert end_if_over(tx, counted).state.is_final
    resources.redis.flushall()


# At which level ----------------------------------------------------------------------------------


def test_a_chunk_travels_at_the_level_of_what_its_tenant_has_before_it(resources, tenant, other):
    put(resources, tenant, 20)
    assert levels(resources.redis) == [4, 8, 8]

    put(resources, tenant, 2)
    assert levels(resources.redis) == [4, 8, 10], "one of its own waits behind it"

    put(resources, other, 5)
    assert levels(resources.redis) == [8, 9, 10], "the other tenant does not"


def test_what_another_queue_holds_does_not_count(resources, tenant):
    put(resources, tenant, 20, queue="verifications")
    put(resources, tenant, 4)

    assert levels(resources.redis) == [4]


def test_who_sends_one_job_after_the_other_is_not_always_first(resources, tenant, other):
    for _ in range(3):
        end(resources, put(resources, tenant, 2))

    put(resources, tenant, 1)
    put(resources, other, 1)

    assert levels(resources.redis) == [1, 1]


def test_what_a_tenant_had_long_ago_does_not_count(resources, tenant):
    end(resources, put(resources, tenant, 20))
    with resources.db.transaction() as tx:
        tx.execute("UPDATE jobs SET finished_at = finished_at - interval '61 s'")

    put(resources, tenant, 1)

    assert levels(resources.redis) == [1]


def test_what_stands_still_and_what_came_later_does_not_count(resources, tenant, reload):
    first = put(resources, tenant, 5)
    paused = put(resources, tenant, 100)
    service.pause(resources, tenant.id, "slow", paused.external_id)
    put(resources, tenant, 1)
    resources.redis.flushall()

    age(resources, first)
    assert sweep(resources) == 1
    put(resources, tenant, 3)

    assert levels(resources.redis) == [4, 4]


def test_who_waits_for_an_answer_goes_before_every_batch(resources, tenant):
    for _ in range(6):
        put(resources, tenant, 1, queue=INTERACTIVE)

    assert levels(resources.redis, INTERACTIVE) == [6]


def test_a_small_job_is_expected_soon_though_another_tenant_has_much(resources, tenant, other):
    pace = {"calibrated_seconds": 1.0}
    big = new_job(tenant.id, "slow", [{}] * 3_000)
    small = new_job(other.id, "slow", [{}] * 10)
    for _ in range(2):
        service.submit(resources, replace(big, **pace))
    job = service.submit(resources, replace(small, **pace))
    last = service.submit(resources, replace(big, **pace))

    assert round((job.estimated_at - job.created_at).total_seconds()) == 20
    assert round((last.estimated_at - last.created_at).total_seconds()) == 9_010


# Nothing is overlooked, at whatever level --------------------------------------------------------


def test_a_job_is_seen_to_wait_at_whatever_level(resources, tenant, other, redis_client):
    jobs = [put(resources, tenant, count) for count in (4, 20, 50)] + [put(resources, other, 1)]

    assert in_flight(redis_client, [job.id for job in jobs]) == {job.id for job in jobs}


def test_the_sweep_leaves_alone_what_waits_at_the_last_level(resources, tenant, reload):
    put(resources, tenant, 70)
    last = put(resources, tenant, 2)
    *others, holding = (name for name in turns.lists(SCREENING) if resources.redis.llen(name))
    assert last.id in in_flight(resources.redis, [last.id])
    age(resources, last)

    assert (sweep(resources), reload(last).pass_no) == (0, 1)

    resources.redis.delete(*others)
    assert holding == SCREENING
    age(resources, last)
    assert (sweep(resources), reload(last).pass_no) == (1, 2)


# Nobody starves ----------------------------------------------------------------------------------


def tags(client, name):
    """Return the delivery tags of a list, the next to be taken first."""
    found = [json.loads(message) for message in reversed(client.lrange(name, 0, -1))]
    return [message["properties"]["delivery_tag"] for message in found]


def test_what_others_keep_from_its_turn_goes_first_now_and_then(resources, tenant, other):
    put(resources, tenant, 6)
    put(resources, other, 3)
    second, first = turns.lists(SCREENING)[-2:]
    starving = tags(resources.redis, second)[0]

    def look(now):
        """The sweep looks; workers take from the first list all the time."""
        resources.redis.rpop(first)
        return turns.favour_the_starved(resources.redis, SHARED, seconds=10, now=now)

    assert look(0) == look(9) == []
    assert look(10) == [SCREENING]
    assert tags(resources.redis, first)[0] == starving
    assert len(tags(resources.redis, second)) == 1
    assert look(19) == [], "one in so many seconds"
    put(resources, accounts.ensure_tenant(resources.db, "third"), 4)
    assert look(28) == []
    assert look(29) == [SCREENING]
    assert not resources.redis.llen(second)


def test_nobody_is_favoured_where_nobody_works(resources, tenant):
    put(resources, tenant, 20)

    for now in range(0, 600, 50):
        found = turns.favour_the_starved(resources.redis, SHARED, seconds=10, now=now)
        assert found == []


def test_nobody_is_favoured_who_is_served(resources, tenant):
    put(resources, tenant, 300)
    lists = turns.lists(SCREENING)
    resources.redis.delete(SCREENING)

    for now in range(0, 100, 9):
        for name in lists:
            resources.redis.rpop(name)
        found = turns.favour_the_starved(resources.redis, SHARED, seconds=10, now=now)
        assert found == []


# With a real worker ------------------------------------------------------------------------------


def done_before(resources, job, others):
    """Return how many items of the others had their result when the job ended."""
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT count(*) AS n FROM results WHERE job_id = ANY (%s) AND finished_at <= %s",
            ([each.id for each in others], job.finished_at),
        )
        return tx.fetchone()["n"]


def put_off(client):
    """Return the messages that a worker keeps until it is time to try them again."""
    held = [json.loads(message)[0] for message in client.hvals("unacked")]
    return [message for message in held if message["headers"]["retries"]]


@pytest.fixture(scope="module")
def engine(settings, tmp_path_factory):
    """A worker with a beat of its own, on a clock on which a list starves within 4 s."""
    quick = replace(settings, chunk_seconds=1.0, claim_seconds=1.5, visibility_timeout=2.0)
    with lasting_worker(quick, tmp_path_factory.mktemp("engine")) as worker:
        yield worker


@pytest.mark.usefixtures("engine")
class TestWithAWorker:
    def test_a_small_job_does_not_wait_for_all_that_another_tenant_has_queued(
        self, resources, tenant, other, finished
    ):
        third = accounts.ensure_tenant(resources.db, "third")
        big = [put(resources, tenant, 36, each={"sleep": 0.02}) for _ in range(4)]
        like = put(resources, third, 36, each={"sleep": 0.02})
        small = put(resources, other, 3, each={"sleep": 0.02})

        jobs = [finished(job) for job in (small, like, *big)]

        for job in jobs:
            assert_whole(resources, job)
            assert job.pass_no == 1
        # Of 144 that came before them. Taken in order, it would be all of these.
        assert done_before(resources, jobs[0], big) < 80
        # One that is like each of them waits for little more than one of them.
        assert done_before(resources, jobs[1], big) < 110

    def test_a_big_job_goes_on_though_others_keep_coming(
        self, resources, tenant, finished, redis_client
    ):
        tenants = [accounts.ensure_tenant(resources.db, f"t{n}") for n in range(8)]
        big = put(resources, tenant, 6, each={"sleep": 0.01})
        small = [put(resources, each, 4, each={"sleep": 0.5}) for each in tenants]

        # They take more than 8 s, and it would wait for all of them.
        finished(big, 60)
        for job in small:
            finished(job, 60)

        with resources.db.transaction() as tx:
            tx.execute("SELECT job_id FROM results ORDER BY finished_at")
            order = [row["job_id"] == big.id for row in tx.fetchall()]
        later = order[4:]
        assert later.index(True) < 28, "one of its last two was let through"
        until(lambda: not waiting(redis_client), 5, "nothing is left")

    def test_a_chunk_that_is_put_off_keeps_its_level(
        self, resources, tenant, reload, finished, redis_client
    ):
        with mock.patch.object(service, "dispatch"):
            job = put(resources, tenant, 6)
        claim(resources, job, 5, seconds=4)
        dispatch(resources.celery, job, range(6))

        until(lambda: reload(job).done == 5, 20, "the others are done")
        again = until(lambda: put_off(redis_client), 10, "it is put off")
        assert [message["properties"]["priority"] for message in again] == [1]
        assert_whole(resources, finished(job))
