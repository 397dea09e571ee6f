"""Every trap that was measured in Celery and Redis, and that this engine does not step into.

One test or more for each, named in docs/reliability.md, which says what happened to whoever
stepped in. Faults that need something killed are in tests/chaos.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
import socket
import subprocess
import sys
import time
from base64 import b64decode
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app import embedded
from app.errors import BrokerUnavailable
from app.jobs import service, store
from app.jobs.dispatch import (
    CONTROL,
    DOCUMENTS,
    DOCUMENTS_INTERACTIVE,
    FINISH_PASS,
    INTERACTIVE,
    QUEUES,
    RUN_CHUNK,
    SCREENING,
    dispatch,
    in_flight,
)
from app.jobs.model import Item, Result
from app.jobs.states import Event, JobState
from app.kinds import KINDS
from app.resources import Resources, make_celery
from app.screening.arrays import open_folder, save
from app.settings import Settings
from tests.integration.conftest import ROOT, new_job, until
from tests.integration.engine import (
    age,
    assert_whole,
    claim,
    deliver,
    in_hand,
    lasting_worker,
    ledger,
    messages,
    outcomes,
    queued,
    readdressed,
    waiting,
    withhold,
)
from tests.probes import kinds as probes
from workers import chunk, passes
from workers.sweep import sweep

pytestmark = pytest.mark.integration


@pytest.fixture
def conf(resources):
    return resources.celery.conf


@pytest.fixture(scope="class")
def engine(settings, tmp_path_factory):
    with lasting_worker(settings, tmp_path_factory.mktemp("engine")) as worker:
        yield worker


@pytest.fixture(scope="class")
def chunks_only(settings, tmp_path_factory):
    """A worker for chunks: callbacks stay in their queue, where they can be counted.

    Its chunks may take their time, so that there is enough of it to look at one in hand.
    """
    folder = tmp_path_factory.mktemp("chunks")
    patient = replace(settings, chunk_seconds=30.0, claim_seconds=20.0, visibility_timeout=60.0)
    with lasting_worker(patient, folder, "-Q", "screening,documents", beat=False) as worker:
        yield worker


@pytest.fixture
def withheld(resources, tenant):
    """Submit a job whose messages no worker gets to see until they are delivered."""
    return lambda payloads, chunk_size=10: withhold(
        resources, new_job(tenant.id, "slow", payloads, chunk_size)
    )


def begin(resources, job):
    with resources.db.transaction() as tx:
        return store.advance(tx, job.id, Event.CLAIM)


def save_all(resources, job):
    """Write the results of every item and count them, as if the last chunk had died just then."""
    results = [Result.success(Item(n, None, {}), {}) for n in range(job.total)]
    with resources.db.transaction() as tx:
        store.save_results(tx, job, results, pass_no=1)
        store.add_counts(tx, job, succeeded=job.total, failed=0, matches=0)


def names(redis_client, queue):
    """Return the names of the tasks that wait in the queue."""
    return [json.loads(m)["headers"]["task"] for m in redis_client.lrange(queue, 0, -1)]


# A chord's body fired early ----------------------------------------------------------------------


def test_celery_counts_the_parts_of_a_chord_by_task_and_index():
    """Trap: 5.6 fired the body early when a redelivered part had another result."""
    assert tuple(map(int, version("celery").split(".")[:2])) >= (5, 7)
    assert tuple(map(int, version("kombu").split(".")[:2])) >= (5, 7)


@pytest.mark.usefixtures("chunks_only")
class TestWithAWorkerForChunksAlone:
    def test_a_part_delivered_three_times_counts_once(self, withheld, reload, redis_client):
        """Trap: the body fired at 600 of 1,200 rows when a part was delivered again."""
        job, (quick, slow) = withheld([{}] * 5 + [{"sleep": 0.5}] * 5, chunk_size=5)
        deliver(redis_client, [quick, quick, quick, slow])

        until(lambda: reload(job).done >= 6, 40, "the quick chunk is done, the slow one is not")
        assert names(redis_client, CONTROL) == []

        until(lambda: reload(job).state.is_final, 40, "it ends")
        until(lambda: names(redis_client, CONTROL) == [FINISH_PASS], 40, "one callback came")
        assert reload(job).pass_no == 1

    def test_a_job_ends_though_its_callback_is_never_run(self, resources, submit, finished):
        """Trap: the body is lost for good when a worker dies after it claimed the callback."""
        assert_whole(resources, finished(submit("slow", [{}] * 25)))

    def test_each_chunk_in_hand_is_one_message_and_none_is_held_in_reserve(
        self, submit, redis_client, finished
    ):
        """Trap: a reserved chunk outlived the visibility timeout and ran twice (prefetch 4)."""
        job = submit("slow", [{"sleep": 0.5}] * 30, chunk_size=5)

        until(lambda: in_hand(redis_client) == 2, 40, "both processes have one")
        assert queued(redis_client) >= 2, "the rest is left for other workers"

        finished(job)

    def test_a_chunk_stays_in_redis_until_it_is_done(self, submit, reload, redis_client):
        """Trap: acknowledged on receipt, a chunk dies with its worker."""
        job = submit("slow", [{"sleep": 0.5}] * 8, chunk_size=8)

        until(lambda: reload(job).done >= 2, 40, "it is being worked on")
        assert in_hand(redis_client) == 1

        until(lambda: reload(job).state.is_final, 40, "it ends")
        until(lambda: in_hand(redis_client) == 0, 40, "it is acknowledged")

    def test_two_deliveries_of_a_chunk_at_once_are_one_piece_of_work(
        self, resources, withheld, finished, reload, redis_client
    ):
        """Trap: the loser returned normally, its part counted, and 188 passes ran in 8.5 s."""
        job, (message,) = withheld([{"sleep": 0.5}] * 10)
        deliver(redis_client, [message, message])

        until(lambda: reload(job).done >= 5, 40, "one of the two works")
        assert names(redis_client, CONTROL) == [], "the other has not said that it is done"
        job = finished(job)

        assert_whole(resources, job)
        assert job.pass_no == 1
        until(lambda: in_hand(redis_client) == 0, 40, "both deliveries are through")
        assert names(redis_client, CONTROL) == [FINISH_PASS]

    def test_no_result_of_a_task_is_kept_in_redis(self, submit, finished, redis_client):
        """Trap: with results kept, a death between "store" and "count" loses the chord."""
        finished(submit("slow", [{}] * 25))

        assert not list(redis_client.scan_iter("celery-task-meta-*"))

    def test_the_counters_of_a_chord_outlive_any_pause(self, submit, reload, redis_client, conf):
        """Trap: with result_expires=3 and chunks of 5 s, the body never fired."""
        job = submit("slow", [{}] + [{"sleep": 0.5}] * 9, chunk_size=1)
        until(lambda: 1 <= reload(job).done < 9, 40, "some parts are counted, and some are not")

        lives = [redis_client.ttl(key) for key in redis_client.scan_iter("celery-taskset-meta-*")]

        assert lives
        assert min(lives) > 6 * 24 * 3600
        assert conf.result_chord_expires >= 7 * 24 * 3600


def test_a_lost_workers_message_comes_back_within_its_timeout_and_a_second_or_two(
    settings, withheld, finished, redis_client, worker
):
    """Trap: it came back after 100 s, whatever the visibility timeout said."""
    worker("-Q", "screening", beat=False)
    job, (message,) = withheld([{}] * 5)
    # As a worker leaves it that took the message and died at once.
    began = time.time()
    redis_client.hset("unacked", "tag", json.dumps([readdressed(message), "", "screening"]))
    redis_client.zadd("unacked_index", {"tag": began})

    finished(job, 15)

    assert time.time() - began < settings.visibility_timeout + 3
    assert time.time() - began > settings.visibility_timeout - 1


def test_a_worker_that_dies_while_it_looks_for_lost_messages_holds_up_nobody_for_long(resources):
    """Trap: it takes a lock to look, and leaves it behind for five minutes."""
    with resources.celery.connection_for_read() as connection:
        assert connection.default_channel.unacked_mutex_expire <= 5


# Redis away --------------------------------------------------------------------------------------


def test_a_chord_that_cannot_be_sent_says_so_in_seconds(settings, submit):
    """Trap: `chord()` blocks for 19 s, then raises a bare RuntimeError.

    A request does not wait even for that: see the next test.
    """
    job = submit("slow", [{}] * 250)
    away = replace(settings, redis_url=f"redis://127.0.0.1:{embedded.free_port()}/0")
    began = time.monotonic()

    with pytest.raises(BrokerUnavailable), make_celery(away) as celery:
        dispatch(celery, job, range(25))

    assert time.monotonic() - began < 4.0


def test_a_job_is_accepted_at_once_while_redis_is_away(settings, resources, tenant):
    """Whether nobody answers there, or somebody who says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        for port in (embedded.free_port(), mute.getsockname()[1]):
            away = Resources.open(replace(settings, redis_url=f"redis://127.0.0.1:{port}/0"))
            began = time.monotonic()

            job = service.submit(away, new_job(tenant.id, "slow", [{}] * 250))

            assert time.monotonic() - began < 4.0
            assert service.find(away, tenant.id, "slow", job.external_id) == job
            away.close()


