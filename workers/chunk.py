"""One chunk: claim it, load what is outstanding, work through it, save as it goes.

However often and by however many workers a chunk is delivered, each item gets one result and is
counted once: a claim keeps all but one worker out, results are first writer wins, and the counts
change in the transaction that writes the rows.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from app import logs
from app.db import Cursor
from app.errors import ItemError, JobError, RateLimited, Unavailable
from app.jobs import endings, store
from app.jobs.dispatch import wake_sweep
from app.jobs.model import ERASED, ERASED_MESSAGE, Item, Job, Result
from app.jobs.states import CLAIMABLE, DRAINING, Event, JobState
from app.kinds import KINDS
from app.kinds.base import Kind, Process
from app.resources import Resources
from workers import limits

log = logging.getLogger(__name__)

ATTEMPTS_EXHAUSTED = "attempts_exhausted"
INTERNAL_ERROR = "internal_error"

#: Items in the first call of a chunk, before it is known how long one takes.
_FIRST_BATCH = 10

#: Starts of a chunk without a single result, beyond those that its first item may cost.
_SPARE_STARTS = 5

#: Seconds until a chunk that somebody else holds is tried again. A job that is paused and resumed
#: at once waits so long for the chunk that was in hand.
_LONGEST_WAIT = 2.0

_HOST = socket.gethostname()
_BOOT = uuid4().hex[:8]


@dataclass(frozen=True, slots=True)
class _Chunk:
    """One delivery of one chunk, in this process's hands."""

    resources: Resources
    job: Job
    pass_no: int
    chunk_no: int
    holder: str


def run(resources: Resources, job_id: UUID, pass_no: int, chunk_no: int) -> float | None:
    """Work through the chunk.

    Return None when there is nothing left to do here, or the seconds after which to try again
    because another worker has claimed the chunk. Raises Unavailable and JobNotFound.
    """
    with resources.db.transaction() as tx:
        job = store.load_job(tx, job_id)
    if job.state not in CLAIMABLE:
        return None
    chunk = _Chunk(resources, job, pass_no, chunk_no, _holder())
    with logs.bind(job_id=str(job_id), chunk=chunk_no):
        with resources.db.transaction() as tx:
            store.lightly(tx)
            begun = _claim(tx, chunk)
        if isinstance(begun, Job):
            resources.progress.show(begun)
            return None
        if begun is None or isinstance(begun, float):
            return begun
        claimed, items, careful = begun
        if claimed.state is not job.state:
            # Whoever watches would hear of it with the first results only.
            resources.progress.show(claimed)
        kind = KINDS[job.kind]
        try:
            process = _limited(chunk, kind, kind.prepare(resources, job))
            _work(chunk, kind, process, items, careful=careful)
        except JobError as error:
            _fail(resources, job_id, error)
        except RateLimited as limit:
            _rest(chunk, limit.seconds)
        except Unavailable:
            # Nobody's fault: whoever takes it up again must not take its items for suspects. If
            # it is Postgres that is away, the claim stays until it has run out.
            _let_go(chunk, careful=careful)
            raise
        except Exception:
            # A bug of ours. Held, the chunk would keep its pass from ending.
            with resources.db.transaction() as tx:
                store.release_claim(tx, job, chunk_no, holder=chunk.holder)
            raise
    return None


def _let_go(chunk: _Chunk, *, careful: bool) -> None:
    """Give the chunk back at once. What it was suspect of before, it still is."""
    give_back = store.end_claim if careful else store.release_claim
    with suppress(Unavailable), chunk.resources.db.transaction() as tx:
        give_back(tx, chunk.job, chunk.chunk_no, holder=chunk.holder)


def _holder() -> str:
    # Not at import: a child that was forked has another pid than the module that it came with.
    return f"{_HOST}/{os.getpid()}/{_BOOT}"


