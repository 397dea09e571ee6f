"""The process `live`: who may watch, who takes up a place, and what the web leaves to it."""

from __future__ import annotations

import json
import socket
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from app.accounts import service as accounts
from app.api import tokens
from app.jobs import ids, service
from app.jobs.progress import CHANNEL
from tests.integration.conftest import until
from tests.live import Live, documents_path, messages, path, started, watchers
from tests.live import documents as documents
from tests.live import exits as exits
from tests.live import live as live
from tests.live import live_settings as live_settings
from tests.live import stranger as stranger
from tests.live import waiting as waiting


class TestWhoMayWatch:
    def test_what_belongs_to_another_tenant_does_not_exist(self, live, waiting, stranger):
        mine, document = waiting(), waiting("documents")
        nobody = f"/v1/jobs/{uuid4()}/events"

        answers = [live.get(each, stranger) for each in (path(mine), nobody, "/v1/jobs/x/events")]
        assert {answer.status_code for answer in answers} == {404}
        assert {answer.json()["type"] for answer in answers} == {"urn:muster:problem:job-not-found"}
        foreign = live.get(documents_path(document), stranger)
        assert (foreign.status_code, foreign.json()) == (404, {"detail": "Job not found"})
        for place in ("/api/batch/jobs/%00/events", "/v1/jobs/a%00b/events"):
            assert live.get(place, stranger).status_code == 404
        for job_id in (document.external_id, "batch-1-abc", "é", "", "%00", "a%00b", "%ff"):
            with live.socket(job_id, stranger) as wire:
                said = json.loads(wire.recv())
                assert said["error"] == "Job not found"
                assert said["job_id"] == unquote(job_id)
                with pytest.raises(ConnectionClosed):
                    wire.recv()
            assert wire.close_code == 1008

    @pytest.mark.parametrize("token", [None, "nonsense", "sk_nobody", "expired"])
    def test_without_a_good_token_nothing_is_told(self, live, settings, tenant, waiting, token):
        if token == "expired":
            token = tokens.mint_access(
                settings, tenant.id, "u", {"jobs:read"}, lifetime=timedelta(seconds=-1)
            )
        job, document = waiting(), waiting("documents")

        answer = live.get(path(job), token)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        answer = live.get(documents_path(document), token)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert set(answer.json()) == {"detail"}
        with live.socket(document.external_id, token) as wire:
            said = json.loads(wire.recv())
            with pytest.raises(ConnectionClosed):
                wire.recv()
        assert said == {"error": "Authentication required", "job_id": document.external_id}
        assert wire.close_code == 1008

    def test_a_token_in_the_address_will_do(self, live, waiting, token):
        job, document = waiting(), waiting("documents")

        stream = live.watch(f"{path(job)}?token={token}", None)
        stream.until("state")
        stream.close()
        with live.socket(document.external_id, None, f"?token={token}") as wire:
            assert json.loads(wire.recv())["type"] == "catchup"

    def test_so_will_an_api_key_and_one_without_the_permission_will_not(
        self, live, resources, tenant, waiting
    ):
        job, document = waiting(), waiting("documents")
        _, reader = accounts.create_key(resources.db, tenant.id, "reader", ["jobs:read"])
        _, other = accounts.create_key(resources.db, tenant.id, "other", ["kyc:create"])

        stream = live.watch(path(job), reader)
        stream.until("state")
        stream.close()
        refused = live.get(path(job), other)
        assert (refused.status_code, refused.json()["type"]) == (
            403,
            "urn:muster:problem:insufficient-permissions",
        )
        with live.socket(document.external_id, other) as wire:
            assert json.loads(wire.recv())["error"] == "Not allowed"
            with pytest.raises(ConnectionClosed):
                wire.recv()
        assert wire.close_code == 1008

    @pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30])
    def test_a_place_that_is_none_is_refused(self, live, waiting, token, after):
        assert live.get(f"{path(waiting())}?after={after}", token).status_code == 400
        with live.socket(waiting("documents").external_id, token, f"?after={after}") as wire:
            assert "after" in json.loads(wire.recv())["error"]

    def test_an_unreadable_header_of_a_reader_who_comes_back_is_as_good_as_none(
        self, live, waiting, token
    ):
        stream = live.watch(path(waiting()), token, **{"Last-Event-ID": "abc"})
        stream.until("state")
        stream.close()

    def test_types_that_do_not_exist_are_refused(self, live, waiting, token):
        answer = live.get(f"{path(waiting())}?types=state,ends", token)
        assert answer.status_code == 400
        assert "state, item, progress, end" in answer.json()["detail"]

    def test_a_websocket_is_no_page(self, live, client):
        for answer in (
            requests.get(f"{live.url}/api/batch/ws/x", timeout=10),
            client.get("/api/batch/ws/x"),
        ):
            assert answer.status_code == 426
            assert answer.headers["Upgrade"] == "websocket"

    @pytest.mark.parametrize("version", ["12", ""])
    def test_a_handshake_that_is_none_is_answered_as_a_request(self, live, version):
        answer = requests.get(
            f"{live.url}/api/batch/ws/x",
            headers={
                **{"Upgrade": "websocket", "Connection": "Upgrade"},
                **{"Sec-WebSocket-Version": version},
            },
            timeout=10,
        )
        assert answer.status_code == 426

    def test_what_is_no_http_is_refused_in_json(self, live):
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as sock:
            sock.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            answer = sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer


