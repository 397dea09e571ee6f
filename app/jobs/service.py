"""What callers may ask of a job. Each function is one use case and one transaction."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from app.db import Cursor
from app.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    IllegalTransition,
    JobError,
    JobExists,
    JobNotFound,
    NothingToRetry,
)
from app.idempotency import claims
from app.jobs import endings, retention, store
from app.jobs.dispatch import dispatch
from app.jobs.model import ItemStatus, Job, NewJob
from app.jobs.progress import Snapshot
from app.jobs.states import DRAINING, Event, JobState
from app.resources import Resources

log = logging.getLogger(__name__)

#: Rows of one read when results are streamed. A row with many matches holds tens of kilobytes.
RESULT_PAGE = 100

#: Holds what a new job needs besides its items, in the transaction that makes the job: if it
#: raises, there is no job. Or notes who wants a job paused, resumed or cancelled, in the
#: transaction that does it, and before it is done.
Hold = Callable[[Cursor, Job], None]


def hold_nothing(tx: Cursor, job: Job) -> None:
    """Most jobs need nothing but their items."""


def submit(resources: Resources, new_job: NewJob, *, hold: Hold = hold_nothing) -> Job:
    """Record the job and all its items, then hand it to the workers.

    Once this returns nothing is lost any more, whether or not the broker could be reached.
    Under an idempotency key it is the job that was made under it before, if there is one.
    Raises JobExists if the tenant has used the name before, and what `hold` raises.
    """
    if (made := made_earlier(resources, new_job.tenant_id)) is not None:
        return made
    with resources.db.transaction() as tx:
        job = _inserted(tx, new_job, len(new_job.items))
        claims.note_job(tx, job.id)
        hold(tx, job)
        store.copy_items(tx, job, new_job.items)
        job = store.set_estimate(tx, job, new_job.calibrated_seconds)
    log.info("job.submitted", extra={"job_id": str(job.id), "items": job.total})
    launch(resources, job, range(job.chunk_count))
    return job


def made_earlier(resources: Resources, tenant_id: UUID) -> Job | None:
    """Return the job that an earlier request made under the same idempotency key, if one did.

    Raises OtherRequest if that was another request, or AnswerNotKept if the job is gone.
    """
    job_id = claims.job_made_earlier()
    if job_id is None:
        return None
    try:
        return get(resources, tenant_id, job_id)
    except JobNotFound:
        raise claims.answer_not_kept() from None


def write(tx: Cursor, new_job: NewJob, total: int, fill: Callable[[Cursor, Job], int]) -> Job:
    """Record a job in the caller's transaction, who launches it after the commit.

    For items that are in Postgres already, and may be more than a process should hold: `fill`
    writes them, and returns how many. Raises JobExists.
    """
    job = _inserted(tx, new_job, total)
    written = fill(tx, job)
    assert written == total, "the caller has counted what nobody can change meanwhile"
    return store.set_estimate(tx, job, new_job.calibrated_seconds)


def _inserted(tx: Cursor, new_job: NewJob, total: int) -> Job:
    job = store.insert_job(tx, new_job, total)
    if job is None:
        raise JobExists("A job of this name exists already.", job_id=new_job.external_id)
    return job


def launch(resources: Resources, job: Job, chunks: Collection[int]) -> None:
    """Publish the job's present pass. After the commit: workers look for rows that are there."""
    try:
        # A broker that hangs would hold the caller for many seconds: who has just been kept
        # waiting by the same Redis does not try.
        if not resources.progress.show(job):
            raise BrokerUnavailable("The queue cannot be reached.")
        dispatch(resources.celery, job, list(chunks), before=_chunks_before(resources, job))
    except BrokerUnavailable:
        # The job is safe in Postgres; the sweep sends it when the broker is back.
        log.warning("job.dispatch_deferred", extra={"job_id": str(job.id)})
        # If Postgres is gone by now as well, the sweep only finds it a little later.
        with suppress(DatabaseUnavailable), resources.db.transaction() as tx:
            store.mark_undelivered(tx, job.id)


def _chunks_before(resources: Resources, job: Job) -> int:
    """Return how many chunks of the tenant go before the job's: it takes turns with others."""
    if job.is_interactive:
        return 0
    # The rows are safe: without Postgres at this moment the job only gets a better place.
    with suppress(DatabaseUnavailable), resources.db.transaction() as tx:
        return store.chunks_before(tx, job)
    return 0


