"""The process `live`, as the Procfile starts it, and clients that are not made of its parts."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import requests
from websockets.sync.client import ClientConnection, connect

from app import embedded
from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.jobs import ids, service
from app.settings import Settings
from tests.integration.conftest import STARTING_SECONDS, new_job, until
from tests.integration.engine import lasting_worker

ROOT = Path(__file__).parents[1]


@dataclass
class Live:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, token: str | None, **headers: str) -> requests.Response:
        """Ask, and return the answer with its body still to come."""
        given = dict(headers)
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        return requests.get(self.url + path, headers=given, stream=True, timeout=30)

    def watch(self, path: str, token: str | None, **headers: str) -> Stream:
        """Ask for a stream, and read it from now on."""
        given = dict(headers)
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        return Stream(self.port, path, given)

    def socket(self, job_id: str, token: str | None, query: str = "") -> ClientConnection:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return connect(
            f"ws://127.0.0.1:{self.port}/api/batch/ws/{job_id}{query}",
            additional_headers=headers,
            open_timeout=20,
            close_timeout=5,
        )

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextmanager
def started(settings: Settings, folder: Path, name: str = "live") -> Iterator[Live]:
    """Start one, and stop it at the end of the block. Fails when it wrote of a bug in its log."""
    port = embedded.free_port()
    log = folder / f"{name}.log"
    env = {**os.environ, **{k: v for k, v in settings.to_env().items() if v}}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.live", "--port", str(port)],
            cwd=ROOT,
            env=env,
            stdout=output,
            stderr=output,
        )
    live = Live(process, port, log)
    try:
        until(
            lambda: _answers(live),
            STARTING_SECONDS,
            lambda: f"live answers: {log.read_text()}",
        )
        yield live
    finally:
        if process.poll() is None:
            live.stop()
    text = log.read_text()
    assert "Traceback" not in text, text
    assert '"level": "error"' not in text, text


def _answers(live: Live) -> bool:
    assert live.process.poll() is None, live.log.read_text()
    with suppress(OSError), urlopen(f"{live.url}/healthz", timeout=2) as answer:
        return answer.status == 200
    return False


@dataclass(frozen=True)
class Told:
    """One server-sent event."""

    id: int | None
    name: str
    data: dict[str, Any]


class Stream:
    """Reads a body of server-sent events as its specification says; `told` grows meanwhile.

    By HTTP/1.0, where a body ends with its connection.
    """

    def __init__(self, port: int, path: str, headers: Mapping[str, str]) -> None:
        self.told: list[Told] = []
        self.signs_of_life = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        lines = [f"GET {path} HTTP/1.0", *(f"{name}: {text}" for name, text in headers.items())]
        self._socket.sendall("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
        self._lines = self._socket.makefile("rb")
        status = self._lines.readline()
        assert b" 200 " in status, status + self._lines.read()
        head = b"".join(iter(self._lines.readline, b"\r\n"))
        assert b"content-type: text/event-stream" in head.lower(), head
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with self._socket, self._lines, suppress(OSError):
            for raw in self._lines:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.signs_of_life += 1
                elif line:
                    name, _, text = line.partition(": ")
                    fields[name] = text
                elif "data" in fields:
                    place = int(fields["id"]) if "id" in fields else None
                    self.told.append(Told(place, fields["event"], json.loads(fields["data"])))
                    fields = {}

    def until(self, name: str, seconds: float = 30) -> list[Told]:
        """Wait for an event of that name, and return all that was told so far."""
        until(
            lambda: any(each.name == name for each in self.told),
            seconds,
            lambda: f"{name} is told: {self.told[-3:]}",
        )
        return list(self.told)

    def until_over(self, seconds: float = 30) -> list[Told]:
        until(lambda: self.is_over, seconds, lambda: f"it ends: {self.told[-3:]}")
        return list(self.told)

    def close(self) -> None:
        """Hang up, without a word."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)


def messages(socket: ClientConnection, *, seconds: float = 30) -> list[dict[str, Any]]:
    """Return what is still said over a WebSocket, up to its end."""
    found = []
    with suppress(Exception):
        while True:
            found.append(json.loads(socket.recv(timeout=seconds)))
    return found


@pytest.fixture(scope="module")
def live_settings(settings):
    return replace(settings, live_heartbeat_seconds=0.4)


@pytest.fixture(scope="module")
def live(live_settings, tmp_path_factory):
    with started(live_settings, tmp_path_factory.mktemp("live")) as live:
        yield live


@pytest.fixture(scope="module")
def engine(settings, tmp_path_factory):
    with lasting_worker(settings, tmp_path_factory.mktemp("engine")) as worker:
        yield worker


@pytest.fixture
def documents(resources, tenant):
    """Submit a job as dialect D has it: `documents([{"title": "One"}, ...])`."""

    def run(payloads: Sequence[dict[str, Any]], *, chunk_size: int = 10):
        wanted = new_job(tenant.id, "slow", payloads, chunk_size)
        return service.submit(resources, replace(wanted, dialect="documents"))

    return run


@pytest.fixture
def exits():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def waiting(resources, tenant):
    """Submit a job that no worker takes: `waiting()`, or `waiting("documents")` as dialect D."""

    def run(dialect: str = "slow"):
        wanted = new_job(tenant.id, "slow", [{}])
        return service.submit(resources, replace(wanted, dialect=dialect, queue="faces"))

    return run


@pytest.fixture
def stranger(settings, resources) -> str:
    """The token of another tenant."""
    other = accounts.ensure_tenant(resources.db, "other")
    return tokens.mint_access(settings, other.id, "usr_other", PERMISSIONS[Role.ADMIN])


def path(job) -> str:
    return f"/v1/jobs/{ids.render(job.id)}/events"


def documents_path(job) -> str:
    return f"/api/batch/jobs/{job.external_id}/events"


def watchers(live: Live) -> dict[str, int]:
    return requests.get(f"{live.url}/healthz", timeout=10).json()["watchers"]


def assert_whole_story(told, job) -> None:
    """Each event once and in order: every item, counts that only grow, one final state, the end."""
    places = [each.id for each in told]
    assert places == sorted(set(places))
    items = [each.data["index"] for each in told if each.name == "item"]
    assert sorted(items) == list(range(job.total))
    shares = [each.data["progress"] for each in told if each.name == "progress"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    states = [each.data["status"] for each in told if each.name == "state"]
    assert states == ["queued", "running", "completed"]
    assert [each.name for each in told[-3:]] == ["progress", "state", "end"]
    for each in told:
        if each.name == "progress":
            counts = dict(each.data["counts"])
            assert counts.pop("total") == sum(counts.values()) == job.total