class TestSlowClients:
    """Nobody without a token keeps a place that a watcher could have."""

    def test_a_request_that_comes_a_byte_at_a_time_is_not_waited_for(self, live):
        line = b"GET /healthz" + b"x" * 2000
        headers = b"GET /healthz HTTP/1.1\r\n" + b"X-One: 1\r\n" * 200
        began = time.monotonic()
        clients = [_Dripping(live, line), _Dripping(live, headers, at_once=40)]

        until(lambda: all(each.is_over() for each in clients), 40, "both are let go")

        assert time.monotonic() - began > 10, "who is only slow is waited for"
        # Of a whole line that was no whole request, it is said.
        assert clients[0].said == b""
        assert clients[1].said.startswith(b"HTTP/1.1 400 ")

    @pytest.mark.parametrize("length", ["Content-Length: 4000", "Transfer-Encoding: chunked"])
    def test_nobody_waits_for_the_body_of_a_request(self, live, length):
        head = f"POST /v1/jobs/x/events HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode()
        body = b"f" * 4 + b"\r\n" + b"x" * 4000
        client = _Dripping(live, head + body, at_once=len(head))

        until(client.is_over, 15, "it is answered and let go")

        assert client.said.startswith(b"HTTP/1.1 405 ")

    def test_whoever_is_refused_and_does_not_say_goodbye_is_not_waited_for(self, live):
        head = (
            b"GET /api/batch/ws/x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        # An empty pong each time, masked: nothing that anybody answers.
        client = _Dripping(live, head + b"\x8a\x80\0\0\0\0" * 1000, at_once=len(head), size=6)

        until(client.is_over, 15, "it is let go")

        assert b"Authentication required" in client.said

    def test_a_client_in_good_time_may_ask_again_on_its_connection(self, live):
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as sock:
            for _ in range(3):
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                said = b""
                while b"watchers" not in said:
                    part = sock.recv(4096)
                    assert part, said
                    said += part
                assert said.startswith(b"HTTP/1.1 200 ")


class _Dripping:
    """A client that sends a little each time it is asked whether it has been let go."""

    def __init__(self, live: Live, text: bytes, *, at_once: int = 1, size: int = 1) -> None:
        self.said = b""
        self._rest = text[at_once:]
        self._size = size
        self._next = 0.0
        self._socket = socket.create_connection(("127.0.0.1", live.port), timeout=10)
        self._socket.sendall(text[:at_once])
        self._socket.setblocking(False)

    def is_over(self) -> bool:
        if self._socket.fileno() < 0:
            return True
        try:
            while data := self._socket.recv(4096):
                self.said += data
        except BlockingIOError:
            return self._drip()
        except OSError:
            pass
        self._socket.close()
        return True

    def _drip(self) -> bool:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + 0.2
            with suppress(OSError):
                self._socket.send(self._rest[: self._size])
            self._rest = self._rest[self._size :]
        return False


class TestManyWatchers:
    def test_they_share_a_subscription_and_few_connections_and_leave_nothing(
        self, live, resources, redis_client, exits, waiting, token
    ):
        until(lambda: watchers(live) == {"clients": 0, "jobs": 0}, 20, lambda: watchers(live))
        jobs = [waiting() for _ in range(10)]
        files, connections = _files(live), _connections(resources)

        streams = [live.watch(path(job), token) for job in jobs for _ in range(5)]
        wires = [
            exits.enter_context(live.socket(waiting("documents").external_id, token))
            for _ in range(50)
        ]
        for stream in streams:
            stream.until("state")
        for wire in wires:
            wire.recv()

        until(lambda: watchers(live) == {"clients": 100, "jobs": 60}, 20, lambda: watchers(live))
        assert redis_client.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 1)]
        assert _connections(resources) <= connections + 8
        for stream in streams:
            stream.close()
        for number, wire in enumerate(wires):
            if number % 2:
                wire.close()
            else:
                wire.socket.shutdown(socket.SHUT_RDWR)

        until(lambda: watchers(live) == {"clients": 0, "jobs": 0}, 20, lambda: watchers(live))
        until(lambda: _files(live) <= files + 8, 20, lambda: f"{files}, {_files(live)}")

    def test_what_redis_is_told_is_ids_and_versions(self, resources, redis_client, submit):
        with redis_client.pubsub() as listener:
            listener.subscribe(CHANNEL)
            job = submit("slow", [{"echo": "Ivan Petrov"}])
            service.cancel(resources, job.tenant_id, job.dialect, job.external_id)
            heard = [until(lambda: listener.get_message(timeout=1), 20) for _ in range(3)][1:]

        assert [each["data"].decode() for each in heard] == [f"{job.id} 1", f"{job.id} 2"]

    def test_told_to_stop_it_says_goodbye_to_all_and_ends(
        self, live_settings, tmp_path, waiting, token
    ):
        with started(live_settings, tmp_path) as other:
            stream = other.watch(path(waiting()), token)
            stream.until("state")
            with other.socket(waiting("documents").external_id, token) as wire:
                wire.recv()
                other.process.terminate()
                messages(wire)
                assert wire.close_code == 1012
            told = stream.until_over()
            assert other.process.wait(20) == 0

        assert "end" not in [each.name for each in told]


