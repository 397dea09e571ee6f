"""A client that keeps its connection, and times an exchange from the first byte to the last."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any

from app.sample.people import entities

ENTITIES = 10_000
LONGEST_ANSWER = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    raw: bytes
    seconds: float

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Client:
    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LONGEST_ANSWER)
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str) -> Answer:
        return self._exchange("GET", path, None, {})

    def post(self, path: str, body: bytes) -> Answer:
        return self._exchange("POST", path, body, {"Content-Type": "application/json"})

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> Answer:
        # gunicorn closes what was idle for two seconds; that must not count as our time.
        self._connection.close()
        self._connection.connect()
        start = time.perf_counter()
        self._connection.request(method, path, body, {**self._headers, **headers})
        response = self._connection.getresponse()
        raw = response.read()
        return Answer(response.status, response.headers, raw, time.perf_counter() - start)

    def close(self) -> None:
        self._connection.close()


def batch(count: int = ENTITIES) -> bytes:
    """Return the body of POST /kyc/jobs: the same on every machine."""
    return json.dumps({"entities": entities(count)}, ensure_ascii=False).encode()
