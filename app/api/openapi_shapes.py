"""What dialect A answers, as JSON Schemas for the OpenAPI document.

Requests are described by the marshmallow schemas that read them; answers are rendered by hand, for
speed, so they are described by hand. tests/contract/test_openapi.py holds real answers to this.
"""

from __future__ import annotations

from typing import Any

Shape = dict[str, Any]

WHOLE: Shape = {"type": "integer", "minimum": 0}
TEXT: Shape = {"type": "string"}
YES_NO: Shape = {"type": "boolean"}
TIME: Shape = {"type": "string", "format": "date-time"}
ID: Shape = {"type": "string", "format": "uuid"}
SCORE: Shape = {"type": "number", "minimum": 0, "maximum": 1}
JOB_STATUS: Shape = {"type": "string", "enum": ["processing", "completed", "failed"]}
SUCCESS: Shape = {"const": "success"}
CURSOR: Shape = {"type": ["string", "null"], "description": "For the next page; null on the last."}


def ref(name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(items: Shape) -> Shape:
    return {"type": "array", "items": items}


def by_name(values: Shape) -> Shape:
    return {"type": "object", "additionalProperties": values}


def or_null(kind: str) -> Shape:
    return {"type": [kind, "null"]}


def object_of(properties: Shape, *, optional: tuple[str, ...] = (), says: str = "") -> Shape:
    shape: Shape = {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }
    return {**shape, "description": says} if says else shape


_list, _by_name, _or_null, _object = list_of, by_name, or_null, object_of

_DECISION: Shape = {"type": "string", "enum": ["false_positive", "true_match"]}
_WHY = _object({"code": TEXT, "message": TEXT})

_JOB: Shape = {
    "status": SUCCESS,
    "job_id": ID,
    "job_status": JOB_STATUS,
    "total_entities": WHOLE,
    "processed_entities": WHOLE,
    "completed_entities": WHOLE,
    "failed_entities": WHOLE,
    "matches_found": WHOLE,
    "created_at": TIME,
    "updated_at": TIME,
    "completed_at": {**TIME, "description": "Only of a completed job."},
    "estimated_completion": {**TIME, "description": "Only while the job is processing."},
    "error": {**_WHY, "description": "Only of a failed job."},
    "paused": {**YES_NO, "description": "Only of a job that is paused, or about to be."},
    "cancel_requested": {**YES_NO, "description": "Only of a job that is about to stop."},
    "retry_of": {**ID, "description": "Only of a retry: the job whose entities it screens again."},
    "warnings": {
        **_list(ref("Warning")),
        "description": "Only where there is something to know.",
    },
}
_SOMETIMES = (
    *("completed_at", "estimated_completion", "error", "paused", "cancel_requested", "retry_of"),
    "warnings",
)
_RESULTS = {**_list(ref("Result")), "description": "Only of a completed job, in input order."}

_LIST: Shape = {
    "list_name": TEXT,
    "description": TEXT,
    "version": TEXT,
    "published_at": {"type": ["string", "null"], "format": "date-time"},
    "loaded_at": TIME,
    "entities": WHOLE,
    "own": {**YES_NO, "description": "The tenant's own list, which nobody else can see."},
    "topics": _list(TEXT),
    "refreshed_at": {**TIME, "description": "When somebody last looked whether it has changed."},
    "refresh_seconds": {**_or_null("number"), "description": "How often that should happen."},
    "stale": {**YES_NO, "description": "It has not happened for longer."},
}

#: By the name under which the document knows them.
SHAPES: dict[str, Shape] = {
    "Created": _object(
        {
            "status": SUCCESS,
            "job_id": ID,
            "total_entities": WHOLE,
            "job_status": JOB_STATUS,
            "created_at": TIME,
            "estimated_completion": TIME,
            "retry_of": ID,
            "warnings": _list(ref("Warning")),
        },
        optional=("retry_of", "warnings"),
    ),
    "Warning": _object(
        {
            "code": {"type": "string", "enum": ["stale_list", "unknown_config"]},
            "list_name": TEXT,
            "message": TEXT,
        },
        optional=("list_name",),
        says="stale_list: a list had not been refreshed for longer than its interval."
        " unknown_config: a key in the configuration of a tagging job was ignored.",
    ),
    "Job": _object({**_JOB, "results": _RESULTS}, optional=(*_SOMETIMES, "results")),
    "Jobs": _object(
        {
            "status": SUCCESS,
            "jobs": _list(_object(_JOB, optional=_SOMETIMES)),
            "count": WHOLE,
            "next_cursor": CURSOR,
        }
    ),
    "Result": _object(
        {
            "entity_id": TEXT,
            "index": WHOLE,
            "status": {"type": "string", "enum": ["completed", "failed"]},
            "is_match": YES_NO,
            "match_count": {**WHOLE, "description": "All matches, also those not shown."},
            "matches": {**_list(ref("Match")), "maxItems": 100},
            "list_versions": _by_name(TEXT),
            "match_counts": {
                **_by_name(WHOLE),
                "description": "By list; only where there are more matches than are shown.",
            },
            "suppressed_count": {
                **WHOLE,
                "description": "Matches that a reviewer has ruled out; they count for nothing.",
            },
            "stale_lists": {
                **_list(TEXT),
                "description": "Lists that had not been refreshed for longer than their interval.",
            },
            "engine_version": TEXT,
            "error": {**_WHY, "description": "Only where status is failed."},
        },
        optional=(
            *("entity_id", "list_versions", "match_counts", "engine_version", "error"),
            *("suppressed_count", "stale_lists"),
        ),
    ),
    "Match": _object(
        {
            "list_name": TEXT,
            "list_version": TEXT,
            "confidence_score": SCORE,
            "match_type": {"type": "string", "enum": ["name", "identifier"]},
            "matched_name": TEXT,
            "matched_fields": _list(TEXT),
            "explanations": _by_name(SCORE),
            "matched_words": _list(
                _object(
                    {
                        "query": TEXT,
                        "listed": TEXT,
                        "how": TEXT,
                        "similarity": SCORE,
                        "weight": {"type": "number", "minimum": 0},
                    },
                    optional=("weight",),
                )
            ),
            "calculation": ref("Calculation"),
            "match_data": ref("Entry"),
            "suppressed": {
                "const": True,
                "description": "A reviewer has ruled it out: it is shown, and does not count.",
            },
            "exclusion_id": {**ID, "description": "The decision about this match."},
            "decision": _DECISION,
            "lapsed_exclusion_id": {
                **ID,
                "description": "A decision that no longer holds: entity or entry have changed.",
            },
        },
        optional=(
            *("suppressed", "exclusion_id", "decision", "lapsed_exclusion_id"),
            # Results of engine versions before 3 have none.
            "calculation",
        ),
    ),
    "Calculation": _object(
        {
            "rule": {
                "type": "string",
                "enum": ["same_words", "sounds_as_one"],
                "description": "Why the words count as one, whatever each of them is like.",
            },
            "words": {
                **SCORE,
                "description": "The sum of similarity times weight of matched_words, divided by"
                " the sum of weights and costs; with a rule, what the rule says.",
            },
            "left_over": _list(
                _object(
                    {
                        "side": {"type": "string", "enum": ["query", "listed"]},
                        "word": TEXT,
                        "weight": SCORE,
                        "cost": SCORE,
                    },
                    says="A word without a partner.",
                )
            ),
            "factors": _list(
                _object(
                    {"factor": TEXT, "value": SCORE},
                    says="words times every factor is the score of the name.",
                )
            ),
            "parts": _list(
                _object(
                    {
                        "feature": TEXT,
                        "agreement": {**_or_null("number"), "minimum": 0, "maximum": 1},
                        "takes": SCORE,
                        "of": {**SCORE, "description": "Absent: 1."},
                        "part": {"type": "number"},
                    },
                    optional=("takes", "of"),
                    says="part is -takes * (1 - agreement) * of; of the name, its score. An"
                    " agreement of null, which counts as 0, is something that one side does not"
                    " know.",
                )
            ),
        },
        optional=("rule", "words", "left_over", "factors"),
        says="How confidence_score came about: it is the sum of the parts, and never below 0.",
    ),
    "Entry": _object(
        {
            "id": TEXT,
            "name": TEXT,
            "aliases": _list(TEXT),
            "entity_type": {
                "type": "string",
                "enum": ["individual", "organization", "vessel", "aircraft"],
            },
            "nationality": _or_null("string"),
            "birth_date": _or_null("string"),
            "identifiers": _list(_object({"type": TEXT, "value": TEXT})),
            "programs": _list(TEXT),
            "topics": _list(TEXT),
            "source_url": _or_null("string"),
        },
        says="The entry as the list publishes it.",
    ),
    "ResultPage": _object(
        {
            "status": SUCCESS,
            "data": _list(ref("Result")),
            "has_more": YES_NO,
            "next_cursor": CURSOR,
        }
    ),
    "Cancelled": _object(
        {
            "status": SUCCESS,
            "job_id": ID,
            "job_status": JOB_STATUS,
            "cancel_requested": YES_NO,
            "message": TEXT,
        }
    ),
    "ListResult": _object(
        {
            "list_name": TEXT,
            "list_version": TEXT,
            "is_match": YES_NO,
            "match_count": WHOLE,
            "matches": _list(ref("Match")),
        }
    ),
    "Check": _object(
        {
            "status": SUCCESS,
            "data": _object(
                {
                    "result": {**ref("ListResult"), "description": "Where one list was searched."},
                    "results": {
                        **_by_name(ref("ListResult")),
                        "description": "By list, where several were searched.",
                    },
                    "summary": _object(
                        {
                            "lists_checked": WHOLE,
                            "total_matches": WHOLE,
                            "overall_risk_level": {
                                "type": "string",
                                "enum": ["low", "medium", "high"],
                            },
                            "suppressed_matches": WHOLE,
                            "stale_lists": _list(TEXT),
                        },
                        optional=("suppressed_matches", "stale_lists"),
                    ),
                },
                optional=("result", "results"),
            ),
            "meta": _object(
                {
                    "request_id": TEXT,
                    "timestamp": TIME,
                    "duration_ms": WHOLE,
                    "job_id": ID,
                    "engine_version": TEXT,
                }
            ),
            "result": {**ref("ListResult"), "description": "Only with `?legacy=1`."},
        },
        optional=("result",),
    ),
    "Lists": _object(
        {
            "status": SUCCESS,
            "lists": _list(_object(_LIST)),
            "count": WHOLE,
        }
    ),
    "List": _object(
        {
            "status": SUCCESS,
            "list": _object(
                {
                    **_LIST,
                    "versions": _list(
                        _object(
                            {
                                "version": TEXT,
                                "loaded_at": TIME,
                                "entities": WHOLE,
                                "in_force": YES_NO,
                            }
                        )
                    ),
                }
            ),
        }
    ),
    "Stored": _object(
        {
            "status": SUCCESS,
            "list_name": TEXT,
            "version": TEXT,
            "entities": WHOLE,
            "added": WHOLE,
            "removed": WHOLE,
            "changed": WHOLE,
            "unchanged": {**YES_NO, "description": "It is what was in force already."},
        }
    ),
    "Deleted": _object({"status": SUCCESS, "list_name": TEXT, "deleted": {"const": True}}),
    "Exclusion": _object(
        {
            "exclusion_id": ID,
            "entity_id": TEXT,
            "list_name": TEXT,
            "entry_id": TEXT,
            "decision": _DECISION,
            "reason": TEXT,
            "job_id": ID,
            "list_version": TEXT,
            "created_at": TIME,
            "created_by": TEXT,
            "revoked_at": {"type": ["string", "null"], "format": "date-time"},
            "revoked_by": _or_null("string"),
        },
        says="What a reviewer decided about an entity and an entry.",
    ),
    "ExclusionAnswer": _object({"status": SUCCESS, "exclusion": ref("Exclusion")}),
    "Exclusions": _object(
        {
            "status": SUCCESS,
            "exclusions": _list(ref("Exclusion")),
            "count": WHOLE,
            "next_cursor": CURSOR,
        }
    ),
    "Tokens": _object(
        {
            "status": SUCCESS,
            "access_token": TEXT,
            "refresh_token": TEXT,
            "token_type": {"const": "Bearer"},
            "expires_in": WHOLE,
            "permissions": _list(TEXT),
        }
    ),
    "TooOften": _object(
        {"error": {"const": "Rate limit exceeded"}, "message": TEXT, "retry_after": WHOLE}
    ),
    "Error": _object(
        {
            "status": {"const": "error"},
            "error": {**TEXT, "description": "A title for people."},
            "code": {**TEXT, "description": "Stable; what a program decides by."},
            "message": TEXT,
            "details": {
                "description": "Of invalid_entities the first 100 problems; of too_many_entities"
                " the limit and the count; of watchlist_rejected the first 100 lines.",
                "oneOf": [
                    _list(
                        _object(
                            {
                                "index": WHOLE,
                                "entity_id": _or_null("string"),
                                "path": TEXT,
                                "message": TEXT,
                            }
                        )
                    ),
                    _object({"max_entities": WHOLE, "received": WHOLE}),
                    _list(_object({"line": _or_null("integer"), "message": TEXT})),
                ],
            },
            "invalid_count": {**WHOLE, "description": "Of invalid_entities."},
            "required_permission": {**TEXT, "description": "Of insufficient_permissions."},
            "state": {**TEXT, "description": "Of invalid_state: where the job stands."},
            "allowed_actions": {
                **_list(TEXT),
                "description": "Of invalid_state: what can be done.",
            },
            "max_bytes": {**WHOLE, "description": "Of payload_too_large."},
            "check_id": {**ID, "description": "Of check_running: the one that is under way."},
            "request_id": TEXT,
        },
        optional=(
            *("details", "invalid_count", "required_permission", "state", "allowed_actions"),
            *("max_bytes", "check_id"),
        ),
    ),
    "Health": _object({"status": {"const": "ok"}, "version": TEXT}),
    "Readiness": _object(
        {
            "status": {"type": "string", "enum": ["ok", "degraded", "unavailable"]},
            "checks": _by_name({"type": "object"}),
        }
    ),
}
