"""What those who watch are told while servers go away under `live`, and `live` under them."""

from __future__ import annotations

import json
import signal
import time
from dataclasses import replace

import pytest

from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.jobs import ids, service, turns
from tests.chaos.conftest import Site, open_site
from tests.integration.conftest import new_job, until
from tests.integration.engine import deliver, lasting_worker, waiting
from tests.live import Live, messages, started


@pytest.fixture(scope="module")
def valkey(mortal):
    return mortal("valkey")


@pytest.fixture(scope="module")
def postgres(mortal):
    return mortal("postgres")


@pytest.fixture(scope="module")
def site_settings(settings, valkey, postgres):
    return replace(
        settings,
        redis_url=valkey.url,
        database_url=postgres.url,
        live_heartbeat_seconds=0.5,
        # What is in hand goes on for as long as a server is away.
        chunk_seconds=8.0,
        visibility_timeout=16.0,
    )


@pytest.fixture(scope="module")
def site(site_settings):
    site = open_site(site_settings)
    yield site
    site.resources.close()


@pytest.fixture(scope="module")
def engine(site, site_settings, tmp_path_factory):
    with lasting_worker(site_settings, tmp_path_factory.mktemp("engine")) as worker:
        yield worker


@pytest.fixture
def live(site, site_settings, tmp_path):
    with started(site_settings, tmp_path) as live:
        yield live


@pytest.fixture(scope="module")
def token(site, site_settings):
    return tokens.mint_access(site_settings, site.tenant_id, "u", PERMISSIONS[Role.OPERATOR])


def submit(site: Site, items: int, seconds: float):
    """A job as dialect D has it, so that both kinds of watchers can be asked."""
    payloads = [{"title": f"Document {n}", "sleep": seconds} for n in range(items)]
    wanted = new_job(site.tenant_id, "slow", payloads, 20)
    return service.submit(site.resources, replace(wanted, dialect="documents"))


def running(site: Site):
    """A job of six seconds and more: who looks a moment later still finds it at work."""
    job = submit(site, 400, 0.03)
    until(lambda: site.reload(job).done >= 8, 20, "it is running")
    return job


def path(job) -> str:
    return f"/v1/jobs/{ids.render(job.id)}/events"


def assert_told_once(told, job) -> None:
    """By SSE, from the beginning: each event once, in order, and one end."""
    places = [each.id for each in told]
    assert places == sorted(set(places))
    items = [each.data["index"] for each in told if each.name == "item"]
    assert sorted(items) == list(range(job.total))
    assert [each.data["status"] for each in told if each.name in {"state", "end"}] == [
        *("queued", "running", "completed", "completed")
    ]


def assert_said_once(said, job) -> None:
    """By WebSocket, with the catch-up."""
    rows = [
        row["row_number"] for each in said if each["type"] == "catchup" for row in each["results"]
    ]
    rows += [each["row_number"] for each in said if each["type"] == "progress"]
    assert sorted(rows) == list(range(1, job.total + 1))
    assert [each["type"] for each in said].count("completed") == 1
    assert said[-1]["type"] == "completed"


@pytest.mark.usefixtures("engine")
class TestRedis:
    def test_redis_comes_back_empty_in_the_middle_of_a_job(self, live, site, valkey, token):
        job = running(site)
        stream = live.watch(f"{path(job)}?after=0", token)
        with live.socket(job.external_id, token) as wire:
            said = [json.loads(wire.recv(timeout=20))]
            stream.until("progress")
            valkey.end()
            valkey.forget()
            valkey.start()
            said += messages(wire, seconds=40)
        told = stream.until_over(40)

        assert_told_once(told, job)
        assert_said_once(said, job)

    def test_redis_stays_away_until_long_after_the_end(self, live, site, valkey, token):
        """What is in hand is finished without it, and told of without it."""
        job = submit(site, 30, 0.3)
        until(lambda: site.reload(job).done >= 2, 20, "it is running")
        stream = live.watch(f"{path(job)}?after=0", token)
        stream.until("progress")

        valkey.end()
        try:
            done = site.reload(job).done
            until(lambda: site.reload(job).done > done + 5, 20, "it goes on")
            known = site.reload(job).done
            until(
                lambda: sum(each.name == "item" for each in stream.told) >= known,
                10,
                "told without Redis",
            )
        finally:
            valkey.start()

        assert_told_once(stream.until_over(40), job)

    def test_redis_hangs(self, live, site, valkey, token):
        """No error tells of it: nothing comes any more, that is all."""
        job = submit(site, 40, 0.3)
        until(lambda: site.reload(job).done >= 2, 20, "it is running")
        stream = live.watch(f"{path(job)}?after=0", token)
        stream.until("progress")

        valkey.server.process.send_signal(signal.SIGSTOP)
        try:
            known = site.reload(job).done
            until(
                lambda: sum(each.name == "item" for each in stream.told) > known,
                15,
                "told without Redis",
            )
            began = time.monotonic()
            another = live.watch(path(job), token)
            another.until("state")
            assert time.monotonic() - began < 3
            another.close()
        finally:
            valkey.server.process.send_signal(signal.SIGCONT)

        assert_told_once(stream.until_over(40), job)