def test_a_blocking_read_is_never_broken_off_by_its_own_socket(resources):
    """Trap: redis-py 8 gives up on a socket after 5 s, in the middle of a longer BRPOP."""
    with resources.celery.connection_for_read() as connection:
        client = connection.default_channel.client

    assert client.connection_pool.connection_kwargs["socket_timeout"] == 10.0


# Publishing --------------------------------------------------------------------------------------


def test_sending_a_job_subscribes_to_nothing(resources, submit, redis_client):
    """Trap: a Redis channel for every task sent, never let go: 6,000 after 60 chords."""
    before = len(redis_client.client_list(_type="pubsub"))

    for _ in range(3):
        submit("slow", [{}] * 100, chunk_size=2)

    assert redis_client.pubsub_channels("celery-task-meta-*") == []
    assert len(redis_client.client_list(_type="pubsub")) == before


def test_the_callback_travels_apart_from_the_chunks(submit, redis_client):
    """Trap: redelivered chunks go to the front of a queue; callbacks starved for over 70 s."""
    job = submit("slow", [{}] * 50)

    chunks = [json.loads(message) for message in waiting(redis_client)]

    assert [each["headers"]["task"] for each in chunks] == [RUN_CHUNK] * 5
    # Each carries the callback it may have to send: to the other queue, after success or failure.
    for each in chunks:
        body = json.loads(b64decode(each["body"]))
        callback = body[2]["chord"]
        ways = [callback, *callback["options"]["link_error"]]
        assert [way["options"]["queue"] for way in ways] == [CONTROL, CONTROL]
        assert [way["kwargs"] for way in ways] == [{"job_id": str(job.id), "pass_no": 1}] * 2
        assert [way["task"] for way in ways] == [FINISH_PASS, FINISH_PASS]
        assert all(way["immutable"] for way in ways)


