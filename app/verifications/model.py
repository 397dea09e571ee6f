"""What a verification, a run and a screening are. Frozen: the database is where they change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.jobs.states import JobState

#: Job types, each with a gate and a history of its own.
WATCHLIST = "watchlist"
TYPES = (WATCHLIST,)

#: The kind of the jobs behind all runs, and their dialect.
KIND = "verifications"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for something: `action` is manual-api, manual-portal, manual-admin, scheduled or
    system.
    """

    action: str
    uid: str | None = None
    #: Personal data: kept out of repr, and so out of logs.
    email: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Stakeholder:
    """A person or company behind the verified entity. `entity` is as it was sent."""

    stakeholder_id: str
    role: str
    entity: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verification:
    """Whoever is verified. `entity` is as it was sent, without the stakeholders."""

    id: UUID
    tenant_id: UUID
    trace: str
    user_id: str | None = field(repr=False)
    on_behalf_uid: str | None
    entity: Mapping[str, Any] = field(repr=False)
    status: str
    risk: Mapping[str, Any] = field(repr=False)
    screened_at: datetime | None
    created_at: datetime
    updated_at: datetime
    stakeholders: Sequence[Stakeholder] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a type for a verification: how it was asked for, and how its job stands."""

    #: The job's id, and what the client calls the run.
    id: UUID
    run_id: str
    verification_id: UUID
    type: str
    payload: Mapping[str, Any]
    source_action: str
    source_uid: str | None
    source_email: str | None = field(repr=False)
    requested_at: datetime
    attempts: int
    conflicting_run: str | None
    state: JobState
    version: int
    started_at: datetime | None
    finished_at: datetime | None
    error_message: str | None

    @property
    def created_at(self) -> datetime:
        """By which lists page."""
        return self.requested_at


@dataclass(frozen=True, slots=True)
class Screening:
    """What a run found of one subject; without a `stakeholder_id`, of the entity itself."""

    screening_id: str
    run_id: str
    stakeholder_id: str | None
    subject: Mapping[str, Any] = field(repr=False)
    total_hits: int
    matched_sources: Sequence[Mapping[str, Any]] = field(repr=False)
    sources_checked: Sequence[Mapping[str, Any]]
    is_complete: bool
    risk: Mapping[str, Any] = field(repr=False)
    screened_at: datetime
    source_action: str
    source_uid: str | None
    source_email: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of a verification's audit: its text, and what ties it to the one before."""

    seq: int
    #: The JSON of which the digest was taken, to the letter.
    entry: str = field(repr=False)
    previous: str
    digest: str
