"""Taking a key, holding it while its request is at work, and what is left when that has ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Protocol, Self
from uuid import UUID, uuid4

from app.db import Cursor, Database, before_commit
from app.errors import AnswerNotKept, OtherRequest, RequestInProgress
from app.idempotency import store
from app.idempotency.store import Answer, Name

#: A key is good for a day [contract 5.4].
KEPT_SECONDS = 24 * 3600.0

#: Tries to take a key that somebody else takes, or lets go, each time in the same moment.
_TRIES = 5

_current: ContextVar[Claim | None] = ContextVar("claim", default=None)


class Left(StrEnum):
    """What is left of a request that ended without an answer to keep."""

    #: What it wrote, if anything: the same request goes on from there, once it comes again.
    WRITES = "writes"
    #: Which request it was: the same one may begin anew.
    REQUEST = "request"
    #: Any request may have the key.
    NOTHING = "nothing"


class Asked(Protocol):
    """What came under the key."""

    @property
    def is_read(self) -> bool:
        """Whether all of it has come in."""

    def fingerprint(self) -> bytes:
        """Return the SHA-256 of it, reading what is left."""


class Claim:
    """A key in the hands of the request that has it.

    `job_id` is the job that an earlier request made under the key, whose answer was never kept;
    `was_written` says that such a request had written something.
    """

    def __init__(self, db: Database, name: Name, asked: Asked, seconds: float) -> None:
        self._db = db
        self._name = name
        self._asked = asked
        self._seconds = seconds
        self._known: bytes | None = None
        self.job_id: UUID | None = None
        self.was_written = False
        #: Whether this request has made a job.
        self.has_made_job = False
        self._makes_job = False

    @classmethod
    def take(
        cls, db: Database, tenant_id: UUID, digest: bytes, asked: Asked, *, seconds: float
    ) -> Self | Answer | None:
        """Return the claim, or the answer that there is; None of a tenant that is gone.

        A claim is good for so many seconds after its last sign of life. Raises RequestInProgress.
        """
        name = Name(tenant_id, digest, uuid4())
        for _ in range(_TRIES):
            with db.transaction() as tx:
                # Looked at first: while a large job is written its row is locked, and taking the
                # key would wait for it, with a thread and a connection.
                is_held, answer = store.look(tx, name)
                if answer is not None:
                    return answer
                if is_held:
                    raise _in_progress()
                store.forget_expired(tx, name)
                row = store.claim(tx, name, seconds=seconds, kept=KEPT_SECONDS)
                if row is not None:
                    claim = cls(db, name, asked, seconds)
                    known = row["fingerprint"]
                    claim._known = None if known is None else bytes(known)
                    claim.job_id, claim.was_written = row["job_id"], row["has_written"]
                    return claim
        return None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let every transaction of the block count as the request's."""
        current, check = _current.set(self), before_commit.set(self._check)
        try:
            yield
        finally:
            before_commit.reset(check)
            _current.reset(current)

    def verify(self) -> bytes:
        """Return the fingerprint. Raises OtherRequest if the key came with another before."""
        found = self._asked.fingerprint()
        if self._known is not None and found != self._known:
            raise other_request()
        return found

    def prolong(self) -> None:
        """Say that the request is still at work."""
        with unwatched(), self._db.transaction() as tx:
            store.prolong(tx, self._name, seconds=self._seconds)

    def note_job(self, tx: Cursor, job_id: UUID) -> None:
        if not store.note_job(tx, self._name, job_id):
            raise _in_progress()
        self._makes_job = True

    def keep(self, answer: Answer) -> None:
        """Keep the answer: it is what the same request gets from now on."""
        with self._db.transaction() as tx:
            store.keep_answer(tx, self._name, answer)

    def release(self, left: Left = Left.WRITES) -> None:
        """Let the key go without an answer."""
        with self._db.transaction() as tx:
            if left is Left.NOTHING:
                store.forget(tx, self._name)
                return
            if left is Left.REQUEST:
                store.forget_writes(tx, self._name)
            store.forget_unwritten(tx, self._name)
            store.let_go(tx, self._name)

    def _check(self, tx: Cursor) -> None:
        """Before a transaction commits that may have written something for the request."""
        if not store.is_writing(tx):
            return
        # Of a body that is still to be read nothing is known yet.
        found = self.verify() if self._asked.is_read else None
        if not store.note_write(tx, self._name, found, seconds=self._seconds):
            # It was thought lost, and another one is at it.
            raise _in_progress()
        self.has_made_job |= self._makes_job


def current() -> Claim | None:
    """Return the claim of the request that this is done for, if it has a key."""
    return _current.get()


@contextmanager
def unwatched() -> Iterator[None]:
    """Do what is no effect of the request: preparing one, or clearing up."""
    check = before_commit.set(None)
    try:
        yield
    finally:
        before_commit.reset(check)


def job_made_earlier() -> UUID | None:
    """Return the job of an earlier request under the same key, whose answer was never kept.

    Raises OtherRequest if that request was another one.
    """
    claim = current()
    if claim is None or claim.job_id is None:
        return None
    claim.verify()
    return claim.job_id


def note_job(tx: Cursor, job_id: UUID) -> None:
    """Note the job that the transaction makes, if that is done under a key."""
    claim = current()
    if claim is not None:
        claim.note_job(tx, job_id)


def other_request() -> OtherRequest:
    return OtherRequest("This Idempotency-Key came with another request before; use another key.")


def answer_not_kept() -> AnswerNotKept:
    return AnswerNotKept(
        "The request with this Idempotency-Key was carried out, and its answer is not kept: look"
        " for what it made, or send the request with another key."
    )


def _in_progress() -> RequestInProgress:
    return RequestInProgress(
        "A request with this Idempotency-Key is being worked on; try again in a moment.",
        retry_after=1,
    )
