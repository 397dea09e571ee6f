"""What a job keeps of the list versions that it is screened against: its results cite them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.db import Cursor
from app.screening import freshness, store
from app.screening.freshness import Freshness
from app.screening.model import ListVersion
from app.screening.topics import coverage, list_topics
from app.settings import Settings

Loaded = Sequence[tuple[ListVersion, Freshness]]


def in_force(tx: Cursor, settings: Settings, tenant_id: UUID | None = None) -> Loaded:
    """Return the version in force of every list that the tenant may use, by name."""
    versions = store.current_versions(tx, tenant_id)
    fresh = freshness.of_all(tx, settings, versions, datetime.now(UTC))
    return [(versions[name], fresh[name]) for name in sorted(versions)]


def cite(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """Return, by list, {id, version, topics, covers}: all that a worker needs to search it."""
    return {
        version.name: {
            "id": version.id,
            "version": version.version,
            "topics": list_topics(version),
            "covers": coverage(version),
        }
        for version, _ in loaded
    }


def warnings(loaded: Loaded) -> list[dict[str, str]]:
    """Return what whoever reads the results should know of the lists."""
    return [
        {
            "code": "stale_list",
            "list_name": version.name,
            "message": f"The list {version.name} was last refreshed at"
            f" {fresh.refreshed_at.astimezone(UTC).isoformat(timespec='seconds')},"
            " longer ago than it should be.",
        }
        for version, fresh in loaded
        if fresh.is_stale
    ]
