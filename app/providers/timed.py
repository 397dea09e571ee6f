"""HTTP that ends in time: connections are cut when it is up, whatever is read from them by then.

A time-out of a socket is for one read, and a server that sends a byte now and then never makes a
read wait: neither in the head of its answer, nor between the parts of its body.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


class Watch:
    """Cuts the connections of one request when its time is up."""

    def __init__(self, seconds: float) -> None:
        self.is_up = False
        self._handles: list[socket.socket] = []
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def add(self, connection: socket.socket) -> None:
        # A handle of its own, which nobody else closes; TLS has none to give away by itself.
        handle = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._handles.append(handle)
            if self.is_up:
                _shut(handle)

    def _cut(self) -> None:
        with self._lock:
            self.is_up = True
            for handle in self._handles:
                _shut(handle)

    def end(self) -> None:
        self._timer.cancel()
        self._timer.join()
        for handle in self._handles:
            handle.close()


def _shut(handle: socket.socket) -> None:
    with suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched(seconds: float) -> Iterator[Watch]:
    """Cut what the block reads from by an Adapter when so many seconds are over."""
    watch = Watch(seconds)
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)
        watch.end()


class _Connection(HTTPConnection):
    def getresponse(self) -> Any:
        _add(self.sock)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> Any:
        _add(self.sock)
        return super().getresponse()


def _add(connection: socket.socket | None) -> None:
    watch = _watch.get()
    if watch is not None and connection is not None:
        watch.add(connection)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Adapter(HTTPAdapter):
    """Makes connections that can be watched."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
