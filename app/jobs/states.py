"""The states of a job and the events that move it: the one table, everything else is illegal.

             +-- gate held ------------------------> rejected*
             |  +-- cannot be done ----------------> failed*
  create -> queued -- claim --> running -- all done --> completed*
             |                  |     ^
             | pause      pause |     | resume
             v                  v     |
           paused <-- drained -- pausing
             |                  |
             | cancel    cancel v
             +--> cancelled* <-- drained -- cancelling
  any that is not final -- deadline --> expired*

Postgres knows the same words (migrations/0002_jobs.sql); tests/contract holds this table to the
published one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """Where a job stands. Each value is explained where the database defines it."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Nothing follows; retrying makes a new job."""
        return self not in NEXT


class Event(StrEnum):
    """What can happen to a job."""

    CLAIM = "claim"
    ALL_DONE = "all_done"
    FATAL = "fatal"
    PAUSE = "pause"
    RESUME = "resume"
    RESUME_NEVER_CLAIMED = "resume_never_claimed"
    CANCEL = "cancel"
    DRAINED = "drained"
    GATE_HELD = "gate_held"
    DEADLINE = "deadline"


_Q, _R, _PG, _PD, _CG = (
    JobState.QUEUED,
    JobState.RUNNING,
    JobState.PAUSING,
    JobState.PAUSED,
    JobState.CANCELLING,
)

#: From this state, by that event, to the other. A state that is no key here is final.
NEXT: Mapping[JobState, Mapping[Event, JobState]] = {
    _Q: {
        Event.CLAIM: JobState.RUNNING,
        Event.FATAL: JobState.FAILED,
        Event.PAUSE: JobState.PAUSED,
        Event.CANCEL: JobState.CANCELLED,
        Event.GATE_HELD: JobState.REJECTED,
        Event.DEADLINE: JobState.EXPIRED,
    },
    _R: {
        Event.ALL_DONE: JobState.COMPLETED,
        Event.FATAL: JobState.FAILED,
        Event.PAUSE: JobState.PAUSING,
        Event.CANCEL: JobState.CANCELLING,
        Event.DEADLINE: JobState.EXPIRED,
    },
    _PG: {
        Event.ALL_DONE: JobState.COMPLETED,
        Event.FATAL: JobState.FAILED,
        Event.PAUSE: JobState.PAUSING,
        Event.RESUME: JobState.RUNNING,
        Event.CANCEL: JobState.CANCELLING,
        Event.DRAINED: JobState.PAUSED,
        Event.DEADLINE: JobState.EXPIRED,
    },
    _PD: {
        Event.FATAL: JobState.FAILED,
        Event.RESUME: JobState.RUNNING,
        Event.RESUME_NEVER_CLAIMED: JobState.QUEUED,
        Event.CANCEL: JobState.CANCELLED,
        Event.DEADLINE: JobState.EXPIRED,
    },
    _CG: {
        Event.ALL_DONE: JobState.CANCELLED,
        Event.FATAL: JobState.CANCELLED,
        Event.CANCEL: JobState.CANCELLING,
        Event.DRAINED: JobState.CANCELLED,
        Event.DEADLINE: JobState.CANCELLED,
    },
}

#: A worker may begin a chunk of a job in one of these, and in no other.
CLAIMABLE = frozenset({JobState.QUEUED, JobState.RUNNING})

#: Asked to stop; the job moves on as soon as nothing is in hand.
DRAINING = frozenset({JobState.PAUSING, JobState.CANCELLING})


#: What whoever owns a job may ask of it, and the event that each request is.
REQUESTS: Mapping[str, tuple[Event, ...]] = {
    "pause": (Event.PAUSE,),
    "resume": (Event.RESUME, Event.RESUME_NEVER_CLAIMED),
    "cancel": (Event.CANCEL,),
}


def requests(state: JobState) -> list[str]:
    """Return the requests that would move a job on from this state.

    Pausing a job that is pausing is no error, but moves nothing, and is not among them.
    """
    following = NEXT.get(state, {})
    return [
        request
        for request, events in REQUESTS.items()
        if any(following.get(event, state) is not state for event in events)
    ]


def moves(event: Event) -> dict[JobState, JobState]:
    """Return where the event leads, from each state in which it may happen."""
    return {state: following[event] for state, following in NEXT.items() if event in following}
