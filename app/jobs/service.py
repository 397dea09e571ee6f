"""What callers may ask of a job. Each function is one use case and one transaction."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from app.errors import BrokerUnavailable, DatabaseUnavailable, IllegalTransition, JobError
from app.jobs import store
from app.jobs.dispatch import dispatch
from app.jobs.model import ItemStatus, Job, NewJob
from app.jobs.progress import Snapshot
from app.jobs.states import Event, JobState
from app.resources import Resources

log = logging.getLogger(__name__)

#: Rows of one read when results are streamed. A row with many matches holds tens of kilobytes.
RESULT_PAGE = 100


def submit(resources: Resources, new_job: NewJob) -> Job:
    """Record the job and all its items, then hand it to the workers.

    Once this returns nothing is lost any more, whether or not the broker could be reached.
    """
    with resources.db.transaction() as tx:
        job = store.insert_job(tx, new_job, len(new_job.items))
        store.copy_items(tx, job, new_job.items)
        job = store.set_estimate(tx, job, new_job.calibrated_seconds)
    log.info("job.submitted", extra={"job_id": str(job.id), "items": job.total})
    launch(resources, job, range(job.chunk_count))
    return job


def launch(resources: Resources, job: Job, chunks: Collection[int]) -> None:
    """Publish the job's present pass. After the commit: workers look for rows that are there."""
    try:
        # A broker that hangs would hold the caller for many seconds: who has just been kept
        # waiting by the same Redis does not try.
        if not resources.progress.show(job):
            raise BrokerUnavailable("The queue cannot be reached.")
        dispatch(resources.celery, job, list(chunks))
    except BrokerUnavailable:
        # The job is safe in Postgres; the sweep sends it when the broker is back.
        log.warning("job.dispatch_deferred", extra={"job_id": str(job.id)})
        # If Postgres is gone by now as well, the sweep only finds it a little later.
        with suppress(DatabaseUnavailable), resources.db.transaction() as tx:
            store.mark_undelivered(tx, job.id)


def watch(resources: Resources, tenant_id: UUID, dialect: str, external_id: str) -> Snapshot:
    """Return how far the job has come: from Redis, or from Postgres when Redis does not know."""
    snapshot = resources.progress.read(tenant_id, dialect, external_id)
    if snapshot is None:
        job = find(resources, tenant_id, dialect, external_id)
        resources.progress.show(job)
        snapshot = Snapshot.of(job)
    return snapshot


def find(resources: Resources, tenant_id: UUID, dialect: str, external_id: str) -> Job:
    """Return the tenant's job, or raise JobNotFound."""
    with resources.db.transaction() as tx:
        return store.find_job(tx, tenant_id, dialect, external_id)


def list_jobs(
    resources: Resources,
    tenant_id: UUID,
    dialect: str,
    *,
    states: Collection[JobState],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Job]:
    """Return one page of the tenant's jobs, newest first."""
    with resources.db.transaction() as tx:
        return store.list_jobs(tx, tenant_id, dialect, states=states, before=before, limit=limit)


def cancel(resources: Resources, tenant_id: UUID, dialect: str, external_id: str) -> Job:
    """Stop the job: at once if nothing is in hand, else when the items in hand are finished.

    Asking again while it stops is no error. Raises JobNotFound or IllegalTransition.
    """
    with resources.db.transaction() as tx:
        job = store.lock_job(tx, store.find_job(tx, tenant_id, dialect, external_id).id)
        moved = store.advance(tx, job.id, Event.CANCEL)
        if moved is None:
            raise IllegalTransition(f"A {job.state} job cannot be cancelled.", state=job.state)
        if moved.state is JobState.CANCELLING and not store.live_claims(tx, moved):
            moved = store.advance(tx, job.id, Event.DRAINED) or moved
    log.info("job.cancel_requested", extra={"job_id": str(job.id), "state": moved.state})
    resources.progress.show(moved)
    return moved


