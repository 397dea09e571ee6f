"""How long a tenant's jobs are kept."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from app.db import Database
from app.jobs import retention
from app.jobs import store as jobs
from app.jobs.retention import Periods
from app.protection import store
from app.settings import Settings


def of(
    db: Database, settings: Settings, tenant_id: UUID
) -> Mapping[str, tuple[float | None, bool]]:
    """Return, by kind, the seconds and whether the tenant has said so itself; None: for ever."""
    with db.transaction() as tx:
        own = jobs.load_retention(tx, tenant_id)
    kept = {**retention.defaults(settings), **own}
    return {kind: (seconds, kind in own) for kind, seconds in kept.items()}


def change(db: Database, tenant_id: UUID, periods: Periods, *, reset: bool = False) -> None:
    """Keep the tenant's jobs of these kinds for so long; `reset` forgets what it has said before.

    It is so at once: the next night deletes by it.
    """
    with db.transaction() as tx:
        if reset:
            store.forget_retention(tx, tenant_id)
        for kind, seconds in periods.items():
            store.set_retention(tx, tenant_id, kind, seconds)
