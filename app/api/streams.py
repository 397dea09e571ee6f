"""What is sent to those who watch a job, and who sends it.

The routes are the same in the web and in the process `live`; only the latter has a `Streams`, and
sends. The web sends its callers there, with a ticket: many clients drop their Authorization header
when they are sent to another address, and rightly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast
from urllib.parse import urlencode

from flask import Response, current_app, g, request

from app.api import tokens
from app.api.context import caller, resources
from app.db import Cursor
from app.errors import InvalidParameter, NotAcceptable
from app.jobs.events.model import ALL_TYPES, EventType, JobEvent
from app.jobs.model import Job
from app.jobs.states import JobState

EVENT_STREAM = "text/event-stream"

#: Who may watch a job may read it, in the dialect in which they watch.
PERMISSION = "jobs:read"
DOCUMENTS = "documents:read"
#: All that a ticket to `live` may carry: what any of its routes asks for.
WATCHING = frozenset({PERMISSION, DOCUMENTS})

#: Far beyond any version, and within a bigint.
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: its name, JSON text, and the seq from which the reader goes on, if it has."""

    name: str
    data: str
    seq: int | None = None


Reading = Callable[[], AbstractContextManager[Cursor]]


@dataclass(frozen=True, slots=True)
class Wording:
    """How a dialect tells a watcher what happens."""

    name: str
    #: What is said of an event; None where a dialect says nothing.
    say: Callable[[Job, JobEvent], Message | None]
    #: What is said first to a watcher who begins here, of the job as it stands.
    open: Callable[[Reading, Job], Iterable[Message]]
    #: Said over a WebSocket when nothing has happened for a while, to a watcher who knows all up to
    #: a seq, of a job in that state.
    idle: Callable[[Job, int, JobState], Message] | None = None
    types: frozenset[EventType] = ALL_TYPES
    #: Whether the end of a job is said apart from its last state.
    says_end: bool = True

    def is_told(self, job: Job, after: int | None) -> bool:
        """Whether a watcher who knows all up to `after` knows that the job has ended."""
        if not job.state.is_final or after is None:
            return False
        return job.version + self.says_end <= after <= job.version + 1


class Streams(Protocol):
    def open(self, job: Job, wording: Wording, *, after: int | None) -> Iterator[bytes]:
        """Return a body of server-sent events, from behind `after` on or from now on."""
        ...

    def count(self) -> dict[str, int]:
        """Return how many `clients` watch how many `jobs`."""
        ...


def take_token() -> None:
    """Let `?token=` stand for the header: an EventSource in a browser can send none.

    A ticket is good there only, and so in this process only.
    """
    token = request.args.get("token")
    if not token or "HTTP_AUTHORIZATION" in request.environ:
        return
    if token.startswith(tokens.TICKET_PREFIX):
        g.ticket = token
    else:
        request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"


def attach(app: object, streams: Streams) -> None:
    app.extensions["muster.streams"] = streams  # type: ignore[attr-defined]  # a Flask


def are_here() -> bool:
    """Whether this process sends streams itself."""
    return "muster.streams" in current_app.extensions


def here() -> Streams:
    return cast(Streams, current_app.extensions["muster.streams"])


def respond(job: Job, wording: Wording) -> Response:
    """Send the job's events, or say where they are to be had."""
    after = read_after()
    if not are_here():
        return _sent_on()
    if wording.is_told(job, after):
        # How an EventSource is told not to come again.
        return Response(status=HTTPStatus.NO_CONTENT)
    body = here().open(job, wording, after=after)
    response = Response(body, mimetype=EVENT_STREAM, direct_passthrough=True)
    response.headers["Cache-Control"] = "no-store"
    # nginx would hold the events back until it has some kilobytes of them.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def is_wanted() -> bool:
    """Whether the caller asks for a stream, by Accept; whoever takes anything gets one."""
    accepted = request.accept_mimetypes
    if not accepted:
        return True
    return accepted.best_match([EVENT_STREAM, "application/json"], EVENT_STREAM) == EVENT_STREAM


def takes_json() -> bool:
    accepted = request.accept_mimetypes
    return not accepted or accepted.best_match(["application/json"]) is not None


def read_after() -> int | None:
    """Return the seq that the reader knows already, or raise InvalidParameter."""
    text = request.headers.get("Last-Event-ID", "").strip()
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        # A reader who comes back: newer than what stands in its address.
        return int(text)
    return parse_after(request.args.get("after"))


def parse_after(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        raise InvalidParameter("after must be the id of an event, a whole number.")
    return int(text)


def _sent_on() -> Response:
    live = resources().settings.live_url
    if not live:
        raise NotAcceptable(
            "Streams are sent by the process `live`, at an address of its own or through the"
            " proxy: ask whoever runs this server. A list of the events is to be had here, with"
            " Accept: application/json."
        )
    ticket = tokens.make_ticket(caller(), caller().permissions & WATCHING, request.path)
    given = [(name, text) for name, text in request.args.items(multi=True) if name != "token"]
    response = Response(status=HTTPStatus.TEMPORARY_REDIRECT)
    query = urlencode([*given, ("token", ticket)])
    response.headers["Location"] = f"{live}{request.path}?{query}"
    response.headers["Cache-Control"] = "no-store"
    return response
