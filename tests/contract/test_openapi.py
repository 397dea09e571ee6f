"""/openapi.json tells the truth: every route, every status, and the shape of real answers."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from tests import faces_api
from tests.contract.test_errors import PINNED
from tests.contract.test_routes import GUARDED, OPEN, ROUTES
from tests.faces import beside, people
from tests.integration.conftest import ROOT, until
from tests.kyc import CLEAR, LISTED, NOT_LOADED, ended, house_list, screener, waiting
from tests.tagging import ended as tagged
from tests.tagging import inline, start
from tests.verifications import TRUST, ZEBULON

__all__ = ["house_list", "people", "screener", "waiting"]

#: Everything a client may be answered, beside 405 for a method that is not documented.
STATUSES = {
    ("GET", "/healthz"): {200},
    ("GET", "/readyz"): {200, 503},
    ("GET", "/metrics"): {200, 401, 500, 503},
    ("GET", "/openapi.json"): {200},
    ("POST", "/kyc/auth/token"): {200, 400, 401, 413, 429, 500, 503},
    ("POST", "/kyc"): {200, 400, 401, 403, 413, 429, 500, 503},
    ("POST", "/kyc/jobs"): {200, 400, 401, 403, 413, 429, 500, 503},
    ("GET", "/kyc/jobs"): {200, 400, 401, 403, 429, 500, 503},
    ("GET", "/kyc/jobs/{job_id}"): {200, 304, 400, 401, 403, 404, 429, 500, 503},
    ("GET", "/kyc/jobs/{job_id}/results"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("POST", "/kyc/jobs/{job_id}/cancel"): {200, 401, 403, 404, 409, 429, 500, 503},
    ("POST", "/kyc/jobs/{job_id}/retry"): {200, 400, 401, 403, 404, 409, 413, 429, 500, 503},
    ("GET", "/kyc/lists"): {200, 401, 403, 429, 500, 503},
    ("POST", "/kyc/lists"): {200, 400, 401, 403, 409, 413, 429, 500, 503},
    ("GET", "/kyc/lists/{name}"): {200, 401, 403, 404, 429, 500, 503},
    ("POST", "/kyc/lists/{name}"): {200, 400, 401, 403, 404, 409, 413, 429, 500, 503},
    ("DELETE", "/kyc/lists/{name}"): {200, 401, 403, 404, 429, 500, 503},
    ("POST", "/kyc/exclusions"): {200, 400, 401, 403, 404, 413, 429, 500, 503},
    ("GET", "/kyc/exclusions"): {200, 400, 401, 403, 429, 500, 503},
    ("GET", "/kyc/exclusions/{exclusion_id}"): {200, 401, 403, 404, 429, 500, 503},
    ("DELETE", "/kyc/exclusions/{exclusion_id}"): {200, 401, 403, 404, 429, 500, 503},
    ("POST", "/kyc/watchlists"): {201, 400, 401, 403, 409, 413, 429, 500, 503},
    ("GET", "/kyc/watchlists"): {200, 400, 401, 403, 429, 500, 503},
    ("GET", "/kyc/watchlists/{watchlist_id}"): {200, 401, 403, 404, 429, 500, 503},
    ("PATCH", "/kyc/watchlists/{watchlist_id}"): {200, 400, 401, 403, 404, 409, 413, 429, 500, 503},
    ("DELETE", "/kyc/watchlists/{watchlist_id}"): {200, 401, 403, 404, 429, 500, 503},
    ("POST", "/kyc/watchlists/{watchlist_id}/subjects"): {
        200,
        400,
        401,
        403,
        404,
        413,
        429,
        500,
        503,
    },
    ("GET", "/kyc/watchlists/{watchlist_id}/subjects"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("GET", "/kyc/watchlists/{watchlist_id}/subjects/{entity_id}"): {
        200,
        400,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("DELETE", "/kyc/watchlists/{watchlist_id}/subjects/{entity_id}"): {
        200,
        400,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("POST", "/kyc/watchlists/{watchlist_id}/remove-subjects"): {
        200,
        400,
        401,
        403,
        404,
        413,
        429,
        500,
        503,
    },
    ("POST", "/kyc/watchlists/{watchlist_id}/monitor"): {
        200,
        202,
        401,
        403,
        404,
        409,
        429,
        500,
        503,
    },
    ("GET", "/kyc/watchlists/{watchlist_id}/history"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("GET", "/kyc/watchlists/{watchlist_id}/history/{check_id}"): {
        200,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("GET", "/kyc/watchlists/{watchlist_id}/hits"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("GET", "/kyc/watchlists/{watchlist_id}/changes"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("GET", "/exports/{job_id}"): {200, 400, 401, 403, 404, 406, 409, 429, 500, 503},
    ("GET", "/exports/download/{key}"): {200, 403, 404, 406, 409, 410, 429, 500, 503},
    ("GET", "/v1/jobs"): {200, 400, 401, 403, 429, 500, 503},
    ("GET", "/v1/jobs/{job_id}"): {200, 304, 401, 403, 404, 410, 429, 500, 503},
    ("GET", "/v1/jobs/{job_id}/items"): {200, 400, 401, 403, 404, 410, 429, 500, 503},
    ("DELETE", "/v1/jobs/{job_id}"): {204, 401, 403, 404, 409, 410, 429, 500, 503},
    ("GET", "/v1/jobs/{job_id}/errors"): {200, 400, 401, 403, 404, 410, 429, 500, 503},
    ("GET", "/v1/jobs/{job_id}/results"): {200, 400, 401, 403, 404, 410, 429, 500, 503},
    ("GET", "/v1/jobs/{job_id}/events"): {
        200,
        204,
        307,
        400,
        401,
        403,
        404,
        406,
        410,
        429,
        500,
        503,
    },
    ("GET", "/api/batch/jobs/{job_id}/events"): {
        200,
        204,
        307,
        400,
        401,
        403,
        404,
        406,
        429,
        500,
        503,
    },
    ("GET", "/api/batch/ws/{job_id}"): {101, 404, 426, 429, 500, 503},
    ("POST", "/v1/jobs/{job_id}/pause"): {200, 401, 403, 404, 409, 410, 429, 500, 503},
    ("POST", "/v1/jobs/{job_id}/resume"): {200, 401, 403, 404, 409, 410, 429, 500, 503},
    ("POST", "/v1/jobs/{job_id}/cancel"): {200, 401, 403, 404, 409, 410, 429, 500, 503},
    ("POST", "/v1/jobs/{job_id}/retry"): {
        202,
        400,
        401,
        403,
        404,
        409,
        410,
        413,
        422,
        429,
        500,
        503,
    },
    ("GET", "/api/health"): {200},
    ("GET", "/api/status"): {200, 503},
    ("POST", "/api/auth/register"): {201, 400, 403, 409, 413, 429, 500, 503},
    ("POST", "/api/auth/login"): {200, 400, 401, 413, 429, 500, 503},
    ("POST", "/api/auth/refresh"): {200, 400, 401, 403, 413, 429, 500, 503},
    ("POST", "/api/auth/logout"): {200, 400, 401, 403, 404, 413, 429, 500, 503},
    ("GET", "/api/auth/me"): {200, 401, 403, 404, 429, 500, 503},
    ("POST", "/api/batch/start"): {200, 400, 401, 403, 409, 413, 429, 500, 503},
    ("GET", "/api/batch/jobs/{job_id}/status"): {200, 304, 400, 401, 403, 404, 429, 500, 503},
    ("POST", "/api/batch/jobs/{job_id}/pause"): {200, 400, 401, 403, 404, 409, 429, 500, 503},
    ("POST", "/api/batch/jobs/{job_id}/resume"): {200, 400, 401, 403, 404, 409, 429, 500, 503},
    ("POST", "/api/batch/jobs/{job_id}/cancel"): {200, 400, 401, 403, 404, 409, 429, 500, 503},
    ("GET", "/api/batch/jobs/{job_id}/results"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("POST", "/api/batch/jobs/{job_id}/retry"): {200, 400, 401, 403, 404, 409, 429, 500, 503},
    ("GET", "/api/batch/active"): {200, 401, 403, 429, 500, 503},
    ("POST", "/api/batch/upload"): {201, 400, 401, 403, 413, 429, 500, 503},
    ("POST", "/api/batch/validate-paths"): {200, 400, 401, 403, 413, 429, 500, 503},
    ("GET", "/api/batch/template"): {200, 401, 403, 429, 500, 503},
    ("POST", "/api/single/process"): {200, 400, 401, 403, 413, 429, 500, 503},
    ("GET", "/api/history/jobs"): {200, 400, 401, 403, 429, 500, 503},
    ("GET", "/api/history/jobs/{job_id}"): {200, 401, 403, 404, 429, 500, 503},
    ("DELETE", "/api/history/jobs/{job_id}"): {200, 401, 403, 404, 409, 429, 500, 503},
    ("GET", "/api/history/documents"): {200, 400, 401, 403, 429, 500, 503},
    ("GET", "/api/history/documents/search"): {200, 400, 401, 403, 429, 500, 503},
    ("GET", "/api/history/documents/{document_id}"): {200, 401, 403, 404, 429, 500, 503},
    ("GET", "/api/history/stats"): {200, 401, 403, 429, 500, 503},
    ("POST", "/api/v1/auth/register"): {201, 400, 403, 409, 413, 429, 500, 503},
    ("POST", "/api/v1/auth/login"): {200, 400, 401, 413, 429, 500, 503},
    ("POST", "/api/v1/auth/refresh"): {200, 400, 401, 403, 413, 429, 500, 503},
    ("POST", "/api/v1/auth/logout"): {200, 400, 401, 403, 404, 413, 429, 500, 503},
    ("GET", "/api/v1/auth/me"): {200, 401, 403, 404, 429, 500, 503},
    ("POST", "/api/v1/organizations"): {201, 400, 401, 403, 404, 413, 429, 500, 503},
    ("GET", "/api/v1/organizations"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("GET", "/api/v1/organizations/{org_id}"): {200, 401, 403, 404, 429, 500, 503},
    ("POST", "/api/v1/organizations/{org_id}/collections"): {
        201,
        400,
        401,
        403,
        404,
        413,
        429,
        500,
        503,
    },
    ("GET", "/api/v1/organizations/{org_id}/collections"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("POST", "/api/v1/organizations/{org_id}/api-keys"): {
        201,
        400,
        401,
        403,
        404,
        413,
        429,
        500,
        503,
    },
    ("GET", "/api/v1/organizations/{org_id}/api-keys"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("DELETE", "/api/v1/organizations/{org_id}/api-keys/{key_id}"): {
        204,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("GET", "/api/v1/organizations/{org_id}/batch"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("GET", "/api/v1/organizations/{org_id}/batch/{job_id}"): {
        200,
        304,
        400,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("POST", "/api/v1/organizations/{org_id}/batch/{job_id}/cancel"): {
        200,
        400,
        401,
        403,
        404,
        409,
        429,
        500,
        503,
    },
    ("GET", "/api/v1/collections/{collection_id}"): {200, 401, 403, 404, 429, 500, 503},
    ("PUT", "/api/v1/collections/{collection_id}"): {200, 400, 401, 403, 404, 413, 429, 500, 503},
    ("DELETE", "/api/v1/collections/{collection_id}"): {204, 401, 403, 404, 429, 500, 503},
    ("POST", "/api/v1/collections/{collection_id}/faces/batch-async"): {
        202,
        400,
        401,
        403,
        404,
        409,
        413,
        422,
        429,
        500,
        503,
    },
    ("GET", "/api/v1/collections/{collection_id}/batch/{job_id}"): {
        200,
        304,
        400,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("POST", "/api/v1/collections/{collection_id}/faces/batch"): {
        200,
        400,
        401,
        403,
        404,
        409,
        413,
        422,
        429,
        500,
        503,
    },
    ("DELETE", "/api/v1/collections/{collection_id}/faces/batch"): {
        200,
        400,
        401,
        403,
        404,
        413,
        429,
        500,
        503,
    },
    ("POST", "/api/v1/collections/{collection_id}/faces"): {
        201,
        400,
        401,
        403,
        404,
        409,
        413,
        422,
        429,
        500,
        503,
    },
    ("GET", "/api/v1/collections/{collection_id}/faces"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("GET", "/api/v1/collections/{collection_id}/faces/{face_id}"): {
        200,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("PATCH", "/api/v1/collections/{collection_id}/faces/{face_id}"): {
        200,
        400,
        401,
        403,
        404,
        413,
        429,
        500,
        503,
    },
    ("DELETE", "/api/v1/collections/{collection_id}/faces/{face_id}"): {
        204,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("GET", "/api/v1/collections/{collection_id}/export"): {200, 400, 401, 403, 404, 429, 500, 503},
    ("POST", "/api/v1/collections/{collection_id}/identify"): {
        200,
        400,
        401,
        403,
        404,
        409,
        413,
        422,
        429,
        500,
        503,
    },
    ("POST", "/api/v1/collections/{collection_id}/verify"): {
        200,
        400,
        401,
        403,
        404,
        409,
        413,
        422,
        429,
        500,
        503,
    },
    ("POST", "/api/v1/search"): {200, 400, 401, 403, 404, 409, 413, 422, 429, 500, 503},
    ("POST", "/api/v1/compare"): {200, 400, 401, 403, 409, 413, 422, 429, 500, 503},
    ("POST", "/v5/verifications"): {201, 401, 403, 409, 413, 422, 429, 500, 503},
    ("GET", "/v5/verifications"): {200, 401, 403, 422, 429, 500, 503},
    ("GET", "/v5/verifications/{trace}"): {200, 401, 403, 404, 429, 500, 503},
    ("POST", "/v5/verifications/{trace}/watchlist"): {202, 401, 403, 404, 413, 422, 429, 500, 503},
    ("GET", "/v5/verifications/{trace}/watchlist/latest"): {200, 401, 403, 404, 429, 500, 503},
    ("GET", "/v5/verifications/{trace}/watchlist/history"): {
        200,
        401,
        403,
        404,
        422,
        429,
        500,
        503,
    },
    ("GET", "/v5/verifications/{trace}/stakeholders/{stakeholder_id}/watchlist/latest"): {
        200,
        401,
        403,
        404,
        429,
        500,
        503,
    },
    ("GET", "/v5/verifications/{trace}/jobs"): {200, 401, 403, 404, 422, 429, 500, 503},
    ("GET", "/v5/verifications/{trace}/jobs/{type}"): {200, 401, 403, 404, 422, 429, 500, 503},
    ("GET", "/v5/verifications/{trace}/jobs/{type}/{job_id}"): {
        200,
        304,
        401,
        403,
        404,
        422,
        429,
        500,
        503,
    },
    ("POST", "/v5/verifications/{trace}/jobs/{type}/{job_id}/cancel"): {
        200,
        401,
        403,
        404,
        409,
        422,
        429,
        500,
        503,
    },
    ("GET", "/v5/verifications/{trace}/record"): {200, 401, 403, 404, 422, 429, 500, 503},
    ("GET", "/v5/verifications/{trace}/monitoring"): {200, 401, 403, 404, 429, 500, 503},
    ("PUT", "/v5/verifications/{trace}/monitoring"): {200, 401, 403, 404, 413, 422, 429, 500, 503},
    ("GET", "/v5/verifications/{trace}/watchlist/changes"): {
        200,
        401,
        403,
        404,
        422,
        429,
        500,
        503,
    },
}


@pytest.fixture(scope="module")
def spec(web) -> dict[str, Any]:
    answer = web.test_client().get("/openapi.json")
    assert answer.status_code == 200
    return answer.json


def operations(spec) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_route_is_documented_and_nothing_else(spec):
    documented = {(method, path) for method, path, _ in operations(spec)}

    assert documented == {
        (method, rule.replace("<", "{").replace(">", "}")) for method, rule in ROUTES
    }


def test_every_status_is_documented_and_nothing_else(spec):
    documented = {
        (method, path): {int(status) for status in operation["responses"]}
        for method, path, operation in operations(spec)
    }

    assert documented == {each: STATUSES[each] | of_keys(*each) for each in STATUSES}


def of_keys(method: str, path: str) -> set[int]:
    """What a POST may be answered for its Idempotency-Key: in dialect B a malformed one is 422."""
    if method != "POST":
        return set()
    malformed = 422 if path.startswith("/v5") else 400
    return {malformed} if ("POST", path) in OPEN else {malformed, 409, 422}


def test_every_post_documents_its_idempotency_key_and_nothing_else_does(spec):
    for method, path, operation in operations(spec):
        named = {each["name"] for each in operation["parameters"] if each["in"] == "header"}
        says = [
            "Idempotent-Replayed" in answer.get("headers", {})
            for status, answer in operation["responses"].items()
            if status.startswith("2")
        ]
        assert ("Idempotency-Key" in named) == (method == "POST"), path
        assert any(says) == (method == "POST" and (method, path) not in OPEN), path


def test_every_route_says_which_permission_it_takes(spec):
    for method, path, operation in operations(spec):
        route = method, path.replace("{", "<").replace("}", ">")
        wanted = [{"token": [GUARDED[route]]}] if route not in OPEN else []
        if path == "/metrics":
            wanted = [{"metrics": []}]
        if path.startswith("/v5"):
            wanted.insert(0, {"service": [GUARDED[route]]})
        if path.startswith("/api/v1/") and wanted:
            wanted.append({"key": [GUARDED[route]]})
        assert operation["security"] == wanted


def test_every_route_that_is_counted_says_so_with_its_headers(spec):
    rates = {"RateLimit-Policy", "RateLimit"}
    older = {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"}
    open_to_all = {"/healthz", "/readyz", "/api/health", "/api/status"}
    open_to_all |= {"/metrics", "/openapi.json"}
    for _, path, operation in operations(spec):
        refused = operation["responses"].get("429")
        assert (refused is None) == (path in open_to_all), path
        if refused is not None:
            wanted = rates | (older if path.startswith(("/kyc", "/exports")) else set())
            assert set(refused["headers"]) == wanted | {"Retry-After"}


def test_the_document_is_whole(spec):
    """What a validator would look for: versions, references, parameters, ids, descriptions."""
    assert re.fullmatch(r"3\.1\.\d+", spec["openapi"])
    assert spec["info"]["title"]
    assert spec["info"]["version"]
    for reference in re.findall(r'"\$ref": "([^"]*)"', json.dumps(spec)):
        prefix, _, name = reference.rpartition("/")
        assert prefix in {"#/components/schemas", "#/components/headers"}
        assert name in spec["components"][prefix.rpartition("/")[2]]
    ids = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(ids) == len(set(ids))
    for _, path, operation in operations(spec):
        assert operation["summary"].endswith(".")
        given = [each["name"] for each in operation["parameters"] if each["in"] == "path"]
        assert given == re.findall(r"{(\w+)}", path)
        assert all("schema" in each for each in operation["parameters"])
        assert all(each["description"] for each in operation["responses"].values())


def faults(value: Any, shape: dict[str, Any], spec, path: str = "$") -> Iterator[str]:
    """Yield where a value departs from its schema: as much of JSON Schema as the document uses.

    Stricter in one thing: a property that is not documented is a fault.
    """
    if "$ref" in shape:
        shape = spec["components"]["schemas"][shape["$ref"].rpartition("/")[2]]
    if "oneOf" in shape:
        found = [list(faults(value, each, spec, path)) for each in shape["oneOf"]]
        if [] not in found:
            yield f"{path} is none of those possible: {found}"
        return
    if "const" in shape and value != shape["const"]:
        yield f"{path} is {value!r}"
    if "enum" in shape and value not in shape["enum"]:
        yield f"{path} is {value!r}"
    kinds = [shape["type"]] if isinstance(shape.get("type"), str) else shape.get("type", [])
    if "number" in kinds:
        kinds = [*kinds, "integer"]
    if kinds and kind(value) not in kinds:
        yield f"{path} is of type {kind(value)}"
    if isinstance(value, dict) and "properties" in shape:
        for name in set(shape.get("required", ())) - value.keys():
            yield f"{path}.{name} is missing"
        for name, inner in value.items():
            if name in shape["properties"]:
                yield from faults(inner, shape["properties"][name], spec, f"{path}.{name}")
            else:
                yield f"{path}.{name} is not documented"
    elif isinstance(value, dict) and "additionalProperties" in shape:
        for name, inner in value.items():
            yield from faults(inner, shape["additionalProperties"], spec, f"{path}.{name}")
    if isinstance(value, list) and "items" in shape:
        for number, inner in enumerate(value):
            yield from faults(inner, shape["items"], spec, f"{path}[{number}]")


def kind(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return "null" if value is None else names.get(type(value), "object")


@pytest.fixture
def conforms(spec):
    """Hold an answer to what the document says of this route and status."""

    def check(answer, method: str, path: str) -> None:
        response = spec["paths"][path][method.lower()]["responses"][str(answer.status_code)]
        shape = response["content"][answer.mimetype]["schema"]
        assert list(faults(answer.get_json(force=True), shape, spec)) == []

    return check


def test_real_answers_have_the_shapes_that_are_documented(
    client, conforms, house_list, screener, waiting
):
    made = client.post("/kyc/jobs", json={"entities": [LISTED, CLEAR, NOT_LOADED]})
    job_id = made.json["job_id"]
    ended(client, job_id)
    stopped = waiting().external_id
    running = client.get(f"/kyc/jobs/{stopped}")
    cancelled = client.post(f"/kyc/jobs/{stopped}/cancel")
    job, results = "/kyc/jobs/{job_id}", "/kyc/jobs/{job_id}/results"

    conforms(made, "POST", "/kyc/jobs")
    conforms(running, "GET", job)
    conforms(client.get(f"/kyc/jobs/{job_id}"), "GET", job)
    conforms(client.get(f"/kyc/jobs/{stopped}"), "GET", job)
    conforms(client.get("/kyc/jobs"), "GET", "/kyc/jobs")
    conforms(client.get(f"/kyc/jobs/{job_id}/results?format=json"), "GET", results)
    conforms(cancelled, "POST", job + "/cancel")
    conforms(client.post(f"/kyc/jobs/{job_id}/retry"), "POST", job + "/retry")
    conforms(client.post("/kyc", json=LISTED), "POST", "/kyc")
    conforms(client.post("/kyc?legacy=1", json=CLEAR), "POST", "/kyc")
    conforms(client.get("/kyc/lists"), "GET", "/kyc/lists")
    conforms(client.get("/healthz"), "GET", "/healthz")
    conforms(client.get("/readyz"), "GET", "/readyz")


def test_real_jobs_of_the_native_api_have_the_shape_that_is_documented(
    client, web, conforms, house_list, screener, waiting
):
    made = client.post("/kyc/jobs", json={"entities": [LISTED, CLEAR, NOT_LOADED]}).json["job_id"]
    ended(client, made)
    stopped, path = waiting().external_id, "/v1/jobs/{job_id}"

    conforms(client.get(f"/v1/jobs/{made}"), "GET", path)
    conforms(client.get(f"/v1/jobs/{stopped}"), "GET", path)
    conforms(client.get("/v1/jobs"), "GET", "/v1/jobs")
    conforms(client.get(f"/v1/jobs/{made}/items"), "GET", path + "/items")
    conforms(client.get(f"/v1/jobs/{made}/errors"), "GET", path + "/errors")
    conforms(client.get(f"/v1/jobs/{made}/results?format=json"), "GET", path + "/results")
    for job_id in (made, stopped):
        conforms(client.get(f"/v1/jobs/{job_id}/events?limit=100"), "GET", path + "/events")
    conforms(
        client.get(f"/v1/jobs/{made}/events", headers={"Accept": "text/event-stream"}),
        *("GET", path + "/events"),
    )
    conforms(client.get("/api/batch/jobs/x/events"), "GET", "/api/batch/jobs/{job_id}/events")
    conforms(client.get("/api/batch/ws/x"), "GET", "/api/batch/ws/{job_id}")
    conforms(client.post(f"/v1/jobs/{stopped}/pause"), "POST", path + "/pause")
    conforms(client.post(f"/v1/jobs/{stopped}/resume"), "POST", path + "/resume")
    conforms(client.post(f"/v1/jobs/{stopped}/cancel"), "POST", path + "/cancel")
    conforms(client.get(f"/v1/jobs/{stopped}"), "GET", path)
    conforms(client.post(f"/v1/jobs/{made}/retry"), "POST", path + "/retry")
    conforms(client.post(f"/v1/jobs/{made}/pause"), "POST", path + "/pause")
    conforms(client.post(f"/v1/jobs/{made}/retry", json={"items": 7}), "POST", path + "/retry")
    conforms(client.get("/v1/jobs?limit=0"), "GET", "/v1/jobs")
    conforms(client.get("/v1/jobs/7"), "GET", path)
    conforms(web.test_client().get("/v1/jobs"), "GET", "/v1/jobs")


def test_real_answers_of_dialect_d_have_the_shapes_that_are_documented(
    client, web, conforms, screener
):
    batch, history, single = "/api/batch", "/api/history", "/api/single/process"
    job = batch + "/jobs/{job_id}"
    made = start(client, [inline(1, ledger=7), {"title": "Nothing"}])
    job_id = made.json["job_id"]
    tagged(client, job_id)
    waiting = start(client, [inline(n) for n in range(400)]).json["job_id"]
    paths = {"paths": ["/etc/passwd", "https://example.com/x"]}
    files = {"files": [(io.BytesIO(b"One."), "one.txt")]}
    ada = {"email": "ada@example.com", "password": "correct horse battery"}

    conforms(made, "POST", f"{batch}/start")
    conforms(client.get(f"{batch}/jobs/{job_id}/status"), "GET", f"{job}/status")
    conforms(client.get(f"{batch}/jobs/{job_id}/results?format=json"), "GET", f"{job}/results")
    conforms(client.get(f"{batch}/active"), "GET", f"{batch}/active")
    conforms(client.post(f"{batch}/jobs/{waiting}/pause"), "POST", f"{job}/pause")
    conforms(client.get(f"{batch}/jobs/{waiting}/status"), "GET", f"{job}/status")
    conforms(client.post(f"{batch}/jobs/{waiting}/resume"), "POST", f"{job}/resume")
    conforms(client.post(f"{batch}/jobs/{waiting}/cancel"), "POST", f"{job}/cancel")
    conforms(client.post(f"{batch}/jobs/{job_id}/retry"), "POST", f"{job}/retry")
    conforms(client.post(f"{batch}/jobs/{job_id}/pause"), "POST", f"{job}/pause")
    conforms(client.post(f"{batch}/start", json={}), "POST", f"{batch}/start")
    wrong = {"documents": [{"title": []}, {"text": []}], "config": {}}
    conforms(client.post(f"{batch}/start", json=wrong), "POST", f"{batch}/start")
    conforms(client.post(f"{batch}/validate-paths", json=paths), "POST", f"{batch}/validate-paths")
    conforms(client.post(f"{batch}/upload", data=files), "POST", f"{batch}/upload")
    conforms(client.post(single, json=inline(1)), "POST", single)
    conforms(client.get(f"{history}/jobs"), "GET", f"{history}/jobs")
    conforms(client.get(f"{history}/jobs/{job_id}"), "GET", history + "/jobs/{job_id}")
    listed = client.get(f"{history}/documents")
    conforms(listed, "GET", f"{history}/documents")
    one = listed.json["documents"][-1]["id"]
    conforms(client.get(f"{history}/documents/{one}"), "GET", history + "/documents/{document_id}")
    conforms(client.get(f"{history}/documents/search?q=x"), "GET", f"{history}/documents/search")
    conforms(client.get(f"{history}/stats"), "GET", f"{history}/stats")
    conforms(client.delete(f"{history}/jobs/{job_id}"), "DELETE", history + "/jobs/{job_id}")
    registered = web.test_client().post("/api/auth/register", json=ada)
    conforms(registered, "POST", "/api/auth/register")
    conforms(web.test_client().post("/api/auth/login", json=ada), "POST", "/api/auth/login")
    tokens_ = registered.json["tokens"]
    signed_in = {"Authorization": f"Bearer {tokens_['access_token']}"}
    conforms(client.get("/api/auth/me", headers=signed_in), "GET", "/api/auth/me")
    renewed = client.post("/api/auth/refresh", json={"refresh_token": tokens_["refresh_token"]})
    conforms(renewed, "POST", "/api/auth/refresh")
    conforms(client.post("/api/auth/logout", headers=signed_in), "POST", "/api/auth/logout")
    conforms(client.get("/api/health"), "GET", "/api/health")
    conforms(client.get("/api/status"), "GET", "/api/status")


@pytest.fixture
def recognizer(settings, tmp_path):
    pytest.importorskip("cv2", reason="faces need the extra: pip install 'muster[faces]'")
    with faces_api.recognizer(settings, tmp_path) as worker:
        yield worker


def test_real_answers_of_dialect_c_have_the_shapes_that_are_documented(
    web, settings, tenant, conforms, recognizer, people
):
    admin = faces_api.admin_of(web, settings, tenant)
    place = f"{faces_api.BASE}/organizations"
    org = place + "/{org_id}"
    here = f"{place}/{tenant.id}"
    one = {"name": "employees", "face_selection": "largest"}
    made = admin.post(f"{here}/collections", json=one)
    conforms(made, "POST", f"{org}/collections")
    conforms(admin.post(f"{here}/collections", json={}), "POST", f"{org}/collections")
    collection_id = made.json["data"]["id"]
    mine = f"{faces_api.BASE}/collections/{collection_id}"
    of = faces_api.BASE + "/collections/{collection_id}"
    conforms(admin.get(f"{here}/collections"), "GET", f"{org}/collections")
    conforms(admin.get(here), "GET", org)
    conforms(admin.get(f"{place}/x"), "GET", org)
    key = admin.post(f"{here}/api-keys", json={"name": "x", "collection_id": collection_id})
    conforms(key, "POST", f"{org}/api-keys")
    conforms(admin.get(f"{here}/api-keys"), "GET", f"{org}/api-keys")
    app = faces_api.with_key(web, key.json["data"]["key"])
    alice, bob = people["person_a_1"], people["person_b_1"]
    group = beside(alice, bob)
    batch = faces_api.post_batch(app, collection_id, faces_api.form_of([alice, group, b"x"]))
    conforms(batch, "POST", f"{of}/faces/batch-async")
    job_id = batch.json["data"]["job_id"]
    conforms(admin.get(f"{here}/batch/{job_id}"), "GET", f"{org}/batch/{{job_id}}")
    faces_api.ended(admin, tenant, job_id)
    for query in ("", "?details=true"):
        conforms(admin.get(f"{here}/batch/{job_id}{query}"), "GET", f"{org}/batch/{{job_id}}")
    conforms(app.get(f"{mine}/batch/{job_id}"), "GET", f"{of}/batch/{{job_id}}")
    conforms(admin.get(f"{here}/batch"), "GET", f"{org}/batch")
    conforms(admin.post(f"{here}/batch/{job_id}/cancel"), "POST", f"{org}/batch/{{job_id}}/cancel")
    form = faces_api.form_of([bob], ["bob"])
    conforms(app.post(f"{mine}/faces/batch", data=form), "POST", f"{of}/faces/batch")
    for query in ("", "?details=true"):
        form = faces_api.one_image(bob, external_id=f"one {query}")
        enrolled = app.post(f"{mine}/faces{query}", data=form)
        conforms(enrolled, "POST", f"{of}/faces")
    again = faces_api.one_image(bob, external_id="bob")
    conforms(app.post(f"{mine}/faces", data=again), "POST", f"{of}/faces")
    face = f"{mine}/faces/{enrolled.json['data']['face_id']}"
    conforms(app.get(face), "GET", f"{of}/faces/{{face_id}}")
    conforms(app.patch(face, json={"metadata": {"a": 1}}), "PATCH", f"{of}/faces/{{face_id}}")
    conforms(app.get(f"{mine}/faces"), "GET", f"{of}/faces")
    for query in ("", "?return_metadata=1"):
        asked = app.post(f"{mine}/identify{query}", data=faces_api.one_image(bob, top_k="9"))
        conforms(asked, "POST", f"{of}/identify")
    conforms(app.post(f"{mine}/identify", data={}), "POST", f"{of}/identify")
    whole = faces_api.BASE + "/search"
    conforms(admin.post(whole, data=faces_api.one_image(bob)), "POST", whole)
    verify = faces_api.one_image(bob, external_id="bob")
    conforms(app.post(f"{mine}/verify", data=verify), "POST", f"{of}/verify")
    both = {"image1": (io.BytesIO(bob), "1.jpg"), "image2": (io.BytesIO(alice), "2.jpg")}
    compare = faces_api.BASE + "/compare"
    conforms(app.post(compare, data=both), "POST", compare)
    ids = {"face_ids": [enrolled.json["data"]["face_id"], "x"]}
    conforms(app.delete(f"{mine}/faces/batch", json=ids), "DELETE", f"{of}/faces/batch")
    conforms(app.get(face), "GET", f"{of}/faces/{{face_id}}")
    conforms(admin.get(mine), "GET", of)
    conforms(admin.put(mine, json={"name": "x"}), "PUT", of)
    native = admin.get("/v1/jobs?kind=faces")
    conforms(native, "GET", "/v1/jobs")


def test_real_accounts_of_dialect_c_have_the_shapes_that_are_documented(web, servers, conforms):
    auth = faces_api.BASE + "/auth"
    ada = {"email": "ada@example.com", "password": "correct horse battery"}
    registered = web.test_client().post(f"{auth}/register", json=ada)
    conforms(registered, "POST", f"{auth}/register")
    conforms(web.test_client().post(f"{auth}/login", json=ada), "POST", f"{auth}/login")
    tokens_ = registered.json["data"]["tokens"]
    me = {"headers": {"Authorization": f"Bearer {tokens_['access_token']}"}}
    client = web.test_client()
    conforms(client.get(f"{auth}/me", **me), "GET", f"{auth}/me")
    place = faces_api.BASE + "/organizations"
    conforms(client.post(place, json={"name": "Second"}, **me), "POST", place)
    conforms(client.get(place, **me), "GET", place)
    renewed = client.post(f"{auth}/refresh", json={"refresh_token": tokens_["refresh_token"]})
    conforms(renewed, "POST", f"{auth}/refresh")
    conforms(client.post(f"{auth}/logout", **me), "POST", f"{auth}/logout")
    conforms(client.get(f"{auth}/me"), "GET", f"{auth}/me")


def test_real_answers_of_dialect_b_have_the_shapes_that_are_documented(
    client, web, conforms, house_list, screener
):
    root = "/v5/verifications"
    one, job = root + "/{trace}", root + "/{trace}/jobs/{type}/{job_id}"
    body = {**TRUST, "userId": "cust-1", "stakeholders": [ZEBULON]}
    made = client.post(root, json=body)
    here = f"{root}/{made.json['data']['trace']}"
    stakeholder = made.json["data"]["stakeholders"][0]["stakeholderId"]
    whose = "/stakeholders/{stakeholder_id}/watchlist/latest"

    conforms(made, "POST", root)
    conforms(client.post(root, json=body), "POST", root)
    conforms(client.post(root, json={}), "POST", root)
    conforms(client.get(root), "GET", root)
    conforms(client.get(here), "GET", one)
    conforms(client.get(f"{here}/watchlist/latest"), "GET", f"{one}/watchlist/latest")
    begun = client.post(f"{here}/watchlist")
    conforms(begun, "POST", f"{one}/watchlist")
    conforms(client.post(f"{here}/watchlist"), "POST", f"{one}/watchlist")
    run = f"{here}/jobs/watchlist/{begun.json['data']['jobId']}"
    conforms(client.get(run), "GET", job)
    until(lambda: "completedAt" in client.get(run).json["data"]["result"], 40, "it ends")
    conforms(client.get(run), "GET", job)
    conforms(client.post(f"{run}/cancel"), "POST", f"{job}/cancel")
    conforms(client.get(here), "GET", one)
    conforms(client.get(f"{here}/jobs"), "GET", f"{one}/jobs")
    conforms(client.get(f"{here}/jobs/watchlist"), "GET", one + "/jobs/{type}")
    conforms(client.get(f"{here}/jobs/x"), "GET", one + "/jobs/{type}")
    conforms(client.get(f"{here}/watchlist/latest"), "GET", f"{one}/watchlist/latest")
    conforms(client.get(f"{here}/watchlist/history"), "GET", f"{one}/watchlist/history")
    conforms(client.get(f"{here}{whose.format(stakeholder_id=stakeholder)}"), "GET", one + whose)
    conforms(client.get(f"{here}/record"), "GET", f"{one}/record")
    monitoring, wanted = f"{one}/monitoring", {"frequency": "daily"}
    conforms(client.get(f"{here}/monitoring"), "GET", monitoring)
    conforms(client.put(f"{here}/monitoring", json=wanted), "PUT", monitoring)
    conforms(client.put(f"{here}/monitoring", json={}), "PUT", monitoring)
    conforms(client.get(f"{here}/watchlist/changes"), "GET", f"{one}/watchlist/changes")
    # The second dispatch may have come after the first had ended, and be in flight.
    begun = until(lambda: client.post(f"{here}/watchlist").json["data"] or {}, 40, "the gate opens")
    again = begun["jobId"]
    stopped = client.post(f"{here}/jobs/watchlist/{again}/cancel")
    conforms(stopped, "POST", f"{job}/cancel")
    conforms(web.test_client().get(root), "GET", root)


def test_real_tokens_have_the_shape_that_is_documented(client, conforms, resources, tenant):
    user = {"email": "ada@example.com", "password": "correct horse battery"}
    accounts.create_user(resources.db, tenant.id, role=Role.VIEWER, **user)

    conforms(client.post("/kyc/auth/token", json=user), "POST", "/kyc/auth/token")


def test_real_lists_and_decisions_have_the_shape_that_is_documented(
    client, web, settings, tenant, conforms, house_list, screener
):
    admin = web.test_client()
    token = tokens.mint_access(settings, tenant.id, "usr_test", PERMISSIONS[Role.ADMIN])
    admin.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    csv = {"data": "id,name\n1,Somebody Else\n", "content_type": "text/csv"}
    job = ended(client, client.post("/kyc/jobs", json={"entities": [LISTED]}).json["job_id"])
    about = {"job_id": job["job_id"], "entity_id": "listed", "list_name": "house"}
    decision = {**about, "entry_id": "h-1", "reason": "Another person."}

    conforms(admin.post("/kyc/lists?name=own", **csv), "POST", "/kyc/lists")
    conforms(admin.post("/kyc/lists?name=own", **csv), "POST", "/kyc/lists")
    conforms(
        admin.post("/kyc/lists?name=o2", data="id,name\n,x\n", content_type="text/csv"),
        "POST",
        "/kyc/lists",
    )
    conforms(admin.post("/kyc/lists/own", **csv), "POST", "/kyc/lists/{name}")
    conforms(admin.get("/kyc/lists/own"), "GET", "/kyc/lists/{name}")
    conforms(admin.get("/kyc/lists/none"), "GET", "/kyc/lists/{name}")
    conforms(admin.get("/kyc/lists"), "GET", "/kyc/lists")
    conforms(admin.delete("/kyc/lists/own"), "DELETE", "/kyc/lists/{name}")
    made = client.post("/kyc/exclusions", json=decision)
    conforms(made, "POST", "/kyc/exclusions")
    conforms(client.get("/kyc/exclusions"), "GET", "/kyc/exclusions")
    one = f"/kyc/exclusions/{made.json['exclusion']['exclusion_id']}"
    conforms(client.get(one), "GET", "/kyc/exclusions/{exclusion_id}")
    conforms(client.post("/kyc", json=LISTED), "POST", "/kyc")
    again = client.post("/kyc/jobs", json={"entities": [LISTED]}).json["job_id"]
    ended(client, again)
    conforms(client.get(f"/kyc/jobs/{again}"), "GET", "/kyc/jobs/{job_id}")
    conforms(client.delete(one), "DELETE", "/kyc/exclusions/{exclusion_id}")


def test_real_watchlists_and_exports_have_the_shape_that_is_documented(
    web, settings, tenant, conforms, house_list, screener, waiting
):
    admin = web.test_client()
    token = tokens.mint_access(settings, tenant.id, "usr_test", PERMISSIONS[Role.ADMIN])
    admin.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    every, one = "/kyc/watchlists", "/kyc/watchlists/{watchlist_id}"
    made = admin.post(every, json={"name": "customers"})
    path = f"{every}/{made.json['watchlist']['watchlist_id']}"
    added = admin.post(f"{path}/subjects", json={"subjects": [LISTED, CLEAR]})
    checked = admin.post(f"{path}/monitor")
    check = checked.json["data"]["check_id"]

    conforms(made, "POST", every)
    conforms(admin.post(every, json={"name": "customers"}), "POST", every)
    conforms(admin.get(every), "GET", every)
    conforms(admin.get(path), "GET", one)
    conforms(admin.patch(path, json={"lists": ["house"]}), "PATCH", one)
    conforms(added, "POST", f"{one}/subjects")
    conforms(admin.get(f"{path}/subjects"), "GET", f"{one}/subjects")
    conforms(admin.get(f"{path}/subjects/clear"), "GET", one + "/subjects/{entity_id}")
    conforms(checked, "POST", f"{one}/monitor")
    conforms(admin.get(f"{path}/history"), "GET", f"{one}/history")
    conforms(admin.get(f"{path}/history/{check}"), "GET", one + "/history/{check_id}")
    conforms(admin.get(f"{path}/hits"), "GET", f"{one}/hits")
    conforms(admin.get(f"{path}/changes"), "GET", f"{one}/changes")
    conforms(admin.get(f"{path}/changes?change=x"), "GET", f"{one}/changes")
    conforms(admin.delete(f"{path}/subjects/clear"), "DELETE", one + "/subjects/{entity_id}")
    gone = admin.post(f"{path}/remove-subjects", json={"entity_ids": ["listed"]})
    conforms(gone, "POST", f"{one}/remove-subjects")
    conforms(admin.delete(path), "DELETE", one)
    exported = admin.get(f"/exports/{check}?format=json")
    conforms(exported, "GET", "/exports/{job_id}")
    conforms(admin.get(f"/exports/{waiting().external_id}"), "GET", "/exports/{job_id}")
    download = "/exports/download/{key}"
    conforms(admin.get(exported.json["presigned_url"]), "GET", download)
    conforms(admin.get("/exports/download/x"), "GET", download)


def test_real_errors_have_the_shape_that_is_documented(client, web, conforms, waiting):
    job_id = waiting().external_id
    client.post(f"/kyc/jobs/{job_id}/cancel")
    anyone = web.test_client()

    conforms(client.post("/kyc/jobs", json={"entities": [{}]}), "POST", "/kyc/jobs")
    conforms(client.post("/kyc/jobs", json={"entities": [{}] * 10_001}), "POST", "/kyc/jobs")
    conforms(client.get("/kyc/jobs?limit=0"), "GET", "/kyc/jobs")
    conforms(anyone.get("/kyc/lists"), "GET", "/kyc/lists")
    conforms(client.get("/kyc/jobs/7"), "GET", "/kyc/jobs/{job_id}")
    conforms(client.post(f"/kyc/jobs/{job_id}/cancel"), "POST", "/kyc/jobs/{job_id}/cancel")


def test_the_checker_of_these_tests_finds_faults():
    shape = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

    assert list(faults({"a": 1}, shape, {})) == []
    assert list(faults({}, shape, {})) == ["$.a is missing"]
    assert list(faults({"a": "1"}, shape, {})) == ["$.a is of type string"]
    assert list(faults({"a": 1, "b": 2}, shape, {})) == ["$.b is not documented"]


def test_requests_are_described_by_the_schemas_that_read_them(spec):
    schemas = spec["components"]["schemas"]

    assert {"full_name", "birth_date", "identifiers"} <= schemas["Subject"]["properties"].keys()
    assert schemas["Entity"]["required"] == ["subject"]
    assert schemas["Subject"]["properties"]["full_name"]["maxLength"] == 500


def test_the_page_for_people_names_every_route_and_code():
    pages = ("api.md", "batch.md", "faces.md", "monitoring.md", "verifications.md")
    page = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in pages)
    # What a client of this API can meet: the others are for jobs, for lists, or for other parts.
    hidden = {"misconfigured", "unauthenticated", "conflict", "invalid_request", "unavailable"}
    hidden |= {"broker_unavailable", "evaluation_rejected", "rate_limited"}
    # Dialect C has words of its own: test_dialect_c_keeps_its_codes.
    hidden |= {"organization_not_found", "collection_not_found", "face_not_found"}
    hidden |= {"collection_not_allowed", "collection_disabled", "duplicate_external_id"}
    hidden |= {"face_refused", "key_not_found"}
    hidden |= {"quota_exceeded", "rate_limit_exceeded"}
    # Dialect D shows no codes.
    hidden |= {"invalid_config", "invalid_documents", "document_not_found", "uploads_full"}

    for method, rule in ROUTES:
        assert f"`{method} {rule.replace('<', '{').replace('>', '}')}`" in page
    for code, _ in PINNED.values():
        assert f"`{code}`" in page or code in hidden
