"""gunicorn's worker, for requests that never reach the application: they are answered in JSON too.

Named in the Procfile as --worker-class. gunicorn's own answer to a request that it cannot read is
an HTML page that repeats part of the request.
"""

from __future__ import annotations

import socket
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from flask import json
from gunicorn.http import errors  # type: ignore[import-untyped]  # it ships no types
from gunicorn.util import write_nonblock  # type: ignore[import-untyped]  # likewise
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]  # likewise

from app.api import polling

#: The nearest ancestor listed here decides; anything else is an error of the server's.
_STATUS: dict[type[Exception], HTTPStatus] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.ForbiddenProxyRequest: HTTPStatus.FORBIDDEN,
    errors.ConfigurationProblem: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.ParseException: HTTPStatus.BAD_REQUEST,
    Exception: HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Worker(ThreadWorker):  # type: ignore[misc]  # untyped, as above
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # gunicorn believes X-Forwarded-Proto of whoever is on this machine, or on its socket. Here
        # that is for app/api/proxies.py to say, by MUSTER_PROXIES.
        self.cfg.set("forwarded_allow_ips", "")
        self.cfg.set("secure_scheme_headers", {})
        # Half of the threads are for those who do not wait.
        polling.PLACES.limit = self.cfg.threads // 2

    def handle_exit(self, sig: int, frame: Any) -> None:
        # Who waits for news of a job would keep this process for half a minute.
        polling.let_go()
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        polling.let_go()
        super().handle_quit(sig, frame)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Say that the request cannot be read, and nothing of what it held."""
        status = next(_STATUS[cls] for cls in type(exc).__mro__ if cls in _STATUS)
        if status is HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log.error("The server failed: %s", type(exc).__name__)
        else:
            self.log.debug("A request that cannot be read: %s", type(exc).__name__)
        try:
            write_nonblock(client, _answer(status))
        except OSError:
            self.log.debug("The client is gone already.")


def _answer(status: HTTPStatus) -> bytes:
    code = status.phrase.lower().replace(" ", "-")
    request_id = f"req_{uuid4().hex}"
    body = json.dumps(
        {
            "type": f"urn:muster:problem:{code}",
            "title": status.phrase,
            "status": int(status),
            "detail": "The request cannot be read as HTTP, or is beyond the limits of this server.",
            "request_id": request_id,
        }
    )
    head = (
        f"HTTP/1.1 {int(status)} {status.phrase}\r\n"
        f"Date: {formatdate(usegmt=True)}\r\n"
        f"X-Request-ID: {request_id}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/problem+json\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Cache-Control: no-store\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()
