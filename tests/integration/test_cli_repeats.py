"""The command line sends again what got no answer, under the same key; and nothing else twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.cli import http
from app.cli.http import Api, ApiFailure

pytestmark = pytest.mark.integration

BUSY = (409, {"Retry-After": "0"}, b'{"message": "at work", "code": "idempotency_in_progress"}')
DONE = (200, {}, b'{"job_id": "x"}')


@contextmanager
def answering(*answers: tuple[int, dict[str, str], bytes] | None) -> Iterator[tuple[str, list]]:
    """A server that gives these answers in turn, and with None hangs up instead."""
    left, keys = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            keys.append(self.headers["Idempotency-Key"])
            answer = left.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, headers, body = answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", keys
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch):
    monkeypatch.setattr(http, "_PAUSE", 0.01)


def test_what_got_no_answer_is_sent_again_with_its_key():
    with answering(None, BUSY, BUSY, DONE, DONE) as (url, keys):
        assert Api(url, "t").post_json("/kyc/jobs", {"a": 1}) == {"job_id": "x"}
        assert Api(url, "t").post_json("/kyc/jobs", {"a": 1}) == {"job_id": "x"}

    assert len(keys) == 5
    assert len(set(keys[:4])) == 1
    assert keys[4] != keys[0]


@pytest.mark.parametrize("answers", [(BUSY,), (None, None), (None, BUSY, None)])
def test_it_is_sent_once_more_and_no_refusal_is_taken_for_a_reason_to(answers):
    with answering(*answers) as (url, keys), pytest.raises(ApiFailure):
        Api(url, "t").post_json("/kyc/jobs")

    assert len(keys) == len(answers)
