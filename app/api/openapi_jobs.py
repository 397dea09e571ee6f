"""The part of the OpenAPI document that is about the native API, /v1."""

from __future__ import annotations

from http import HTTPStatus

from marshmallow import Schema

from app.api import formats, jobs
from app.api.openapi_model import AFTER, CONFLICT, LIMIT, Operation, query
from app.api.openapi_shapes import (
    CURSOR,
    SCORE,
    TEXT,
    TIME,
    WHOLE,
    YES_NO,
    Shape,
    by_name,
    list_of,
    object_of,
    or_null,
    ref,
)
from app.jobs.states import JobState
from schemas.jobs import RetryJobSchema

#: RFC 9457.
MEDIA = "application/problem+json"

SCHEMAS: tuple[tuple[str, type[Schema]], ...] = (("RetryJob", RetryJobSchema),)

_FORMATS: Shape = {"type": "string", "enum": list(formats.FORMATS)}
_NOT_MODIFIED = (HTTPStatus.NOT_MODIFIED,)
#: The job's time is over: so it is said for 30 days.
_GONE = (HTTPStatus.GONE,)

OPERATIONS: dict[str, Operation] = {
    "jobs.search": Operation(
        "JobRecords",
        query=(
            query("status", TEXT, f"Only these, with commas: {', '.join(JobState)}."),
            query("kind", TEXT, "Only these, with commas."),
            query("external_id", TEXT, "Only the job that its dialect shows under this id."),
            query("label.name", TEXT, "Only jobs with this value of the label `name`."),
            LIMIT,
            AFTER,
        ),
    ),
    "jobs.show": Operation("JobRecord", more=(*_NOT_MODIFIED, *_GONE)),
    "jobs.list_items": Operation(
        "JobItems",
        query=(
            query("status", TEXT, f"Only these, with commas: {', '.join(jobs.ITEM_STATUSES)}."),
            LIMIT,
            AFTER,
        ),
        more=_GONE,
    ),
    "jobs.list_errors": Operation("JobErrors", query=(LIMIT, AFTER), more=_GONE),
    "jobs.delete": Operation("JobRecord", status=HTTPStatus.NO_CONTENT, more=(*CONFLICT, *_GONE)),
    "jobs.results": Operation(
        "JobResults",
        query=(
            query("format", _FORMATS, "Stronger than the Accept header."),
            query("status", {"type": "string", "enum": ["succeeded", "failed"]}, "Only these."),
            LIMIT,
            AFTER,
        ),
        media=(formats.NDJSON, formats.CSV),
        more=_GONE,
    ),
    "jobs.pause": Operation("JobRecord", more=(*CONFLICT, *_GONE)),
    "jobs.resume": Operation("JobRecord", more=(*CONFLICT, *_GONE)),
    "jobs.cancel": Operation("JobRecord", more=(*CONFLICT, *_GONE)),
    "jobs.retry": Operation(
        "JobRecord",
        body="RetryJob",
        optional_body=True,
        status=HTTPStatus.ACCEPTED,
        more=(*CONFLICT, *_GONE, HTTPStatus.UNPROCESSABLE_ENTITY),
    ),
}

