"""Live progress in Redis: what a poll needs, as absolute values. Cheap to write, safe to lose.

Postgres holds the truth. Nothing in Redis means "ask Postgres", never "zero"; the newer version
wins, and of two jobs that had the same name the newer job, so that writing twice or late changes
nothing; and what is shown of a job that still moves goes by itself after a few seconds, so that a
write which never arrived cannot mislead for longer.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources as package
from typing import Any, Self
from uuid import UUID

import redis

from app.jobs.model import Job
from app.jobs.states import JobState

log = logging.getLogger(__name__)

#: How long the picture of a job that still moves may be trusted, and one that has ended.
LIVE_MS = 5_000
FINAL_MS = 3_600_000

_EPOCH = datetime.fromtimestamp(0, UTC)

#: Where it is said that a job has changed, as `<id> <version>`: for those who watch (app/live).
CHANNEL = "job_changes"

#: After Redis failed, this process does without for a moment instead of waiting each time.
_REST_SECONDS = 1.0

_SHOW = package.files("app.jobs").joinpath("progress.lua").read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A job as a poll shows it, without its results: ids, counts and times."""

    id: UUID
    external_id: str
    state: JobState
    version: int
    total: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    matches: int
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    estimated_at: datetime | None
    retry_of: UUID | None
    error_code: str | None
    error_message: str | None
    resume_at: datetime | None
    #: Some have words of the caller's in them, and stay in Postgres: see Progress.show. Left out of
    #: the hash: a snapshot is one by its id and version.
    warnings: list[dict[str, str]] = field(hash=False)

    @classmethod
    def of(cls, job: Job) -> Self:
        return cls(*(getattr(job, name) for name in cls.__slots__))

    def to_json(self) -> str:
        """Return all but the warnings."""
        return json.dumps([getattr(self, name) for name in _SHOWN], default=_plain)

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        values = dict(zip(_SHOWN, json.loads(text), strict=True))
        for name in ("id", "retry_of"):
            values[name] = values[name] and UUID(values[name])
        for name in _TIMES:
            values[name] = values[name] and datetime.fromisoformat(values[name])
        return cls(**{**values, "state": JobState(values["state"]), "warnings": []})


_SHOWN = tuple(name for name in Snapshot.__slots__ if name != "warnings")
_TIMES = (
    *("created_at", "updated_at", "started_at", "finished_at", "estimated_at"),
    "resume_at",
)


def expected_end(job: Snapshot | Job, now: datetime) -> datetime:
    """When the job should be done: from its own pace once it has one, else as first estimated."""
    done = job.succeeded + job.failed
    if done and job.started_at is not None:
        pace = (job.updated_at - job.started_at) / done
        return max(now, job.updated_at + pace * (job.total - done))
    return max(now, job.estimated_at or now)


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


class Progress:
    """The live pictures of jobs. No method raises when Redis is away."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._show = client.register_script(_SHOW)
        self._resting_until = 0.0

    def show(self, job: Job) -> bool:
        """Show the job as it is in this row, unless a newer row of it, or a newer job, is shown.

        Of a job with warnings only that it has changed: whoever polls it asks Postgres.
        Return False if Redis is away, as far as this process knows.
        """
        if self.is_away:
            return False
        snapshot = Snapshot.of(job)
        keep = FINAL_MS if job.state.is_final else LIVE_MS
        try:
            self._show(
                keys=[_key(job.tenant_id, job.dialect, job.external_id)],
                args=[
                    str(job.id),
                    (job.created_at - _EPOCH) // timedelta(microseconds=1),
                    job.version,
                    "" if snapshot.warnings else snapshot.to_json(),
                    keep,
                    CHANNEL,
                    f"{job.id} {job.version}",
                ],
            )
        except redis.RedisError as error:
            self.rest(error)
            return False
        return True

    def read(self, tenant_id: UUID, dialect: str, external_id: str) -> Snapshot | None:
        """Return the job's live picture, or None: then Postgres is to be asked."""
        if self.is_away:
            return None
        try:
            text = self._client.hget(_key(tenant_id, dialect, external_id), "job")
        except redis.RedisError as error:
            self.rest(error)
            return None
        try:
            return Snapshot.from_json(text) if text else None
        except (TypeError, ValueError):
            # Written by another version of this program, in the middle of a deployment.
            return None

    def forget(self, tenant_id: UUID, dialect: str, external_id: str) -> None:
        """Show a job no longer that is no longer there."""
        if not self.is_away:
            try:
                self._client.delete(_key(tenant_id, dialect, external_id))
            except redis.RedisError as error:
                self.rest(error)

    @property
    def is_away(self) -> bool:
        """Redis did not answer a moment ago."""
        return time.monotonic() < self._resting_until

    def rest(self, error: redis.RedisError) -> None:
        """Do without Redis for a moment: it did not answer."""
        self._resting_until = time.monotonic() + _REST_SECONDS
        log.warning("progress.unavailable", extra={"reason": type(error).__name__})


def _key(tenant_id: UUID, dialect: str, external_id: str) -> str:
    return f"progress:{tenant_id}:{dialect}:{external_id}"
