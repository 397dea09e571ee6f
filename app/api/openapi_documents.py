"""The part of the OpenAPI document that is about dialect D, /api."""

from __future__ import annotations

from http import HTTPStatus

from marshmallow import Schema

from app.api import formats
from app.api.openapi_model import CONFLICT, CURSOR, LIMIT, Operation, query
from app.api.openapi_shapes import (
    CURSOR as NEXT_CURSOR,
)
from app.api.openapi_shapes import (
    ID,
    SCORE,
    TEXT,
    TIME,
    WHOLE,
    YES_NO,
    Shape,
    list_of,
    object_of,
    or_null,
    ref,
)
from schemas.documents import (
    SOURCE_TYPES,
    TARGETS,
    DocumentSchema,
    LoginSchema,
    LogoutSchema,
    RefreshSchema,
    RegisterSchema,
)

SCHEMAS: tuple[tuple[str, type[Schema]], ...] = (
    ("DocumentFields", DocumentSchema),
    ("Register", RegisterSchema),
    ("Login", LoginSchema),
    ("Refresh", RefreshSchema),
    ("Logout", LogoutSchema),
)

_FORMATS: Shape = {"type": "string", "enum": list(formats.FORMATS)}
_WORDS: Shape = {
    "type": "string",
    "enum": ["pending", "processing", "completed", "failed", "cancelled", "paused"],
}
_WARNINGS: Shape = {
    **list_of(ref("Warning")),
    "description": "Only where there is something to know.",
}
_BAD = (HTTPStatus.BAD_REQUEST,)
_OFFSET = (
    query(
        "limit",
        {"type": "integer", "minimum": 1, "maximum": 100, "default": 50},
        "Entries of one page.",
    ),
    query("offset", {"type": "integer", "minimum": 0, "default": 0}, "Entries to leave out."),
)
_ITEM_STATUS = query("status", {"type": "string", "enum": ["success", "failed"]}, "Only these.")
_NO_LOGIN = (HTTPStatus.UNAUTHORIZED,)

OPERATIONS: dict[str, Operation] = {
    "documents.start": Operation("Started", body="Start", form="StartForm", more=CONFLICT),
    "documents.status": Operation("BatchStatus", more=(HTTPStatus.NOT_MODIFIED, *_BAD)),
    "documents.pause": Operation("Controlled", more=(*CONFLICT, *_BAD)),
    "documents.resume": Operation("Controlled", more=(*CONFLICT, *_BAD)),
    "documents.cancel": Operation("Controlled", more=(*CONFLICT, *_BAD)),
    "documents.active": Operation("Active"),
    "documents.results": Operation(
        "TaggedPage",
        query=(query("format", _FORMATS, "Stronger than the Accept header."), LIMIT, CURSOR),
        media=(formats.NDJSON, formats.CSV),
    ),
    "documents.retry": Operation("Started", more=(*CONFLICT, *_BAD)),
    "documents_single.process": Operation("Single", body="SingleDocument"),
    "documents_single.upload": Operation(
        "Uploaded",
        body="UploadForm",
        body_media="multipart/form-data",
        status=HTTPStatus.CREATED,
    ),
    "documents_single.validate_paths": Operation("Validated", body="Paths"),
    "documents_single.template": Operation("Template", only_media="text/csv"),
    "documents_history.list_jobs": Operation(
        "HistoryJobs", query=(query("status", _WORDS, "Only these."), *_OFFSET)
    ),
    "documents_history.show_job": Operation("HistoryJobDetail"),
    "documents_history.delete_job": Operation("DeletedJob", more=CONFLICT),
    "documents_history.list_documents": Operation(
        "HistoryDocuments", query=(_ITEM_STATUS, *_OFFSET)
    ),
    "documents_history.search_documents": Operation(
        "HistoryDocuments",
        query=(
            {**query("q", TEXT, "Words of a title or a path."), "required": True},
            _ITEM_STATUS,
            *_OFFSET,
        ),
    ),
    "documents_history.show_document": Operation("HistoryDocument"),
    "documents_history.stats": Operation("Stats"),
    "documents_auth.register": Operation(
        "SignedIn",
        body="Register",
        status=HTTPStatus.CREATED,
        more=(HTTPStatus.FORBIDDEN, *CONFLICT),
    ),
    "documents_auth.login": Operation("SignedIn", body="Login", more=_NO_LOGIN),
    "documents_auth.refresh": Operation(
        "SessionTokens", body="Refresh", more=(*_NO_LOGIN, HTTPStatus.FORBIDDEN)
    ),
    "documents_auth.logout": Operation(
        "Message", body="Logout", optional_body=True, more=(HTTPStatus.NOT_FOUND,)
    ),
    "documents_auth.me": Operation("Account", more=(HTTPStatus.NOT_FOUND,)),
}

