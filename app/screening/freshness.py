"""How long ago somebody last looked whether a public list has changed, and whether that will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.db import Cursor
from app.screening import store
from app.screening.model import ListVersion
from app.screening.store import Refresh
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Freshness:
    """`interval` is in seconds, and None for a list that nobody promised to refresh."""

    refreshed_at: datetime
    interval: float | None
    is_stale: bool
    #: Why the last attempt to refresh the list failed, if it did.
    problem: str | None


def of(
    version: ListVersion, refresh: Refresh | None, interval: float | None, now: datetime
) -> Freshness:
    """Say how fresh the version in force of a list is."""
    looked = refresh.refreshed_at if refresh else None
    at = max(version.loaded_at, looked) if looked else version.loaded_at
    if version.tenant_id is not None:
        # A tenant's own list is as new as the tenant wants it to be.
        return Freshness(at, None, is_stale=False, problem=None)
    is_stale = interval is not None and now - at > timedelta(seconds=interval)
    return Freshness(at, interval, is_stale, refresh.problem if refresh else None)


def of_all(
    tx: Cursor, settings: Settings, versions: Mapping[str, ListVersion], now: datetime
) -> dict[str, Freshness]:
    """Return, by list, how fresh each of these versions is."""
    refreshes = store.list_refreshes(tx)
    return {
        name: of(version, refreshes.get(name), settings.list_interval(name), now)
        for name, version in versions.items()
    }