def _is_dead(holder: str) -> bool:
    """The holder ran on this machine, and its process is gone: killed, and not slow."""
    host, pid, _ = holder.split("/")
    if host != _HOST:
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _claim(tx: Cursor, chunk: _Chunk) -> tuple[Job, list[Item], bool] | Job | float | None:
    """Take the chunk; return the job, its outstanding items, and whether to go item by item.

    Return None if the job no longer wants it, the seconds that another worker may hold it, or the
    job alone if it was not let in.
    """
    job = store.lock_job(tx, chunk.job.id)
    if job.state not in CLAIMABLE:
        return None
    claim = store.show_claim(tx, job, chunk.chunk_no)
    # What this very process holds it has given up: it can only be back after an error.
    stale = claim and (claim[0] == chunk.holder or _is_dead(claim[0]))
    starts = store.claim_chunk(
        tx,
        job,
        chunk.chunk_no,
        holder=chunk.holder,
        pass_no=chunk.pass_no,
        seconds=chunk.resources.settings.claim_seconds,
        dead_holder=claim[0] if claim and stale else None,
    )
    if starts is None:
        assert claim is not None, "only a claim keeps us out"
        return min(_LONGEST_WAIT, max(0.1, claim[1] + 0.1))
    if starts > chunk.resources.settings.max_attempts + _SPARE_STARTS:
        # Not any one item: those are given up one by one. Loading what the kind needs, perhaps.
        error = INTERNAL_ERROR, f"A chunk took its worker down {starts - 1} times."
        log.error("job.failed", extra={"code": INTERNAL_ERROR, "starts": starts})
        store.in_earnest(tx)
        store.advance(tx, job.id, Event.FATAL, error=error)
        return None
    if not KINDS[job.kind].admit(tx, job) and job.state is JobState.QUEUED:
        store.release_claim(tx, job, chunk.chunk_no, holder=chunk.holder)
        store.in_earnest(tx)
        job = store.advance(tx, job.id, Event.GATE_HELD) or job
        log.info("job.rejected", extra={"state": job.state})
        return job
    if job.state is JobState.QUEUED:
        job = store.advance(tx, job.id, Event.CLAIM) or job
    else:
        store.beat(tx, job.id)
    items = store.load_outstanding(tx, job, job.chunk(chunk.chunk_no))
    if starts == 2 and chunk.resources.settings.max_attempts > 1:
        # The start that never ended may have been any one's fault. Suspicion alone must not use
        # up an item's attempts: only what an item does when it is alone can do that.
        store.suspect(tx, job, [item.position for item in items])
        items = [replace(item, attempts=max(item.attempts, 1)) for item in items]
    return job, items, starts > 1


def _limited(chunk: _Chunk, kind: Kind, process: Process) -> Process:
    """Give the items a limit of memory, if what works on them has none of its own."""
    if kind.limits_itself:
        return process

    def limited(items: Sequence[Item]) -> Sequence[Result]:
        with limits.memory(chunk.resources.settings.item_memory_bytes):
            return process(items)

    return limited


def _work(
    chunk: _Chunk, kind: Kind, process: Process, items: Sequence[Item], *, careful: bool
) -> None:
    settings = chunk.resources.settings
    began = saved = time.monotonic()
    size = 1 if careful else min(kind.batch_size, _FIRST_BATCH)
    # What somebody had deleted meanwhile is not worked on.
    results = [
        Result.failure(item, ERASED, ERASED_MESSAGE) for item in items if "erased" in item.payload
    ]
    items = [item for item in items if "erased" not in item.payload]
    at = 0
    while at < len(items):
        if at and kind.batch_size == 1 and not _is_wanted(chunk):
            # Each item takes long: a request to stop must not wait for the next save.
            break
        started = time.monotonic()
        batch = items[at : at + size]
        at += len(batch)
        try:
            if careful:
                results += _attempt(chunk, process, batch[0])
            else:
                results += _process(process, batch)
        except (JobError, RateLimited):
            # Of the whole job; what is done stays done.
            _save(chunk, results, last=True, suspect=careful)
            raise
        now = time.monotonic()
        if not careful:
            # As many as fit between two saves: a call must never outlast the claim.
            fitting = len(batch) * settings.flush_seconds / max(now - started, 1e-6)
            size = max(1, min(kind.batch_size, int(fitting)))
        if careful or now - saved >= settings.flush_seconds:
            saved = now
            done, results = results, []
            if not _save(chunk, done):
                break
        if now - began >= (kind.chunk_seconds or settings.chunk_seconds):
            # What is left goes to another pass, so that losing this worker costs little.
            break
    _save(chunk, results, last=True, suspect=careful and at < len(items))
    log.info("chunk.finished", extra={"items": len(items), "careful": careful})


def _is_wanted(chunk: _Chunk) -> bool:
    """The job has been neither paused nor stopped, as far as one look tells."""
    with chunk.resources.db.transaction() as tx:
        return store.load_job(tx, chunk.job.id).state in CLAIMABLE


def _attempt(chunk: _Chunk, process: Process, item: Item) -> Sequence[Result]:
    """Process an item that may take the process down, having committed that it was tried."""
    if item.attempts >= chunk.resources.settings.max_attempts:
        message = f"The item took its worker down {item.attempts} times."
        failed = Result.failure(item, ATTEMPTS_EXHAUSTED, message)
        return [replace(failed, attempts=item.attempts)]
    with chunk.resources.db.transaction() as tx:
        store.count_attempt(tx, chunk.job, [item.position])
    try:
        results = _process(process, [item])
    except (RateLimited, Unavailable):
        # The process is alive, and it was not the item that failed.
        with suppress(Unavailable), chunk.resources.db.transaction() as tx:
            store.take_attempt_back(tx, chunk.job, [item.position])
        raise
    return [replace(result, attempts=item.attempts + 1) for result in results]