_MAYBE_TIME: Shape = {"type": ["string", "null"], "format": "date-time"}
_TAG = object_of(
    {
        "tag": TEXT,
        "type": {"type": "string", "enum": ["category", "keyphrase", "entity", "language"]},
        "score": {**SCORE, "description": "Ranks; it is no probability."},
        "source": TEXT,
        "count": WHOLE,
        "offsets": list_of(object_of({"field": TEXT, "start": WHOLE, "end": WHOLE})),
        "label": or_null("string"),
        "grounded": or_null("boolean"),
    },
    optional=("label", "grounded"),
)
_GIVEN: Shape = {
    "id": TEXT,
    "title": TEXT,
    "file_path": TEXT,
    "file_source_type": {"type": "string", "enum": list(SOURCE_TYPES)},
    "description": TEXT,
    "publishing_date": TEXT,
    "file_size": TEXT,
}
_TAGGED: Shape = {
    "index": WHOLE,
    **_GIVEN,
    "status": {"type": "string", "enum": ["success", "failed"]},
    "tags": list_of(ref("Tag")),
    "language": object_of({"code": TEXT, "score": SCORE}),
    "model": TEXT,
    "taxonomy": TEXT,
    "truncated": YES_NO,
    "omitted": list_of(TEXT),
    "warnings": list_of({"type": "object"}),
    "document": object_of(
        {
            "type": TEXT,
            "size": WHOLE,
            "pages": or_null("integer"),
            "pages_read": or_null("integer"),
            "truncated": YES_NO,
        }
    ),
    "extra": {"type": "object", "description": "Columns that were not mapped."},
    "processed_at": _MAYBE_TIME,
    "error": {**TEXT, "description": "Only of a document that failed."},
    "error_type": {**TEXT, "description": "Stable; what a program decides by."},
}
_ALWAYS = ("index", "status", "extra", "processed_at")
_NOT_ALWAYS = tuple(name for name in _TAGGED if name not in _ALWAYS)
_COUNTS: Shape = {
    "job_id": TEXT,
    "status": _WORDS,
    "total_documents": WHOLE,
    "processed_count": {**WHOLE, "description": "Documents that were tagged."},
    "failed_count": WHOLE,
    "progress": {**SCORE, "description": "Both together, of all."},
    "total": WHOLE,
}
_HISTORY_JOB: Shape = {
    "id": ID,
    "job_id": TEXT,
    "job_type": {"type": "string", "enum": ["single", "batch"]},
    "status": _WORDS,
    "total_documents": WHOLE,
    "processed_count": WHOLE,
    "failed_count": WHOLE,
    "config": {"type": "object"},
    "error_message": or_null("string"),
    "started_at": _MAYBE_TIME,
    "completed_at": _MAYBE_TIME,
    "created_at": TIME,
}
_HISTORY_DOCUMENT: Shape = {
    "id": TEXT,
    "title": or_null("string"),
    "file_path": or_null("string"),
    "file_source_type": or_null("string"),
    "status": TEXT,
    "tags": list_of(ref("Tag")),
    "error_message": or_null("string"),
    "processed_at": _MAYBE_TIME,
    "job_id": {**TEXT, "description": "Only in lists of several jobs."},
}

