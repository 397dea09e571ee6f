"""What a monitor, a watched subject, a hit, a check and a change are. Frozen, and without I/O."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self
from uuid import UUID


class Cause(StrEnum):
    """Why a check was made."""

    MANUAL = "manual"
    SCHEDULED = "scheduled"
    SUBJECTS_ADDED = "subjects_added"
    LIST_UPDATE = "list_update"
    #: A reviewer has decided about somebody, or has ended such a decision.
    REVIEW = "review"
    NEW_ENGINE = "new_engine"


class CheckState(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


#: Of everybody who is watched, whatever is known of them.
OF_EVERYBODY = frozenset({Cause.MANUAL, Cause.SCHEDULED, Cause.NEW_ENGINE})

ON_UPDATE = "on_update"
#: How long after a check the next one is due; not at all where only changes of lists count.
INTERVALS: Mapping[str, timedelta | None] = {
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
    ON_UPDATE: None,
}


def longest_pause(frequency: str) -> timedelta:
    """Return the most that is waited after what was in vain, however often it was."""
    return INTERVALS[frequency] or timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Row:
    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(**{each.name: row[each.name] for each in fields(cls)})


#: What decides which hits there are.
_SEARCHES = ("lists", "threshold", "search_type")


@dataclass(frozen=True, slots=True)
class Monitor(_Row):
    """A tenant's watchlist: subjects that are screened again and again.

    `lists` are searched, or where that is None all that the tenant may use.
    """

    id: UUID
    tenant_id: UUID
    name: str
    description: str | None
    check_frequency: str
    lists: Sequence[str] | None
    threshold: float
    search_type: str
    on_new_match: bool
    on_status_change: bool
    created_at: datetime
    created_by: str
    updated_at: datetime
    checked_at: datetime | None
    next_check_at: datetime | None

    def searches_like(self, other: Monitor) -> bool:
        """Say whether both would find the same."""
        return all(getattr(self, name) == getattr(other, name) for name in _SEARCHES)

    def searches(self, list_name: str) -> bool:
        return self.lists is None or list_name in self.lists


@dataclass(frozen=True, slots=True)
class Watched(_Row):
    """A subject of a monitor. `number` is another as soon as the subject is."""

    monitor_id: UUID
    entity_id: str
    number: int
    entity: Mapping[str, Any]
    added_at: datetime
    screened_at: datetime | None


@dataclass(frozen=True, slots=True)
class Hit(_Row):
    """An entry that a watched subject matches."""

    monitor_id: UUID
    entity_id: str
    list_name: str
    entry_id: str
    list_version: str
    score: float
    fingerprint: str
    detail: Mapping[str, Any]
    first_seen_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Check(_Row):
    """One screening of a monitor's subjects, all or some, and what it changed."""

    id: UUID
    monitor_id: UUID
    cause: Cause
    state: CheckState
    list_name: str | None
    from_version: str | None
    to_version: str | None
    scope: Sequence[str] | None
    last_number: int
    subjects: int
    failed: int
    matches: int
    previous: int
    added: int
    gone: int
    changed: int
    by_list: Mapping[str, Mapping[str, int]]
    list_versions: Mapping[str, str]
    lists_missing: Sequence[str]
    error_code: str | None
    error_message: str | None
    created_at: datetime
    created_by: str
    finished_at: datetime | None

    @property
    def is_withdrawal(self) -> bool:
        """Say whether it ends the hits on a list that is not in force any more: without a job."""
        return self.list_name is not None and self.to_version is None

    @property
    def has_changes(self) -> bool:
        return bool(self.added or self.gone or self.changed)

    @property
    def duration_ms(self) -> int | None:
        if self.finished_at is None:
            return None
        return round((self.finished_at - self.created_at).total_seconds() * 1000)


def fingerprint(match: Mapping[str, Any]) -> str:
    """Return what is the same for the same entry, as listed, and the same score."""
    seen = [match["match_data"], match["confidence_score"], match["matched_name"]]
    text = json.dumps(seen, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