@pytest.mark.parametrize(
    ("first", "then"), [(INTERACTIVE, SCREENING), (DOCUMENTS_INTERACTIVE, DOCUMENTS)]
)
def test_who_waits_for_an_answer_is_served_before_a_full_queue_of_batches(
    resources, tenant, finished, worker, first, then
):
    """Trap: taken in turns, queues make every second caller wait behind a chunk of a batch."""
    many, few = (
        new_job(tenant.id, "slow", [{"sleep": 0.05}] * count, chunk_size=1) for count in (10, 3)
    )
    batch = service.submit(resources, replace(many, queue=then))
    callers = service.submit(resources, replace(few, queue=first))
    assert (queued(resources.redis, then), queued(resources.redis, first)) == (10, 3)

    worker("-Q", f"{first},{then}", "--concurrency", "1", beat=False)
    finished(batch)
    finished(callers)

    with resources.db.transaction() as tx:
        tx.execute("SELECT job_id FROM results ORDER BY finished_at")
        order = [row["job_id"] for row in tx.fetchall()]
    assert order == [callers.id] * 3 + [batch.id] * 10


def test_messages_carry_ids_and_numbers_and_nothing_else(submit, redis_client):
    """Trap: the broker's bodies show every argument, whatever `argsrepr` says."""
    job = submit("slow", [{"echo": "Jonathan Secretname"}] * 10)

    (message,) = redis_client.lrange("screening", 0, -1)
    args, kwargs, _ = json.loads(b64decode(json.loads(message)["body"]))

    assert args == []
    assert kwargs == {"job_id": str(job.id), "pass_no": 1, "chunk_no": 0}


def test_a_job_of_ten_thousand_is_a_few_dozen_messages(submit, redis_client):
    """Trap: events double the cost of small tasks; so tasks are not small."""
    submit(
        "fast",
        [{}] * 10_000,
        chunk_size=Settings.build(
            database_url="", redis_url="", jwt_secret="", environment="production"
        ).chunk_size,
    )

    assert messages(redis_client) == 40


