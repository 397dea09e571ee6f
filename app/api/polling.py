"""The answer to a poll: the job as it is, or 304; at once, or when there is something new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from flask import Response, request

from app.api import preferences
from app.api.context import resources

#: Seconds that a poll is held at the most.
LONGEST = 30

#: Seconds between two looks at the job of a poll that is held: soon at first, then calmly.
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as somebody finds it who looks; `tag` changes with whatever `render` shows."""

    tag: str
    is_final: bool
    render: Callable[[], Response]


def answer(look: Callable[[], Seen], *, poll_seconds: int) -> Response:
    """Answer a poll, with the headers that say what to do next.

    `Prefer: wait=20` holds it until there is something that the caller does not know.
    """
    seen = look()
    wanted = preferences.wait_seconds(LONGEST)
    if wanted and not seen.is_final and _is_known(seen):
        with PLACES.one_of(resources().settings.held_polls) as is_held:
            if is_held:
                seen = _changed(look, seen, wanted)
            else:
                wanted = None
    if request.if_none_match.contains_weak(seen.tag):
        response = Response(status=HTTPStatus.NOT_MODIFIED)
    else:
        response = seen.render()
    response.set_etag(seen.tag)
    response.headers["Cache-Control"] = "private, no-cache"
    if not seen.is_final:
        response.headers["Retry-After"] = str(poll_seconds)
    if wanted is not None:
        response.headers["Preference-Applied"] = f"wait={wanted}"
    return response


def _is_known(seen: Seen) -> bool:
    """Say whether this is what the caller saw last; who does not say has seen what is there now."""
    return not request.if_none_match or request.if_none_match.contains_weak(seen.tag)


def _changed(look: Callable[[], Seen], seen: Seen, seconds: float) -> Seen:
    """Return the job when it is another than was seen, or as it is when the time is up."""
    deadline = time.monotonic() + seconds
    pause, now = _FIRST_LOOK, seen
    while now.tag == seen.tag and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        if PLACES.are_closed:
            break
        now = look()
        pause = min(2 * pause, _LONGEST_LOOK)
    return now


class Places:
    """Each poll that is held keeps a thread from other requests, so only a few are at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken = 0
        #: How many there are, whatever the settings say.
        self.limit = 1_000
        self.are_closed = False

    @contextmanager
    def one_of(self, most: int) -> Iterator[bool]:
        with self._lock:
            is_free = self.taken < min(most, self.limit)
            self.taken += is_free
        try:
            yield is_free
        finally:
            with self._lock:
                self.taken -= is_free


PLACES = Places()


def let_go() -> None:
    """Answer all polls that are held, within half a second: this process is about to stop."""
    # Called by signal handlers, which must not wait for a lock.
    PLACES.are_closed = True