def watch(resources: Resources, tenant_id: UUID, dialect: str, external_id: str) -> Snapshot:
    """Return how far the job has come: from Redis, or from Postgres when Redis does not know.

    Of a job that has ended, which may have been deleted since, from Postgres if that can be asked.
    """
    snapshot = resources.progress.read(tenant_id, dialect, external_id)
    if snapshot is not None and not snapshot.state.is_final:
        return snapshot
    try:
        job = find(resources, tenant_id, dialect, external_id)
    except JobNotFound:
        # Whoever deleted it could not reach Redis, or a worker was late to show its end.
        resources.progress.forget(tenant_id, dialect, external_id)
        raise
    except DatabaseUnavailable:
        if snapshot is None:
            raise
        return snapshot
    current = Snapshot.of(job)
    if current != snapshot:
        resources.progress.show(job)
    return current


def find(resources: Resources, tenant_id: UUID, dialect: str, external_id: str) -> Job:
    """Return the tenant's job, or raise JobNotFound."""
    with resources.db.transaction() as tx:
        return store.find_job(tx, tenant_id, dialect, external_id)


def get(resources: Resources, tenant_id: UUID, job_id: UUID) -> Job:
    """Return the tenant's job, of whatever dialect, or raise JobNotFound."""
    with resources.db.transaction() as tx:
        return store.find_job_by_id(tx, tenant_id, job_id)


def expiries(
    resources: Resources, tenant_id: UUID, jobs: Iterable[Job]
) -> dict[UUID, datetime | None]:
    """Return from when on each of the tenant's jobs may be deleted, as it is kept today."""
    with resources.db.transaction() as tx:
        own = store.load_retention(tx, tenant_id)
    periods = {**retention.defaults(resources.settings), **own}
    return {job.id: retention.expires_at(job, periods) for job in jobs}


def is_expired(resources: Resources, tenant_id: UUID, job_id: UUID) -> bool:
    """Whether the tenant had such a job until its time was over, not too long ago."""
    with resources.db.transaction() as tx:
        return store.is_expired(tx, tenant_id, job_id, seconds=retention.REMEMBERED_SECONDS)


def search_jobs(
    resources: Resources,
    tenant_id: UUID,
    *,
    states: Collection[JobState] = tuple(JobState),
    kinds: Collection[str] | None = None,
    external_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    created_by: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int,
) -> list[Job]:
    """Return one page of the tenant's jobs of all dialects, newest first."""
    with resources.db.transaction() as tx:
        return store.search_jobs(
            tx,
            tenant_id,
            states=states,
            kinds=kinds,
            external_id=external_id,
            labels=labels or {},
            created_by=created_by,
            before=before,
            limit=limit,
        )


def count_running(resources: Resources, jobs: Iterable[Job]) -> dict[UUID, int]:
    """Return how many items of each job are in a worker's hands, at most as many as are left."""
    with resources.db.transaction() as tx:
        running = store.count_running(tx, jobs)
    return {job.id: min(running.get(job.id, 0), job.outstanding) for job in jobs}


def list_items(
    resources: Resources, job: Job, *, first: int, limit: int, statuses: Collection[str]
) -> list[dict[str, Any]]:
    """Return one page of the job's items, from position `first` on, in the order of submission."""
    with resources.db.transaction() as tx:
        return store.list_items(tx, job, first=first, limit=limit, statuses=statuses)


def group_errors(
    resources: Resources, job: Job, *, first: int, limit: int, examples: int
) -> list[dict[str, Any]]:
    """Return one page of what the job's items failed of, with how many and which, say."""
    with resources.db.transaction() as tx:
        return store.group_errors(tx, job, first=first, limit=limit, examples=examples)


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


def pause(
    resources: Resources,
    tenant_id: UUID,
    dialect: str,
    external_id: str,
    *,
    hold: Hold = hold_nothing,
) -> Job:
    """Begin no more items: those in hand are finished, and then the job stands still.

    Asking again while it pauses is no error. Raises JobNotFound or IllegalTransition.
    """
    with resources.db.transaction() as tx:
        job = store.lock_job(tx, store.find_job(tx, tenant_id, dialect, external_id).id)
        hold(tx, job)
        # A job that rests, and would have gone on by itself, stays where it is.
        moved = store.stay_paused(tx, job) or _drained(tx, _moved(tx, job, Event.PAUSE, "paused"))
    log.info("job.pause_requested", extra={"job_id": str(job.id), "state": moved.state})
    resources.progress.show(moved)
    return moved