# Two at once, twice, late ------------------------------------------------------------------------


def test_a_chunk_that_somebody_holds_is_left_to_them_and_tried_again_later(resources, submit):
    """Trap: returning would count this part of the chord as done."""
    job = submit("slow", [{}] * 10)
    claim(resources, job, seconds=7.0)

    again_in = chunk.run(resources, job.id, 1, 0)

    # Not when the claim runs out: who holds it may let go much sooner.
    assert 1.0 < again_in <= 2.0
    assert ledger(resources, job).results == 0


def test_a_claim_that_is_not_renewed_runs_out(resources, submit, reload):
    """Trap: a hung holder keeps the chunk for ever."""
    job = submit("slow", [{}] * 10)
    claim(resources, job, seconds=-0.1)

    assert chunk.run(resources, job.id, 1, 0) is None
    assert_whole(resources, reload(job))


def test_who_lost_its_claim_stops_and_whatever_it_did_counts_once(
    resources, submit, reload, monkeypatch
):
    """A worker that was frozen for a while finds its chunk in other hands."""
    job = submit("slow", [{}] * 10)

    def prepare(resources, job):
        def process(items):
            if items[0].position == 3:
                with resources.db.transaction() as tx:
                    tx.execute("UPDATE chunk_claims SET holder = 'elsewhere/1/boot'")
                time.sleep(2 * resources.settings.flush_seconds)
            return [Result.success(item, {}) for item in items]

        return process

    monkeypatch.setitem(KINDS, "slow", replace(probes.SLOW, prepare=prepare))

    chunk.run(resources, job.id, 1, 0)

    assert reload(job).done == 4
    assert ledger(resources, job).results == 4
    assert ledger(resources, job).claims == 1, "the other's claim is not ours to release"


def test_counts_grow_in_the_transaction_that_writes_the_rows(resources, submit, reload):
    """Trap: counters by INCR said 700 of 900 when a process died after its commit."""
    job = begin(resources, submit("slow", [{}] * 10))
    results = [Result.success(Item(n, None, {}), {}, matches=1) for n in range(10)]
    delivery = chunk._Chunk(resources, job, 1, 0, "elsewhere/1/boot")

    chunk._save(delivery, results[:6])
    chunk._save(delivery, results[:6])
    chunk._save(delivery, results)

    assert_whole(resources, reload(job))
    assert (reload(job).succeeded, reload(job).matches) == (10, 10)


def test_a_pass_that_is_over_ends_jobs_but_begins_no_pass(resources, submit, reload, redis_client):
    """Trap: a stale callback multiplies passes."""
    job = begin(resources, submit("slow", [{}] * 10))
    passes.finish(resources, job.id, 1)
    assert reload(job).pass_no == 2
    there = messages(redis_client)

    passes.finish(resources, job.id, 1)
    assert (reload(job).pass_no, messages(redis_client)) == (2, there)

    save_all(resources, job)
    passes.finish(resources, job.id, 1)
    assert_whole(resources, reload(job))


# The sweep ---------------------------------------------------------------------------------------


def test_the_sweep_leaves_alone_what_only_waits_its_turn(resources, submit, reload, redis_client):
    """Trap: fired by impatience, it turned 78 messages into 276."""
    job = submit("slow", [{}] * 250)
    there = messages(redis_client)

    for _ in range(5):
        age(resources, job)
        assert sweep(resources) == 0

    assert messages(redis_client) == there
    assert reload(job).pass_no == 1


def test_a_job_deep_in_a_long_queue_is_seen_to_be_there(resources, submit, redis_client):
    ours = [submit("slow", [{}] * 10) for _ in range(3)]
    page = redis_client.lrange("screening", 0, 0)
    for _ in range(12):
        redis_client.rpush("screening", *[page[0].replace(b"-", b"_")] * 100)
        redis_client.lpush("screening", *[page[0].replace(b"-", b"_")] * 100)

    assert in_flight(redis_client, [job.id for job in ours]) == {job.id for job in ours}


def test_the_sweep_leaves_alone_what_is_in_somebodys_hands(resources, submit, reload, redis_client):
    job = begin(resources, submit("slow", [{}] * 10))
    claim(resources, job)
    redis_client.flushall()
    age(resources, job)

    assert sweep(resources) == 0
    assert reload(job).pass_no == 1


