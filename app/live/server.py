"""The HTTP server around the watchers: gevent's, with bounds, and quiet about its clients."""

from __future__ import annotations

import json
import logging
import resource
import signal
from collections.abc import Callable, Iterable
from typing import Any

import gevent
from flask import Flask
from gevent.pool import Pool
from gevent.pywsgi import WSGIHandler, WSGIServer

from app.api import proxies, streams
from app.factory import create_live
from app.live.hub import Hub
from app.live.sse import SseStreams
from app.live.websocket import PREFIX, DocumentsSocket
from app.resources import Resources
from app.settings import Settings, parse_networks

log = logging.getLogger(__name__)

#: A client that takes nothing for so long, or sends no whole request in it, is let go.
_CLIENT_SECONDS = 20.0
#: A WebSocket is told less often that nothing has happened.
_KEEPALIVES = 2
#: For those who are told to go on elsewhere.
_STOP_SECONDS = 3.0
#: Files beside those of the watchers.
_SPARE_FILES = 64

_BAD_REQUEST = json.dumps(
    {
        "type": "urn:muster:problem:bad-request",
        "title": "Bad Request",
        "status": 400,
        "detail": "The request cannot be read as HTTP, or is beyond the limits of this server.",
    }
).encode()


class Connection(WSGIHandler):
    """One client. Bounded in time, and never in the log with what it sent."""

    def __init__(self, client: Any, address: Any, server: Any) -> None:
        client.settimeout(_CLIENT_SECONDS)
        self._reading: gevent.Timeout | None = None
        super().__init__(client, address, server)

    def handle_one_request(self) -> Any:
        # The socket's own limit is for one wait: a byte now and then would be patience for ever.
        self._reading = gevent.Timeout.start_new(_CLIENT_SECONDS, TimeoutError)
        try:
            return super().handle_one_request()
        finally:
            self._reading.close()

    def get_environ(self) -> dict[str, Any]:
        # It has been read to the end of its headers; a stream takes as long as it takes.
        assert self._reading is not None, "a request is being handled"
        self._reading.close()
        environ: dict[str, Any] = super().get_environ()
        body = self.wsgi_input
        if body is not None and (body.content_length or body.chunked_input):
            # Nobody here reads one, nor waits for its end.
            body.content_length, body.chunked_input = 0, False
            self.close_connection = True
        # Not ourselves: who refers to whom in a circle stays until the collector comes round.
        environ["live.socket"] = self.socket
        return environ

    def handle_one_response(self) -> None:
        super().handle_one_response()
        if self.environ and self.environ.pop("live.hung_up", False):
            # What was said last was no HTTP.
            self.close_connection = True

    def _handle_client_error(self, error: Exception) -> tuple[str, bytes]:
        log.debug("A request that cannot be read: %s", type(error).__name__)
        head = (
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
            "Content-Type: application/problem+json\r\n"
            f"Content-Length: {len(_BAD_REQUEST)}\r\n\r\n"
        )
        return "400", head.encode() + _BAD_REQUEST

    def handle_error(self, kind: Any, error: Any, trace: Any) -> None:
        self.close_connection = True
        if not issubclass(kind, OSError | gevent.GreenletExit):
            log.error("live.failed", exc_info=(kind, error, trace))
            # The stubs leave it out. What gevent would do beside it writes the exception's text.
            self._send_error_response_if_possible(500)  # type: ignore[attr-defined]

    def log_request(self) -> None:
        """Addresses carry tokens."""


class Server:
    """The program `live`, from its settings on."""

    def __init__(self, settings: Settings, address: tuple[str, int]) -> None:
        self._app: Flask = create_live(settings)
        self._resources: Resources = self._app.extensions["muster"]
        self.hub = Hub(self._resources.db, self._resources.redis)
        longest = float(settings.access_token_seconds)
        heartbeat = settings.live_heartbeat_seconds
        streams.attach(self._app, SseStreams(self.hub, heartbeat=heartbeat, longest=longest))
        self._proxies = parse_networks(settings.proxies)
        self._socket = DocumentsSocket(
            self._app, self.hub, keepalive=_KEEPALIVES * heartbeat, longest=longest
        )
        self._http = WSGIServer(
            address,
            self._serve,
            backlog=1024,
            spawn=Pool(_room_for(settings.live_connections)),
            log=None,
            error_log=logging.getLogger("gevent"),
            handler_class=Connection,
        )

    def run(self) -> None:
        """Serve until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self.stop)
        self.hub.start()
        log.info("live.started")
        try:
            self._http.serve_forever(stop_timeout=_STOP_SECONDS)
        finally:
            self.hub.stop()
            self._resources.close()
            log.info("live.stopped")

    def stop(self) -> None:
        # Those who watch first: the server waits for them.
        self.hub.stop()
        self._http.stop(timeout=_STOP_SECONDS)

    def _serve(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        proxies.correct(environ, self._proxies)
        is_handshake = environ.get("HTTP_UPGRADE", "").lower() == "websocket"
        if (
            is_handshake
            and environ["PATH_INFO"].startswith(PREFIX)
            and environ["REQUEST_METHOD"] == "GET"
            and self._socket.serve(environ)
        ):
            environ["live.hung_up"] = True
            return ()
        return self._app.wsgi_app(environ, start_response)


def _room_for(connections: int) -> int:
    """Let the process have that many files open, as far as it may; return how many fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        if allowed < wanted:
            log.warning("live.few_files", extra={"limit": allowed})
        return max(1, allowed - _SPARE_FILES)
    return connections
