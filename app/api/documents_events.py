"""Dialect D's words to those who watch a job: its WebSocket's messages, and the SSE twin.

Each message says its `type`, its job and the `seq` from which `?after=` goes on. The WebSocket
itself is served by the process `live`; the web says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from itertools import chain, islice
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify

from app.api import documents, streams
from app.api.auth import requires
from app.api.context import caller, resources
from app.api.documents_render import STATUS_WORDS
from app.api.streams import Message, Reading, Wording
from app.jobs import service
from app.jobs.events import store
from app.jobs.events.model import Counts, EventType, JobEvent
from app.jobs.model import Job
from app.jobs.states import CLAIMABLE, JobState

bp = Blueprint("documents_events", __name__, url_prefix="/api/batch")

DIALECT = "documents"

#: Who may watch a job of this dialect.
PERMISSION = streams.DOCUMENTS

#: Results in one message of a catch-up.
_PAGE = 100

#: Of a document's result, what a message shows as it is.
_SHOWN = ("tags", "model_name", "metadata")


@bp.get("/jobs/<job_id>/events")
@requires(PERMISSION)
def show(job_id: str) -> Response:
    """Stream what happens to a job, as the WebSocket tells it, as server-sent events."""
    return streams.respond(find(caller().tenant_id, job_id), WORDING)


@bp.get("/ws/<job_id>")
# Else a handshake that arrives here would find no route.
@bp.get("/ws/<job_id>", websocket=True)
def websocket(job_id: str) -> tuple[Response, HTTPStatus, dict[str, str]]:
    """Watch a job by WebSocket; served by the process `live`."""
    live = resources().settings.live_url
    here = streams.are_here()
    place = "" if here else f" of {live}" if live else " of the process `live`"
    detail = f"This is a WebSocket{place}: connect with the protocol it speaks."
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    return jsonify(detail=detail), HTTPStatus.UPGRADE_REQUIRED, headers


def find(tenant_id: UUID, job_id: str) -> Job:
    """Return the tenant's job, or raise JobNotFound."""
    return service.find(resources(), tenant_id, DIALECT, documents.known(job_id))


def say(job: Job, event: JobEvent) -> Message | None:
    match event.type:
        case EventType.ITEM:
            return _message("progress", job, event.seq, _document(job, event))
        case EventType.STATE:
            return _moved(job, event)
        case EventType.PROGRESS | EventType.END:
            # Each document has said it, and so has the final state.
            return None


def _moved(job: Job, event: JobEvent) -> Message:
    counts = event.counts
    body: dict[str, Any] = {"status": STATUS_WORDS[event.state]}
    resumed = event.previous in _HALTS and event.state in CLAIMABLE
    name = "resumed" if resumed else _NAMES.get(event.state, "status")
    if event.state.is_final:
        body |= {
            "total_documents": counts.total,
            "processed_count": counts.succeeded,
            "failed_count": counts.failed,
        }
        if job.started_at is not None:
            body["processing_time"] = round((event.at - job.started_at).total_seconds(), 3)
    if name == "error":
        code, said = event.error or (str(event.state), _SAYS[event.state])
        body |= {"error": said, "error_type": code.replace("_", "-")}
    body["message"] = _SAYS[event.state]
    if event.state is JobState.PAUSING:
        body["pause_requested"] = True
    elif event.state is JobState.CANCELLING:
        body["cancel_requested"] = True
    return _message(name, job, event.seq, body)


_HALTS = frozenset({JobState.PAUSING, JobState.PAUSED})
_NAMES: Mapping[JobState, str] = {
    JobState.PAUSED: "paused",
    JobState.COMPLETED: "completed",
    JobState.CANCELLED: "cancelled",
    JobState.FAILED: "error",
    JobState.REJECTED: "error",
    JobState.EXPIRED: "error",
}
_SAYS: Mapping[JobState, str] = {
    JobState.QUEUED: "Waiting for a worker",
    JobState.RUNNING: "Processing",
    JobState.PAUSING: "Pausing when the current document completes",
    JobState.PAUSED: "Job paused",
    JobState.CANCELLING: "Stopping when the current document completes",
    JobState.COMPLETED: "Batch processing completed",
    JobState.FAILED: "The job failed",
    JobState.CANCELLED: "Job cancelled",
    JobState.REJECTED: "The job was rejected",
    JobState.EXPIRED: "The job's deadline passed",
}


def _document(job: Job, event: JobEvent) -> dict[str, Any]:
    assert event.item is not None, "items come with their rows"
    return {
        **_row(event.item),
        "progress": _share(event.done, job.total),
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One document, as it is shown while the job runs."""
    body: dict[str, Any] = {
        "row_id": row["name"] or row["ref"] or str(row["position"]),
        "row_number": row["position"] + 1,
        "title": row["title"],
        "status": "success" if row["status"] == "succeeded" else "failed",
    }
    if row["error_code"] is not None:
        body |= {"error": row["error_message"], "error_type": row["error_code"].replace("_", "-")}
    if row["attempts"] > 1:
        body["retry_count"] = row["attempts"] - 1
    detail = row["result"] or {}
    return body | {name: detail[name] for name in _SHOWN if name in detail}


def open_(reading: Reading, job: Job) -> Iterator[Message]:
    """The state and every result so far, some in each message; and the end, if there is one."""
    counts = Counts.of(job)
    state = {
        "status": STATUS_WORDS[job.state],
        "progress": _share(counts.done, job.total),
        "total_documents": job.total,
        "processed_count": job.succeeded,
        "failed_count": job.failed,
        "results_count": counts.done,
    }
    with reading() as tx:
        # Those that the job's version speaks of: what came since has an event of its own.
        told = chain.from_iterable(store.told_positions(tx, job, job.version))
    positions = list(islice(told, _PAGE))
    while True:
        following = list(islice(told, _PAGE))
        rows: dict[int, dict[str, Any]] = {}
        if positions:
            with reading() as tx:
                rows = store.list_item_results(tx, job, positions, detailed=True)
        yield _message(
            "catchup",
            job,
            # Whoever breaks off before the last one has not been told all, and begins anew.
            0 if following else job.version,
            {
                "state": state,
                "results": [_row(rows[each]) for each in positions],
                "more": bool(following),
            },
        )
        if not following:
            break
        positions = following
    if job.state.is_final:
        end = JobEvent(
            job.version,
            EventType.STATE,
            job.finished_at or job.updated_at,
            job.state,
            None,
            counts,
            counts.done,
            None if job.error_code is None else (job.error_code, job.error_message or ""),
        )
        yield _moved(job, end)


def keepalive(job: Job, seq: int, state: JobState) -> Message:
    """Nothing has happened, and nobody has hung up."""
    return _message("keepalive", job, seq, {"status": STATUS_WORDS[state]})


def _share(done: int, total: int) -> float:
    return (10_000 * done // total) / 10_000


def _message(name: str, job: Job, seq: int, body: Mapping[str, Any]) -> Message:
    said = {"type": name, "job_id": job.external_id, **body, "seq": seq}
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return Message(name, text, seq or None)


WORDING = Wording(DIALECT, say, open_, keepalive, says_end=False)