def test_the_sweep_sends_again_what_nobody_has(resources, submit, reload, redis_client):
    job = submit("slow", [{}] * 50)
    redis_client.flushall()
    age(resources, job)

    assert sweep(resources) == 1

    assert reload(job).pass_no == 2
    assert queued(redis_client) == 5


def test_a_job_that_could_not_be_sent_is_looked_into_at_once(resources, submit, settings):
    job = submit("slow", [{}] * 50)
    resources.redis.flushall()
    with resources.db.transaction() as tx:
        store.mark_undelivered(tx, job.id)

    assert sweep(resources) == 1


def test_a_job_whose_rows_are_all_there_is_ended_by_the_sweep(resources, submit, reload):
    """Trap: the last chunk's worker died between its rows and its word."""
    job = begin(resources, submit("slow", [{}] * 10))
    save_all(resources, job)
    resources.redis.flushall()
    age(resources, job)

    sweep(resources)

    assert_whole(resources, reload(job))


def test_without_redis_the_sweep_does_nothing_since_it_has_no_evidence(resources, submit, reload):
    job = submit("slow", [{}] * 10)
    age(resources, job)
    away = redis.Redis(port=embedded.free_port(), retry=Retry(NoBackoff(), 0))

    with pytest.raises(redis.ConnectionError):
        sweep(replace(resources, redis=away))

    assert reload(job).pass_no == 1


# Time --------------------------------------------------------------------------------------------


def test_a_chunk_hands_back_what_it_has_no_time_for(resources, submit, reload, settings):
    """Trap: a lost worker's chunk waits out a timeout that must exceed the longest chunk."""
    job = submit("slow", [{"sleep": 0.1}] * 100, chunk_size=100)
    began = time.monotonic()

    assert chunk.run(resources, job.id, 1, 0) is None

    assert time.monotonic() - began < settings.chunk_seconds + 1.0
    assert 0 < reload(job).done < 100
    assert ledger(resources, job).claims == 0


def test_a_lost_worker_costs_half_a_minute_by_default(conf):
    """The times of production, in the order in which they must stand."""
    default = Settings.build(
        database_url="", redis_url="redis://", jwt_secret="", environment="production"
    )
    celery = make_celery(default).conf
    transport = celery.broker_transport_options

    assert default.flush_seconds < default.claim_seconds < default.visibility_timeout
    assert default.chunk_seconds < celery.task_time_limit < default.visibility_timeout
    looks_every = transport["unacked_restore_interval"] * transport["unacked_restore_throttle"]
    assert transport["visibility_timeout"] + looks_every <= 30
    assert default.stale_seconds + default.sweep_seconds <= 30


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("task_acks_late", True),
        ("task_reject_on_worker_lost", True),
        ("task_ignore_result", True),
        ("worker_prefetch_multiplier", 1),
        ("worker_deduplicate_successful_tasks", False),
        ("worker_cancel_long_running_tasks_on_connection_loss", False),
        ("task_publish_retry", False),
        ("redis_socket_timeout", 10.0),
    ],
)
def test_settings_that_only_show_when_something_dies(conf, setting, value):
    """What each prevents is shown in tests/chaos; here, that nobody turned it off."""
    assert conf[setting] == value


def test_every_task_is_acknowledged_late_and_keeps_no_result(settings):
    """A task may override what the app says: none does."""
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "from workers import tasks; from app.jobs import dispatch as d\n"
            "for name in (d.RUN_CHUNK, d.FINISH_PASS, d.SWEEP, d.MAINTAIN):\n"
            "    t = tasks.celery.tasks[name]\n"
            "    print(t.acks_late, t.reject_on_worker_lost, t.ignore_result)",
        ],
        cwd=ROOT,
        env={**os.environ, **settings.to_env()},
        check=True,
        capture_output=True,
        text=True,
    )

    assert shown.stdout.splitlines() == ["True True True"] * 4


# Poison ------------------------------------------------------------------------------------------


#: No process of Linux has a higher number.
HIGHEST_PID = 2**22


class DiedError(BaseException):
    """Stands for a death: nothing that comes after it in the chunk is run."""


@pytest.fixture
def mortals(monkeypatch):
    """Each delivery goes to another process of this machine, which is dead by the next one."""
    numbers = itertools.count(HIGHEST_PID + 1)
    monkeypatch.setattr(chunk, "_holder", lambda: f"{chunk._HOST}/{next(numbers)}/boot")


