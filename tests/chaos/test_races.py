"""Many do the same at the same moment, or do it for the second time: it is done once."""

from __future__ import annotations

import threading

from app.jobs import store
from app.jobs.states import Event
from tests.integration.engine import age, assert_whole, queued
from workers import chunk, passes
from workers.sweep import sweep


def test_a_lost_callback_is_made_good_by_the_sweep(resources, submit, reload, redis_client):
    """The pass ended with items outstanding, and nobody was told."""
    job = submit("slow", [{"sleep": 0.1}] * 40, chunk_size=40)
    redis_client.flushall()
    assert chunk.run(resources, job.id, 1, 0) is None, "it handed back its rest"
    age(resources, job)

    assert sweep(resources) == 1

    assert reload(job).pass_no == 2
    assert queued(redis_client) == 1


def at_once(count, work):
    """Run the work in many threads that begin together, and return what they raised."""
    gate, raised = threading.Barrier(count), []

    def run():
        gate.wait(10)
        try:
            work()
        except Exception as error:
            raised.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return raised


def test_eight_sweeps_at_once_begin_one_pass(resources, submit, reload, redis_client):
    jobs = [submit("slow", [{}] * 30) for _ in range(5)]
    redis_client.flushall()
    for job in jobs:
        age(resources, job)

    assert at_once(8, lambda: sweep(resources)) == []

    assert [reload(job).pass_no for job in jobs] == [2] * 5
    assert queued(redis_client) == 15


def test_eight_callbacks_at_once_begin_one_pass(resources, submit, reload, redis_client):
    job = submit("slow", [{}] * 30)
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.CLAIM)
    redis_client.flushall()

    assert at_once(8, lambda: passes.finish(resources, job.id, 1)) == []

    assert reload(job).pass_no == 2
    assert queued(redis_client) == 3


def test_eight_deliveries_of_every_chunk_at_once_write_each_row_once(
    resources, submit, reload, monkeypatch
):
    """As if they came to eight machines: none of them knows that the others live."""
    job = submit("fast", [{"matches": 1}] * 400, chunk_size=100)
    names = iter(f"machine{n}/1/boot" for n in range(1000))
    monkeypatch.setattr(chunk, "_holder", lambda: next(names))

    def deliver():
        for number in range(4):
            chunk.run(resources, job.id, 1, number)

    assert at_once(8, deliver) == []

    assert_whole(resources, reload(job))
    assert (reload(job).succeeded, reload(job).matches) == (400, 400)
