"""A watcher by WebSocket: dialect D's /api/batch/ws/{job_id}. It is told things, and says nothing.

wsproto knows the protocol; here is what goes over the socket. Without compression: with it every
connection would hold its own dictionary of some hundred kilobytes.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from flask import Flask, request
from gevent import Timeout
from gevent.event import Event as Flag
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import ProtocolError

from app.api import attempts, auth, limits, streams
from app.api.documents_events import PERMISSION, WORDING, find
from app.errors import (
    AppError,
    Forbidden,
    InvalidParameter,
    JobNotFound,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from app.jobs.model import Job
from app.live.following import Attention, Following
from app.live.hub import Hub

log = logging.getLogger(__name__)

PREFIX = "/api/batch/ws/"

#: What a refused client is told before the connection is closed, and with which code.
_REFUSED: Mapping[type[AppError], tuple[str, int]] = {
    Unauthenticated: ("Authentication required", CloseReason.POLICY_VIOLATION),
    Forbidden: ("Not allowed", CloseReason.POLICY_VIOLATION),
    JobNotFound: ("Job not found", CloseReason.POLICY_VIOLATION),
    InvalidParameter: ("after must be the seq of a message", CloseReason.POLICY_VIOLATION),
    TooManyRequests: ("Too many requests", CloseReason.TRY_AGAIN_LATER),
    Unavailable: ("Try again in a moment", CloseReason.TRY_AGAIN_LATER),
}

#: A client that sends more than this without our having asked for any of it.
_LARGEST = 64 * 1024


class Closed(Exception):
    """The client has gone, or is to go."""


class DocumentsSocket:
    """Serves the WebSocket of dialect D."""

    def __init__(self, app: Flask, hub: Hub, *, keepalive: float, longest: float) -> None:
        self._app = app
        self._hub = hub
        self._keepalive = keepalive
        self._longest = longest

    def serve(self, environ: Mapping[str, Any]) -> bool:
        """Talk until one side hangs up. Return False if this was no handshake after all."""
        wire = _Wire(environ["live.socket"])
        if not wire.accept(environ):
            return False
        job_id = (
            environ["PATH_INFO"].removeprefix(PREFIX).encode("latin-1").decode(errors="replace")
        )
        try:
            try:
                with self._app.request_context(dict(environ)):
                    job, after = self._admit(job_id, environ)
            except AppError as error:
                said, code = _refusal(error)
                wire.send(json.dumps({"error": said, "job_id": job_id}))
                wire.close(code)
            else:
                self._tell(wire, Following(self._hub, job, WORDING, after))
        except (Closed, OSError):
            # Gone, or too slow to be waited for: it goes on where it was when it comes again.
            pass
        return True

    def _admit(self, job_id: str, environ: Mapping[str, Any]) -> tuple[Job, int | None]:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            token = query.get("token", [""])[-1]
        limits.count_address()
        with attempts.of_token():
            caller = auth.whose(token.strip(), request.remote_addr)
        limits.count(caller)
        auth.allow(caller, PERMISSION)
        if not job_id:
            raise JobNotFound("No id was given.")
        job = find(caller.tenant_id, job_id)
        return job, streams.parse_after(query.get("after", [None])[-1])

    def _tell(self, wire: _Wire, following: Following) -> None:
        job = following.job
        if WORDING.is_told(job, following.seq):
            wire.close(CloseReason.NORMAL_CLOSURE)
            return
        try:
            for messages in following.messages(self._keepalive, self._longest, wire.attend):
                if messages is None:
                    assert WORDING.idle is not None, "dialect D has a keepalive"
                    messages = (WORDING.idle(job, following.seq or 0, following.state),)
                for message in messages:
                    wire.send(message.data)
                wire.listen()
            ended = following.state.is_final
            # Not its end but ours, or time to show the token again: the client may come again.
            wire.close(CloseReason.NORMAL_CLOSURE if ended else CloseReason.SERVICE_RESTART)
        finally:
            wire.release()


def _refusal(error: AppError) -> tuple[str, int]:
    for kind, refusal in _REFUSED.items():
        if isinstance(error, kind):
            return refusal
    log.error("live.failed", exc_info=error)
    return "Internal server error", CloseReason.INTERNAL_ERROR


class _Wire:
    """The client's socket, and what wsproto makes of it."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._attention: Attention | None = None
        self._received = 0

    def accept(self, environ: Mapping[str, Any]) -> bool:
        headers = [
            (name.removeprefix("HTTP_").replace("_", "-").lower().encode(), text.encode("latin-1"))
            for name, text in environ.items()
            if name.startswith("HTTP_")
        ]
        try:
            # Where it leads is not wsproto's business.
            self._protocol.initiate_upgrade_connection(headers, "/")
            asked = next(self._protocol.events())
        except (ProtocolError, StopIteration):
            return False
        if not isinstance(asked, Request):
            return False
        self._client.sendall(self._protocol.send(AcceptConnection()))
        return True

    def send(self, text: str) -> None:
        self._client.sendall(self._protocol.send(TextMessage(text)))

    def close(self, code: int) -> None:
        self._client.sendall(self._protocol.send(CloseConnection(code)))
        # The client's own goodbye, or it would find the connection reset under its reading.
        patience = Timeout.start_new(_GOODBYE_SECONDS, TimeoutError)
        try:
            while data := self._client.recv(4096):
                self._protocol.receive_data(data)
                if any(isinstance(each, CloseConnection) for each in self._protocol.events()):
                    return
        except (OSError, ProtocolError):
            return
        finally:
            patience.close()

    def attend(self, flag: Flag) -> None:
        self._attention = Attention(self._client.fileno(), flag)

    def listen(self) -> None:
        """See to what the client sent, if it did. Raises Closed."""
        if self._attention is None or not self._attention.is_due:
            return
        data = self._client.recv(4096)
        if not data:
            raise Closed
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                self._see_to(event)
        except ProtocolError as error:
            raise Closed from error
        self._attention.again()

    def _see_to(self, event: object) -> None:
        if isinstance(event, Ping):
            self._client.sendall(self._protocol.send(event.response()))
        elif isinstance(event, CloseConnection):
            self._client.sendall(self._protocol.send(event.response()))
            raise Closed
        elif isinstance(event, TextMessage | BytesMessage):
            # Nobody asked it anything.
            self._received += len(event.data)
            if self._received > _LARGEST:
                self.close(CloseReason.MESSAGE_TOO_BIG)
                raise Closed

    def release(self) -> None:
        if self._attention is not None:
            self._attention.close()


#: For the client's goodbye, whatever else it sends meanwhile.
_GOODBYE_SECONDS = 1.0