class TestTheWeb:
    """It gives the list; whoever wants a stream is shown the way."""

    def test_with_an_address_of_live_a_caller_is_sent_there_with_a_ticket(
        self, live, settings, token, waiting
    ):
        from app.factory import create_app

        web = create_app(replace(settings, live_url=live.url)).test_client()
        job = waiting()

        sent = web.get(
            f"{path(job)}?after=0&types=state", headers={"Authorization": f"Bearer {token}"}
        )

        assert sent.status_code == 307
        place = sent.headers["Location"]
        assert place.startswith(f"{live.url}{path(job)}?after=0&types=state&token=")
        assert token not in place
        stream = live.watch(place.removeprefix(live.url), None)
        stream.until("state")
        stream.close()

    @pytest.fixture
    def sent(self, live, settings, token):
        """Return the path with a ticket to which the web sends whoever asks for a job's stream."""
        from app.factory import create_app

        web = create_app(replace(settings, live_url=live.url)).test_client()

        def run(where: str, credential: str = token, **environ: str) -> str:
            answer = web.get(
                where, headers={"Authorization": f"Bearer {credential}"}, environ_overrides=environ
            )
            assert answer.status_code == 307
            return answer.headers["Location"].removeprefix(live.url)

        return run

    def test_a_ticket_is_no_token_of_the_api(self, web, sent, waiting):
        job, other = waiting(), waiting("documents")
        ticket = sent(path(job)).rpartition("token=")[2]

        for where in (
            "/v1/jobs",
            path(job),
            path(job).removesuffix("/events"),
            path(job).replace("/events", "/results"),
            f"/v1/jobs/{ids.render(other.id)}/results",
            f"/api/batch/jobs/{other.external_id}/results",
            "/kyc/jobs",
            "/api/auth/me",
        ):
            for given in (ticket, ticket.removeprefix(tokens.TICKET_PREFIX)):
                asked = {"Authorization": f"Bearer {given}"}
                assert web.test_client().get(where, headers=asked).status_code == 401, where
            assert web.test_client().get(f"{where}?token={ticket}").status_code == 401, where

    def test_a_ticket_is_for_one_job_and_one_way_to_watch_it(self, live, sent, waiting):
        job, other, document = waiting(), waiting(), waiting("documents")
        ticket = sent(path(job)).rpartition("token=")[2]

        for where in (path(other), documents_path(document)):
            refused = live.get(f"{where}?token={ticket}", None)
            assert refused.status_code == 401, where
        for given in (ticket, ticket.removeprefix(tokens.TICKET_PREFIX)):
            assert live.get(path(job), given).status_code == 401, "as a header it is none"
        of_document = sent(documents_path(document)).rpartition("token=")[2]
        with live.socket(document.external_id, None, f"?token={of_document}") as wire:
            assert json.loads(wire.recv())["error"] == "Authentication required"
        stream = live.watch(f"{documents_path(document)}?token={of_document}", None)
        stream.until("catchup")
        stream.close()

    def test_a_ticket_that_was_tampered_with_or_is_old_is_none(
        self, live, settings, sent, waiting, tenant, monkeypatch
    ):
        job, other = waiting(), waiting()
        ticket = sent(path(job)).rpartition("token=")[2]
        head, claims, signature = ticket.split(".")
        read = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        assert read["exp"] - time.time() <= 60
        claims = urlsafe_b64encode(json.dumps({**read, "path": path(other)}).encode()).decode()
        forgery = f"{head}.{claims.rstrip('=')}.{signature}"
        for forged in (forgery, tokens.TICKET_PREFIX, f"{tokens.TICKET_PREFIX}a.b.c"):
            assert live.get(f"{path(other)}?token={forged}", None).status_code == 401

        monkeypatch.setattr(tokens, "_TICKET", timedelta(seconds=-1))
        old = sent(path(job)).rpartition("token=")[2]
        assert live.get(f"{path(job)}?token={old}", None).status_code == 401

    def test_a_ticket_of_a_key_ends_with_the_key_and_holds_in_its_networks(
        self, live, resources, tenant, sent, waiting
    ):
        where = path(waiting())
        key, secret = accounts.create_key(resources.db, tenant.id, "reader", ["jobs:read"])
        _, bound = accounts.create_key(
            resources.db, tenant.id, "bound", ["jobs:read"], allowed_ips=["192.0.2.0/24"]
        )

        far = live.get(sent(where, bound, REMOTE_ADDR="192.0.2.7"), None)
        assert (far.status_code, far.json()["type"]) == (
            403,
            "urn:muster:problem:insufficient-permissions",
        )
        place = sent(where, secret)
        stream = live.watch(place, None)
        stream.until("state")
        stream.close()
        accounts.revoke_key(resources.db, tenant.id, key.id)
        assert live.get(place, None).status_code == 401

    def test_without_one_it_says_where_to_ask(self, client, waiting):
        job = waiting()

        refused = client.get(path(job), headers={"Accept": "text/event-stream"})
        assert refused.status_code == 406
        assert "live" in refused.get_json(force=True)["detail"]
        assert client.get(path(job), headers={"Accept": "*/*"}).get_json()["object"] == "list"
        assert client.get(path(job)).get_json()["object"] == "list"

    def test_a_token_in_the_address_is_not_for_the_web(self, web, waiting, token):
        answer = web.test_client().get(f"{path(waiting())}?token={token}")
        assert answer.status_code == 401