def _process(process: Process, batch: Sequence[Item]) -> Sequence[Result]:
    """Process a batch; if that fails, process it item by item, so that only the bad one fails."""
    try:
        return process(batch)
    except (JobError, RateLimited, Unavailable):
        raise
    except Exception as error:
        if len(batch) > 1:
            return [result for item in batch for result in _process(process, [item])]
        if isinstance(error, ItemError):
            return [Result.failure(batch[0], error.code, str(error))]
        if isinstance(error, MemoryError):
            # Another attempt would end like this one.
            log.error("item.too_large", extra={"position": batch[0].position})
            message = "The item takes more memory than one item may."
            return [Result.failure(batch[0], ATTEMPTS_EXHAUSTED, message)]
        log.error("item.failed", exc_info=error, extra={"position": batch[0].position})
        message = "The item could not be processed because of an error on our side."
        return [Result.failure(batch[0], INTERNAL_ERROR, message)]


class _JobEndedError(Exception):
    """Undoes the transaction: a job that has ended takes no more results."""


def _save(
    chunk: _Chunk, results: Sequence[Result], *, last: bool = False, suspect: bool = False
) -> bool:
    """Write and count the results; return whether to go on.

    With `last` the claim goes too, in the same transaction; of a chunk whose rest is `suspect`
    the claim only ends, so that whoever takes it next goes item by item as well.
    """
    try:
        with chunk.resources.db.transaction() as tx:
            job, ours = _count(tx, chunk, results, last=last, suspect=suspect)
    except _JobEndedError:
        with chunk.resources.db.transaction() as tx:
            store.release_claim(tx, chunk.job, chunk.chunk_no, holder=chunk.holder)
        return False
    chunk.resources.progress.show(job)
    KINDS[job.kind].settled(chunk.resources, job)
    return ours and job.state in CLAIMABLE


def _count(
    tx: Cursor, chunk: _Chunk, results: Sequence[Result], *, last: bool, suspect: bool
) -> tuple[Job, bool]:
    written = store.save_results(tx, chunk.job, results, pass_no=chunk.pass_no)
    KINDS[chunk.job.kind].settle(tx, chunk.job, results)
    job = store.add_counts(tx, chunk.job, **written._asdict())
    if job is None:
        raise _JobEndedError
    if last:
        end = store.end_claim if suspect else store.release_claim
        end(tx, job, chunk.chunk_no, holder=chunk.holder)
        ours = False
    else:
        seconds = chunk.resources.settings.claim_seconds
        ours = store.renew_claim(tx, job, chunk.chunk_no, holder=chunk.holder, seconds=seconds)
    return end_if_over(tx, job), ours


def end_if_over(tx: Cursor, job: Job) -> Job:
    """Complete the job if every item has its result; pause or cancel it if nothing is in hand."""
    if job.done == job.total and store.count_results(tx, job) == job.total:
        return endings.complete(tx, job)
    if job.state in DRAINING and not store.live_claims(tx, job):
        return store.advance(tx, job.id, Event.DRAINED) or job
    return job


#: No job rests longer, whatever it was told: somebody may have mistaken a date.
_LONGEST_REST = 24 * 3600.0


#: Rests of fewer sweeps than this end to the tenth of a second, and not at the next sweep.
_PATIENCE = 4


def _rest(chunk: _Chunk, seconds: float) -> None:
    """Pause the job, and let the sweep resume it. A request to pause or cancel goes first."""
    with chunk.resources.db.transaction() as tx:
        job = store.lock_job(tx, chunk.job.id)
        if job.state is JobState.RUNNING:
            store.advance(tx, job.id, Event.PAUSE)
        elif job.state is not JobState.PAUSING or job.resume_at is None:
            return
        store.resume_later(tx, job, min(max(seconds, 0.0), _LONGEST_REST))
        job = end_if_over(tx, store.load_job(tx, job.id))
    log.info("job.rested", extra={"seconds": round(seconds, 1), "state": job.state})
    chunk.resources.progress.show(job)
    if seconds < chunk.resources.settings.sweep_seconds * _PATIENCE:
        # The next sweep may come late for so short a rest.
        wake_sweep(chunk.resources.celery, seconds)


def _fail(resources: Resources, job_id: UUID, error: JobError) -> None:
    with resources.db.transaction() as tx:
        job = store.advance(tx, job_id, Event.FATAL, error=(error.code, str(error)))
    if job is not None:
        log.warning("job.failed", extra={"code": error.code})
        resources.progress.show(job)
