"""How often anybody may ask: by address, tenant and key, in the words of each dialect."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
import requests
from argon2 import PasswordHasher
from flask.testing import FlaskClient

from app import embedded
from app.accounts import passwords
from app.accounts import service as accounts
from app.accounts.keys import FACES_KEY
from app.accounts.model import PERMISSIONS, Role
from app.api import auth, tokens
from app.factory import create_app
from app.settings import Settings
from tests.integration.conftest import ROOT, until

pytestmark = pytest.mark.integration

#: A route of each dialect that answers any operator, and who it belongs to.
ROUTES = {
    "A": "/kyc/jobs",
    "B": "/v5/verifications",
    "C": "/api/v1/organizations/{}",
    "D": "/api/history/stats",
    "native": "/v1/jobs",
}
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _start_anew(monkeypatch) -> None:
    auth._known_keys.clear()
    # As argon2id as any, and not slow on purpose: here many passwords are tried.
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(1, 8, 1))


@pytest.fixture
def limited(settings, token) -> Callable[..., FlaskClient]:
    """Call with limits, to get a client of an application that holds to them."""

    def make(*, token: str | None = token, **limits: str) -> FlaskClient:
        client = create_app(replace(settings, **limits)).test_client()
        if token is not None:
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    return make


@pytest.fixture
def user(resources, tenant) -> str:
    """Somebody who can sign in."""
    email = "ada@example.com"
    accounts.create_user(resources.db, tenant.id, email, PASSWORD, Role.OPERATOR)
    return email


def at(address: str) -> dict[str, Any]:
    return {"environ_overrides": {"REMOTE_ADDR": address}}


def sign_in(client: FlaskClient, email: str, password: str, address: str = "192.0.2.1") -> int:
    given = {"email": email, "password": password}
    return client.post("/api/auth/login", json=given, **at(address)).status_code


class TestAddressesAndTenants:
    @pytest.mark.parametrize("dialect", ROUTES)
    def test_every_answer_says_what_is_left(self, limited, tenant, dialect):
        client, route = limited(rate_address="100/5m", rate_tenant="70/1m"), ROUTES[dialect]
        route = route.format(tenant.id)

        first, second = client.get(route), client.get(route)

        assert first.status_code == 200
        policy = '"address";q=100;w=300, "tenant";q=70;w=60'
        assert first.headers["RateLimit-Policy"] == second.headers["RateLimit-Policy"] == policy
        left = r'"address";r=(\d+);t=(\d+), "tenant";r=(\d+);t=(\d+)'
        assert re.fullmatch(left, first.headers["RateLimit"]).group(1, 3) == ("99", "69")
        found = re.fullmatch(left, second.headers["RateLimit"])
        assert found.group(1, 3) == ("98", "68")
        assert 240 < int(found[2]) <= 300
        assert 1 <= int(found[4]) <= 60

    def test_dialect_a_says_it_in_its_own_headers_too_and_nobody_else(self, limited):
        client = limited(rate_address="100/5m", rate_tenant="70/1m")

        answer = client.get(ROUTES["A"])

        # Of the limit that will be used up first.
        assert answer.headers["X-RateLimit-Limit"] == "70"
        assert answer.headers["X-RateLimit-Remaining"] == "69"
        assert 0 < int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 61
        assert "X-RateLimit-Limit" not in client.get(ROUTES["native"]).headers

    def test_by_default_an_address_may_ask_a_thousand_times_in_five_minutes(self, settings, token):
        default = {
            name: Settings.__dataclass_fields__[name].metadata["default"]
            for name in ("rate_address", "rate_tenant", "rate_failures", "rate_logins")
        }
        client = create_app(replace(settings, **default)).test_client()

        answer = client.get(ROUTES["A"], headers={"Authorization": f"Bearer {token}"})

        assert answer.headers["RateLimit-Policy"] == (
            '"address";q=1000;w=300, "tenant";q=10000;w=300'
        )
        assert answer.headers["X-RateLimit-Limit"] == "1000"

    @pytest.mark.parametrize("dialect", ROUTES)
    def test_one_more_is_429_in_the_words_of_the_dialect(self, limited, tenant, dialect):
        client, route = limited(rate_address="2/5m"), ROUTES[dialect].format(tenant.id)
        for _ in range(2):
            assert client.get(route).status_code == 200

        answer = client.get(route)

        assert answer.status_code == 429
        seconds = int(answer.headers["Retry-After"])
        assert 240 < seconds <= 300
        assert answer.headers["RateLimit-Policy"] == '"address";q=2;w=300'
        assert answer.headers["RateLimit"] == f'"address";r=0;t={seconds}'
        assert answer.headers["X-Request-ID"].startswith("req_")
        said = (
            "Too many requests: no more than 2 in 5 minutes from one address."
            " Please try again in 5 minutes."
        )
        body = answer.get_json()
        match dialect:
            case "A":
                assert body == {
                    "error": "Rate limit exceeded",
                    "message": said,
                    "retry_after": seconds,
                }
                assert answer.headers["X-RateLimit-Remaining"] == "0"
            case "B":
                detail = {"message": said, "code": "rate_limited", "path": []}
                assert (body["statusCode"], body["data"]) == (429, None)
                assert body["error"] == {"type": "too_many_requests", "details": [detail]}
                assert "Location" not in answer.headers
            case "C":
                assert (body["success"], body["error"]["code"]) == (False, "RATE_LIMIT_EXCEEDED")
                assert body["error"]["message"] == said
            case "D":
                assert body == {"detail": "Too many requests"}
            case "native":
                assert answer.mimetype == "application/problem+json"
                assert body["type"] == "urn:muster:problem:quota-exceeded"
                assert body["violated-policies"] == ["address"]
                assert (body["detail"], body["retry_after"]) == (said, seconds)

    def test_addresses_are_counted_apart_and_one_of_ipv6_is_a_network(self, limited):
        client = limited(rate_address="1/5m")

        def ask(address: str) -> int:
            return client.get("/v1/jobs", **at(address)).status_code

        assert [ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")] == [200, 429, 200]
        assert ask("::ffff:192.0.2.2") == 429, "the same one, written as IPv6"
        assert [ask("2001:db8:0:1::1"), ask("2001:db8:0:1:ffff::2")] == [200, 429]
        assert ask("2001:db8:0:2::1") == 200

    def test_a_tenant_is_counted_over_all_its_addresses_and_no_other(
        self, limited, settings, resources, tenant
    ):
        client = limited(rate_tenant="2/5m")
        other = accounts.ensure_tenant(resources.db, "other")
        theirs = tokens.mint_access(settings, other.id, "usr_x", PERMISSIONS[Role.VIEWER])

        codes = [client.get("/v1/jobs", **at(f"192.0.2.{n}")).status_code for n in range(1, 5)]

        assert codes == [200, 200, 429, 429]
        headers = {"Authorization": f"Bearer {theirs}"}
        assert client.get("/v1/jobs", headers=headers).status_code == 200

    def test_who_shows_nothing_or_asks_for_nothing_is_counted_as_well(self, limited):
        client = limited(token=None, rate_address="3/5m")

        codes = [client.get(path).status_code for path in ("/v1/jobs", "/nothing", "/kyc/nothing")]

        assert codes == [401, 404, 404]
        assert client.get("/v1/jobs").status_code == 429

    @pytest.mark.parametrize(
        "path", ["/healthz", "/readyz", "/api/health", "/api/status", "/openapi.json"]
    )
    def test_health_and_the_description_of_the_api_are_not_counted(self, limited, path):
        client = limited(rate_address="1/5m")

        answers = [client.get(path) for _ in range(4)]

        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit" not in answers[0].headers
        assert client.get("/v1/jobs").status_code == 200

    def test_off_is_off(self, limited):
        client = limited()

        answers = [client.get("/kyc/jobs") for _ in range(20)]

        assert {answer.status_code for answer in answers} == {200}
        assert not [name for name in answers[0].headers if "RateLimit" in name]

    def test_many_at_once_are_not_let_through(self, limited):
        client = limited(rate_address="25/5m")
        app = client.application
        header = client.environ_base["HTTP_AUTHORIZATION"]

        def ask(_: int) -> int:
            return app.test_client().get("/v1/jobs", headers={"Authorization": header}).status_code

        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(ask, range(60)))

        assert codes.count(200) == 25
        assert codes.count(429) == 35

    def test_a_limit_ends(self, limited, redis_client):
        client = limited(rate_address="1/5m")
        assert [client.get("/v1/jobs").status_code for _ in range(3)] == [200, 429, 429]

        names = list(redis_client.scan_iter("rate:*"))
        assert names
        assert all(0 < redis_client.ttl(name) <= 300 for name in names), (
            "refusals do not prolong it"
        )
        redis_client.pexpire(names[0], 1)
        time.sleep(0.01)

        assert client.get("/v1/jobs").status_code == 200


class TestKeys:
    def test_a_key_has_a_pace_of_its_own_in_every_dialect(self, limited, resources, tenant):
        _, key = accounts.create_key(
            resources.db, tenant.id, "slow", ["jobs:read"], rate_limit_rpm=3
        )
        client = limited(token=key)

        answers = [client.get("/v1/jobs") for _ in range(4)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["RateLimit-Policy"] == '"key";q=3;w=60'
        assert answers[3].get_json()["violated-policies"] == ["key"]
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 60


class TestWrongCredentials:
    @pytest.mark.parametrize("path", ["/kyc/auth/token", "/api/auth/login", "/api/v1/auth/login"])
    def test_passwords_cannot_be_guessed_for_long(self, limited, user, path):
        client = limited(token=None, rate_logins="3/5m")

        def attempt(password: str) -> int:
            given = {"email": user, "password": password}
            return client.post(path, json=given).status_code

        assert [attempt("wrong") for _ in range(4)] == [401, 401, 401, 429]
        assert attempt(PASSWORD) == 429, "the right one tells nothing any more"

    def test_a_hundred_at_once_are_no_way_around(self, limited, user):
        app = limited(token=None, rate_logins="3/5m").application

        with ThreadPoolExecutor(8) as pool:
            codes = list(pool.map(lambda _: sign_in(app.test_client(), user, "wrong"), range(16)))

        assert sorted(codes) == [401] * 3 + [429] * 13

    def test_one_address_cannot_shut_an_account_to_others(self, limited, user):
        client = limited(token=None, rate_logins="2/5m")

        codes = [sign_in(client, user, "wrong", "192.0.2.66") for _ in range(60)]

        assert codes.count(401) == 2
        assert sign_in(client, user, PASSWORD, "192.0.2.1") == 200
        assert sign_in(client, user, "wrong", "192.0.2.1") == 401

    def test_many_addresses_cannot_guess_on_and_on_and_whoever_was_here_before_gets_in(
        self, limited, user
    ):
        client = limited(token=None, rate_logins="1/5m")
        assert sign_in(client, user, PASSWORD, "192.0.2.1") == 200

        codes = [sign_in(client, user, "wrong", f"198.51.100.{n}") for n in range(1, 21)]

        assert codes == [401] * 10 + [429] * 10
        assert sign_in(client, user, PASSWORD, "192.0.2.1") == 200
        assert sign_in(client, "nobody@example.com", "wrong", "198.51.100.99") == 401

    def test_an_account_that_does_not_exist_is_held_to_the_same(self, limited):
        client = limited(token=None, rate_logins="2/5m")

        codes = [sign_in(client, "nobody@example.com", "wrong") for _ in range(3)]

        assert codes == [401, 401, 429]

    def test_signing_in_rightly_is_never_counted(self, limited, user):
        client = limited(token=None, rate_logins="2/5m", rate_failures="2/5m")

        codes = [sign_in(client, user, PASSWORD) for _ in range(5)]
        codes += [sign_in(client, user, word) for word in ("wrong", PASSWORD, "wrong", PASSWORD)]

        # Each right one makes good for the wrong one before it.
        assert codes == [200] * 5 + [401, 200, 401, 200]

    def test_who_signed_in_before_is_not_held_to_what_others_do_behind_the_same_address(
        self, limited, user
    ):
        client = limited(token=None, rate_logins="9/5m", rate_failures="2/5m")
        assert sign_in(client, user, PASSWORD) == 200

        guesses = [sign_in(client, f"guess{n}@example.com", "wrong") for n in range(4)]

        assert guesses == [401, 401, 429, 429]
        assert sign_in(client, user, PASSWORD) == 200

    @pytest.mark.parametrize("wrong", ["sk_" + "x" * 43, "nonsense", "fr_live_" + "x" * 43])
    def test_who_shows_the_right_key_is_let_in_whatever_others_show(self, limited, token, wrong):
        client = limited(token=None, rate_failures="3/5m")

        def ask(shown: str) -> int:
            return client.get("/v1/jobs", headers={"Authorization": f"Bearer {shown}"}).status_code

        assert [ask(wrong) for _ in range(5)] == [401, 401, 401, 429, 429]
        assert ask(token) == 200
        assert client.get("/v1/jobs").status_code == 401, "no token is no guess"

    @pytest.mark.parametrize(
        "path", ["/kyc/auth/token", "/api/auth/refresh", "/api/v1/auth/refresh"]
    )
    def test_refresh_tokens_are_counted_as_keys_are(self, limited, path):
        client = limited(token=None, rate_failures="1/5m")

        codes = [client.post(path, json={"refresh_token": "x" * 40}).status_code for _ in range(2)]

        assert codes == [401, 429]

    def test_a_right_key_in_dialect_b_and_c_is_let_in_too(self, limited, resources, tenant):
        _, key = accounts.create_key(
            resources.db, tenant.id, "faces", ["face:read"], prefix=FACES_KEY
        )
        client = limited(token=None, rate_failures="1/5m")
        path = f"/api/v1/collections/{uuid4()}/faces"

        codes = [client.get(path, headers={"X-API-Key": key + "x"}).status_code for _ in range(2)]

        assert codes == [401, 429]
        assert client.get(path, headers={"X-API-Key": key}).status_code == 404
        wrong = {"Authorization": "ApiKey x:sk_nobody"}
        assert client.get("/v5/verifications", headers=wrong).status_code == 429


def test_nothing_in_redis_says_who_asked(limited, user, redis_client):
    client = limited(token=None, rate_address="9/5m", rate_failures="9/5m", rate_logins="9/5m")
    sign_in(client, user, "wrong", "192.0.2.77")
    sign_in(client, user, PASSWORD, "192.0.2.77")

    names = b" ".join(redis_client.scan_iter("rate:*")).decode()

    assert "address" in names
    assert "known" in names
    for secret in (user, "ada", "192.0.2.77", "192.0.2"):
        assert secret not in names


class TestBehindProxies:
    def test_the_client_is_counted_and_not_the_proxy(self, limited):
        client = limited(rate_address="1/5m", proxies="10.0.0.0/30")

        def ask(peer: str, claimed: str) -> int:
            headers = {"X-Forwarded-For": claimed}
            return client.get("/v1/jobs", headers=headers, **at(peer)).status_code

        assert [ask("10.0.0.1", f"192.0.2.{n}") for n in (1, 2, 2)] == [200, 200, 429]
        # A forged start of the chain makes nobody somebody else.
        assert ask("10.0.0.1", "192.0.2.50, 192.0.2.1") == 429
        # Nor does it help to come without the proxy.
        assert [ask("203.0.113.5", f"192.0.2.{n}") for n in (60, 61)] == [200, 429]

    @pytest.mark.parametrize(
        ("proxies", "peer", "claimed", "status"),
        [
            ("10.0.0.1", "10.0.0.1", "203.0.113.7", 200),
            ("10.0.0.1", "10.0.0.1", "203.0.113.7, 192.0.2.1", 403),
            ("10.0.0.1", "192.0.2.1", "203.0.113.7", 403),
            ("", "10.0.0.1", "203.0.113.7", 403),
            ("", "203.0.113.7", "", 200),
        ],
    )
    def test_a_key_that_is_bound_to_a_network_is_bound_to_the_clients(
        self, limited, resources, tenant, proxies, peer, claimed, status
    ):
        _, key = accounts.create_key(
            resources.db, tenant.id, "bound", ["jobs:read"], allowed_ips=["203.0.113.0/24"]
        )
        client = limited(token=key, proxies=proxies)

        answer = client.get("/v1/jobs", headers={"X-Forwarded-For": claimed}, **at(peer))

        assert answer.status_code == status

    def test_gunicorn_believes_nobody_of_itself(self, tmp_path, monkeypatch):
        """It would take X-Forwarded-Proto from this machine, or from where its variable says."""
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
        (tmp_path / "echo.py").write_text(ECHO)
        port, log = embedded.free_port(), tmp_path / "log"
        command = [
            *(
                sys.executable,
                "-m",
                "gunicorn",
                "--no-control-socket",
                "--bind",
                f"127.0.0.1:{port}",
            ),
            *("--worker-class", "app.api.server.Worker", "--pythonpath", str(tmp_path), "echo:app"),
        ]
        claims = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1, 203.0.113.7"}
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        try:
            until(lambda: b"Booting worker" in log.read_bytes(), 30, lambda: log.read_text())

            def ask(path: str) -> str:
                return requests.get(
                    f"http://127.0.0.1:{port}{path}", headers=claims, timeout=30
                ).text

            assert ask("/plain") == "http 127.0.0.1"
            assert ask("/believing") == "https 203.0.113.7"
        finally:
            process.terminate()
            process.wait(20)


#: Says by which scheme and from where a request came, and for one path as our proxies say.
ECHO = """
from app.api.proxies import wrap
from app.settings import parse_networks

