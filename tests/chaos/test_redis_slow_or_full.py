"""Redis answers late, in drops, not to the end, or takes nothing more: it is there, and no help."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from app.jobs import service
from tests.chaos.conftest import Site, open_site
from tests.chaos.programs import Program
from tests.chaos.proxy import Proxy
from tests.integration.conftest import clear_broker, until
from tests.integration.engine import assert_whole

#: A message that nobody holds comes back after 8 s, a sweep finds within 3 s what got lost, and
#: the rest of the job takes 2 s. Several times that, on a machine that is busy.
BOUND_SECONDS = 60.0

#: Items of a chunk that has work for as long as a chunk may work: nothing else goes on while Redis
#: gives out no other.
IN_HAND = 100


@pytest.fixture(scope="module")
def valkey(mortal):
    return mortal("valkey")


@pytest.fixture(scope="module")
def proxy(valkey) -> Iterator[Proxy]:
    proxy = Proxy(valkey.port)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def site_settings(settings, valkey, proxy):
    """All of it meets Redis through the proxy, by clocks that leave room for slow answers."""
    return replace(
        settings,
        redis_url=valkey.url.replace(f":{valkey.port}/", f":{proxy.port}/"),
        sweep_seconds=2.0,
        monitor_seconds=20.0,
        claim_seconds=4.0,
        visibility_timeout=8.0,
    )


@pytest.fixture(scope="module")
def programs(site_settings, tmp_path_factory) -> Iterator[list[Program]]:
    """As in production, where the sweep has a worker of its own: in one that did everything the
    messages of beat alone would take all the time that a slow Redis leaves.
    """
    folder = tmp_path_factory.mktemp("programs")
    started = [Program(site_settings, folder, line) for line in ("worker", "control", "beat")]
    try:
        for program in started:
            program.start(wait=False)
        for program in started:
            program.wait_until_ready()
        yield started
    finally:
        for program in started:
            program.kill()
        clear_broker(site_settings)


@pytest.fixture
def site(site_settings, programs, proxy) -> Iterator[Site]:
    site = open_site(site_settings)
    yield site
    proxy.good()
    assert [each.line for each in programs if not each.runs] == [], "they have outlived it"
    site.resources.close()


def running(site: Site, items: int = 120, chunk_size: int = 20):
    job = site.submit([{"sleep": 0.03, "matches": 1}] * items, chunk_size=chunk_size)
    until(lambda: site.reload(job).done >= 10, 20, "it is running")
    return job


def ends_well(site: Site, job, items: int = 120) -> None:
    began = time.monotonic()
    until(lambda: site.reload(job).state.is_final, 90, lambda: f"it ends: {site.reload(job)}")
    took = time.monotonic() - began
    job = site.reload(job)
    assert_whole(site.resources, job)
    assert (job.succeeded, job.matches) == (items, items)
    assert took < BOUND_SECONDS


def test_a_job_ends_while_every_answer_of_redis_takes_a_tenth_of_a_second(site, proxy):
    job = running(site)
    proxy.delay = 0.05

    began = time.monotonic()
    snapshot = service.watch(site.resources, job.tenant_id, job.dialect, job.external_id)
    watched = time.monotonic() - began

    ends_well(site, job)
    assert snapshot.id == job.id
    assert watched < 10.0


def test_a_job_ends_while_redis_answers_later_than_anybody_waits(site, proxy):
    """Slower than MUSTER_REDIS_TIMEOUT: the web does without, and workers take their time."""
    job = running(site, items=240, chunk_size=IN_HAND)
    proxy.delay = 0.4
    done = site.reload(job).done

    began = time.monotonic()
    other = site.submit([{"matches": 1}] * 20)
    service.watch(site.resources, job.tenant_id, job.dialect, job.external_id)
    took = time.monotonic() - began
    until(lambda: site.reload(job).done >= done + 20, 60, "what is in hand goes on")
    proxy.good()

    assert took < 10.0
    ends_well(site, job, items=240)
    ends_well(site, other, items=20)


def test_a_job_ends_though_redis_comes_in_drops(site, proxy):
    job = running(site)
    proxy.drop = 64
    until(lambda: site.reload(job).done >= 40, 60, "it goes on")
    proxy.good()

    ends_well(site, job)


def test_a_job_ends_though_every_connection_to_redis_is_cut_again_and_again(site, proxy):
    job = running(site, items=240)

    for _ in range(8):
        proxy.cut()
        time.sleep(0.25)  # Long enough for most to have come back.
    assert not site.reload(job).state.is_final

    ends_well(site, job, items=240)


def test_what_is_submitted_while_redis_is_full_is_run_when_it_has_room(site, valkey):
    """maxmemory is reached in the middle of a job, with nothing that Redis could forget."""
    job = running(site, items=240, chunk_size=IN_HAND)

    with redis.Redis.from_url(valkey.url) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                client.set("more", "than it has room for")
            done = site.reload(job).done
            began = time.monotonic()
            others = [site.submit([{"matches": 1}] * 20) for _ in range(3)]
            took = time.monotonic() - began
            seen = service.watch(site.resources, job.tenant_id, job.dialect, job.external_id)
            until(lambda: site.reload(job).done >= done + 20, 30, "what is in hand goes on")
            time.sleep(2.0)  # Workers meet it when they take, when they end, and when they sweep.
        finally:
            client.config_set("maxmemory", 0)

    assert seen.id == job.id
    assert took < 10.0, "for the three of them"
    ends_well(site, job, items=240)
    for other in others:
        ends_well(site, other, items=20)
