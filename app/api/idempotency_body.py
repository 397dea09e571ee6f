"""The body of a request as it is read, looked at on the way: what it is, without keeping it.

Of JSON it is what it says that counts, and not how it is written; of a form the names, the values
and the digests of its parts, and not the boundary between them; of everything else the bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from app.errors import OtherRequest

#: A longer JSON text counts by its bytes: it is not held a second time.
JSON_BYTES = 16 * 1024 * 1024

_BLOCK = 64 * 1024


class Body:
    """Stands in the place of `wsgi.input`. `seen` is called with each part that has been read.

    `most` bytes are read of what a route has left unread; more can be no request we have answered.
    """

    def __init__(self, request: Request, seen: Callable[[], None], *, most: int) -> None:
        self._stream = request.environ["wsgi.input"]
        self._length = request.content_length
        self._ends = bool(request.environ.get("wsgi.input_terminated"))
        self._seen = seen
        self._most = most
        self._count = 0
        self._is_over = self._length == 0 or (self._length is None and not self._ends)
        place = f"{request.method}\n{request.path}\n".encode("utf-8", "surrogatepass")
        self._head = (
            place + request.query_string + b"\n" + request.mimetype.encode("latin-1", "replace")
        )
        self._digest = _digest_for(request)
        request.environ["wsgi.input"] = self

    @property
    def is_read(self) -> bool:
        return self._is_over

    def fingerprint(self) -> bytes:
        """Return the SHA-256 of method, path and body. Raises OtherRequest if it is too long."""
        self._drain(self._most)
        if not self._is_over:
            raise OtherRequest("The body is longer than any that this key can have come with.")
        return hashlib.sha256(self._head + b"\n" + self._digest.value()).digest()

    def skip(self, most: int) -> None:
        """Read what is left, up to so many bytes of the body. Never raises."""
        try:
            self._drain(most)
        except Exception:
            # Only the client's bytes can go wrong here, and every server has names for how.
            return

    def _drain(self, most: int) -> None:
        while not self._is_over and self._count <= most:
            left = _BLOCK if self._length is None else min(_BLOCK, self._length - self._count)
            self.read(left)

    def read(self, *size: int) -> bytes:
        return self._noted(self._stream.read(*size), is_end=bool(size[:1] != (0,)))

    def readline(self, *size: int) -> bytes:
        return self._noted(self._stream.readline(*size), is_end=bool(size[:1] != (0,)))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _noted(self, data: bytes, *, is_end: bool) -> bytes:
        self._count += len(data)
        if data and not self._is_over:
            self._digest.update(data)
            self._seen()
        if (not data and is_end) or self._count == self._length:
            self._is_over = True
        return data


class _Digest(Protocol):
    def update(self, data: bytes) -> None: ...

    def value(self) -> bytes: ...


def _digest_for(request: Request) -> _Digest:
    boundary = request.mimetype_params.get("boundary", "")
    if request.mimetype == "multipart/form-data" and boundary:
        return _Form(boundary.encode("latin-1", "replace"))
    return _Json() if request.is_json else _Bytes()


class _Bytes:
    def __init__(self) -> None:
        self._all = hashlib.sha256()

    def update(self, data: bytes) -> None:
        self._all.update(data)

    def value(self) -> bytes:
        return self._all.digest()


class _Json:
    def __init__(self) -> None:
        self._text = bytearray()
        self._long: Any = None

    def update(self, data: bytes) -> None:
        if self._long is not None:
            self._long.update(data)
            return
        self._text += data
        if len(self._text) > JSON_BYTES:
            self._long = hashlib.sha256(self._text)
            self._text.clear()

    def value(self) -> bytes:
        if self._long is not None:
            return bytes(self._long.digest())
        try:
            text = json.dumps(json.loads(self._text), sort_keys=True).encode()
        except (ValueError, RecursionError):
            # No JSON, which is for the route to say.
            text = bytes(self._text)
        return hashlib.sha256(text).digest()


class _Form:
    """Takes a form apart; of each part there is its name, its length and its digest."""

    def __init__(self, boundary: bytes) -> None:
        self._decoder = MultipartDecoder(boundary)
        # Longer than what stands between two parts.
        self._between = len(boundary) + 10
        self._rest = b""
        self._all = hashlib.sha256()
        self._is_broken = False
        self._part = hashlib.sha256()
        self._name = ""
        self._size = 0

    def update(self, data: bytes) -> None:
        # The decoder takes the end of a part for a part of it if it is given half of what stands
        # behind: that is left for the next time.
        data = self._rest + data
        end = data.find(b"\r", max(0, len(data) - self._between))
        self._feed(data if end < 0 else data[:end])
        self._rest = b"" if end < 0 else data[end:]

    def _feed(self, data: bytes) -> None:
        if self._is_broken:
            return
        try:
            self._decoder.receive_data(data)
            self._take()
        except (ValueError, RequestEntityTooLarge):
            # No form, which is for the route to say.
            self._is_broken = True

    def value(self) -> bytes:
        self._feed(self._rest)
        self._rest = b""
        return b"broken" if self._is_broken else self._all.digest()

    def _take(self) -> None:
        while not isinstance(event := self._decoder.next_event(), NeedData | Epilogue):
            if isinstance(event, Field | File):
                self._name, self._size, self._part = event.name or "", 0, hashlib.sha256()
                kind = "file" if isinstance(event, File) else "field"
                self._all.update(
                    f"\n{kind} {len(self._name)} {self._name} ".encode("utf-8", "surrogatepass")
                )
            elif isinstance(event, Data):
                self._size += len(event.data)
                self._part.update(event.data)
                if not event.more_data:
                    self._all.update(f"{self._size} ".encode() + self._part.digest())
