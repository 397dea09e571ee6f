"""Fetching lists from their publishers by the clock: which are due, and then each by itself.

A list that cannot be refreshed keeps the version in force; it is shown as stale when it has been
so for longer than its interval, with the reason.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from app.errors import BrokerUnavailable, DatabaseUnavailable, Unavailable, WatchlistRejected
from app.jobs.dispatch import send_refresh
from app.resources import Resources
from app.screening import freshness, store
from app.screening.lists import catalogue
from app.settings import parse_intervals

log = logging.getLogger(__name__)

#: Of the time between two looks: a bit less than one, for beat is not exact.
_PAUSE = 0.9


def due(resources: Resources) -> list[str]:
    """Return the lists that are to be fetched now, and note that somebody sees to them.

    Those that the settings name and that have a publisher: never loaded, or not refreshed for
    their interval. One that failed comes back after the pause between two looks.
    """
    settings, now = resources.settings, datetime.now(UTC)
    with resources.db.transaction() as tx:
        versions = store.current_versions(tx)
        fresh = freshness.of_all(tx, settings, versions, now)
        return [
            name
            for name, interval in parse_intervals(settings.list_intervals).items()
            if (known := catalogue.find(name)) and known.addresses
            if name not in fresh or (now - fresh[name].refreshed_at).total_seconds() >= interval
            if store.claim_refresh(tx, name, _PAUSE * settings.list_check_seconds)
        ]


def send(resources: Resources, names: list[str]) -> None:
    """Hand each list to a worker that screens: it has the index to build as well."""
    for name in names:
        try:
            send_refresh(resources.celery, name, resources.settings.list_check_seconds)
        except BrokerUnavailable:
            # The next look finds it due again.
            log.warning("watchlist.refresh_deferred", extra={"list": name})


def refresh(resources: Resources, name: str) -> None:
    """Fetch and load one list; if that fails, note why. Raises DatabaseUnavailable."""
    # Here and not above: the worker that only controls never loads an engine.
    from app.screening.lists.update import update

    try:
        update(resources.db, resources.settings, name)
    except DatabaseUnavailable:
        raise
    except (Unavailable, WatchlistRejected) as error:
        log.warning("watchlist.not_refreshed", extra={"list": name, "code": error.code})
        with resources.db.transaction() as tx:
            store.note_problem(tx, name, str(error))