def resume(
    resources: Resources,
    tenant_id: UUID,
    dialect: str,
    external_id: str,
    *,
    hold: Hold = hold_nothing,
) -> Job:
    """Go on where the job paused: with a new pass over the items that have no result.

    What is still in hand of a job that was pausing is finished by whoever has it. Raises
    JobNotFound or IllegalTransition.
    """
    with resources.db.transaction() as tx:
        job = store.lock_job(tx, store.find_job(tx, tenant_id, dialect, external_id).id)
        hold(tx, job)
        never_claimed = job.state is JobState.PAUSED and job.started_at is None
        event = Event.RESUME_NEVER_CLAIMED if never_claimed else Event.RESUME
        moved = _moved(tx, job, event, "resumed")
        # Messages of the last pass came and went while the job stood still.
        chunks = store.outstanding_chunks(tx, moved)
        if chunks:
            moved = store.begin_pass(tx, moved, worked=False)
        else:
            # A worker that had been given up for lost brought the last result meanwhile.
            moved = endings.complete(tx, moved)
    log.info("job.resumed", extra={"job_id": str(job.id), "state": moved.state})
    if chunks:
        launch(resources, moved, chunks)
    else:
        resources.progress.show(moved)
    return moved


def _moved(tx: Cursor, job: Job, event: Event, becomes: str) -> Job:
    """Return the job moved on by the event, or raise IllegalTransition."""
    moved = store.advance(tx, job.id, event)
    if moved is None:
        raise _refused(job, f"A {job.state} job cannot be {becomes}.")
    return moved


def _refused(
    job: Job, message: str, error: type[IllegalTransition] = IllegalTransition
) -> IllegalTransition:
    return error(message, state=job.state, allowed_actions=job.allowed_actions)


def _drained(tx: Cursor, job: Job) -> Job:
    """Let a job that was asked to stop do so at once, where nobody has anything of it in hand."""
    if job.state in DRAINING and not store.live_claims(tx, job):
        return store.advance(tx, job.id, Event.DRAINED) or job
    return job


def cancel(
    resources: Resources,
    tenant_id: UUID,
    dialect: str,
    external_id: str,
    *,
    hold: Hold = hold_nothing,
) -> Job:
    """Stop the job: at once if nothing is in hand, else when the items in hand are finished.

    Asking again while it stops is no error. Raises JobNotFound or IllegalTransition.
    """
    with resources.db.transaction() as tx:
        job = store.lock_job(tx, store.find_job(tx, tenant_id, dialect, external_id).id)
        hold(tx, job)
        moved = _drained(tx, _moved(tx, job, Event.CANCEL, "cancelled"))
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
    positions: Collection[int] | None = None,
    options: Mapping[str, Any],
    created_by: str,
    external_id_of_new: str | None = None,
    calibrated_seconds: float = 0.0,
    hold: Hold = hold_nothing,
) -> Job:
    """Make a new job of items of this one, which stays as it is.

    `statuses` are of `succeeded`, `failed` and `cancelled`, the last for all that were never
    begun; `positions` chooses among them; `hold` finds the new job with its items. Raises
    JobNotFound, IllegalTransition if the job still runs, or NothingToRetry.
    """
    if (made := made_earlier(resources, tenant_id)) is not None:
        return made
    with resources.db.transaction() as tx:
        # Locked: whoever deletes it meanwhile waits, or has been here before.
        old = store.lock_job(tx, store.find_job(tx, tenant_id, dialect, external_id).id)
        if not old.state.is_final:
            raise _refused(
                old, f"A {old.state} job cannot be retried: wait for its end, or cancel it first."
            )
        if old.is_dispatched_anew:
            raise _refused(old, "This job is a run of a verification: dispatch a new run instead.")
        total = _retried(old, statuses) if positions is None else len(positions)
        job = _inserted(
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
                external_id=external_id_of_new,
                allowed_seconds=old.allowed_seconds,
            ),
            total,
        )
        claims.note_job(tx, job.id)
        copied = store.copy_items_of(tx, job, old, statuses, positions)
        assert copied == total, "the counts of a final job are exact"
        hold(tx, job)
        job = store.set_estimate(tx, job, calibrated_seconds)
    log.info("job.retried", extra={"job_id": str(job.id), "retry_of": str(old.id)})
    launch(resources, job, range(job.chunk_count))
    return job