def retry(
    resources: Resources,
    tenant_id: UUID,
    dialect: str,
    external_id: str,
    *,
    statuses: Collection[str],
    options: dict[str, Any],
    created_by: str,
    calibrated_seconds: float = 0.0,
) -> Job:
    """Make a new job of the items that failed or were never begun; the old one stays as it is.

    Raises JobNotFound, or IllegalTransition if the job still runs or leaves nothing to retry.
    """
    with resources.db.transaction() as tx:
        old = store.find_job(tx, tenant_id, dialect, external_id)
        if not old.state.is_final:
            raise IllegalTransition(
                f"A {old.state} job cannot be retried: wait for its end, or cancel it first.",
                state=old.state,
            )
        counts = {"failed": old.failed, "cancelled": old.cancelled + old.expired}
        total = sum(counts[status] for status in statuses)
        if total == 0:
            left = ", ".join(f"{count:,} {status}" for status, count in counts.items())
            raise IllegalTransition(
                f"There is nothing to retry: of {old.total:,} entities {old.succeeded:,} were"
                f" completed, {left}, and {' or '.join(statuses)} ones were asked for.",
                state=old.state,
            )
        job = store.insert_job(
            tx,
            NewJob(
                tenant_id=tenant_id,
                kind=old.kind,
                dialect=old.dialect,
                queue=old.queue,
                chunk_size=old.chunk_size,
                options={**old.options, **options},
                items=(),
                created_by=created_by,
                labels=old.labels,
                retry_of=old.id,
            ),
            total,
        )
        copied = store.copy_items_of(tx, job, old, statuses)
        assert copied == total, "the counts of a final job are exact"
        job = store.set_estimate(tx, job, calibrated_seconds)
    log.info("job.retried", extra={"job_id": str(job.id), "retry_of": str(old.id)})
    launch(resources, job, range(job.chunk_count))
    return job


def results(
    resources: Resources,
    job: Job,
    *,
    statuses: Collection[ItemStatus] = tuple(ItemStatus),
    first: int = 0,
    end: int | None = None,
) -> Iterator[list[dict[str, Any]]]:
    """Yield the results there are, page by page, in the order of submission.

    Each page is a transaction of its own: a slow reader holds no connection.
    """
    while True:
        page = result_page(
            resources, job, statuses=statuses, first=first, end=end, limit=RESULT_PAGE
        )
        if page:
            yield page
        if len(page) < RESULT_PAGE:
            return
        first = page[-1]["position"] + 1


def result_page(
    resources: Resources,
    job: Job,
    *,
    statuses: Collection[ItemStatus] = tuple(ItemStatus),
    first: int = 0,
    end: int | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return one page of results, of the positions from `first` up to `end` or to the last."""
    end = job.total if end is None else end
    with resources.db.transaction() as tx:
        return store.list_results(tx, job, first=first, end=end, limit=limit, statuses=statuses)


def settled_end(resources: Resources, job: Job, *, first: int) -> int:
    """Return the position up to which no result will come in any more, looked at from `first` on.

    Chunks finish in any order: who goes on behind the last result of a running job would never
    see those that come in before it.
    """
    if job.state.is_final:
        return job.total
    with resources.db.transaction() as tx:
        return store.first_missing(tx, job, first=first)


def wait_for_item(resources: Resources, job: Job, *, seconds: float) -> dict[str, Any] | None:
    """Wait for the result of a job of one item, and return its row with `result` read.

    Return None if there is none by then, or none will come. Raises JobError if the job failed as
    a whole.
    """
    deadline = time.monotonic() + seconds
    pause = _FIRST_LOOK
    while True:
        rows = result_page(resources, job, limit=1)
        if rows:
            row = rows[0]
            return {**row, "result": row["result"] and json.loads(row["result"])}
        now = find(resources, job.tenant_id, job.dialect, job.external_id)
        if now.state is JobState.FAILED:
            raise JobError(now.error_code or "internal_error", now.error_message or "")
        if now.state.is_final or time.monotonic() >= deadline:
            return None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_LOOK)


#: Seconds between two looks for a result that a caller waits for: soon at first, then calmly.
_FIRST_LOOK = 0.01
_LONGEST_LOOK = 0.1


def encode_item(payload: Any) -> bytes:
    """Return an item's payload as the JSON text that is stored."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
