"""The text of a document, read by a child process that may die of it.

The child (app/documents/child.py) is started when the first document comes and kept. Whatever it
does, the caller gets text or an ItemError within the time allowed, and a child that can no longer
be trusted is killed with all that it started, and replaced.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.documents import codes, wire
from app.documents.model import Content, DocumentType, Text
from app.errors import ItemError
from app.settings import Settings

#: What the child's Python is told to run.
PROGRAM = ("-m", "app.documents.child")

#: For a child that starts, and for parsers that are imported for the first time.
_START_SECONDS = 20.0
#: For a child to notice that the process which reads has used up its time.
_NOTICE_SECONDS = 1.0
_LONGEST_MESSAGE = 200
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one document may take: CPU `seconds`, `memory` in bytes, `patience` in seconds.

    Patience is for all of it; more than the CPU time is for machines that are busy with others.
    """

    seconds: float
    patience: float
    memory: int
    max_chars: int

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(
            settings.document_seconds,
            settings.document_seconds,
            settings.document_memory_bytes,
            settings.document_max_chars,
        )


class Extractor:
    """Reads one document at a time; a second thread waits for its turn."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turn = threading.Lock()
        self._child: _Child | None = None

    def warm(self) -> None:
        """Start the child and have it import every parser. Failing costs only time later."""
        with self._turn, suppress(_Lost):
            self._ask({"warm": True}, b"", _START_SECONDS)

    def extract(self, content: Content, *, pages: int) -> Text:
        """Return the text of the document, of its first `pages` pages where it has any.

        Raises ItemError with one of app.documents.codes.
        """
        limits = self._limits
        question = {
            "hint": {
                "suffix": content.hint.suffix,
                "media_type": content.hint.media_type,
                "charset": content.hint.charset,
            },
            "pages": pages,
            "max_chars": limits.max_chars,
            "seconds": limits.seconds,
            "patience": limits.patience,
            "memory": limits.memory,
        }
        with self._turn:
            try:
                head, body = self._ask(
                    question, content.data, limits.patience + _NOTICE_SECONDS, _START_SECONDS
                )
                return _text(head, body, len(content.data), limits.max_chars)
            except (_Lost, wire.Garbled) as error:
                self._drop()
                raise ItemError(
                    codes.DOCUMENT_TOO_COMPLEX, "The document took its reader down."
                ) from error

    def close(self) -> None:
        with self._turn:
            self._drop()

    def _ask(
        self, head: Mapping[str, Any], body: bytes, seconds: float, start: float = 0.0
    ) -> tuple[Mapping[str, Any], bytes]:
        child = self._child
        if child is None or not child.is_ours() or not child.is_alive():
            # Of a child that died while it was idle no document is guilty.
            self._drop()
            child = self._child = _Child()
        if child.is_new:
            seconds += start
        try:
            return child.ask(head, body, seconds, 4 * self._limits.max_chars + 1)
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
    def __init__(self) -> None:
        self._pid = os.getpid()
        self.is_new = True
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-P", "-s", "-S", *PROGRAM],
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

    def ask(
        self, head: Mapping[str, Any], body: bytes, seconds: float, longest: int
    ) -> tuple[Mapping[str, Any], bytes]:
        """Return the answer. Raises _Lost, and wire.Garbled for what is none."""
        deadline = time.monotonic() + seconds
        try:
            self._socket.settimeout(seconds)
            self._socket.sendall(wire.pack(head, body))
            answer = wire.unpack(lambda size: self._receive(size, deadline), longest)
        except OSError as error:
            raise _Lost from error
        self.is_new = False
        return answer

    def _receive(self, size: int, deadline: float) -> bytes:
        blocks = []
        while size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _Lost
            self._socket.settimeout(left)
            block = self._socket.recv(min(size, _BLOCK))
            if not block:
                raise _Lost
            blocks.append(block)
            size -= len(block)
        return b"".join(blocks)

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
        # The same text whatever the day.
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
    }


def _text(head: Mapping[str, Any], body: bytes, size: int, max_chars: int) -> Text:
    """Return what the child read, or raise what it found. Raises wire.Garbled for neither."""
    if "code" in head:
        code, message = head["code"], head.get("message")
        if code not in codes.CODES or not isinstance(message, str):
            raise wire.Garbled
        raise ItemError(code, message[:_LONGEST_MESSAGE])
    try:
        found = Text(
            text=body.decode(),
            type=DocumentType(head["type"]),
            size=size,
            pages=_count(head["pages"]),
            pages_read=_count(head["pages_read"]),
            truncated=head["truncated"] is True,
        )
    except (KeyError, ValueError) as error:
        raise wire.Garbled from error
    if len(found.text) > max_chars or "\0" in found.text:
        raise wire.Garbled
    return found


def _count(value: object) -> int | None:
    if value is not None and not isinstance(value, int):
        raise ValueError("no number")
    return value