@pytest.fixture
def deadly(monkeypatch, mortals):
    """A kind whose items die when told to, without taking the tests along. Returns the deaths."""
    deaths = []

    def prepare(resources, job):
        def process(items):
            for item in items:
                if item.payload.get("die"):
                    deaths.append(item.position)
                    raise DiedError
            return [Result.success(item, {}) for item in items]

        return process

    monkeypatch.setitem(KINDS, "slow", replace(probes.SLOW, prepare=prepare))
    return deaths


def deliver_until_done(resources, job, limit=50):
    """Deliver every chunk again and again, as Redis does when its worker died."""
    for number in range(job.chunk_count):
        for _ in range(limit):
            try:
                assert chunk.run(resources, job.id, 1, number) is None
                break
            except DiedError:
                continue
        else:
            raise AssertionError(f"chunk {number} killed {limit} workers")


def test_a_poisonous_item_costs_three_deaths_and_nobody_elses_result(
    resources, submit, reload, deadly
):
    """Trap: attempts counted for a whole slice failed 50 items for the sake of one."""
    payloads = [{"die": n == 13} for n in range(50)]
    job = submit("slow", payloads, chunk_size=25)

    deliver_until_done(resources, job)

    assert_whole(resources, reload(job))
    assert outcomes(resources, job) == {"succeeded": 49, "attempts_exhausted": 1}
    assert deadly == [13, 13, 13]


def test_several_poisonous_items_in_one_chunk_take_no_healthy_one_with_them(
    resources, submit, reload, deadly
):
    payloads = [{"die": n in {3, 8, 14, 20}} for n in range(25)]
    job = submit("slow", payloads, chunk_size=25)

    deliver_until_done(resources, job)

    assert outcomes(resources, job) == {"succeeded": 21, "attempts_exhausted": 4}
    assert reload(job).state is JobState.COMPLETED


@pytest.mark.usefixtures("mortals")
def test_poisonous_items_far_apart_in_a_slow_chunk_take_no_healthy_one_with_them(
    resources, submit, reload, monkeypatch
):
    """Between two of them the chunk hands back its rest, and so begins as if nothing had been."""

    def prepare(resources, job):
        def process(items):
            if items[0].payload.get("die"):
                raise DiedError
            time.sleep(0.02)
            return [Result.success(item, {}) for item in items]

        return process

    monkeypatch.setitem(KINDS, "slow", replace(probes.SLOW, prepare=prepare))
    hasty = replace(resources, settings=replace(resources.settings, chunk_seconds=0.01))
    payloads = [{"die": n % 4 == 0} for n in range(24)]
    job = submit("slow", payloads, chunk_size=24)

    for _ in range(60):
        deliver_until_done(hasty, job)
        if reload(job).state.is_final:
            break

    assert outcomes(resources, job) == {"succeeded": 18, "attempts_exhausted": 6}


@pytest.mark.usefixtures("mortals")
def test_a_kind_that_dies_before_its_first_item_does_not_do_so_for_ever(
    resources, submit, reload, monkeypatch
):
    """An index too large for the machine, say: no item is to blame, and the job fails."""
    deaths = []

    def prepare(resources, job):
        deaths.append(job.id)
        raise DiedError

    monkeypatch.setitem(KINDS, "slow", replace(probes.SLOW, prepare=prepare))
    job = submit("slow", [{}] * 50, chunk_size=25)

    deliver_until_done(resources, job)

    assert (reload(job).state, reload(job).error_code) == ("failed", "internal_error")
    assert reload(job).cancelled == 50
    assert len(deaths) < 10


def test_the_code_of_a_poisonous_item_says_how_often_it_was_tried(resources, submit, deadly):
    job = submit("slow", [{"die": True}] * 1)

    deliver_until_done(resources, job)

    ((row,),) = service.results(resources, job)
    assert (row["error_code"], row["attempts"]) == ("attempts_exhausted", 3)


# Postgres ----------------------------------------------------------------------------------------


def test_a_slice_is_found_fast_in_tables_nobody_has_analysed(resources, submit):
    """Trap: a finalising anti-join on unanalysed tables took 19 s instead of 1.1 s."""
    job = begin(resources, submit("fast", [{}] * 10_000, chunk_size=250))
    with resources.db.transaction() as tx:
        results = [Result.success(Item(n, None, {}), {}) for n in range(9_900)]
        store.save_results(tx, job, results, pass_no=1)
    began = time.monotonic()

    with resources.db.transaction() as tx:
        chunks = store.outstanding_chunks(tx, job)
        items = store.load_outstanding(tx, job, job.chunk(39))

    assert time.monotonic() - began < 6.0
    assert chunks == [39]
    assert [item.position for item in items] == list(range(9_900, 10_000))