class TestHowOften:
    def test_a_client_is_held_to_the_same_limits_as_in_the_web(
        self, live_settings, token, tmp_path
    ):
        """As the client behind a proxy: what it claims itself makes it nobody else."""
        limits = {"rate_address": "6/5m", "rate_failures": "1/5m", "proxies": "127.0.0.1"}
        with started(replace(live_settings, **limits), tmp_path) as live:

            def ask(client: str, shown: str = token) -> int:
                headers = {"X-Forwarded-For": f"192.0.2.99, {client}"}
                return live.get("/v1/jobs/nobody/events", shown, **headers).status_code

            def knock(client: str, shown: str = token) -> tuple[str, int | None]:
                with connect(
                    f"ws://127.0.0.1:{live.port}/api/batch/ws/nobody",
                    additional_headers={
                        "X-Forwarded-For": f"192.0.2.99, {client}",
                        "Authorization": f"Bearer {shown}",
                    },
                    open_timeout=20,
                ) as wire:
                    said = json.loads(wire.recv())["error"]
                    with pytest.raises(ConnectionClosed):
                        wire.recv()
                return said, wire.close_code

            busy = ("Too many requests", 1013)
            nothing = ("Job not found", 1008)
            assert [knock("192.0.2.1"), ask("192.0.2.1")] == [nothing, 404]
            wrong = [knock("192.0.2.1", "sk_nobody"), knock("192.0.2.1", "sk_nobody")]
            assert wrong == [("Authentication required", 1008), busy]
            # The right token is heard, until there is nothing left for anybody there.
            assert [knock("192.0.2.1"), ask("192.0.2.1")] == [nothing, 404]
            assert [knock("192.0.2.1"), ask("192.0.2.1")] == [busy, 429]
            assert [knock("192.0.2.2"), ask("192.0.2.2")] == [nothing, 404]
            assert {
                requests.get(f"{live.url}/healthz", timeout=10).status_code for _ in range(9)
            } == {200}


def _files(live: Live) -> int:
    return len(list(Path(f"/proc/{live.process.pid}/fd").iterdir()))


def _connections(resources) -> int:
    """Those that are open to Postgres under the name that live has: the tests' own among them,
    which are the more, the more tests ran before."""
    with resources.db.transaction() as tx:
        tx.execute("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'muster'")
        return tx.fetchone()["n"]
