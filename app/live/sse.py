"""A watcher by server-sent events."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from flask import request
from gevent.event import Event as Flag

from app.api.streams import Message, Wording
from app.jobs.model import Job
from app.live.following import Attention, Following
from app.live.hub import Hub

#: How long a client that lost its connection waits before it comes again.
_RETRY = b"retry: 3000\n\n"
_SIGN_OF_LIFE = b": still here\n\n"


class SseStreams:
    """Sends bodies of events (app/api/streams.Streams)."""

    def __init__(self, hub: Hub, *, heartbeat: float, longest: float) -> None:
        self._hub = hub
        self._heartbeat = heartbeat
        self._longest = longest

    def open(self, job: Job, wording: Wording, *, after: int | None) -> Iterator[bytes]:
        # Here, where there is a request: the body is made when there is none any more.
        client: socket.socket = request.environ["live.socket"]
        return self._body(Following(self._hub, job, wording, after), client)

    def count(self) -> dict[str, int]:
        return {"clients": self._hub.watchers, "jobs": self._hub.topics}

    def _body(self, following: Following, client: socket.socket) -> Iterator[bytes]:
        attention: list[Attention] = []

        def attend(flag: Flag) -> None:
            attention.append(Attention(client.fileno(), flag))

        try:
            yield _RETRY
            for messages in following.messages(self._heartbeat, self._longest, attend):
                if messages:
                    yield b"".join(map(_frame, messages))
                elif messages is None:
                    yield _SIGN_OF_LIFE
                elif attention[0].is_due and _has_hung_up(client):
                    return
                # What else it may have sent is not ours to read, and not to be told of again.
        finally:
            for each in attention:
                each.close()


def _has_hung_up(client: socket.socket) -> bool:
    try:
        return not client.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _frame(message: Message) -> bytes:
    place = f"id: {message.seq}\n" if message.seq else ""
    return f"{place}event: {message.name}\ndata: {message.data}\n\n".encode()