SHAPES: dict[str, Shape] = {
    "Start": object_of(
        {
            "documents": list_of(
                {
                    **ref("DocumentFields"),
                    "description": "Other columns come back with the result, as `extra`.",
                }
            ),
            "config": {"type": "object", "description": "How to tag; {} for the defaults."},
            "column_mapping": {
                "type": "object",
                "additionalProperties": {"type": "string", "enum": list(TARGETS)},
                "description": "The caller's names of columns.",
            },
            "job_id": {**TEXT, "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"},
            "deadline": {**TEXT, "description": "An ISO 8601 duration of running time."},
        },
        optional=("column_mapping", "job_id", "deadline"),
    ),
    "StartForm": object_of(
        {
            "file": {"type": "string", "format": "binary", "description": "CSV, in UTF-8."},
            "config": {**TEXT, "description": "As in JSON."},
            "column_mapping": {**TEXT, "description": "As in JSON."},
            "job_id": TEXT,
            "deadline": TEXT,
        },
        optional=("column_mapping", "job_id", "deadline"),
    ),
    "SingleDocument": {
        "allOf": [
            ref("DocumentFields"),
            object_of(
                {"document": ref("DocumentFields"), "config": {"type": "object"}},
                optional=("document", "config"),
            ),
        ]
    },
    "UploadForm": object_of({"files": list_of({"type": "string", "format": "binary"})}),
    "Paths": object_of(
        {"paths": list_of(TEXT), "documents": list_of(ref("DocumentFields"))},
        optional=("paths", "documents"),
    ),
    "Started": object_of(
        {"job_id": TEXT, "total_documents": WHOLE, "message": TEXT, "retry_of": TEXT}
        | {"warnings": _WARNINGS},
        optional=("retry_of", "warnings"),
    ),
    "BatchStatus": object_of(
        {
            **_COUNTS,
            "results_count": WHOLE,
            "pause_requested": YES_NO,
            "cancel_requested": YES_NO,
            "resume_at": {
                **TIME,
                "description": "When a job that a model's rate limit paused goes on.",
            },
            "error": TEXT,
            "warnings": _WARNINGS,
        },
        optional=("pause_requested", "cancel_requested", "resume_at", "error", "warnings"),
    ),
    "Controlled": object_of({"message": TEXT, "job_id": TEXT, "status": _WORDS}),
    "Active": object_of({"jobs": list_of(object_of({**_COUNTS, "created_at": TIME}))}),
    "Tag": _TAG,
    "Tagged": object_of(_TAGGED, optional=_NOT_ALWAYS),
    "TaggedPage": object_of(
        {
            "job_id": TEXT,
            "status": _WORDS,
            "results": list_of(ref("Tagged")),
            "has_more": YES_NO,
            "next_cursor": NEXT_CURSOR,
        }
    ),
    "Single": object_of({"job_id": TEXT, **_TAGGED}, optional=_NOT_ALWAYS),
    "Uploaded": object_of(
        {
            "files": list_of(
                object_of(
                    {
                        "file_path": TEXT,
                        "file_source_type": {"const": "upload"},
                        "name": TEXT,
                        "size": WHOLE,
                        "sha256": TEXT,
                        "expires_at": TIME,
                    }
                )
            )
        }
    ),
    "Validated": object_of(
        {
            "results": list_of(
                object_of(
                    {
                        "file_path": or_null("string"),
                        "valid": YES_NO,
                        "file_source_type": TEXT,
                        "error": TEXT,
                        "error_type": TEXT,
                    },
                    optional=("file_source_type", "error", "error_type"),
                )
            ),
            "total": WHOLE,
            "valid_count": WHOLE,
            "invalid_count": WHOLE,
        }
    ),
    "HistoryJobs": object_of(
        {
            "jobs": list_of(object_of(_HISTORY_JOB)),
            "total": WHOLE,
            "limit": WHOLE,
            "offset": WHOLE,
        }
    ),
    "HistoryJobDetail": object_of({**_HISTORY_JOB, "documents": list_of(ref("HistoryDocument"))}),
    "HistoryDocument": object_of(_HISTORY_DOCUMENT, optional=("job_id",)),
    "HistoryDocuments": object_of(
        {
            "documents": list_of(ref("HistoryDocument")),
            "total": WHOLE,
            "limit": WHOLE,
            "offset": WHOLE,
        }
    ),
    "DeletedJob": object_of({"message": TEXT, "job_id": TEXT}),
    "Stats": object_of(
        dict.fromkeys(
            (
                *("total_jobs", "completed_jobs", "failed_jobs", "cancelled_jobs", "active_jobs"),
                *("total_documents", "processed_documents", "failed_documents"),
            ),
            WHOLE,
        )
    ),
    "Account": object_of(
        {
            "id": ID,
            "email": TEXT,
            "full_name": or_null("string"),
            "is_active": YES_NO,
            "is_verified": YES_NO,
            "created_at": TIME,
        }
    ),
    "SessionTokens": object_of(
        {
            "access_token": TEXT,
            "refresh_token": TEXT,
            "token_type": {"const": "bearer"},
            "expires_in": WHOLE,
        }
    ),
    "SignedIn": object_of({"user": ref("Account"), "tokens": ref("SessionTokens")}),
    "Message": object_of({"message": TEXT}),
    "Template": {"type": "string"},
    "Detail": object_of(
        {
            "detail": TEXT,
            "errors": {
                **list_of(
                    object_of({"loc": list_of({"type": ["string", "integer"]}), "msg": TEXT})
                ),
                "description": "Where several things are wrong.",
            },
            "job_id": TEXT,
            "status": {**_WORDS, "description": "Of a job in a state that does not allow this."},
            "required_permission": TEXT,
        },
        optional=("errors", "job_id", "status", "required_permission"),
    ),
}