def _retried(old: Job, statuses: Collection[str]) -> int:
    """Return how many items of an ended job there are to retry, or raise NothingToRetry."""
    left = {"failed": old.failed, "cancelled": old.cancelled + old.expired}
    counts = {"succeeded": old.succeeded, **left}
    total = sum(counts[status] for status in statuses)
    if total == 0:
        shown = ", ".join(f"{count:,} {status}" for status, count in left.items())
        raise _refused(
            old,
            f"There is nothing to retry: of {old.total:,} items {old.succeeded:,} were completed,"
            f" {shown}, and {' or '.join(statuses)} ones were asked for.",
            NothingToRetry,
        )
    return total


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
    return _pages(partial(result_page, resources, job, statuses=statuses, end=end), first)


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


def worked(
    resources: Resources, job: Job, *, finished: bool, first: int = 0, end: int | None = None
) -> Iterator[list[dict[str, Any]]]:
    """Yield items with payload and result, page by page; `finished` leaves the others out."""
    return _pages(partial(worked_page, resources, job, finished=finished, end=end), first)


def worked_page(
    resources: Resources,
    job: Job,
    *,
    finished: bool,
    first: int = 0,
    end: int | None = None,
    limit: int,
) -> list[dict[str, Any]]:
    """Return one page of items with payload and result, from `first` up to `end` or the last."""
    end = job.total if end is None else end
    with resources.db.transaction() as tx:
        return store.list_worked(tx, job, first=first, end=end, limit=limit, finished=finished)


def _pages(read: Callable[..., list[dict[str, Any]]], first: int) -> Iterator[list[dict[str, Any]]]:
    while True:
        page = read(first=first, limit=RESULT_PAGE)
        if page:
            yield page
        if len(page) < RESULT_PAGE:
            return
        first = page[-1]["position"] + 1


def list_history(
    resources: Resources,
    tenant_id: UUID,
    dialect: str,
    *,
    states: Collection[JobState],
    limit: int,
    offset: int,
) -> tuple[list[Job], int]:
    """Return a page of the tenant's jobs, single calls among them, and how many there are."""
    with resources.db.transaction() as tx:
        return store.list_history(tx, tenant_id, dialect, states=states, limit=limit, offset=offset)


def list_batches(
    resources: Resources, tenant_id: UUID, dialect: str, **wanted: Any
) -> tuple[list[Job], int]:
    """Return a page of the tenant's jobs on a queue, and how many there are: see the store."""
    with resources.db.transaction() as tx:
        return store.list_batches(tx, tenant_id, dialect, **wanted)


def list_ended(resources: Resources, kind: str, *, seconds: float, limit: int) -> list[Job]:
    """Return jobs of a kind that ended longer ago than so many seconds."""
    with resources.db.transaction() as tx:
        return store.list_ended(tx, kind, seconds=seconds, limit=limit)


def search_worked(
    resources: Resources, tenant_id: UUID, dialect: str, **wanted: Any
) -> tuple[list[dict[str, Any]], int]:
    """Return a page of items of all the tenant's jobs, and how many there are: see the store."""
    with resources.db.transaction() as tx:
        return store.search_worked(tx, tenant_id, dialect, **wanted)


def sum_up(resources: Resources, tenant_id: UUID, dialect: str) -> dict[str, int]:
    """Return how many jobs and items the tenant has in a dialect, by how they ended."""
    with resources.db.transaction() as tx:
        return store.sum_up(tx, tenant_id, dialect)


def delete(resources: Resources, job: Job, *, expired: bool = False) -> None:
    """Delete a job that has ended, with all it holds. Raises IllegalTransition or JobNotFound.

    Of one that is `expired` it is remembered that it was there.
    """
    with resources.db.transaction() as tx:
        now = store.lock_job(tx, job.id)
        if now.is_dispatched_anew:
            raise _refused(now, "A run of a verification is kept as long as the verification.")
        store.delete_results(tx, now)
        store.delete_items(tx, now)
        store.delete_events(tx, now)
        if not store.delete_job(tx, now):
            raise _refused(now, f"A {now.state} job cannot be deleted: cancel it first.")
        if expired:
            store.remember_expired(tx, now)
    resources.progress.forget(job.tenant_id, job.dialect, job.external_id)
    log.info("job.deleted", extra={"job_id": str(job.id)})


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