_ID: Shape = {"type": "string", "pattern": "^job_[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
_ACTIONS = list_of({"type": "string", "enum": ["pause", "resume", "cancel", "retry"]})
_STATUS: Shape = {"type": "string", "enum": [str(state) for state in JobState]}
_SOMETIME: Shape = {"type": ["string", "null"], "format": "date-time"}
_WHY: Shape = {
    "type": ["object", "null"],
    "properties": {"code": TEXT, "message": TEXT},
    "required": ["code", "message"],
}


def _page(items: str) -> Shape:
    return object_of(
        {
            "object": {"const": "list"},
            "data": list_of(ref(items)),
            "has_more": YES_NO,
            "next_cursor": CURSOR,
        }
    )


SHAPES: dict[str, Shape] = {
    "JobRecord": object_of(
        {
            "id": {**_ID, "description": "The job's UUID in base 32; the UUID is understood too."},
            "object": {"const": "job"},
            "kind": TEXT,
            "dialect": TEXT,
            "external_id": {**TEXT, "description": "What the dialect calls the job."},
            "status": _STATUS,
            "status_reason": {
                **or_null("string"),
                "description": "rate_limited: a model wants to be left alone until resume_at.",
            },
            "allowed_actions": _ACTIONS,
            "counts": {
                **object_of(
                    dict.fromkeys(
                        ("total", "pending", "running", "succeeded", "failed", "cancelled"), WHOLE
                    )
                    | {"expired": WHOLE}
                ),
                "description": "The six after `total` always sum to it.",
            },
            "progress": {**SCORE, "description": "1 when nothing more will come."},
            "passes": WHOLE,
            "error": _WHY,
            "summary": object_of({"matches_found": WHOLE}, optional=("matches_found",)),
            "warnings": list_of(ref("Warning")),
            "labels": by_name(TEXT),
            "retry_of": or_null("string"),
            "created_by": object_of({"uid": TEXT}),
            "created_at": TIME,
            "started_at": _SOMETIME,
            "finished_at": _SOMETIME,
            "updated_at": TIME,
            "deadline_at": {**_SOMETIME, "description": "Only while the job's time runs."},
            "expires_at": {
                **_SOMETIME,
                "description": "From when on it is deleted; null while it runs, or if never.",
            },
            "resume_at": {**_SOMETIME, "description": "When it goes on by itself."},
            "estimated_completion": _SOMETIME,
            "links": object_of(
                {"self": TEXT, "items": TEXT, "results": TEXT, "events": TEXT, "dialect": TEXT},
                optional=("dialect",),
            ),
        }
    ),
    "JobRecords": _page("JobRecord"),
    "JobItem": object_of(
        {
            "index": WHOLE,
            "ref": {**or_null("string"), "description": "What the client calls it."},
            "status": {"type": "string", "enum": list(jobs.ITEM_STATUSES)},
            "attempts": WHOLE,
            "error": _WHY,
        }
    ),
    "JobItems": _page("JobItem"),
    "JobError": object_of(
        {
            "code": TEXT,
            "message": {**TEXT, "description": "One of them, where they differ in numbers only."},
            "count": WHOLE,
            "indexes": {**list_of(WHOLE), "description": "Of the first items that failed so."},
        }
    ),
    "JobErrors": _page("JobError"),
    "JobResult": object_of(
        {
            "index": WHOLE,
            "ref": or_null("string"),
            "status": {"type": "string", "enum": ["succeeded", "failed"]},
            "result": {"type": ["object", "null"], "description": "As the kind wrote it."},
            "error": _WHY,
            "attempts": WHOLE,
            "finished_at": TIME,
        }
    ),
    "JobResults": _page("JobResult"),
    "Problem": object_of(
        {
            "type": {**TEXT, "description": "Stable; what a program decides by."},
            "title": TEXT,
            "status": WHOLE,
            "detail": {**TEXT, "description": "For people."},
            "instance": TEXT,
            "current_status": {**_STATUS, "description": "Of invalid-state."},
            "allowed_actions": {**_ACTIONS, "description": "Of invalid-state."},
            "required_permission": {**TEXT, "description": "Of insufficient-permissions."},
            "errors": {
                **list_of(object_of({"detail": TEXT, "pointer": TEXT})),
                "description": "Of validation-error.",
            },
            "max_bytes": {**WHOLE, "description": "Of payload-too-large."},
            "retry_after": {**WHOLE, "description": "Of quota-exceeded: seconds."},
            "violated-policies": {
                **list_of(TEXT),
                "description": "Of quota-exceeded: names in RateLimit-Policy.",
            },
            "request_id": TEXT,
        },
        optional=(
            *("current_status", "allowed_actions", "required_permission", "errors"),
            *("max_bytes", "retry_after", "violated-policies"),
        ),
        says="RFC 9457.",
    ),
}
