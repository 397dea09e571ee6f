"""The part of the OpenAPI document that is about monitored watchlists, and exports."""

from __future__ import annotations

from http import HTTPStatus

from marshmallow import Schema

from app.api import formats
from app.api.exports import links
from app.api.openapi_model import CONFLICT, CURSOR, LIMIT, Operation, query
from app.api.openapi_shapes import CURSOR as CURSOR_SHAPE
from app.api.openapi_shapes import (
    ID,
    SCORE,
    SUCCESS,
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
from schemas.kyc_watchlists import (
    CHANGES,
    FREQUENCIES,
    RemovedSubjectsSchema,
    WatchlistChangesSchema,
    WatchlistSchema,
)

SCHEMAS: tuple[tuple[str, type[Schema]], ...] = (
    ("NewWatchlist", WatchlistSchema),
    ("WatchlistChanges", WatchlistChangesSchema),
    ("RemovedSubjects", RemovedSubjectsSchema),
)

_ENTITY = query("entity_id", TEXT, "Only of this subject.")

OPERATIONS: dict[str, Operation] = {
    "kyc_watchlists.create": Operation(
        "WatchlistAnswer", body="NewWatchlist", status=HTTPStatus.CREATED, more=CONFLICT
    ),
    "kyc_watchlists.list_all": Operation("Watchlists", query=(LIMIT, CURSOR)),
    "kyc_watchlists.show": Operation("WatchlistAnswer"),
    "kyc_watchlists.change": Operation("WatchlistAnswer", body="WatchlistChanges", more=CONFLICT),
    "kyc_watchlists.delete": Operation("WatchlistDeleted"),
    "kyc_watchlists.add_subjects": Operation("SubjectsAdded", body="NewSubjects"),
    "kyc_watchlists.list_subjects": Operation("WatchedSubjects", query=(LIMIT, CURSOR)),
    "kyc_watchlists.show_subject": Operation(
        "WatchedSubjectAnswer", more=(HTTPStatus.BAD_REQUEST,)
    ),
    "kyc_watchlists.remove_subject": Operation("SubjectsRemoved", more=(HTTPStatus.BAD_REQUEST,)),
    "kyc_watchlists.remove_subjects": Operation("SubjectsRemoved", body="RemovedSubjects"),
    "kyc_watchlists.check": Operation(
        "CheckReport", more=(HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT)
    ),
    "kyc_watchlists.history": Operation("Checks", query=(LIMIT, CURSOR)),
    "kyc_watchlists.show_check": Operation("CheckReport"),
    "kyc_watchlists.list_hits": Operation(
        "Hits",
        query=(_ENTITY, query("list_name", TEXT, "Only on this list."), LIMIT, CURSOR),
    ),
    "kyc_watchlists.list_changes": Operation(
        "Changes",
        query=(
            query("check_id", ID, "Only what this check found."),
            query("change", {"type": "string", "enum": list(CHANGES)}, "Only these."),
            query("alerts", YES_NO, "true: only those that the watchlist's alert_config names."),
            LIMIT,
            CURSOR,
        ),
    ),
    "kyc_exports.link": Operation(
        "ExportLink",
        query=(query("format", {"type": "string", "enum": list(links.FORMATS)}, "pdf, if told."),),
        more=(HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.CONFLICT),
    ),
    "kyc_exports.download": Operation(
        "Job",
        media=(formats.CSV, "text/html", "application/pdf"),
        more=(
            *(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.CONFLICT),
            HTTPStatus.GONE,
        ),
    ),
}

_OR_NULL_TIME: Shape = {"type": ["string", "null"], "format": "date-time"}
_OR_NULL_ID: Shape = {"type": ["string", "null"], "format": "uuid"}
_OR_NULL_SCORE: Shape = {**SCORE, "type": ["number", "null"]}

_CHECK: Shape = {
    "check_id": ID,
    "job_id": {**_OR_NULL_ID, "description": "The screening job; null if nobody was screened."},
    "check_status": {"type": "string", "enum": ["running", "completed", "failed"]},
    "cause": {
        "type": "string",
        "enum": [
            *("manual", "scheduled", "subjects_added", "list_update"),
            *("review", "new_engine"),
        ],
    },
    "subjects_checked": WHOLE,
    "subjects_failed": WHOLE,
    "subjects_total": WHOLE,
    "total_matches": WHOLE,
    "previous_matches": WHOLE,
    "new_matches_count": WHOLE,
    "gone_matches_count": WHOLE,
    "changed_matches_count": WHOLE,
    "has_changes": YES_NO,
    "results_by_list": by_name(object_of({"checked": WHOLE, "matches": WHOLE})),
    "list_versions": by_name(TEXT),
    "lists_missing": {
        **list_of(TEXT),
        "description": "Lists that the watchlist names and that were not loaded.",
    },
    "duration_ms": or_null("integer"),
    "created_at": TIME,
    "created_by": TEXT,
    "checked_at": _OR_NULL_TIME,
    "update": {
        **object_of(
            {
                "list_name": TEXT,
                "from_version": or_null("string"),
                "to_version": or_null("string"),
            }
        ),
        "description": "Only of a list update; to_version is null if the list was withdrawn.",
    },
    "error": {
        **object_of({"code": TEXT, "message": TEXT}),
        "description": "Only of a failed check.",
    },
}
_SOMETIMES = ("update", "error")


def _page(name: str, of: str) -> Shape:
    return object_of(
        {"status": SUCCESS, name: list_of(ref(of)), "count": WHOLE, "next_cursor": CURSOR_SHAPE}
    )


SHAPES: dict[str, Shape] = {
    "NewSubjects": object_of(
        {
            "subjects": {
                "type": "array",
                "items": ref("Entity"),
                "minItems": 1,
                "maxItems": 10_000,
                "description": "Their `lists` and `search_type` are those of the watchlist.",
            }
        }
    ),
    "Watchlist": object_of(
        {
            "watchlist_id": ID,
            "watchlist_name": TEXT,
            "description": or_null("string"),
            "check_frequency": {"type": "string", "enum": list(FREQUENCIES)},
            "lists": {
                "type": ["array", "null"],
                "items": TEXT,
                "description": "null: whatever is loaded.",
            },
            "threshold": SCORE,
            "search_type": TEXT,
            "alert_config": object_of({"on_new_match": YES_NO, "on_status_change": YES_NO}),
            "subjects": WHOLE,
            "total_matches": WHOLE,
            "created_at": TIME,
            "created_by": TEXT,
            "updated_at": TIME,
            "checked_at": _OR_NULL_TIME,
            "next_check_at": _OR_NULL_TIME,
        }
    ),
    "WatchlistAnswer": object_of({"status": SUCCESS, "watchlist": ref("Watchlist")}),
    "Watchlists": _page("watchlists", "Watchlist"),
    "WatchlistDeleted": object_of(
        {"status": SUCCESS, "watchlist_id": ID, "deleted": {"const": True}}
    ),
    "SubjectsAdded": object_of(
        {
            "status": SUCCESS,
            "watchlist_id": ID,
            "added": WHOLE,
            "changed": WHOLE,
            "unchanged": WHOLE,
            "subjects": WHOLE,
        }
    ),
    "SubjectsRemoved": object_of({"status": SUCCESS, "watchlist_id": ID, "removed": WHOLE}),
    "WatchedSubject": object_of(
        {
            "entity_id": TEXT,
            "subject": {"type": "object"},
            "added_at": TIME,
            "screened_at": _OR_NULL_TIME,
        }
    ),
    "WatchedSubjectAnswer": object_of({"status": SUCCESS, "subject": ref("WatchedSubject")}),
    "WatchedSubjects": _page("subjects", "WatchedSubject"),
    "WatchlistCheck": object_of(_CHECK, optional=_SOMETIMES),
    "Checks": _page("checks", "WatchlistCheck"),
    "CheckReport": object_of(
        {
            "status": SUCCESS,
            "data": object_of(
                {"watchlist_id": ID, "watchlist_name": TEXT, **_CHECK}, optional=_SOMETIMES
            ),
            "execution_context": object_of({"timestamp": TIME, "request_id": TEXT}),
        }
    ),
    "Hit": object_of(
        {"entity_id": TEXT, "first_seen_at": TIME, "changed_at": TIME, "match": ref("Match")}
    ),
    "Hits": _page("hits", "Hit"),
    "Change": object_of(
        {
            "check_id": ID,
            "at": TIME,
            "entity_id": TEXT,
            "change": {"type": "string", "enum": list(CHANGES)},
            "alert": YES_NO,
            "list_name": TEXT,
            "entry_id": TEXT,
            "confidence_score": _OR_NULL_SCORE,
            "previous_score": _OR_NULL_SCORE,
            "match": {**ref("Match"), "description": "As it is now, or of a gone one, as it was."},
        }
    ),
    "Changes": _page("changes", "Change"),
    "ExportLink": object_of(
        {
            "request_id": TEXT,
            "bucket": {"const": "exports"},
            "key": TEXT,
            "presigned_url": {**TEXT, "format": "uri"},
            "expires_at": TIME,
        }
    ),
}
