"""The part of the OpenAPI document that is about dialect C, /api/v1."""

from __future__ import annotations

from http import HTTPStatus

from marshmallow import Schema

from app.api.faces import SYNC_IMAGES
from app.api.faces_paging import FURTHEST
from app.api.faces_render import STATUS_WORDS
from app.api.faces_search import MOST_MATCHES
from app.api.faces_upload import MOST_IMAGES
from app.api.openapi_model import LIMIT, Operation, query
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
from schemas.faces import (
    ON_DUPLICATE,
    SCOPES,
    SELECTIONS,
    ApiKeySchema,
    CollectionSchema,
    CollectionUpdateSchema,
    FaceIdsSchema,
    FaceUpdateSchema,
    OrganizationSchema,
    SignInSchema,
)

SCHEMAS: tuple[tuple[str, type[Schema]], ...] = (
    ("NewOrganization", OrganizationSchema),
    ("NewCollection", CollectionSchema),
    ("CollectionUpdate", CollectionUpdateSchema),
    ("NewApiKey", ApiKeySchema),
    ("FaceUpdate", FaceUpdateSchema),
    ("FaceIds", FaceIdsSchema),
    ("FaceLogin", SignInSchema),
)

_MULTIPART = "multipart/form-data"
_OFFSET = query(
    "offset",
    {"type": "integer", "minimum": 0, "maximum": FURTHEST, "default": 0},
    "Entries to leave out.",
)
_DETAILS = query("details", YES_NO, "true: with all that was seen in the image.")
_PAGES = (LIMIT, _OFFSET)

_BAD = HTTPStatus.BAD_REQUEST
_OFTEN = HTTPStatus.TOO_MANY_REQUESTS
_CONFLICT = HTTPStatus.CONFLICT
_WRONG = HTTPStatus.UNPROCESSABLE_ENTITY
_SENT = (_CONFLICT, _WRONG, _OFTEN)
_CREATED, _NONE = HTTPStatus.CREATED, HTTPStatus.NO_CONTENT


def _form(answers: str, body: str, status: HTTPStatus = HTTPStatus.OK, **how: object) -> Operation:
    return Operation(
        answers,
        body=body,
        body_media=_MULTIPART,
        status=status,
        more=_SENT,
        **how,  # type: ignore[arg-type]  # the names are those of Operation
    )


_POLL = Operation(
    "FaceBatchAnswer", query=(_DETAILS,), more=(HTTPStatus.NOT_MODIFIED, _BAD, _OFTEN)
)

