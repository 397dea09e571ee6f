"""The process that decodes images: `python -m app.faces.child SECONDS MEMORY`, by the decoder.

It loads Pillow once and forks for every image, so that each is decoded by a process that has seen
no other, has its own limits, and may die of them. Standard input is a socket: bytes come in, facts
and pixels go out. It is given no environment, and never knows whose image it is.
"""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import os
import resource
import signal
import struct
import sys
from contextlib import suppress
from typing import Any, NoReturn

from app.errors import ItemError
from app.faces import codes, picture

LENGTH = struct.Struct(">I")

#: Of an answer, beside its pixels.
LONGEST_HEAD = 1024
LONGEST_BODY = 3 * picture.WORK_SIDE**2

#: Of the time allowed, what must have been work for the image to be at fault.
_OWN_FAULT = 0.25
_OPEN_FILES = 16
_MOST_FILES = 256

TOO_COMPLEX = (codes.INVALID_IMAGE, "Decoding the image takes too much time or memory.")
TOO_SLOW = (codes.IMAGE_TIMEOUT, "The image was not decoded in time: this machine is too busy.")
KILLED = (codes.IMAGE_TIMEOUT, "The image's decoder was killed: this machine is short of memory.")
DIED = (codes.INVALID_IMAGE, "The image took its decoder down.")


def main(seconds: float, memory: int) -> None:
    logging.disable()
    picture.prepare()
    with open(os.dup(0), "rb") as stream, suppress(BrokenPipeError):
        while (head := stream.read(LENGTH.size)) and len(head) == LENGTH.size:
            (size,) = LENGTH.unpack(head)
            data = stream.read(size)
            if len(data) < size:
                return
            _send(0, _decoded(data, seconds, memory))


def _decoded(data: bytes, seconds: float, memory: int) -> bytes | memoryview:
    """Have a process of its own decode the image, and return what it answered.

    That is good until the next image.
    """
    ours, theirs = os.pipe()
    _widen(theirs)
    pid = os.fork()
    if pid == 0:
        _work(theirs, data, seconds, memory)
    os.close(theirs)
    answer = _received(ours)
    os.close(ours)
    is_too_long = len(answer) == len(_ROOM)
    if is_too_long:
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    if status == 0 and _is_whole(answer):
        return answer
    if os.WIFSIGNALED(status):
        work = used.ru_utime + used.ru_stime
        if os.WTERMSIG(status) == signal.SIGALRM and work < _OWN_FAULT * seconds:
            return _failure(*TOO_SLOW)
        if os.WTERMSIG(status) in {signal.SIGALRM, signal.SIGXCPU}:
            return _failure(*TOO_COMPLEX)
        if os.WTERMSIG(status) == signal.SIGKILL and not is_too_long:
            # Its own limits end it otherwise: this was the system, or whoever runs it.
            return _failure(*KILLED)
    return _failure(*DIED)


#: For one answer, and a byte by which one that is too long is known. Kept, since new memory costs
#: more than what is done with it.
_ROOM = bytearray(2 * LENGTH.size + LONGEST_HEAD + LONGEST_BODY + 1)

#: Of the pipe, where the system lets us: the fewer turns two processes take.
_PIPE_BYTES = 1 << 20


def _widen(pipe: int) -> None:
    with suppress(AttributeError, OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _received(pipe: int) -> memoryview:
    view = memoryview(_ROOM)
    size = 0
    while size < len(view) and (more := os.readv(pipe, [view[size:]])):
        size += more
    return view[:size]


def _is_whole(answer: memoryview) -> bool:
    try:
        (head,) = LENGTH.unpack_from(answer)
        (body,) = LENGTH.unpack_from(answer, LENGTH.size + head)
    except struct.error:
        return False
    return head <= LONGEST_HEAD and 2 * LENGTH.size + head + body == len(answer)


def _work(out: int, data: bytes, seconds: float, memory: int) -> NoReturn:
    """Decode one image, say what came of it, and end."""
    try:
        # What came along is not worth looking at again, nor copying because it was.
        gc.freeze()
        _limit(out, seconds, memory)
        for part in _answer(data):
            _send(out, part)
    except BaseException:  # nothing of ours may run on in a copy of the process
        os._exit(1)
    os._exit(0)


def _answer(data: bytes) -> tuple[bytes, bytes]:
    """Return the answer in two parts, of which the second may be large."""
    try:
        facts, pixels = picture.read(data)
    except ItemError as error:
        return _failure(error.code, str(error)), b""
    except (MemoryError, RecursionError):
        return _failure(*TOO_COMPLEX), b""
    except Exception:
        return _failure(codes.INVALID_IMAGE, "The image is broken or incomplete."), b""
    return _headed(facts, len(pixels)), pixels


def _limit(out: int, seconds: float, memory: int) -> None:
    """Take from this process what decoding an image needs not: for good, and from now on."""
    nothing = os.open(os.devnull, os.O_RDWR)
    # The socket: nobody may answer in our place.
    os.dup2(nothing, 0)
    os.closerange(3, out)
    os.closerange(out + 1, _MOST_FILES)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    # Also for the day when nobody is left to wait for us.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    cpu = max(1, round(seconds))
    for what, limit in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0),
    ):
        # Systems differ in what they can limit; Linux can all of it.
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (limit, limit + 1 if what == resource.RLIMIT_CPU else limit))


def _failure(code: str, message: str) -> bytes:
    return _headed({"code": code, "message": message}, 0)


def _headed(head: dict[str, Any], body: int) -> bytes:
    """Return the head of an answer, and the length of the body that follows it."""
    encoded = json.dumps(head).encode()
    return b"".join((LENGTH.pack(len(encoded)), encoded, LENGTH.pack(body)))


def _send(descriptor: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
