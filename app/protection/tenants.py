"""Deleting a tenant with all that it ever had.

First its keys, sessions and memberships go, then its jobs are cancelled, and then everything it
has, table by table and in bounded transactions. Broken off, it is run again and goes on. What a
token that is still good submits meanwhile goes as well: the tenant's own row is deleted when
nothing is left, and from then on nothing can be added.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from app.accounts.model import Tenant
from app.errors import Unavailable
from app.faces import images
from app.jobs.model import Job
from app.protection import deletions, stopping, store
from app.protection.deletions import Record
from app.protection.prune import delete_left
from app.protection.store import Deletion
from app.resources import Resources

log = logging.getLogger(__name__)

_JOBS = 50
_ROWS = 10_000

#: Whose rows can be many, and would go with those of their parents uncounted.
_BELOW = (
    ("faces", "collection_id", "collections"),
    ("face_removals", "collection_id", "collections"),
    ("monitor_changes", "monitor_id", "monitors"),
    ("monitor_checks", "monitor_id", "monitors"),
    ("monitor_hits", "monitor_id", "monitors"),
    ("monitor_subjects", "monitor_id", "monitors"),
    ("watchlist_entries", "watchlist_id", "watchlists"),
)

Say = Callable[[str], None]


def delete(
    resources: Resources,
    tenant: Tenant,
    *,
    requested_by: str,
    seconds: float = 60.0,
    say: Say = lambda text: None,
) -> Deletion:
    """Delete the tenant and return the proof. Raises Conflict, and Unavailable.

    `seconds` is how long workers have to let go of its jobs.
    """
    db = resources.db
    record = Record.begin(
        db, resources.settings, tenant.id, deletions.TENANT, tenant.name, requested_by
    )
    with db.transaction() as tx:
        record.add(tx, store.close_doors(tx, tenant.id))
    while True:
        stopping.cancel(resources, tenant.id, None, seconds=seconds)
        _delete_verifications(resources, record, tenant.id, say)
        _delete_jobs(resources, record, tenant.id, say)
        delete_left_of(resources, tenant.id)
        _delete_objects(resources, tenant.id)
        _delete_tables(resources, record, tenant.id, say)
        with db.transaction() as tx:
            is_there = store.lock_tenant(tx, tenant.id)
            if is_there and (
                store.has_work(tx, tenant.id) or store.months_left(tx, tenant_id=tenant.id)
            ):
                # Somebody had a token that was good for a little longer, or a prune its last jobs.
                continue
            record.add(tx, {"tenants": store.delete_tenant(tx, tenant.id)})
            sealed = record.seal(tx)
        log.info("tenant.deleted", extra={"tenant_id": str(tenant.id), "deletion": str(sealed.id)})
        return sealed


def _delete_verifications(resources: Resources, record: Record, tenant_id: UUID, say: Say) -> None:
    while True:
        with resources.db.transaction() as tx:
            found = store.list_verifications(tx, tenant_id, ref=None, limit=_JOBS)
        if not found:
            return
        for verification_id in found:
            delete_verification(resources, record, verification_id)
        say(f"{len(found):,} verifications")


def delete_verification(resources: Resources, record: Record, verification_id: UUID) -> None:
    """Delete a verification whose runs have ended, with its audit, in one transaction."""
    with resources.db.transaction() as tx:
        store.allow_deletion(tx, record.id)
        store.lock_verification(tx, verification_id)
        runs = store.list_runs(tx, verification_id)
        record.add(tx, store.delete_verification(tx, verification_id))
        for job in runs:
            record.add(tx, store.delete_rows(tx, job))
        record.add(tx, {"jobs": store.delete_jobs(tx, [job.id for job in runs])})
    _forget(resources, runs)


def _delete_jobs(resources: Resources, record: Record, tenant_id: UUID, say: Say) -> None:
    while True:
        with resources.db.transaction() as tx:
            found = store.list_ended(tx, tenant_id, limit=_JOBS)
            for job in found:
                record.add(tx, store.delete_rows(tx, job))
            record.add(tx, {"jobs": store.delete_jobs(tx, [job.id for job in found])})
        if not found:
            return
        _forget(resources, found)
        say(f"{len(found):,} jobs of {sum(job.total for job in found):,} items")


def delete_left_of(resources: Resources, tenant_id: UUID) -> None:
    """Delete what jobs of the tenant that are gone have left for their month to take along."""
    with resources.db.transaction() as tx:
        left = store.months_left(tx, tenant_id=tenant_id)
    for kind, month in left:
        for _ in delete_left(resources.db, kind, month, tenant_id=tenant_id):
            pass


def _forget(resources: Resources, found: list[Job]) -> None:
    for job in found:
        resources.progress.forget(job.tenant_id, job.dialect, job.external_id)


def _delete_objects(resources: Resources, tenant_id: UUID) -> None:
    with resources.db.transaction() as tx:
        store.give_up_images(tx, tenant_id)
    images.delete_objects(resources.db, resources.settings)
    with resources.db.transaction() as tx:
        left = store.count_objects(tx, tenant_id)
    if left:
        raise Unavailable(
            f"{left} images are in an object store that cannot be reached"
            " (MUSTER_FACE_STORE). Run it again when it can: it goes on."
        )


def _delete_tables(resources: Resources, record: Record, tenant_id: UUID, say: Say) -> None:
    for name, link, parent in _BELOW:
        rows = 0
        while True:
            with resources.db.transaction() as tx:
                gone = store.delete_below_tenant(tx, name, link, parent, tenant_id, limit=_ROWS)
                record.add(tx, {name: gone})
            if not gone:
                break
            rows += gone
        if rows:
            say(f"{rows:,} rows of {name}")
    with resources.db.transaction() as tx:
        tables = store.tables_of_tenants(tx)
    for name in tables:
        while True:
            with resources.db.transaction() as tx:
                gone = store.delete_of_tenant(tx, name, tenant_id, limit=_ROWS)
                record.add(tx, {name: gone})
            if not gone:
                break
            say(f"{gone:,} rows of {name}")
