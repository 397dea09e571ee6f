"""An image's pixels, decoded by a child process that may die of it.

The child (app/faces/child.py) is started when the first image comes and kept. Whatever it does,
the caller gets pixels or an ItemError within the time allowed, and a child that can no longer be
trusted is killed with all that it started, and replaced.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.errors import ItemError, Misconfigured
from app.faces import codes
from app.faces.model import Picture

#: What the child's Python is told to run.
PROGRAM = ("-m", "app.faces.child")

#: Address space of the process that decodes one image.
MEMORY = 1_000_000_000

#: For a child that starts and imports Pillow.
_START_SECONDS = 20.0
#: For a child to notice that the process which decodes has used up its time.
_NOTICE_SECONDS = 1.0

#: What ends an image that another try may read: nobody's fault but a busy machine's.
_PERHAPS_OURS = frozenset({codes.IMAGE_TIMEOUT})

_LENGTH = struct.Struct(">I")
_LONGEST_HEAD = 1024
_LONGEST_MESSAGE = 200
#: Of the pixels that come back; the child never sends more.
WORK_SIDE = 1280


@dataclass(frozen=True, slots=True)
class Pixels:
    """A picture, and what of it the engine looks at: `width` x `height` BGR from the top left."""

    picture: Picture
    width: int
    height: int
    data: bytearray = field(repr=False)


class Decoder:
    """Decodes one image at a time; a second thread waits for its turn."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = threading.Lock()
        self._child: _Child | None = None

    def decode(self, data: bytes) -> Pixels:
        """Return the pixels of an image. Raises ItemError with one of app.faces.codes."""
        with self._turn:
            try:
                return self._try(data)
            except ItemError as error:
                if error.code not in _PERHAPS_OURS:
                    raise
            except _Lost:
                pass
            # It may have been this machine's trouble: once more, by a child that has had none.
            self._drop()
            try:
                return self._try(data)
            except _Lost as error:
                raise ItemError(codes.INVALID_IMAGE, "The image took its decoder down.") from error

    def _try(self, data: bytes) -> Pixels:
        try:
            return _read(*self._ask(data))
        except (struct.error, KeyError, ValueError, TypeError) as error:
            self._drop()
            raise _Lost from error

    def warm(self) -> None:
        """Start the child, so that the first image does not wait for it."""
        with suppress(ItemError):
            self.decode(b"")

    def close(self) -> None:
        with self._turn:
            self._drop()

    def _ask(self, data: bytes) -> tuple[Mapping[str, Any], bytearray]:
        child = self._child
        if child is None or not child.is_ours() or not child.is_alive():
            # Of a child that died while it was idle no image is guilty.
            self._drop()
            child = self._child = _Child(self._seconds)
        patience = self._seconds + _NOTICE_SECONDS + (_START_SECONDS if child.is_new else 0)
        try:
            return child.ask(data, patience)
        except BaseException:
            # Also when we are interrupted: an answer that nobody waits for would be the next one's.
            self._drop()
            raise

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.is_ours():
            child.kill()


class _Lost(Exception):
    """The child died, or did not answer in time."""


class _Child:
    def __init__(self, seconds: float) -> None:
        self._pid = os.getpid()
        self.is_new = True
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-P", "-s", "-S", *PROGRAM, str(seconds), str(MEMORY)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )

    def is_ours(self) -> bool:
        """A process that was forked has its parent's child, and must leave it alone."""
        return self._pid == os.getpid()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, data: bytes, seconds: float) -> tuple[Mapping[str, Any], bytearray]:
        """Return head and body of the answer. Raises _Lost, or ValueError for what is none."""
        deadline = time.monotonic() + seconds
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(_LENGTH.pack(len(data)))
            self._socket.sendall(data)
            head = self._receive(self._length(_LONGEST_HEAD, deadline), deadline)
            body = self._receive(self._length(3 * WORK_SIDE**2, deadline), deadline)
        except OSError as error:
            raise _Lost from error
        self.is_new = False
        known = json.loads(head)
        if not isinstance(known, dict):
            raise ValueError("no object")
        return known, body

    def _length(self, longest: int, deadline: float) -> int:
        (length,) = _LENGTH.unpack(self._receive(_LENGTH.size, deadline))
        if length > longest:
            raise _Lost
        return int(length)

    def _receive(self, size: int, deadline: float) -> bytearray:
        received = bytearray(size)
        view = memoryview(received)
        while view:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _Lost
            self._socket.settimeout(left)
            more = self._socket.recv_into(view)
            if not more:
                raise _Lost
            view = view[more:]
        return received

    def kill(self) -> None:
        # Its group first: what it started must not outlive it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._socket.close()


def _environment() -> dict[str, str]:
    """Where to find the packages, and nothing of what else our environment holds."""
    folders = [str(Path(__file__).parents[2]), *sys.path]
    return {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(filter(None, folders))),
        "LC_ALL": "C.UTF-8",
    }


def _read(head: Mapping[str, Any], body: bytearray) -> Pixels:
    """Return what the child decoded, or raise what it found. Of the child nothing is believed."""
    if "code" in head:
        code, message = head["code"], head["message"]
        if code not in codes.CODES or not isinstance(message, str):
            raise ValueError("no code of ours")
        raise ItemError(code, message[:_LONGEST_MESSAGE])
    width, height = head["shown"]
    picture = Picture(
        format=str(head["format"])[:8],
        width=int(head["width"]),
        height=int(head["height"]),
        orientation_applied=head["orientation_applied"] is True,
    )
    sides = (width, height, picture.width, picture.height)
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError("no size")
    if len(body) != 3 * width * height:
        raise ValueError("not so many pixels")
    return Pixels(picture, width, height, body)


def check_installed() -> None:
    """Raise Misconfigured where Pillow is not there: the child could only say that it died."""
    from importlib.util import find_spec

    if find_spec("PIL") is None:
        raise Misconfigured("Faces need Pillow; install it with: pip install 'muster[faces]'")