OPERATIONS: dict[str, Operation] = {
    "faces_auth.register": Operation(
        "FaceSession",
        body="Register",
        status=_CREATED,
        more=(HTTPStatus.FORBIDDEN, _CONFLICT),
    ),
    "faces_auth.login": Operation("FaceSession", body="FaceLogin", more=(HTTPStatus.UNAUTHORIZED,)),
    "faces_auth.refresh": Operation(
        "FaceSessionTokens",
        body="Refresh",
        more=(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
    ),
    "faces_auth.logout": Operation(
        "FaceMessage", body="Logout", optional_body=True, more=(HTTPStatus.NOT_FOUND,)
    ),
    "faces_auth.me": Operation("FaceAccount", more=(HTTPStatus.NOT_FOUND,)),
    "faces_organizations.create": Operation(
        "OrganizationAnswer",
        body="NewOrganization",
        status=_CREATED,
        more=(HTTPStatus.NOT_FOUND,),
    ),
    "faces_organizations.list_all": Operation(
        "Organizations", query=_PAGES, more=(HTTPStatus.NOT_FOUND,)
    ),
    "faces_organizations.show": Operation("OrganizationAnswer", more=(_OFTEN,)),
    "faces_organizations.create_collection": Operation(
        "CollectionAnswer", body="NewCollection", status=_CREATED, more=(_OFTEN,)
    ),
    "faces_organizations.list_collections": Operation("Collections", query=_PAGES, more=(_OFTEN,)),
    "faces_organizations.create_key": Operation(
        "NewApiKeyAnswer", body="NewApiKey", status=_CREATED, more=(_OFTEN,)
    ),
    "faces_organizations.list_keys": Operation("ApiKeys", query=_PAGES, more=(_OFTEN,)),
    "faces_organizations.revoke_key": Operation("FaceMessage", status=_NONE, more=(_OFTEN,)),
    "faces_organizations.list_batches": Operation(
        "FaceBatches",
        query=(
            query("status", {"type": "string", "enum": list(STATUS_WORDS)}, "Only these."),
            *_PAGES,
        ),
        more=(_OFTEN,),
    ),
    "faces_organizations.show_batch": _POLL,
    "faces_organizations.cancel": Operation("FaceBatchState", more=(_BAD, _CONFLICT, _OFTEN)),
    "faces.show": Operation("CollectionAnswer", more=(_OFTEN,)),
    "faces.update": Operation("CollectionAnswer", body="CollectionUpdate", more=(_OFTEN,)),
    "faces.delete": Operation("FaceMessage", status=_NONE, more=(_OFTEN,)),
    "faces.submit": _form("FaceBatchAccepted", "FaceBatchForm", HTTPStatus.ACCEPTED),
    "faces.show_batch": _POLL,
    "faces.enrol_batch": _form("FaceBatchDone", "FaceBatchForm", query=(_DETAILS,)),
    "faces.enrol": _form("FaceEnrolled", "FaceForm", _CREATED, query=(_DETAILS,)),
    "faces.list_faces": Operation(
        "Faces",
        query=(query("external_id", TEXT, "Only those of this person."), *_PAGES),
        more=(_OFTEN,),
    ),
    "faces.delete_faces": Operation("FacesDeleted", body="FaceIds", more=(_OFTEN,)),
    "faces.show_face": Operation("FaceAnswer", more=(_OFTEN,)),
    "faces.update_face": Operation("FaceAnswer", body="FaceUpdate", more=(_OFTEN,)),
    "faces.delete_face": Operation("FaceMessage", status=_NONE, more=(_OFTEN,)),
    "faces.export": Operation(
        "FaceLine",
        query=(query("embeddings", YES_NO, "true: with what they are recognised by."),),
        only_media="application/x-ndjson",
        more=(_OFTEN,),
    ),
    "faces_search.identify": _form("Identified", "IdentifyForm"),
    "faces_search.search": Operation(
        "Identified",
        body="SearchForm",
        body_media=_MULTIPART,
        more=(HTTPStatus.NOT_FOUND, *_SENT),
    ),
    "faces_search.verify": _form("Verified", "VerifyForm"),
    "faces_search.compare": Operation(
        "Compared", body="CompareForm", body_media=_MULTIPART, more=_SENT
    ),
}


def _answer(data: Shape) -> Shape:
    return object_of({"success": {"const": True}, "data": data})


_MAYBE_TIME: Shape = {"type": ["string", "null"], "format": "date-time"}
_IMAGE: Shape = {"type": "string", "format": "binary"}
_ANYTHING: Shape = {"type": "object", "description": "The caller's own."}
_COSINE: Shape = {"type": "number", "minimum": -1, "maximum": 1}
_NUMBER: Shape = {"type": "number"}
_ON_DUPLICATE: Shape = {"type": "string", "enum": list(ON_DUPLICATE)}

_COUNTS: Shape = {"total": WHOLE, "processed": WHOLE, "succeeded": WHOLE, "failed": WHOLE}
_STATE: Shape = {
    "job_id": ID,
    "status": {"type": "string", "enum": list(STATUS_WORDS)},
    **_COUNTS,
}
_WHOSE: Shape = {
    "organization_id": ID,
    "collection_id": ID,
    "created_at": TIME,
    "completed_at": _MAYBE_TIME,
}
_SEEN: Shape = {
    "quality_score": SCORE,
    "created_at": _MAYBE_TIME,
    "image": object_of(
        {
            "format": TEXT,
            "width": WHOLE,
            "height": WHOLE,
            "orientation_applied": YES_NO,
            "rotation_applied": {"type": "integer", "enum": [0, 90, 180, 270]},
        }
    ),
    "bounding_box": ref("BoundingBox"),
    "confidence": SCORE,
    "landmarks": list_of(list_of(_NUMBER)),
    "quality": object_of({"sharpness": _NUMBER, "brightness": _NUMBER, "face_px": _NUMBER}),
    "pose": object_of({"roll": _NUMBER, "yaw": _NUMBER, "pitch": _NUMBER}),
    "faces_detected": WHOLE,
    "unindexed_faces": list_of(
        object_of(
            {
                "bounding_box": ref("BoundingBox"),
                "confidence": SCORE,
                "reasons": list_of(TEXT),
            }
        )
    ),
    "model_version": TEXT,
}
_FACE: Shape = {
    "face_id": ID,
    "external_id": TEXT,
    "collection_id": ID,
    "quality_score": SCORE,
    "metadata": _ANYTHING,
    "model_version": TEXT,
    "created_at": TIME,
}
_COLLECTION: Shape = {
    "id": ID,
    "organization_id": ID,
    "name": TEXT,
    "description": TEXT,
    "face_count": WHOLE,
    "face_selection": {"type": "string", "enum": list(SELECTIONS)},
    "retention_days": or_null("integer"),
    "is_enabled": YES_NO,
    "created_at": TIME,
    "updated_at": TIME,
}
_ORGANIZATION: Shape = {"id": ID, "name": TEXT, "role": TEXT, "created_at": TIME}
_API_KEY: Shape = {
    "id": ID,
    "name": TEXT,
    "prefix": TEXT,
    "collection_id": or_null("string"),
    "scopes": list_of({"type": "string", "enum": list(SCOPES)}),
    "allowed_ips": list_of(TEXT),
    "rate_limit_rpm": or_null("integer"),
    "status": {"type": "string", "enum": ["active", "expired", "revoked"]},
    "expires_at": _MAYBE_TIME,
    "revoked_at": _MAYBE_TIME,
    "last_used_at": _MAYBE_TIME,
    "created_at": TIME,
}
_ACCOUNT = object_of(
    {
        "id": ID,
        "email": TEXT,
        "full_name": or_null("string"),
        "is_active": YES_NO,
        "created_at": TIME,
    }
)
_TOKENS = object_of(
    {
        "access_token": TEXT,
        "refresh_token": TEXT,
        "token_type": {"const": "bearer"},
        "expires_in": WHOLE,
    }
)
_RESULT: Shape = {
    "index": WHOLE,
    "external_id": TEXT,
    "face_id": {**ID, "description": "Only where the face was enrolled."},
    "success": YES_NO,
    "error": {**TEXT, "description": "Stable; only where it was not."},
    "error_message": TEXT,
    "reasons": list_of(TEXT),
    **_SEEN,
}
_JUDGED: Shape = {
    "verified": YES_NO,
    "match": {**YES_NO, "description": "The same."},
    "similarity": _COSINE,
    "confidence": {**_COSINE, "description": "The same as similarity."},
    "threshold": _COSINE,
    "threshold_used": _COSINE,
}
_PAGE: Shape = {"total": WHOLE, "limit": WHOLE, "offset": WHOLE}
_ASKED: Shape = {
    "image": _IMAGE,
    "top_k": {"type": "integer", "minimum": 1, "maximum": MOST_MATCHES, "default": 1},
    "threshold": _COSINE,
    "return_metadata": {**YES_NO, "default": True},
    "deduplicate": {**YES_NO, "default": True, "description": "Of each person the best only."},
}
_OPTIONS = ("top_k", "threshold", "return_metadata", "deduplicate")

SHAPES: dict[str, Shape] = {
    "FaceError": object_of(
        {
            "success": {"const": False},
            "error": object_of(
                {
                    "code": {**TEXT, "description": "Stable; what a program decides by."},
                    "message": TEXT,
                    "details": {"type": "object"},
                },
                optional=("details",),
            ),
            "request_id": TEXT,
            "timestamp": TIME,
        }
    ),
    "FaceBatchForm": object_of(
        {
            "images": {**list_of(_IMAGE), "minItems": 1, "maxItems": MOST_IMAGES},
            "external_ids[]": {**list_of(TEXT), "description": "One for each image, in order."},
            "metadata[]": {**list_of(TEXT), "description": "JSON objects; none, or as many."},
            "entries": {
                **TEXT,
                "description": "Instead of both: JSON, [{external_id, metadata}].",
            },
            "on_duplicate": {**_ON_DUPLICATE, "default": "replace"},
        },
        optional=("external_ids[]", "metadata[]", "entries", "on_duplicate"),
        says=f"While the caller waits, at most {SYNC_IMAGES} images.",
    ),
    "FaceForm": object_of(
        {
            "image": _IMAGE,
            "external_id": TEXT,
            "metadata": {**TEXT, "description": "A JSON object."},
            "on_duplicate": {**_ON_DUPLICATE, "default": "error"},
        },
        optional=("metadata", "on_duplicate"),
    ),
    "IdentifyForm": object_of(_ASKED, optional=_OPTIONS),
    "SearchForm": object_of(
        {
            **_ASKED,
            "collection_ids": {**TEXT, "description": "With commas; all of them without it."},
        },
        optional=(*_OPTIONS, "collection_ids"),
    ),
    "VerifyForm": object_of(
        {"image": _IMAGE, "face_id": ID, "external_id": TEXT, "threshold": _COSINE},
        optional=("face_id", "external_id", "threshold"),
    ),
    "CompareForm": object_of(
        {"image1": _IMAGE, "image2": _IMAGE, "threshold": _COSINE}, optional=("threshold",)
    ),
    "BoundingBox": object_of(
        {
            **dict.fromkeys(("left", "top", "width", "height"), _NUMBER),
            "ratio": object_of(dict.fromkeys(("left", "top", "width", "height"), _NUMBER)),
        },
        says="In pixels of the upright picture, and as shares of it.",
    ),
    "FaceResult": object_of(
        _RESULT,
        optional=tuple(n for n in _RESULT if n not in {"index", "external_id", "success"}),
    ),
    "FaceBatchAccepted": _answer(
        object_of(
            {**_STATE, **{n: _WHOSE[n] for n in _WHOSE if n != "completed_at"}},
        )
    ),
    "FaceBatchAnswer": _answer(
        object_of(
            {
                **_STATE,
                **_WHOSE,
                "results": list_of(ref("FaceResult")),
                "error": {**TEXT, "description": "Only of a job that failed."},
                "error_message": TEXT,
                "cancel_requested": YES_NO,
            },
            optional=("error", "error_message", "cancel_requested"),
        )
    ),
    "FaceBatchState": _answer(object_of(_STATE)),
    "FaceBatches": _answer(object_of({"jobs": list_of(object_of({**_STATE, **_WHOSE})), **_PAGE})),
    "FaceBatchDone": _answer(object_of({**_COUNTS, "results": list_of(ref("FaceResult"))})),
    "FaceEnrolled": _answer(
        object_of({**_SEEN, **_FACE}, optional=tuple(n for n in _SEEN if n not in _FACE))
    ),
    "FaceAnswer": _answer(object_of(_FACE)),
    "FaceLine": object_of(
        {**_FACE, "embedding": {**TEXT, "description": "128 little-endian float32, in base64."}},
        optional=("embedding",),
    ),
    "Faces": _answer(object_of({"faces": list_of(object_of(_FACE)), **_PAGE})),
    "FacesDeleted": _answer(object_of({"deleted": WHOLE, "not_found": list_of(TEXT)})),
    "Identified": _answer(
        object_of(
            {
                "matches": list_of(
                    object_of(
                        {
                            "face_id": ID,
                            "external_id": TEXT,
                            "collection_id": ID,
                            "similarity": _COSINE,
                            "rank": WHOLE,
                            "metadata": _ANYTHING,
                        },
                        optional=("metadata",),
                    )
                ),
                "query_time_ms": _NUMBER,
                "searched": WHOLE,
                "threshold": _COSINE,
            }
        )
    ),
    "Verified": _answer(object_of({**_JUDGED, "face_id": ID})),
    "Compared": _answer(object_of(_JUDGED)),
    "CollectionAnswer": _answer(object_of(_COLLECTION)),
    "Collections": _answer(object_of({"collections": list_of(object_of(_COLLECTION)), **_PAGE})),
    "OrganizationAnswer": _answer(object_of(_ORGANIZATION)),
    "Organizations": _answer(
        object_of({"organizations": list_of(object_of(_ORGANIZATION)), **_PAGE})
    ),
    "NewApiKeyAnswer": _answer(
        object_of({**_API_KEY, "key": {**TEXT, "description": "Shown this once."}})
    ),
    "ApiKeys": _answer(object_of({"api_keys": list_of(object_of(_API_KEY)), **_PAGE})),
    "FaceSession": _answer(object_of({"user": _ACCOUNT, "organization_id": ID, "tokens": _TOKENS})),
    "FaceSessionTokens": _answer(object_of({"tokens": _TOKENS})),
    "FaceAccount": _answer(_ACCOUNT),
    "FaceMessage": _answer(object_of({"message": TEXT})),
}