@pytest.mark.usefixtures("engine")
class TestPostgres:
    def test_postgres_is_killed_and_comes_back(self, live, site, postgres, token):
        job = running(site)
        stream = live.watch(f"{path(job)}?after=0", token)
        with live.socket(job.external_id, token) as wire:
            said = [json.loads(wire.recv(timeout=20))]
            stream.until("progress")
            postgres.end()
            until(lambda: "live.database_away" in live.log.read_text(), 20, "live has noticed")
            refused = live.get(path(job), token)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
            with live.socket(job.external_id, token) as another:
                assert json.loads(another.recv())["error"] == "Try again in a moment"
                messages(another)
            assert another.close_code == 1013
            assert not stream.is_over
            postgres.start()
            said += messages(wire, seconds=60)
        told = stream.until_over(60)

        assert_told_once(told, job)
        assert_said_once(said, job)


@pytest.mark.usefixtures("engine")
class TestLive:
    def test_live_is_killed_and_watchers_go_on_at_another(
        self, live, site, site_settings, tmp_path, token
    ):
        job = running(site)
        stream = live.watch(f"{path(job)}?after=0", token)
        with live.socket(job.external_id, token, "?after=0") as wire:
            said = [json.loads(wire.recv(timeout=20))]
            stream.until("progress")
            live.process.kill()
            said += messages(wire)
        first = stream.until_over(10)
        assert "end" not in [each.name for each in first]

        with started(site_settings, tmp_path, "another") as another:
            rest = another.watch(path(job), token, **{"Last-Event-ID": str(first[-1].id)})
            after = max(each["seq"] for each in said)
            with another.socket(job.external_id, token, f"?after={after}") as wire:
                said += messages(wire, seconds=40)
            told = first + rest.until_over(40)

        assert_told_once(told, job)
        said = [each for each in said if each["type"] not in {"keepalive", "status"}]
        assert_said_once(said, job)
        assert [each["seq"] for each in said] == sorted({each["seq"] for each in said})

    def test_many_who_hang_up_at_once_leave_nothing_and_touch_nothing(self, live, site, token):
        """In the middle of a job: half of it is done, and the rest waits until they have gone."""
        redis = site.resources.redis
        wanted = new_job(site.tenant_id, "slow", [{}] * 60, 5)
        # A queue that no worker serves, and where a sweep sees that nothing is lost.
        job = service.submit(site.resources, replace(wanted, dialect="documents", queue="faces"))
        held = waiting(redis, "faces")
        streams = [live.watch(path(job), token) for _ in range(100)]
        until(lambda: _watchers(live) == {"clients": 100, "jobs": 1}, 60, lambda: _watchers(live))
        deliver(redis, held[:6])
        until(lambda: site.reload(job).done == 30, 40, "half of it is done")
        for stream in streams:
            stream.until("progress")
        for stream in streams:
            stream.close()

        until(lambda: _watchers(live) == {"clients": 0, "jobs": 0}, 30, lambda: _watchers(live))
        assert site.reload(job).state == "running"
        deliver(redis, held[6:])
        redis.delete(*turns.lists("faces"))
        until(lambda: site.reload(job).state.is_final, 40, "it ends")
        ended = site.reload(job)
        assert (ended.state, ended.succeeded, ended.pass_no) == ("completed", 60, 1)


def _watchers(live: Live) -> dict[str, int]:
    return live.get("/healthz", None).json()["watchers"]
