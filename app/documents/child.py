"""The process that reads documents: `python -m app.documents.child`, started by the extractor.

It loads the parsers once and forks for every document, so that each is read by a process that
has read no other, has its own limits, and may die of them. Standard input is a socket: a question
comes in, an answer goes out. It never sees a path, an address or a tenant, and is given no
environment.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from app.documents import codes, wire
from app.documents.formats.base import Question
from app.documents.formats.read import load_all, read, type_of
from app.documents.model import DocumentType, Hint
from app.errors import ItemError

#: Files that may be open at once: parsers look up their own tables, and nothing else.
_OPEN_FILES = 32
_MOST_FILES = 256
#: Of the time allowed, what must have been work for the document to be at fault.
_OWN_FAULT = 0.25

TOO_COMPLEX = (codes.DOCUMENT_TOO_COMPLEX, "Reading the document takes too much time or memory.")
TOO_SLOW = (codes.TIMEOUT, "The document was not read in time: this machine is too busy.")
DIED = (codes.DOCUMENT_TOO_COMPLEX, "The document took its reader down.")


def main() -> None:
    logging.disable()
    # At once, and not when the first of a type comes: a document's time is for the document.
    load_all()
    with open(os.dup(0), "rb") as stream:

        def exactly(size: int) -> bytes:
            data = stream.read(size)
            if len(data) < size:
                # Whoever asked has gone.
                raise EOFError
            return data

        with suppress(EOFError, BrokenPipeError):
            while True:
                head, data = wire.unpack(exactly, 1 << 32)
                _send(0, _answer(head, data))


def _answer(head: Mapping[str, Any], data: bytes) -> bytes:
    if head.get("warm"):
        return wire.pack({}, b"")
    question = Question(data, Hint(**head["hint"]), head["pages"], head["max_chars"])
    try:
        type = type_of(question)
    except ItemError as error:
        return _failure(error.code, str(error))
    except Exception:
        return _failure(*DIED)
    return _in_a_process_of_its_own(question, type, head)


def _in_a_process_of_its_own(
    question: Question, type: DocumentType, limits: Mapping[str, Any]
) -> bytes:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        _work(theirs, question, type, limits)
    os.close(theirs)
    # UTF-8 takes four bytes a character at the most.
    longest = 4 * question.max_chars + 8192
    with open(ours, "rb") as pipe:
        answer = pipe.read(longest + 1)
    if len(answer) > longest:
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    if status == 0 and _is_whole(answer, longest):
        return answer
    if os.WIFSIGNALED(status):
        work = used.ru_utime + used.ru_stime
        if os.WTERMSIG(status) == signal.SIGALRM and work < _OWN_FAULT * limits["patience"]:
            return _failure(*TOO_SLOW)
        if os.WTERMSIG(status) in {signal.SIGALRM, signal.SIGXCPU}:
            return _failure(*TOO_COMPLEX)
    return _failure(*DIED)


def _is_whole(answer: bytes, longest: int) -> bool:
    at = 0

    def take(size: int) -> bytes:
        nonlocal at
        at += size
        if at > len(answer):
            raise wire.Garbled
        return answer[at - size : at]

    try:
        wire.unpack(take, longest)
    except wire.Garbled:
        return False
    return at == len(answer)


def _work(out: int, question: Question, type: DocumentType, limits: Mapping[str, Any]) -> NoReturn:
    """Read one document, say what came of it, and end."""
    try:
        # What came along is not worth looking at again, nor copying because it was.
        gc.freeze()
        _limit(limits, out)
        _send(out, _read(question, type))
    except BaseException:  # nothing of ours may run on in a copy of the process
        os._exit(1)
    os._exit(0)


def _read(question: Question, type: DocumentType) -> bytes:
    try:
        answer, truncated = read(question, type)
    except ItemError as error:
        return _failure(error.code, str(error))
    except (MemoryError, RecursionError):
        return _failure(*TOO_COMPLEX)
    except Exception:
        return _failure(*DIED)
    head = {
        "type": answer.type,
        "pages": answer.pages,
        "pages_read": answer.pages_read,
        "truncated": truncated,
    }
    return wire.pack(head, answer.text.encode())


def _limit(limits: Mapping[str, Any], out: int) -> None:
    """Take from this process what reading a document needs not: for good, and from now on."""
    nothing = os.open(os.devnull, os.O_RDWR)
    # The socket: nobody may answer in our place.
    os.dup2(nothing, 0)
    os.closerange(3, out)
    os.closerange(out + 1, _MOST_FILES)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # Also for the day when nobody is left to wait for us.
    signal.setitimer(signal.ITIMER_REAL, limits["patience"])
    cpu = max(1, round(limits["seconds"]))
    for what, limit in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
    ):
        # Systems differ in what they can limit; Linux can all of it.
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (limit, limit + 1 if what == resource.RLIMIT_CPU else limit))
    sys.setrecursionlimit(2000)


def _failure(code: str, message: str) -> bytes:
    return wire.pack({"code": code, "message": message}, b"")


def _send(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main()