# Stopping work -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("engine")
class TestWithAWorker:
    def test_a_pause_is_heard_at_the_next_flush_and_breaks_no_chord(
        self, resources, submit, reload, redis_client, engine
    ):
        """Trap: pausing by `revoke()` turned the chord into an error."""
        job = submit("slow", [{"sleep": 0.05}] * 200, chunk_size=20)
        until(lambda: reload(job).done >= 5, 20, "it is running")
        asked = time.monotonic()
        with resources.db.transaction() as tx:
            store.advance(tx, job.id, Event.PAUSE)

        until(lambda: reload(job).state is JobState.PAUSED, 5, "it is paused")

        assert time.monotonic() - asked < 4.0
        until(lambda: messages(redis_client) == 0, 10, "the rest of its messages came and went")
        assert reload(job).state is JobState.PAUSED
        assert b"ChordError" not in engine.log.read_bytes()

    def test_a_callback_overtakes_the_chunks_that_wait(
        self, resources, submit, withheld, reload, redis_client
    ):
        """Trap: callbacks behind chunks on a shared queue starved for over 70 s."""
        ended = begin(resources, withheld([{}] * 3)[0])
        save_all(resources, ended)
        backlog = submit("slow", [{"sleep": 0.05}] * 100, chunk_size=2)
        until(lambda: queued(redis_client) < 50, 10, "the workers are busy")

        resources.celery.send_task(
            FINISH_PASS, kwargs={"job_id": str(ended.id), "pass_no": 1}, queue=CONTROL
        )

        until(lambda: reload(ended).state.is_final, 5, "its callback ran")
        assert queued(redis_client) > 10, "before the backlog was worked off"
        until(lambda: reload(backlog).state.is_final, 20, "and so is the backlog")

    def test_an_error_in_a_chunk_shows_nothing_of_what_it_worked_on(
        self, resources, submit, finished, redis_client, engine
    ):
        """Trap: texts of exceptions show arguments, and quote rows."""
        job = finished(submit("slow", [{"raise": "Jonathan Secretname"}] * 3))

        assert outcomes(resources, job) == {"internal_error": 3}
        assert b"Secretname" not in engine.log.read_bytes()
        for key in redis_client.scan_iter():
            assert b"Secretname" not in (redis_client.dump(key) or b"")

    def test_a_worker_that_waits_for_work_keeps_its_connection(self, engine, submit, finished):
        """Trap: redis-py's own 5 s broke off reads that wait longer, again and again."""
        finished(submit("slow", [{}]))

        assert b"Connection to broker lost" not in engine.log.read_bytes()
        assert b"TimeoutError" not in engine.log.read_bytes()


# Memory ------------------------------------------------------------------------------------------


def test_an_index_is_mapped_and_not_copied_into_each_process(tmp_path):
    """Trap: a dict index took 330 MB in each child, and memory limits count shared pages."""
    save(tmp_path / "index", {"many": np.arange(1000)}, {})

    arrays, _ = open_folder(tmp_path / "index")

    assert isinstance(arrays["many"].base.base, mmap.mmap)
    assert not arrays["many"].flags.writeable


# Watching ----------------------------------------------------------------------------------------


def test_flower_does_not_start_without_a_password(settings):
    """Trap: its pages and its /metrics answer anybody. tests/setup knocks at every path."""
    env = {**os.environ, **settings.to_env(), "MUSTER_FLOWER_AUTH": "admin:short"}
    command = [sys.executable, "-m", "celery", "-A", "workers.main", "flower"]

    refused = subprocess.run(
        [*command, "--conf=deploy/flower.py", "--port=0"],
        cwd=ROOT,
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert refused.returncode != 0
    assert "MUSTER_FLOWER_AUTH" in refused.stderr


def test_every_queue_that_a_kind_uses_is_one_that_workers_know():
    """Trap: a message to a queue that nobody declared waits for ever."""
    known = {queue.name for queue in QUEUES}

    assert all(kind.queues <= known for kind in KINDS.values())
