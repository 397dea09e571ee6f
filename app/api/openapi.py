"""GET /openapi.json: the API for programs that write clients.

Put together from what is there: the routes and their docstrings, the permissions they require,
the schemas that read requests, and the shapes of the answers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, current_app, jsonify
from flask.typing import ResponseReturnValue
from werkzeug.routing import Rule

from app.api import (
    formats,
    idempotency,
    kyc_lists,
    openapi_documents,
    openapi_events,
    openapi_faces,
    openapi_jobs,
    openapi_verifications,
    openapi_watchlists,
)
from app.api.openapi_model import CONFLICT, CURSOR, LIMIT, Operation, query
from app.api.openapi_shapes import ID, JOB_STATUS, SHAPES, TEXT, WHOLE, Shape, ref
from app.api.polling import LONGEST
from app.version import VERSION
from schemas.kyc import (
    TOPICS,
    CheckOptionsSchema,
    EntitySchema,
    ExclusionSchema,
    JobOptionsSchema,
    RetrySchema,
    TokenSchema,
)

bp = Blueprint("openapi", __name__)

JSON = "application/json"


_FORMATS: Shape = {"type": "string", "enum": list(formats.FORMATS)}
_UPLOAD = (
    query("title", TEXT, "What people call the list."),
    query("version", TEXT, "What to call this version; without it, the time."),
    query("topics", TEXT, f"What the list is about, with commas: {', '.join(TOPICS)}."),
    query("allow_shrink", {"type": "boolean"}, "true: it may lose more than a fifth."),
)

OPERATIONS: dict[str, Operation] = {
    "kyc.submit": Operation("Created", body="Submission"),
    "kyc.show": Operation(
        "Job",
        query=(query("results", {"type": "boolean", "default": True}, "false: without results."),),
        more=(HTTPStatus.NOT_MODIFIED,),
    ),
    "kyc.list_jobs": Operation(
        "Jobs", query=(query("job_status", JOB_STATUS, "Only these."), LIMIT, CURSOR)
    ),
    "kyc.results": Operation(
        "ResultPage",
        query=(
            query("format", _FORMATS, "Stronger than the Accept header."),
            query("status", {"type": "string", "enum": ["completed", "failed"]}, "Only these."),
            LIMIT,
            CURSOR,
        ),
        media=(formats.NDJSON, formats.CSV),
    ),
    "kyc.cancel": Operation("Cancelled", more=CONFLICT),
    "kyc.retry": Operation("Created", body="Retry", optional_body=True, more=CONFLICT),
    "kyc.check": Operation(
        "Check",
        body="SingleCheck",
        query=(query("legacy", {"type": "boolean"}, "1: a copy of the result at the top."),),
    ),
    "kyc_lists.show_all": Operation("Lists"),
    "kyc_lists.show": Operation("List"),
    "kyc_lists.create": Operation(
        "Stored",
        query=({**query("name", TEXT, "Small letters, digits, _."), "required": True}, *_UPLOAD),
        more=CONFLICT,
        uploads=True,
    ),
    "kyc_lists.add_version": Operation("Stored", query=_UPLOAD, more=CONFLICT, uploads=True),
    "kyc_lists.delete": Operation("Deleted"),
    "kyc_exclusions.create": Operation(
        "ExclusionAnswer", body="NewExclusion", more=(HTTPStatus.NOT_FOUND,)
    ),
    "kyc_exclusions.list_all": Operation(
        "Exclusions",
        query=(
            query("entity_id", TEXT, "Only about this entity."),
            query("list_name", TEXT, "Only about entries of this list."),
            query("state", {"type": "string", "enum": ["active", "revoked", "all"]}, "Only these."),
            LIMIT,
            CURSOR,
        ),
    ),
    "kyc_exclusions.show": Operation("ExclusionAnswer"),
    "kyc_exclusions.revoke": Operation("ExclusionAnswer"),
    "kyc_auth.token": Operation("Tokens", body="TokenRequest", more=(HTTPStatus.UNAUTHORIZED,)),
    "health.healthz": Operation("Health"),
    "health.readyz": Operation("Readiness", more=(HTTPStatus.SERVICE_UNAVAILABLE,)),
    "metrics.show": Operation(
        "Metrics",
        only_media="text/plain",
        more=(HTTPStatus.UNAUTHORIZED,),
    ),
    "openapi.show": Operation("OpenApi"),
    "health.health": Operation("Health"),
    "health.status": Operation("Readiness", more=(HTTPStatus.SERVICE_UNAVAILABLE,)),
    **openapi_jobs.OPERATIONS,
    **openapi_documents.OPERATIONS,
    **openapi_faces.OPERATIONS,
    **openapi_events.OPERATIONS,
    **openapi_watchlists.OPERATIONS,
    **openapi_verifications.OPERATIONS,
}

#: Under these prefixes errors have another shape and media type than in dialect A.
_ERRORS = {
    "/metrics": (openapi_jobs.MEDIA, "Problem"),
    "/v1": (openapi_jobs.MEDIA, "Problem"),
    "/api/v1": (JSON, "FaceError"),
    "/v5": (JSON, openapi_verifications.ERROR),
    "/api": (JSON, "Detail"),
}

_SAYS = {
    HTTPStatus.OK: "Done.",
    HTTPStatus.CREATED: "Made.",
    HTTPStatus.ACCEPTED: "Accepted; the new job is on its way.",
    HTTPStatus.SWITCHING_PROTOCOLS: "A WebSocket from here on; of the process `live`.",
    HTTPStatus.NO_CONTENT: "Done, and nothing to show; of a stream: the end was told.",
    HTTPStatus.TEMPORARY_REDIRECT: "The stream is to be had at Location, with the ticket in it.",
    HTTPStatus.NOT_ACCEPTABLE: "Not to be had in that form here; the message says in which.",
    HTTPStatus.GONE: "It was there, and is not any more: a link, or a job, that has expired.",
    HTTPStatus.UPGRADE_REQUIRED: "This is a WebSocket.",
    HTTPStatus.NOT_MODIFIED: "Nothing has changed since the ETag in If-None-Match.",
    HTTPStatus.BAD_REQUEST: "The request is wrong; nothing was done.",
    HTTPStatus.UNAUTHORIZED: "No token, a wrong one, or one that has expired.",
    HTTPStatus.FORBIDDEN: "The token does not carry the permission that is required.",
    HTTPStatus.NOT_FOUND: "There is no such thing for this tenant.",
    HTTPStatus.CONFLICT: "The thing is not in a state for this, or its name is taken; or a request"
    " with the same Idempotency-Key is still at work (then with Retry-After), or its answer is not"
    " kept.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value in the body is wrong, or the Idempotency-Key came"
    " with another request before; nothing was done.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too often, or more than the caller may have, for now: wait for"
    " Retry-After; of a run, one is in flight: poll that one.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than the server takes.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "An error of ours; quote the request_id.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Try again after Retry-After.",
}
_NO_DOCUMENT = (
    HTTPStatus.SWITCHING_PROTOCOLS,
    HTTPStatus.NO_CONTENT,
    HTTPStatus.TEMPORARY_REDIRECT,
    HTTPStatus.NOT_MODIFIED,
)

#: Nothing stands behind these that could fail, or its failing is what they tell.
_READY = frozenset({"health.readyz", "health.status"})
_PLAIN = frozenset({"health.healthz", "health.health", *_READY, "openapi.show"})
#: Programs ask for these all the time, and are not counted.
_UNCOUNTED = frozenset({*_PLAIN, "metrics.show"})

_OFTEN = HTTPStatus.TOO_MANY_REQUESTS


#: What every counted answer says of the limits, while Redis counts.
_RATES: dict[str, Shape] = {
    "RateLimit-Policy": {
        "schema": TEXT,
        "description": "The limits: q requests in w seconds, written as in"
        " draft-ietf-httpapi-ratelimit-headers.",
        "example": '"address";q=1000;w=300, "tenant";q=10000;w=300',
    },
    "RateLimit": {
        "schema": TEXT,
        "description": "Of each limit, r requests are left for the next t seconds.",
        "example": '"address";r=997;t=284, "tenant";r=9991;t=284',
    },
}
_RATES_OF_A: dict[str, Shape] = {
    "X-RateLimit-Limit": {"schema": WHOLE, "description": "Of the limit that is nearest."},
    "X-RateLimit-Remaining": {"schema": WHOLE, "description": "What is left of it."},
    "X-RateLimit-Reset": {"schema": WHOLE, "description": "When it begins anew: epoch seconds."},
}


@bp.get("/openapi.json")
def show() -> ResponseReturnValue:
    """Describe the API, as OpenAPI 3.1."""
    return jsonify(document(current_app._get_current_object()))  # type: ignore[attr-defined]  # werkzeug's proxy has it


@lru_cache(maxsize=4)
def document(app: Flask) -> dict[str, Any]:
    """Return the document that describes every route of the application."""
    spec = APISpec(
        title="Muster",
        version=VERSION,
        openapi_version="3.1.0",
        info={
            "description": "Screens people, companies and vessels against watchlists; tags"
            " documents; recognises faces."
        },
        plugins=[MarshmallowPlugin()],
        servers=[{"url": "/"}],
    )
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    key = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
    spec.components.security_scheme("key", key)
    spec.components.security_scheme("metrics", {"type": "http", "scheme": "bearer"})
    spec.components.security_scheme("service", {"type": "http", "scheme": "basic"})
    for name, schema in (
        ("Entity", EntitySchema),
        ("JobOptions", JobOptionsSchema),
        ("CheckOptions", CheckOptionsSchema),
        ("NewExclusion", ExclusionSchema),
        ("Retry", RetrySchema),
        ("TokenRequest", TokenSchema),
        *openapi_jobs.SCHEMAS,
        *openapi_documents.SCHEMAS,
        *openapi_watchlists.SCHEMAS,
        *openapi_faces.SCHEMAS,
        *openapi_verifications.SCHEMAS,
    ):
        spec.components.schema(name, schema=schema)
    for name, header in (_RATES | _RATES_OF_A).items():
        spec.components.header(name, header)
    spec.components.schema("Submission", _submission())
    spec.components.schema("SingleCheck", {"allOf": [ref("Entity"), ref("CheckOptions")]})
    spec.components.schema("OpenApi", {"type": "object"})
    spec.components.schema("Metrics", TEXT)
    parts = (
        *(SHAPES, openapi_jobs.SHAPES, openapi_documents.SHAPES, openapi_events.SHAPES),
        openapi_watchlists.SHAPES,
        openapi_faces.SHAPES,
        openapi_verifications.SHAPES,
    )
    for name, shape in (each for part in parts for each in part.items()):
        spec.components.schema(name, shape)
    for rule in app.url_map.iter_rules():
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        operation = _operation(app, rule)
        spec.path(_path(rule), operations=dict.fromkeys(map(str.lower, methods), operation))
    return spec.to_dict()


def _submission() -> Shape:
    entities = {"type": "array", "items": ref("Entity"), "minItems": 1, "maxItems": 10_000}
    return {
        "allOf": [
            {"type": "object", "properties": {"entities": entities}, "required": ["entities"]},
            ref("JobOptions"),
        ]
    }


def _path(rule: Rule) -> str:
    return re.sub(r"<(?:[^>]*:)?(\w+)>", r"{\1}", rule.rule)


def _operation(app: Flask, rule: Rule) -> Shape:
    view, known = app.view_functions[rule.endpoint], OPERATIONS[rule.endpoint]
    permission = getattr(view, "required_permission", None)
    path = [
        {"name": name, "in": "path", "required": True, "schema": _argument(rule, name)}
        for name in re.findall(r"{(\w+)}", _path(rule))
    ]
    doc: Shape = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": (view.__doc__ or "").strip().partition("\n")[0],
        "parameters": [*path, *known.query, *_headers_of(rule, known, permission)],
        "responses": {
            str(int(status)): _response(rule, known, status, permission)
            for status in _statuses(rule, known, permission)
        },
        "security": _security(rule, permission),
    }
    if known.body is not None:
        doc["requestBody"] = {
            "required": not known.optional_body,
            "content": {known.body_media: {"schema": ref(known.body)}},
        }
    if known.form is not None:
        doc["requestBody"]["content"]["multipart/form-data"] = {"schema": ref(known.form)}
    if known.uploads:
        media = {each: {"schema": TEXT} for each in kyc_lists.FILE_TYPES}
        doc["requestBody"] = {"required": True, "content": media}
    return doc


def _headers_of(rule: Rule, known: Operation, permission: str | None) -> list[Shape]:
    found = []
    if rule.endpoint == "kyc.submit":
        found.append(
            _prefer("handling=lenient", "Only entities that are not valid fail; the others run.")
        )
    if HTTPStatus.NOT_MODIFIED in known.more:
        says = f"Answer when there is something new, or after so many seconds, {LONGEST} at most."
        found.append(_prefer("wait=[0-9]+", says))
    return found + _key_of(rule, permission)


def _prefer(pattern: str, says: str) -> Shape:
    text = {"type": "string", "pattern": f"^{pattern}$"}
    return {"name": "Prefer", "in": "header", "schema": text, "description": says}


def _key_of(rule: Rule, permission: str | None) -> list[Shape]:
    """The header that every POST takes."""
    if not _is_post(rule):
        return []
    says = (
        "Sent again with the same key, within a day, the same request is answered as before and"
        " not carried out again."
        if permission
        else "Taken for the sake of clients that send one with every POST. Credentials are not"
        " answered from memory: it is carried out again."
    )
    text = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
    return [{"name": idempotency.HEADER, "in": "header", "schema": text, "description": says}]


def _is_post(rule: Rule) -> bool:
    return "POST" in (rule.methods or ())


def _security(rule: Rule, permission: str | None) -> list[Shape]:
    if rule.endpoint == "metrics.show":
        return [{"metrics": []}]
    if permission is None:
        return []
    # Dialect B takes the credentials of a service too, and dialect C a key in a header of its own.
    service = [{"service": [permission]}] if rule.rule.startswith("/v5") else []
    key = [{"key": [permission]}] if rule.rule.startswith("/api/v1/") else []
    return [*service, {"token": [permission]}, *key]


def _argument(rule: Rule, name: str) -> Shape:
    # Only dialect A calls things by a UUID, but for what the client has a name for.
    is_ours = rule.rule.startswith(("/kyc", "/exports"))
    return ID if is_ours and name not in {"name", "entity_id", "key"} else TEXT


def _statuses(rule: Rule, known: Operation, permission: str | None) -> list[HTTPStatus]:
    found = {known.status, *known.more}
    if permission:
        found |= {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    is_b = rule.rule.startswith("/v5")
    if _is_post(rule):
        found.add(HTTPStatus.UNPROCESSABLE_ENTITY if is_b else HTTPStatus.BAD_REQUEST)
        if permission:
            found |= {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}
    if rule.arguments:
        found.add(HTTPStatus.NOT_FOUND)
    if known.body or known.query:
        found.add(HTTPStatus.UNPROCESSABLE_ENTITY if is_b else HTTPStatus.BAD_REQUEST)
    if known.body or known.uploads:
        found.add(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if rule.endpoint not in _PLAIN:
        found |= {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE}
        if rule.endpoint not in _UNCOUNTED:
            found.add(_OFTEN)
    return sorted(found)


_TRUE: Shape = {"type": "string", "enum": ["true"]}
_REPLAYED = "An earlier request with the same Idempotency-Key was carried out, and this was not."


def _response(rule: Rule, known: Operation, status: HTTPStatus, permission: str | None) -> Shape:
    if status in _NO_DOCUMENT:
        return {"description": _SAYS[status]}
    if status < HTTPStatus.MULTIPLE_CHOICES or rule.endpoint in _READY:
        content = {known.only_media or JSON: {"schema": ref(known.answers)}}
        content |= {media: {"schema": TEXT} for media in known.media}
    else:
        media, shape = next(
            (
                known
                for prefix, known in _ERRORS.items()
                if f"{rule.rule}/".startswith(prefix + "/")
            ),
            (JSON, "TooOften" if status is HTTPStatus.TOO_MANY_REQUESTS else "Error"),
        )
        content = {media: {"schema": ref(shape)}}
    response: Shape = {"description": _SAYS[status], "content": content}
    headers = _headers(rule, status, permission)
    if headers:
        response["headers"] = headers
    return response


def _headers(rule: Rule, status: HTTPStatus, permission: str | None) -> Shape:
    if rule.endpoint in _PLAIN:
        return {}
    headers: Shape = {}
    if _is_post(rule) and permission and status < HTTPStatus.MULTIPLE_CHOICES:
        headers["Idempotent-Replayed"] = {"schema": _TRUE, "description": _REPLAYED}
    if status in {HTTPStatus.SERVICE_UNAVAILABLE, _OFTEN}:
        says = "Seconds to wait before the next try."
        headers["Retry-After"] = {"schema": WHOLE, "description": says}
    is_counted = rule.endpoint not in _UNCOUNTED
    if is_counted and (status is _OFTEN or status < HTTPStatus.MULTIPLE_CHOICES):
        names = [*_RATES, *(_RATES_OF_A if rule.rule.startswith(("/kyc", "/exports")) else ())]
        headers |= {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return headers
