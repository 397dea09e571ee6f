"""Jobs, items and results in Postgres. Every function runs inside the caller's transaction."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

from psycopg2.errors import LockNotAvailable
from psycopg2.extras import Json

from app import sealing
from app.db import Cursor, counted_page, load_queries, one
from app.errors import JobNotFound
from app.jobs.model import Item, ItemStatus, Job, Living, NewItem, NewJob, Result, Written
from app.jobs.states import NEXT, Event, JobState, moves

log = logging.getLogger(__name__)

QUERIES = load_queries("app.jobs")

_OPEN = [str(state) for state in NEXT]
_FINAL = [str(state) for state in JobState if state.is_final]


def insert_job(tx: Cursor, new_job: NewJob, total: int) -> Job | None:
    """Write the job's row alone; its items follow in the same transaction.

    Return None if the tenant has a job of that name in that dialect already.
    """
    job_id = uuid4()
    tx.execute(
        QUERIES["insert_job"],
        {
            "id": job_id,
            "tenant_id": new_job.tenant_id,
            "kind": new_job.kind,
            "dialect": new_job.dialect,
            "external_id": new_job.external_id or str(job_id),
            "options": Json(new_job.options),
            "labels": Json(new_job.labels),
            "queue": new_job.queue,
            "chunk_size": new_job.chunk_size,
            "total": total,
            "created_by": new_job.created_by,
            "retry_of": new_job.retry_of,
            "allowed_seconds": new_job.allowed_seconds,
        },
    )
    row = tx.fetchone()
    return None if row is None else Job.from_row(row)


def copy_items(tx: Cursor, job: Job, items: Sequence[NewItem]) -> None:
    """Write the items by COPY, the fastest way into Postgres."""
    seal = sealing.of(tx).seal
    head = f"{job.kind}\t{job.month}\t{job.id}\t".encode()
    lines = [
        b"%b%d\t%b\t%b\n"
        % (
            head,
            position,
            rb"\N" if item.ref is None else _escaped(item.ref.encode()),
            # JSON text holds no raw tabs or line ends, so only backslashes need doubling.
            seal(item.payload).replace(b"\\", b"\\\\"),
        )
        for position, item in enumerate(items)
    ]
    tx.copy_expert(QUERIES["copy_items"].rstrip(";"), BytesIO(b"".join(lines)), size=1 << 18)


def _escaped(text: bytes) -> bytes:
    return (
        text.replace(b"\\", b"\\\\")
        .replace(b"\t", b"\\t")
        .replace(b"\n", b"\\n")
        .replace(b"\r", b"\\r")
    )


def set_estimate(tx: Cursor, job: Job, calibrated_seconds: float) -> Job:
    """Work out when the job should be done, from what is ahead of it and the measured pace."""
    tx.execute(
        QUERIES["set_estimate"],
        {
            "id": job.id,
            "tenant_id": job.tenant_id,
            "kind": job.kind,
            "queue": job.queue,
            "total": job.total,
            "chunk_size": job.chunk_size,
            "calibrated_seconds": calibrated_seconds,
        },
    )
    return Job.from_row(one(tx))


def chunks_before(tx: Cursor, job: Job) -> int:
    """Return how many chunks of older jobs of the tenant wait on the queue of this job.

    With those that it had within the last minute: who sends one job at a time, but one after the
    other, is not always first.
    """
    tx.execute(
        QUERIES["chunks_before"],
        {
            "id": job.id,
            "tenant_id": job.tenant_id,
            "queue": job.queue,
            "created_at": job.created_at,
        },
    )
    return int(one(tx)["chunks"])


def copy_items_of(
    tx: Cursor,
    job: Job,
    source: Job,
    statuses: Collection[str],
    positions: Collection[int] | None = None,
) -> int:
    """Copy the source's items of these statuses into `job` and return how many there were.

    `cancelled` stands for items that never got a result. `positions` chooses among them.
    """
    tx.execute(
        QUERIES["copy_items_of"],
        {
            **_of(job),
            "source_id": source.id,
            "source_month": source.month,
            "statuses": list(statuses),
            "positions": None if positions is None else list(positions),
        },
    )
    return tx.rowcount


def find_job(tx: Cursor, tenant_id: UUID, dialect: str, external_id: str) -> Job:
    """Return the tenant's job. Someone else's job is as good as no job at all."""
    tx.execute(
        QUERIES["find_job"],
        {"tenant_id": tenant_id, "dialect": dialect, "external_id": external_id},
    )
    row = tx.fetchone()
    if row is None:
        raise JobNotFound("No such job exists for this tenant.")
    return Job.from_row(row)


def find_job_by_id(tx: Cursor, tenant_id: UUID, job_id: UUID) -> Job:
    """Return the tenant's job of whatever dialect. Someone else's is as good as no job at all."""
    tx.execute(QUERIES["find_job_by_id"], {"tenant_id": tenant_id, "id": job_id})
    return _known(tx)


def load_job(tx: Cursor, job_id: UUID) -> Job:
    """Return any tenant's job: for workers, which act for the platform."""
    tx.execute(QUERIES["load_job"], {"id": job_id})
    return _known(tx)