def plain(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['wsgi.url_scheme']} {environ['REMOTE_ADDR']}".encode()]

believing = wrap(plain, parse_networks("127.0.0.1"))

def app(environ, start_response):
    chosen = believing if environ["PATH_INFO"] == "/believing" else plain
    return chosen(environ, start_response)
"""


class TestWithoutRedis:
    def test_nothing_is_refused_and_nothing_is_claimed(self, limited):
        client = limited(redis_url="redis://127.0.0.1:1/0", **ALL)

        answers = [client.get("/v1/jobs") for _ in range(4)]

        assert {answer.status_code for answer in answers} == {200}
        assert "RateLimit" not in answers[0].headers

    def test_passwords_are_still_looked_at(self, limited, user):
        client = limited(token=None, redis_url="redis://127.0.0.1:1/0", **ALL)

        assert [sign_in(client, user, "wrong") for _ in range(3)] == [401] * 3
        assert sign_in(client, user, PASSWORD) == 200

    def test_one_that_hangs_is_waited_for_once(self, limited):
        with hanging() as (url, calls):
            client = limited(redis_url=url, redis_timeout=0.2, **ALL)
            answers = [client.get("/v1/jobs") for _ in range(10)]

        assert {answer.status_code for answer in answers} == {200}
        # The first waited; nobody asked again until it had rested.
        assert 1 <= len(calls) <= 2


#: So few that any count would show.
ALL = dict.fromkeys(("rate_address", "rate_tenant", "rate_failures", "rate_logins"), "1/5m")


@contextmanager
def hanging() -> Iterator[tuple[str, list[bytes]]]:
    """A server that takes connections and commands, and never says a word."""
    calls: list[bytes] = []
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    wire, _ = server.accept()
                except OSError:
                    return
                kept.append(wire)
                calls.append(wire.recv(64))

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0", calls
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)
    for wire in kept:
        wire.close()
