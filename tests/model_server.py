"""A server that speaks chat/completions on the loopback interface, and answers by a script.

Each POST takes the next step; the last one stays. A step is a function of the request's body, or
what it returns: {"status", "headers", "json", "raw", "delay", "drop", "drip"}; `drip` is
the part that comes byte by byte (`head`, `chunk`, which is the line before a part of the body, or
`body`), a tenth of a second each.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Step = dict[str, Any] | Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(slots=True)
class Asked:
    """One request as it came in."""

    at: float
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    #: The other end of its connection.
    client: Any = None


@dataclass(slots=True)
class Model:
    url: str
    script: list[Step]
    asked: list[Asked] = field(default_factory=list)
    #: What a GET finds, by path.
    kept: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, asked: Asked) -> dict[str, Any]:
        with self.lock:
            self.asked.append(asked)
            step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return step(asked.body) if callable(step) else step


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    #: A test that dies must not leave a thread waiting.
    timeout = 20

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with what is kept under the path, and not by the script."""
        kept = self.server.model.kept.get(self.path.removeprefix("/v1"))  # type: ignore[attr-defined]
        with suppress(BrokenPipeError, ConnectionResetError):
            self._answer({"status": 404} if kept is None else {"json": kept})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = Asked(time.monotonic(), self.path, dict(self.headers), body, self.client_address)
        step = self.server.model.next(asked)  # type: ignore[attr-defined]
        with suppress(BrokenPipeError, ConnectionResetError):
            self._answer(step)

    def _answer(self, step: dict[str, Any]) -> None:
        time.sleep(step.get("delay", 0))
        if step.get("drop"):
            self.close_connection = True
            return
        raw = step.get("raw", json.dumps(step.get("json", {})).encode())
        drip = step.get("drip")
        self.send_response(step.get("status", 200))
        self.send_header("content-type", "application/json")
        if drip == "head":
            self.flush_headers()
            self._drip(b"x-slow: " + b"x" * 300 + b"\r\n")
        if drip == "chunk":
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(len(raw)))
        for name, value in step.get("headers", {}).items():
            self.send_header(name, value)
        self.end_headers()
        if drip == "chunk":
            self._drip(b"%x;%s\r\n" % (len(raw), b"x" * 300))
            self.wfile.write(raw + b"\r\n0\r\n\r\n")
        elif drip == "body":
            self._drip(raw)
        else:
            self.wfile.write(raw)

    def _drip(self, data: bytes) -> None:
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.1)


@contextmanager
def serving(*script: Step) -> Iterator[Model]:
    """Run the server while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.model = Model(f"http://127.0.0.1:{server.server_port}/v1", list(script))  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.model  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def says(*tags: dict[str, Any], content: str | None = None, finish: str = "stop") -> dict[str, Any]:
    """Return a good answer with these tags, or with this text in their place."""
    text = json.dumps({"tags": list(tags)}) if content is None else content
    message = {"role": "assistant", "content": text}
    return {"json": {"choices": [{"index": 0, "finish_reason": finish, "message": message}]}}


def fails(status: int, message: str, code: str | None = None, **headers: str) -> dict[str, Any]:
    """Return an error as OpenAI words it; underscores in the names of headers are dashes."""
    return {
        "status": status,
        "json": {"error": {"message": message, "code": code, "type": code}},
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
    }
