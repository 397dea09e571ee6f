"""A proxy of our own between a client and a server, by which a connection can be made bad.

On loopback, for any protocol: it moves bytes. It can wait before it passes them on, pass them on
in drops, cut every connection, take new ones and say nothing, or cut a connection before the
answer to a message that it has passed on.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from app import embedded

_ALL = 1 << 16


@dataclass(eq=False)
class _Pipe:
    """One direction of one connection."""

    source: socket.socket
    target: socket.socket
    is_answer: bool
    #: What is on its way, and when it may arrive.
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)


class Proxy:
    def __init__(self, port: int) -> None:
        """Stand before the server at this port; `self.port` is where its clients come."""
        self.target = port
        self.port = embedded.free_port()
        #: Seconds that every piece of data takes, each way.
        self.delay = 0.0
        #: Bytes that are passed on at a time, with 5 ms between them; 0 for no limit.
        self.drop = 0
        #: Cut a connection, once, when this has been sent to the server: its answer is lost.
        self.lose_answer_to: bytes | None = None
        self.lost = 0
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._pipes: dict[socket.socket, _Pipe] = {}
        self._doomed: set[socket.socket] = set()
        self._orders: deque[str] = deque()
        self._over = False
        self._selector = selectors.DefaultSelector()
        self._door = socket.create_server(("127.0.0.1", self.port), backlog=200)
        self._selector.register(self._door, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Cut every connection that there is; new ones are let in."""
        self._orders.append("cut")

    def good(self) -> None:
        """Be a good connection again."""
        self.delay, self.drop, self.lose_answer_to = 0.0, 0, None

    def close(self) -> None:
        self._over = True
        self._thread.join()

    def _run(self) -> None:
        while not self._over:
            if self._orders:
                self._orders.popleft()
                for each in list(self._pairs):
                    self._end(each)
            for key, _ in self._selector.select(0.005):
                if key.fileobj is self._door:
                    self._accept()
                elif key.fileobj in self._pipes:
                    self._read(self._pipes[key.fileobj])
            for pipe in list(self._pipes.values()):
                self._pass_on(pipe)
        for each in list(self._pairs):
            self._end(each)
        self._door.close()
        self._selector.close()

    def _accept(self) -> None:
        client, _ = self._door.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            client.close()
            return
        for one, other, is_answer in ((client, server, False), (server, client, True)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(5)
            self._pairs[one] = other
            self._pipes[one] = _Pipe(one, other, is_answer)
            self._selector.register(one, selectors.EVENT_READ)

    def _read(self, pipe: _Pipe) -> None:
        try:
            data = pipe.source.recv(_ALL)
        except OSError:
            data = b""
        if not data:
            self._end(pipe.source)
            return
        if pipe.is_answer and pipe.target in self._doomed:
            self.lost += 1
            self._end(pipe.source)
            return
        if not pipe.is_answer and self.lose_answer_to and self.lose_answer_to in data:
            self.lose_answer_to = None
            self._doomed.add(pipe.source)
        at = time.monotonic() + self.delay
        size = self.drop or len(data)
        for start in range(0, len(data), size):
            pipe.waiting.append((at, data[start : start + size]))
            at += 0.005 if self.drop else 0.0

    def _pass_on(self, pipe: _Pipe) -> None:
        now = time.monotonic()
        while pipe.waiting and pipe.waiting[0][0] <= now:
            _, data = pipe.waiting.popleft()
            try:
                pipe.target.sendall(data)
            except OSError:
                self._end(pipe.source)
                return

    def _end(self, one: socket.socket) -> None:
        other = self._pairs.pop(one, None)
        if other is None:
            return
        self._pairs.pop(other, None)
        for each in (one, other):
            self._pipes.pop(each, None)
            self._doomed.discard(each)
            with suppress(KeyError, ValueError):
                self._selector.unregister(each)
            each.close()
