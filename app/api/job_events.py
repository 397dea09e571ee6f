"""The native API's events of a job: a stream, or a list for the audit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, jsonify, request

from app.api import jobs, jobs_render, streams
from app.api.auth import requires
from app.api.context import resources
from app.api.paging import read_limit
from app.api.streams import Message, Wording
from app.errors import InvalidParameter
from app.jobs.events import service
from app.jobs.events.model import ALL_TYPES, Counts, EventType, JobEvent, picture
from app.jobs.model import Job

bp = Blueprint("job_events", __name__, url_prefix="/v1/jobs")


@bp.get("/<job_id>/events")
@requires(streams.PERMISSION)
def show(job_id: str) -> Response:
    """Stream what happens to a job as server-sent events, or list what has happened."""
    types = _types()
    job = jobs.find(job_id)
    # Without a stream to give, whoever takes a list as well gets that.
    if streams.is_wanted() and (
        streams.are_here() or resources().settings.live_url or not streams.takes_json()
    ):
        return streams.respond(job, wording(types))
    limit, after = read_limit(), streams.parse_after(request.args.get("after")) or 0
    events = service.page(resources(), job, after=after, limit=limit + 1, types=types)
    page, has_more = events[:limit], len(events) > limit
    response = jsonify(
        object="list",
        data=[
            {"seq": each.seq, "type": each.type, "at": jobs_render.stamp(each.at), **_data(each)}
            for each in page
        ],
        has_more=has_more,
        next_cursor=str(page[-1].seq) if has_more else None,
    )
    response.headers["Vary"] = "Accept"
    return response


@lru_cache(maxsize=16)
def wording(types: frozenset[EventType]) -> Wording:
    return Wording("native", say, _open, types=types)


def say(job: Job, event: JobEvent) -> Message:
    return Message(event.type, _json(_data(event)), event.seq)


def _open(_: streams.Reading, job: Job) -> Iterator[Message]:
    """The counts, the state and, of a job that has ended, the end."""
    progress, *others = picture(job)
    # Without an id: whoever broke off behind it is told of the state again, and not of less.
    yield Message(progress.type, _json(_data(progress)))
    for event in others:
        yield say(job, event)


def _data(event: JobEvent) -> dict[str, Any]:
    match event.type:
        case EventType.STATE:
            body: dict[str, Any] = {"status": event.state, "previous": event.previous}
            if event.error is not None:
                code, message = event.error
                body["error"] = {"code": code, "message": message}
            return body
        case EventType.PROGRESS:
            return {"counts": _counts(event.counts), "progress": _share(event.counts)}
        case EventType.ITEM:
            return _item(event)
        case EventType.END:
            return {"status": event.state}


def _counts(counts: Counts) -> dict[str, int]:
    return {
        "total": counts.total,
        # Items in a worker's hands are among them: an event knows of results only.
        "pending": counts.outstanding,
        "running": 0,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "expired": counts.expired,
    }


def _share(counts: Counts) -> float:
    # As in the job's record: rounded down, and 1 says that nothing more will come.
    return (10_000 * (counts.total - counts.outstanding) // counts.total) / 10_000


def _item(event: JobEvent) -> dict[str, Any]:
    assert event.item is not None, "items come with their rows"
    return {**jobs_render.item(event.item), "matches": event.item["matches"]}


def _types() -> frozenset[EventType]:
    """`?types=state,end`: only these."""
    text = request.args.get("types")
    if text is None:
        return ALL_TYPES
    wanted = set(text.split(","))
    if not wanted <= set(EventType):
        raise InvalidParameter(f"types must be of: {', '.join(EventType)}; several with commas.")
    return frozenset(map(EventType, wanted))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
