"""The process `live`, started as the Procfile starts it, and clients that are not made of its parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import requests
from websockets.sync.client import ClientConnection, connect

from app import embedded
from app.settings import Settings
from tests.integration.conftest import until

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

    def watch(self, path: str, token: str, **headers: str) -> Stream:
        answer = self.get(path, token, **headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        return Stream(answer)

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
        until(lambda: _answers(live), 30, lambda: f"live answers: {log.read_text()}")
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


@dataclass
class Stream:
    """Reads a body of server-sent events as its specification says; `told` grows meanwhile."""

    answer: requests.Response
    told: list[Told] = field(default_factory=list)
    signs_of_life: int = 0
    is_over: bool = False

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with suppress(requests.RequestException, AttributeError, OSError):
            for raw in self.answer.iter_lines(chunk_size=1, delimiter=b"\n"):
                line = raw.decode()
                if line.startswith(":"):
                    self.signs_of_life += 1
                elif line:
                    name, _, text = line.partition(": ")
                    fields[name] = text
                elif "data" in fields:
                    place = int(fields["id"]) if "id" in fields else None
                    self.told.append(Told(place, fields["event"], json.loads(fields["data"])))
                    fields = {}
        self.is_over = True

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

    @property
    def last(self) -> int:
        """What a client sends as Last-Event-ID."""
        return max((each.id for each in self.told if each.id is not None), default=0)

    def close(self) -> None:
        # The connection itself: closing the answer would wait for the rest of it.
        self.answer.raw._fp.fp.raw._sock.close() if self.answer.raw._fp.fp else None
        self.answer.close()


def messages(socket: ClientConnection, *, seconds: float = 30) -> list[dict[str, Any]]:
    """Return what is still said over a WebSocket, up to its end."""
    found = []
    with suppress(Exception):
        while True:
            found.append(json.loads(socket.recv(timeout=seconds)))
    return found