def lock_job(tx: Cursor, job_id: UUID) -> Job:
    """Return any tenant's job, and keep others from changing it until the transaction ends."""
    tx.execute(QUERIES["lock_job"], {"id": job_id})
    return _known(tx)


def _known(tx: Cursor) -> Job:
    row = tx.fetchone()
    if row is None:
        raise JobNotFound("No such job exists for this tenant.")
    return Job.from_row(row)


def list_jobs(
    tx: Cursor,
    tenant_id: UUID,
    dialect: str,
    *,
    states: Collection[JobState],
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Job]:
    """Return the tenant's jobs, newest first, from before the given place on."""
    at, job_id = before or (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
    tx.execute(
        QUERIES["list_jobs"],
        {
            "tenant_id": tenant_id,
            "dialect": dialect,
            "states": [str(state) for state in states],
            "before": at,
            "before_id": job_id,
            "limit": limit,
        },
    )
    return [Job.from_row(row) for row in tx.fetchall()]


def search_jobs(
    tx: Cursor,
    tenant_id: UUID,
    *,
    states: Collection[JobState],
    kinds: Collection[str] | None,
    external_id: str | None,
    labels: Mapping[str, str],
    created_by: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Job]:
    """Return the tenant's jobs of all dialects, newest first, from before the given place on."""
    at, job_id = before or (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
    tx.execute(
        QUERIES["search_jobs"],
        {
            "tenant_id": tenant_id,
            "states": [str(state) for state in states],
            "kinds": None if kinds is None else list(kinds),
            "external_id": external_id,
            "labels": Json(labels),
            "created_by": created_by,
            "before": at,
            "before_id": job_id,
            "limit": limit,
        },
    )
    return [Job.from_row(row) for row in tx.fetchall()]


def count_running(tx: Cursor, jobs: Iterable[Job]) -> dict[UUID, int]:
    """Return how many items of each job are in a worker's hands; jobs without any are left out."""
    tx.execute(QUERIES["count_running"], {"ids": [job.id for job in jobs]})
    return {row["id"]: row["running"] for row in tx.fetchall()}


def advance(
    tx: Cursor, job_id: UUID, event: Event, *, error: tuple[str, str] | None = None
) -> Job | None:
    """Move the job as the event says, or return None if it may not happen where the job is.

    The only writer of jobs.state. Callers that lose a race get None, never an exception: in a
    system with redelivery, losing a race is an ordinary day.
    """
    sources = moves(event)
    code, message = error or (None, None)
    tx.execute(
        QUERIES["advance"],
        {
            "id": job_id,
            "sources": [str(state) for state in sources],
            "targets": [str(state) for state in sources.values()],
            "final": _FINAL,
            "error_code": code,
            "error_message": message,
        },
    )
    row = tx.fetchone()
    return None if row is None else Job.from_row(row)


def resume_later(tx: Cursor, job: Job, seconds: float) -> Job | None:
    """Let a job that is pausing go on by itself after so many seconds."""
    tx.execute(QUERIES["resume_later"], {"id": job.id, "seconds": seconds})
    row = tx.fetchone()
    return None if row is None else Job.from_row(row)


def list_rested(tx: Cursor, *, limit: int) -> list[UUID]:
    """Return paused jobs whose time to go on has come."""
    tx.execute(QUERIES["list_rested"], {"limit": limit})
    return [row["id"] for row in tx.fetchall()]


def count_results(tx: Cursor, job: Job) -> int:
    tx.execute(QUERIES["count_results"], _of(job))
    return int(one(tx)["results"])


def claim_chunk(
    tx: Cursor,
    job: Job,
    chunk_no: int,
    *,
    holder: str,
    pass_no: int,
    seconds: float,
    dead_holder: str | None = None,
) -> int | None:
    """Claim the chunk; return how often it was begun without ending, or None if it is held."""
    tx.execute(
        QUERIES["claim_chunk"],
        {
            "job_id": job.id,
            "chunk_no": chunk_no,
            "pass_no": pass_no,
            "holder": holder,
            "seconds": seconds,
            "dead_holder": dead_holder,
        },
    )
    row = tx.fetchone()
    return None if row is None else int(row["starts"])


def show_claim(tx: Cursor, job: Job, chunk_no: int) -> tuple[str, float] | None:
    """Return who holds the chunk, and for how many seconds more."""
    tx.execute(QUERIES["show_claim"], {"job_id": job.id, "chunk_no": chunk_no})
    row = tx.fetchone()
    return None if row is None else (row["holder"], row["seconds_left"])


def renew_claim(tx: Cursor, job: Job, chunk_no: int, *, holder: str, seconds: float) -> bool:
    """Hold the chunk for longer, or return False if somebody else has it by now."""
    tx.execute(
        QUERIES["renew_claim"],
        {"job_id": job.id, "chunk_no": chunk_no, "holder": holder, "seconds": seconds},
    )
    return tx.fetchone() is not None


def release_claim(tx: Cursor, job: Job, chunk_no: int, *, holder: str) -> None:
    tx.execute(QUERIES["release_claim"], {"job_id": job.id, "chunk_no": chunk_no, "holder": holder})


def end_claim(tx: Cursor, job: Job, chunk_no: int, *, holder: str) -> None:
    """Let the chunk go, but remember that it has taken a worker down."""
    tx.execute(QUERIES["end_claim"], {"job_id": job.id, "chunk_no": chunk_no, "holder": holder})


def live_claims(tx: Cursor, job: Job) -> int:
    """Return how many chunks of the job are in somebody's hands."""
    tx.execute(QUERIES["live_claims"], {"job_id": job.id})
    return int(one(tx)["claims"])


def load_outstanding(tx: Cursor, job: Job, positions: range) -> list[Item]:
    """Return the items of the slice that have no result yet."""
    tx.execute(
        QUERIES["load_outstanding"],
        {**_of(job), "start": positions.start, "stop": positions.stop},
    )
    opened = sealing.of(tx).open_value
    return [
        Item(position, ref, opened(payload), attempts)
        for position, ref, payload, attempts in one(tx)["items"]
    ]


def count_attempt(tx: Cursor, job: Job, positions: Collection[int]) -> None:
    tx.execute(QUERIES["count_attempt"], {**_of(job), "positions": list(positions)})


def take_attempt_back(tx: Cursor, job: Job, positions: Collection[int]) -> None:
    """Undo count_attempt for items that did not get their turn after all."""
    tx.execute(QUERIES["take_attempt_back"], {**_of(job), "positions": list(positions)})


def suspect(tx: Cursor, job: Job, positions: Collection[int]) -> None:
    """Hold it against each of the items that one of them, unknown which, took a worker down."""
    tx.execute(QUERIES["suspect"], {**_of(job), "positions": list(positions)})


def save_results(tx: Cursor, job: Job, results: Iterable[Result], *, pass_no: int) -> Written:
    """Write the results that are not there yet, and return what was really written."""
    seal = sealing.of(tx).seal
    rows = [
        {
            "position": result.position,
            "status": result.status,
            "matches": result.matches,
            "result": (
                None if result.detail is None else seal(_json(result.detail).encode()).decode()
            ),
            "error_code": result.error_code,
            "error_message": result.error_message,
            "attempts": result.attempts,
        }
        for result in results
    ]
    if not rows:
        return Written()
    tx.execute(QUERIES["save_results"], {**_of(job), "pass_no": pass_no, "rows": _json(rows)})
    written = one(tx)
    return Written(
        int(written["succeeded"]),
        int(written["failed"]),
        int(written["matches"]),
        written["positions"],
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def add_counts(
    tx: Cursor,
    job: Job,
    *,
    succeeded: int,
    failed: int,
    matches: int,
    positions: str | None = None,
) -> Job | None:
    """Add to the job's counts, or return None if the job has ended: then nothing may be added.

    `positions` says whose results these are, as save_results has it; watchers are told of them.
    """
    tx.execute(
        QUERIES["add_counts"],
        {
            "id": job.id,
            "succeeded": succeeded,
            "failed": failed,
            "matches": matches,
            "positions": positions,
            "open": _OPEN,
        },
    )
    row = tx.fetchone()
    return None if row is None else Job.from_row(row)


def begin_pass(tx: Cursor, job: Job, *, worked: bool) -> Job:
    """Number the next pass. `worked` says that workers ran the last one to its end."""
    tx.execute(QUERIES["begin_pass"], {"id": job.id, "worked": worked})
    return Job.from_row(one(tx))


def outstanding_chunks(tx: Cursor, job: Job) -> list[int]:
    tx.execute(QUERIES["outstanding_chunks"], {**_of(job), "chunk_size": job.chunk_size})
    return [row["chunk_no"] for row in tx.fetchall()]


def beat(tx: Cursor, job_id: UUID) -> None:
    """Record a sign of life."""
    tx.execute(QUERIES["beat"], {"id": job_id})


def mark_undelivered(tx: Cursor, job_id: UUID) -> None:
    tx.execute(QUERIES["mark_undelivered"], {"id": job_id, "open": _OPEN})


def count_living(tx: Cursor) -> list[Living]:
    """Return how many jobs have not ended, by kind and state."""
    tx.execute(QUERIES["count_living"])
    return [Living(**row) for row in tx.fetchall()]


def list_silent(tx: Cursor, *, seconds: float, limit: int) -> list[Job]:
    tx.execute(QUERIES["list_silent"], {"seconds": seconds, "limit": limit})
    return [Job.from_row(row) for row in tx.fetchall()]


def list_overdue(tx: Cursor, *, limit: int) -> list[UUID]:
    tx.execute(QUERIES["list_overdue"], {"limit": limit})
    return [row["id"] for row in tx.fetchall()]


def list_draining(tx: Cursor, *, limit: int) -> list[UUID]:
    tx.execute(QUERIES["list_draining"], {"limit": limit})
    return [row["id"] for row in tx.fetchall()]


def forget_claims(tx: Cursor) -> int:
    """Delete the claims of jobs that have ended, and return how many there were."""
    tx.execute(QUERIES["forget_claims"])
    return tx.rowcount


def lightly(tx: Cursor) -> None:
    """Let the transaction commit without waiting for the disk.

    For what a crash of Postgres may undo: whatever is committed in earnest after it takes it
    along, since the log is written in order.
    """
    tx.execute(QUERIES["lightly"])


def in_earnest(tx: Cursor) -> None:
    """Let the transaction wait for the disk after all: it ends a job, which somebody is told."""
    tx.execute(QUERIES["in_earnest"])


def list_results(
    tx: Cursor,
    job: Job,
    *,
    first: int,
    end: int,
    limit: int,
    statuses: Collection[ItemStatus],
) -> list[dict[str, Any]]:
    """Return result rows of positions from `first` up to `end`; `result` is JSON text."""
    tx.execute(
        QUERIES["list_results"],
        {
            **_of(job),
            "first": first,
            "end": end,
            "limit": limit,
            "statuses": [str(status) for status in statuses],
        },
    )
    return [_opened(tx, row) for row in tx.fetchall()]


def list_items(
    tx: Cursor, job: Job, *, first: int, limit: int, statuses: Collection[str]
) -> list[dict[str, Any]]:
    """Return items from position `first` on, with how each stands and without what it holds."""
    tx.execute(
        QUERIES["list_items"],
        {
            **_of(job),
            "chunk_size": job.chunk_size,
            "rest": _rest(job),
            "first": first,
            "limit": limit,
            "statuses": list(statuses),
        },
    )
    return [dict(row) for row in tx.fetchall()]


def group_errors(
    tx: Cursor, job: Job, *, first: int, limit: int, examples: int
) -> list[dict[str, Any]]:
    """Return {code, message, items, examples} of each kind of failure, the commonest first."""
    tx.execute(
        QUERIES["group_errors"],
        {**_of(job), "first": first, "limit": limit, "examples": examples},
    )
    return [dict(row) for row in tx.fetchall()]


def _rest(job: Job) -> str | None:
    """What became of items without a result, once no more will come."""
    if not job.state.is_final:
        return None
    return "expired" if job.state is JobState.EXPIRED else "cancelled"


def list_worked(
    tx: Cursor, job: Job, *, first: int, end: int, limit: int, finished: bool
) -> list[dict[str, Any]]:
    """Return items with their payload and result; `result` is JSON text."""
    tx.execute(
        QUERIES["list_worked"],
        {
            **_of(job),
            "rest": _rest(job),
            "first": first,
            "end": end,
            "limit": limit,
            "finished": finished,
        },
    )
    return [_opened(tx, row) for row in tx.fetchall()]


def list_history(
    tx: Cursor,
    tenant_id: UUID,
    dialect: str,
    *,
    states: Collection[JobState],
    limit: int,
    offset: int,
) -> tuple[list[Job], int]:
    """Return a page of the tenant's jobs, single calls among them, and how many there are."""
    rows, total = counted_page(
        tx,
        QUERIES["list_history"],
        {"tenant_id": tenant_id, "dialect": dialect, "states": [str(state) for state in states]},
        limit=limit,
        offset=offset,
    )
    return [Job.from_row(row) for row in rows], total


def list_batches(
    tx: Cursor,
    tenant_id: UUID,
    dialect: str,
    *,
    queue: str,
    collection_id: str | None,
    states: Collection[JobState],
    kept_seconds: float,
    limit: int,
    offset: int,
) -> tuple[list[Job], int]:
    """Return a page of the tenant's jobs on a queue, and how many there are.

    Without those that ended longer than `kept_seconds` ago.
    """
    rows, total = counted_page(
        tx,
        QUERIES["list_batches"],
        {
            "tenant_id": tenant_id,
            "dialect": dialect,
            "queue": queue,
            "collection_id": collection_id,
            "states": [str(state) for state in states],
            "kept_seconds": kept_seconds,
        },
        limit=limit,
        offset=offset,
    )
    return [Job.from_row(row) for row in rows], total


def list_ended(tx: Cursor, kind: str, *, seconds: float, limit: int) -> list[Job]:
    """Return jobs of a kind that ended longer ago than so many seconds."""
    tx.execute(QUERIES["list_ended"], {"kind": kind, "seconds": seconds, "limit": limit})
    return [Job.from_row(row) for row in tx.fetchall()]


def search_worked(
    tx: Cursor,
    tenant_id: UUID,
    dialect: str,
    *,
    paths: tuple[Sequence[str], Sequence[str]],
    words: str | None = None,
    status: ItemStatus | None = None,
    job_id: UUID | None = None,
    position: int | None = None,
    limit: int,
    offset: int,
) -> tuple[list[dict[str, Any]], int]:
    """Return a page of items of all the tenant's jobs in a dialect, and how many there are.

    `words` is an ILIKE pattern, looked for at the two `paths` of the payload.
    """
    rows, total = counted_page(
        tx,
        QUERIES["search_worked"],
        {
            "tenant_id": tenant_id,
            "dialect": dialect,
            "one": list(paths[0]),
            "other": list(paths[1]),
            "words": words,
            "status": status,
            "job_id": job_id,
            "position": position,
        },
        limit=limit,
        offset=offset,
    )
    return [_opened(tx, row) for row in rows], total


def sum_up(tx: Cursor, tenant_id: UUID, dialect: str) -> dict[str, int]:
    """Return how many jobs and items the tenant has in a dialect, by how they ended."""
    tx.execute(QUERIES["sum_up"], {"tenant_id": tenant_id, "dialect": dialect})
    return {name: int(value) for name, value in one(tx).items()}


def stay_paused(tx: Cursor, job: Job) -> Job | None:
    """Let a job that rests stand still for good, or return None if it does not rest."""
    tx.execute(QUERIES["stay_paused"], {"id": job.id})
    row = tx.fetchone()
    return None if row is None else Job.from_row(row)


def load_retention(tx: Cursor, tenant_id: UUID) -> dict[str, float | None]:
    """Return the seconds that the tenant wants otherwise, by kind; None for ever."""
    tx.execute(QUERIES["load_retention"], {"tenant_id": tenant_id})
    return {row["kind"]: row["seconds"] for row in tx.fetchall()}


def remember_expired(tx: Cursor, job: Job) -> None:
    """Note that the job was there, for those who will ask."""
    tx.execute(
        QUERIES["remember_expired"],
        {"id": job.id, "tenant_id": job.tenant_id, "kind": job.kind, "month": job.month},
    )


def is_expired(tx: Cursor, tenant_id: UUID, job_id: UUID, *, seconds: float) -> bool:
    """Whether the tenant had such a job, and its time was over less than so many seconds ago."""
    tx.execute(QUERIES["is_expired"], {"tenant_id": tenant_id, "id": job_id, "seconds": seconds})
    return tx.fetchone() is not None


def delete_job(tx: Cursor, job: Job) -> bool:
    """Delete the row of a job that has ended, and return whether it had."""
    tx.execute(QUERIES["delete_job"], {"id": job.id})
    return tx.rowcount > 0


def delete_items(tx: Cursor, job: Job) -> None:
    tx.execute(QUERIES["delete_items"], _of(job))


def delete_results(tx: Cursor, job: Job) -> None:
    tx.execute(QUERIES["delete_results"], _of(job))


def delete_events(tx: Cursor, job: Job) -> None:
    tx.execute(QUERIES["delete_events"], _of(job))


def first_missing(tx: Cursor, job: Job, *, first: int) -> int:
    """Return the first position from `first` on without a result, or the job's total."""
    tx.execute(QUERIES["first_missing"], {**_of(job), "first": first, "total": job.total})
    return int(one(tx)["position"])


def find_result(tx: Cursor, job: Job, ref: str) -> dict[str, Any] | None:
    """Return {payload, result} of the item called `ref`, if it succeeded; `result` is JSON text."""
    tx.execute(QUERIES["find_result"], {**_of(job), "ref": ref})
    row = tx.fetchone()
    return None if row is None else _opened(tx, row)


def ensure_partitions(tx: Cursor) -> int:
    """Make room for the coming months; return how many partitions were made.

    None where somebody holds the tables, as a dump does for as long as it takes: there is room for
    months, and the next time comes in an hour.
    """
    try:
        tx.execute(QUERIES["ensure_partitions"])
    except LockNotAvailable:
        leave_partitions(tx)
        log.warning("partitions.postponed")
        return 0
    return int(one(tx)["made"])


def leave_partitions(tx: Cursor) -> None:
    """Go on with the transaction as it was before partitions were to be made."""
    tx.execute(QUERIES["leave_partitions"])


def _opened(tx: Cursor, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with `result`, which is text, and `payload` as they were before sealing."""
    sealer = sealing.of(tx)
    opened = dict(row)
    opened["result"] = sealer.open_text(opened["result"])
    if "payload" in opened:
        opened["payload"] = sealer.open_value(opened["payload"])
    return opened


def _of(job: Job) -> dict[str, str | date | UUID]:
    """The whole partition key: without it Postgres would look into every partition."""
    return {"kind": job.kind, "month": job.month, "job_id": job.id}
