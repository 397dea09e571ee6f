"""A Redis that may lose what it is given is told about at the start, and by /readyz."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import yaml

from app import broker_check, embedded
from app.broker_check import EVICTS, FORGETS, UNKNOWN
from app.factory import create_app
from tests.chaos.conftest import mortal as mortal
from tests.integration.conftest import ROOT, until
from tests.kyc import serving

pytestmark = pytest.mark.integration


def codes(client: redis.Redis) -> list[str]:
    return [each.code for each in broker_check.look(client)]


@contextmanager
def configured(client: redis.Redis, **values: str) -> Iterator[None]:
    """Set the server so while the block runs."""
    named = {name.replace("_", "-"): value for name, value in values.items()}
    before = {name: client.config_get(name)[name] for name in named}
    for name, value in named.items():
        client.config_set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)


@pytest.fixture(scope="module")
def valkey(mortal) -> Iterator[redis.Redis]:
    """A server of our own, set up as it should be."""
    with redis.Redis.from_url(mortal("valkey").url, decode_responses=True) as client:
        yield client


class TestWhatIsFound:
    def test_nothing_about_one_that_keeps_what_it_is_given(self, valkey):
        assert codes(valkey) == []

    @pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl", "allkeys-random"])
    def test_one_that_evicts(self, valkey, policy):
        with configured(valkey, maxmemory_policy=policy):
            (found,) = broker_check.look(valkey)

        assert (found.code, found.is_risk) == (EVICTS, True)
        assert f"maxmemory-policy {policy}" in found.says
        assert "Set maxmemory-policy to noeviction" in found.says

    def test_one_that_writes_nothing_to_disk(self, valkey):
        with configured(valkey, appendonly="no", save=""):
            (found,) = broker_check.look(valkey)

        assert (found.code, found.is_risk) == (FORGETS, True)
        assert "Set appendonly to yes" in found.says

    def test_snapshots_will_do(self, valkey):
        with configured(valkey, appendonly="no", save="3600 1"):
            assert codes(valkey) == []

    def test_all_that_is_wrong_is_said_at_once(self, valkey):
        with configured(valkey, appendonly="no", save="", maxmemory_policy="allkeys-lru"):
            assert codes(valkey) == [EVICTS, FORGETS]

    @pytest.mark.parametrize(
        ("forbidden", "good", "bad"),
        [
            (["-config"], [], [EVICTS, UNKNOWN]),
            (["-info"], [], [EVICTS, FORGETS]),
            (["-config", "-info"], [UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN]),
        ],
        ids=" ".join,
    )
    def test_a_server_that_forbids_to_ask_is_asked_what_it_allows(
        self, valkey, forbidden, good, bad
    ):
        """Those that are rented forbid CONFIG, and INFO says most of it."""
        password = secrets.token_hex(8)
        valkey.acl_setuser(
            "guest",
            enabled=True,
            passwords=[f"+{password}"],
            categories=["+@all"],
            commands=forbidden,
            keys=["*"],
            reset=True,
        )
        with valkey_as(valkey, "guest", password) as guest:
            assert codes(guest) == good
            with configured(valkey, appendonly="no", save="", maxmemory_policy="allkeys-lru"):
                found = broker_check.look(guest)

        assert [each.code for each in found] == bad
        assert all(each.is_risk == (each.code != UNKNOWN) for each in found)

    def test_the_one_of_compose_is_set_up_as_it_should_be(self, tmp_path):
        compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
        _, *flags = compose["services"]["redis"]["command"]
        port, program = embedded.free_port(), embedded.find_valkey()
        process = subprocess.Popen(
            [program, *flags, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)],
            stdout=subprocess.DEVNULL,
        )
        try:
            with redis.Redis(port=port) as client:
                until(lambda: answers(client), 30, "it answers")
                assert codes(client) == []
        finally:
            process.terminate()
            process.wait(20)


class TestWhoIsTold:
    """The server of the tests keeps nothing: it is not meant to."""

    def test_the_web_says_it_in_its_log_and_starts(self, settings, tmp_path):
        with serving(settings, tmp_path) as web:
            warnings = said(web.log)

        assert [each["code"] for each in warnings] == [FORGETS]
        assert "every queued task is lost" in warnings[0]["says"]

    def test_a_worker_says_it_in_its_log_and_starts(self, worker):
        started = worker(beat=False)

        assert [each["code"] for each in said(started.log)] == [FORGETS]

    def test_readyz_says_it_and_stays_200(self, web):
        answer = web.test_client().get("/readyz")

        assert answer.status_code == 200
        body = answer.get_json()
        assert body["status"] == "degraded"
        assert body["checks"]["broker"]["status"] == "at_risk"
        assert "writes nothing to disk" in body["checks"]["broker"]["problems"][0]

    def test_readyz_says_nothing_of_one_that_is_set_up_well(self, valkey, settings):
        url = "redis://:{password}@{host}:{port}/0".format(
            **valkey.connection_pool.connection_kwargs
        )
        app = create_app(replace(settings, redis_url=url))

        answer = app.test_client().get("/readyz").get_json()

        assert (answer["status"], answer["checks"]["broker"]) == ("ok", {"status": "ok"})

    def test_one_that_is_away_is_not_waited_for(self, settings, caplog):
        assert broker_check.at_start(replace(settings, redis_url="redis://127.0.0.1:1/0")) == []

        assert [record.getMessage() for record in caplog.records] == ["redis.not_checked"]


@contextmanager
def valkey_as(client: redis.Redis, user: str, password: str) -> Iterator[redis.Redis]:
    given = client.connection_pool.connection_kwargs
    with redis.Redis(
        host=given["host"], port=given["port"], username=user, password=password
    ) as guest:
        yield guest


def said(log: Path) -> list[dict[str, str]]:
    """Return what a program wrote of the server in its log."""
    lines = []
    for line in log.read_text().splitlines():
        with suppress(ValueError):
            lines.append(json.loads(line))
    return [
        line for line in lines if isinstance(line, dict) and line.get("event") == "redis.at_risk"
    ]


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
