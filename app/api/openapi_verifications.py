"""The part of the OpenAPI document that is about dialect B, /v5."""

from __future__ import annotations

from http import HTTPStatus

from marshmallow import Schema

from app.api.openapi_model import CONFLICT, CURSOR, LIMIT, Operation, query
from app.api.openapi_shapes import (
    CURSOR as NEXT_CURSOR,
)
from app.api.openapi_shapes import (
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
from app.verifications.model import TYPES
from schemas.verifications import RISKS, VerificationSchema
from schemas.verifications_monitoring import FREQUENCIES, MonitoringSchema

SCHEMAS: tuple[tuple[str, type[Schema]], ...] = (
    ("NewVerification", VerificationSchema),
    ("NewMonitoring", MonitoringSchema),
)

#: The name of the error's shape.
ERROR = "EnvelopedError"

_UNPROCESSABLE = (HTTPStatus.UNPROCESSABLE_ENTITY,)

OPERATIONS: dict[str, Operation] = {
    "verifications.create": Operation(
        "VerificationCreated",
        body="NewVerification",
        status=HTTPStatus.CREATED,
        more=CONFLICT,
    ),
    "verifications.find_all": Operation(
        "Verifications",
        query=(query("userId", TEXT, "Only the one with this userId."), LIMIT, CURSOR),
    ),
    "verifications.read": Operation("Verification"),
    "verifications.screen": Operation(
        "Dispatched",
        body="Nothing",
        optional_body=True,
        status=HTTPStatus.ACCEPTED,
        more=(HTTPStatus.TOO_MANY_REQUESTS,),
    ),
    "verifications.latest": Operation("LatestScreening"),
    "verifications.history": Operation("WatchlistHistory", query=(LIMIT, CURSOR)),
    "verifications.latest_of_stakeholder": Operation("StakeholderScreening"),
    "verifications.list_jobs": Operation("Runs", query=(LIMIT, CURSOR)),
    "verifications.list_jobs_of_type": Operation("Runs", query=(LIMIT, CURSOR)),
    "verifications.read_job": Operation("Run", more=(HTTPStatus.NOT_MODIFIED, *_UNPROCESSABLE)),
    "verifications.cancel": Operation("Run", more=(*CONFLICT, *_UNPROCESSABLE)),
    "verifications_monitoring.show": Operation("MonitoringAnswer"),
    "verifications_monitoring.change": Operation("MonitoringAnswer", body="NewMonitoring"),
    "verifications_monitoring.list_changes": Operation("RunChangesAnswer", query=(LIMIT, CURSOR)),
    "verifications.export": Operation(
        "VerificationRecord",
        query=(query("format", {"type": "string", "enum": ["json", "html"]}, "json unless said."),),
        media=("text/html",),
    ),
}

_EPOCH: Shape = {**WHOLE, "description": "Milliseconds since 1970."}
_NULL: Shape = {"type": "null"}
_ANY: Shape = {"type": "object"}
_TYPE: Shape = {"type": "string", "enum": list(TYPES)}
_SOURCE: Shape = {
    "type": "string",
    "enum": ["manual-api", "manual-portal", "manual-admin", "scheduled", "system"],
}


def _enveloped(data: Shape, *, error: Shape = _NULL, status: str = "success") -> Shape:
    return object_of(
        {
            "timestamp": TIME,
            "serviceUid": or_null("string"),
            "trace": or_null("string"),
            "path": TEXT,
            "pathParams": by_name(TEXT),
            "statusCode": WHOLE,
            "message": TEXT,
            "help": _NULL,
            "status": {"const": status},
            "data": data,
            "error": error,
        }
    )


_RISK = object_of(
    {
        "description": {
            "type": "string",
            "enum": ["Undefined", "Low", "Medium", "High", "Critical"],
        },
        "score": {"type": "number", "minimum": 0, "maximum": 100},
        "inputRisk": {"type": "string", "enum": list(RISKS)},
        "isProvisional": YES_NO,
        "reasons": list_of(
            object_of(
                {
                    "stakeholderId": or_null("string"),
                    "category": TEXT,
                    "source": TEXT,
                    # Null where hits were only counted.
                    "recordId": or_null("string"),
                    "score": or_null("number"),
                    "points": {"type": "number"},
                }
            )
        ),
        "rules": TEXT,
    },
    optional=("score", "inputRisk", "isProvisional", "reasons", "rules"),
    says="Undefined before the first run has completed, and without the other members then.",
)
_STAKEHOLDER = {"stakeholderId": TEXT, "role": TEXT, "name": TEXT}
_CREATED: dict[str, Shape] = {
    "trace": TEXT,
    "userId": or_null("string"),
    "verificationStatus": TEXT,
    "idvRisk": ref("IdvRisk"),
    "stakeholders": list_of(object_of(_STAKEHOLDER)),
    "createdAt": _EPOCH,
}
_SENT = (
    *("type", "subType", "name", "firstName", "middleName", "lastName", "dateOfBirth"),
    *("country", "nationality", "industry", "website", "inputRisk"),
)
_FULL: dict[str, Shape] = {
    **_CREATED,
    "stakeholders": list_of(object_of({**_STAKEHOLDER, "entity": _ANY})),
    "onBehalfUid": or_null("string"),
    "updatedAt": _EPOCH,
    "screenedAt": or_null("integer"),
    **dict.fromkeys(_SENT, TEXT),
    "identifiers": _ANY,
    "addresses": _ANY,
    "documents": list_of(_ANY),
}
_RUN = object_of(
    {
        "run": object_of(
            {
                "jobId": TEXT,
                "type": _TYPE,
                "payload": _ANY,
                "requestedAt": _EPOCH,
                "sourceAction": _SOURCE,
                "sourceUid": TEXT,
                "sourceEmail": TEXT,
            },
            optional=("sourceUid", "sourceEmail"),
        ),
        "result": object_of(
            {
                "jobId": TEXT,
                "type": _TYPE,
                "status": {
                    "type": "string",
                    "enum": ["pending", "running", "completed", "failed", "rejected"],
                },
                "attemptCount": WHOLE,
                "startedAt": _EPOCH,
                "completedAt": _EPOCH,
                "errorSummary": TEXT,
                "conflictingJobId": or_null("string"),
            },
            optional=("startedAt", "completedAt", "errorSummary", "conflictingJobId"),
        ),
    },
    says="How a run was dispatched, which never changes, and how it stands.",
)
_CHECKED = object_of(
    {
        "source": TEXT,
        "sourceName": TEXT,
        "category": TEXT,
        "version": or_null("string"),
        "records": or_null("integer"),
        "status": {"type": "string", "enum": ["ok", "error"]},
        "provider": TEXT,
        "attempts": WHOLE,
        "durationMs": WHOLE,
        "engineVersion": TEXT,
        "warnings": list_of(object_of({"code": TEXT, "message": TEXT})),
        "suppressedHits": WHOLE,
        "suppressedRecords": {
            **list_of(_ANY),
            "description": "Ruled out by a reviewer: as in matchedSources, with the category.",
        },
        "isCutShort": {**YES_NO, "description": "There may be more hits than it gave."},
        "error": object_of({"code": TEXT, "message": TEXT}),
    },
    optional=(
        *("durationMs", "engineVersion", "warnings", "suppressedHits", "suppressedRecords"),
        *("isCutShort", "error"),
    ),
)
_MATCHED = object_of(
    {
        "source": TEXT,
        "sourceName": TEXT,
        "category": TEXT,
        "hits": WHOLE,
        "records": {
            **list_of(_ANY),
            "description": "The best: id, name, score, and what is known.",
        },
    }
)
_SCREENING: dict[str, Shape] = {
    "screeningId": TEXT,
    "trace": TEXT,
    "totalHits": WHOLE,
    "hasMatches": YES_NO,
    "isComplete": {**YES_NO, "description": "Every source answered, with all it has."},
    "matchedSources": list_of(_MATCHED),
    "sourcesChecked": list_of(_CHECKED),
    "triggeredByAction": _SOURCE,
    "triggeredByUid": TEXT,
    "triggeredByEmail": TEXT,
    "jobId": TEXT,
    "screenedAt": _EPOCH,
}
_BY = ("triggeredByUid", "triggeredByEmail")
_IN_SHORT = object_of(
    {
        "stakeholderId": TEXT,
        "screeningId": TEXT,
        "totalHits": WHOLE,
        "hasMatches": YES_NO,
        "isComplete": YES_NO,
    }
)
_ENTRY = object_of(
    {
        "seq": WHOLE,
        "at": _EPOCH,
        "action": TEXT,
        "jobId": or_null("string"),
        "by": _ANY,
        "detail": _ANY,
        "previous": TEXT,
        "digest": TEXT,
    }
)

_DIFFERENCE = object_of(
    {"stakeholderId": TEXT, "source": TEXT, "record": _ANY},
    optional=("stakeholderId",),
    says="A hit as it is, or as it was last; without a stakeholderId, of the entity itself.",
)

SHAPES: dict[str, Shape] = {
    "Nothing": {"type": "object"},
    "IdvRisk": _RISK,
    "VerificationCreated": _enveloped(object_of(_CREATED)),
    "Verifications": _enveloped(
        object_of({"verifications": list_of(object_of(_CREATED)), "nextCursor": NEXT_CURSOR})
    ),
    "Verification": _enveloped(
        object_of(
            _FULL,
            optional=(*_SENT, "identifiers", "addresses", "documents"),
            says="What was sent, and how it stands.",
        )
    ),
    "Dispatched": _enveloped(object_of({"triggered": {"const": True}, "jobId": TEXT})),
    "Run": _enveloped(_RUN),
    "Runs": _enveloped(object_of({"jobs": list_of(_RUN), "nextCursor": NEXT_CURSOR})),
    "LatestScreening": _enveloped(
        object_of({**_SCREENING, "stakeholders": list_of(_IN_SHORT)}, optional=_BY)
    ),
    "StakeholderScreening": _enveloped(
        object_of({**_SCREENING, "stakeholderId": TEXT}, optional=_BY)
    ),
    "WatchlistHistory": _enveloped(
        object_of({"entries": list_of(_ENTRY), "nextCursor": NEXT_CURSOR})
    ),
    "MonitoringAnswer": _enveloped(
        object_of(
            {
                "frequency": {"type": "string", "enum": list(FREQUENCIES)},
                "nextRunAt": or_null("integer"),
                "updatedAt": or_null("integer"),
            }
        )
    ),
    "RunChangesAnswer": _enveloped(
        object_of(
            {
                "changes": list_of(
                    object_of(
                        {
                            "jobId": TEXT,
                            "previousJobId": or_null("string"),
                            "sourceAction": _SOURCE,
                            "screenedAt": _EPOCH,
                            "hasChanges": YES_NO,
                            "new": list_of(_DIFFERENCE),
                            "gone": list_of(_DIFFERENCE),
                            "changed": list_of(_DIFFERENCE),
                        }
                    )
                ),
                "nextCursor": NEXT_CURSOR,
            }
        )
    ),
    "VerificationRecord": _enveloped(_ANY),
    ERROR: _enveloped(
        _NULL,
        status="error",
        error=object_of(
            {
                "type": TEXT,
                "conflictingJobId": TEXT,
                "requiredPermission": TEXT,
                "jobStatus": TEXT,
                "details": list_of(
                    object_of(
                        {
                            "message": TEXT,
                            "code": TEXT,
                            "path": list_of({"type": ["string", "integer"]}),
                        }
                    )
                ),
            },
            optional=("conflictingJobId", "requiredPermission", "jobStatus"),
        ),
    ),
}
