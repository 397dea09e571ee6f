"""The part of the OpenAPI document that is about watching jobs."""

from __future__ import annotations

from http import HTTPStatus

from app.api.openapi_model import LIMIT, Operation, query
from app.api.openapi_shapes import CURSOR, TEXT, TIME, WHOLE, YES_NO, Shape, list_of, object_of, ref
from app.api.streams import EVENT_STREAM
from app.jobs.events.model import EventType

_AFTER = query("after", WHOLE, "Only what follows on the event with this number.")
_ELSEWHERE = (HTTPStatus.NO_CONTENT, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.NOT_ACCEPTABLE)

OPERATIONS: dict[str, Operation] = {
    "job_events.show": Operation(
        "JobEvents",
        query=(
            query("types", TEXT, f"Only these, with commas: {', '.join(EventType)}."),
            _AFTER,
            LIMIT,
        ),
        more=(*_ELSEWHERE, HTTPStatus.GONE),
        media=(EVENT_STREAM,),
    ),
    "documents_events.show": Operation(
        "DocumentsMessage", query=(_AFTER,), more=_ELSEWHERE, media=(EVENT_STREAM,)
    ),
    "documents_events.websocket": Operation(
        "DocumentsMessage",
        more=(HTTPStatus.UPGRADE_REQUIRED,),
        status=HTTPStatus.SWITCHING_PROTOCOLS,
    ),
}

_COUNTS = object_of(
    dict.fromkeys(
        ("total", "pending", "running", "succeeded", "failed", "cancelled", "expired"), WHOLE
    )
)

SHAPES: dict[str, Shape] = {
    "JobEvents": object_of(
        {
            "object": {"const": "list"},
            "data": list_of(ref("JobEvent")),
            "has_more": YES_NO,
            "next_cursor": CURSOR,
        },
        says="In the order in which it happened. As a stream, each event's `data` has the members"
        " behind `at`, its `id` is `seq`, its `event` is `type`.",
    ),
    "JobEvent": object_of(
        {
            "seq": WHOLE,
            "type": {"type": "string", "enum": list(EventType)},
            "at": TIME,
            "status": TEXT,
            "previous": {"type": ["string", "null"]},
            "counts": _COUNTS,
            "progress": {"type": "number", "minimum": 0, "maximum": 1},
            "index": WHOLE,
            "ref": {"type": ["string", "null"]},
            "matches": WHOLE,
            "attempts": WHOLE,
            "error": {"type": ["object", "null"], "additionalProperties": TEXT},
        },
        optional=(
            *("status", "previous", "counts", "progress", "index", "ref", "matches", "attempts"),
            "error",
        ),
        says="state: status, previous and, of a failed job, error. progress: counts, progress."
        " item: index to error. end: status.",
    ),
    "DocumentsMessage": {
        "type": "object",
        "properties": {
            "type": {
                "enum": [
                    *("catchup", "progress", "status", "paused", "resumed", "completed"),
                    *("cancelled", "error", "keepalive"),
                ]
            },
            "job_id": TEXT,
            "seq": WHOLE,
        },
        "required": ["type", "job_id", "seq"],
        "description": "docs/live.md has the members of each type.",
    },
}
