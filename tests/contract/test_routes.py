"""Every route of the web: who may use it, and what everybody else is told."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest

from app.accounts import service as accounts
from app.accounts.model import ALL_PERMISSIONS, PERMISSIONS, Role
from app.api import tokens
from app.factory import create_app
from app.jobs import service
from app.jobs.model import NewItem
from app.kinds import kyc
from app.settings import Settings
from tests.faces_api import assert_error
from tests.kyc import assert_flat
from tests.native import assert_problem
from tests.tagging import assert_detail
from tests.verifications import assert_enveloped

#: No token is needed, since none can be had yet, or nothing is told that is worth one.
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/openapi.json"),
    # Has a token of its own (tests/integration/test_metrics.py).
    ("GET", "/metrics"),
    ("GET", "/api/health"),
    ("GET", "/api/status"),
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/kyc/auth/token"),
    ("POST", "/api/v1/auth/register"),
    ("POST", "/api/v1/auth/login"),
    ("POST", "/api/v1/auth/refresh"),
    # Says that it is a WebSocket; what that tells needs a token (test_live_doors.py).
    ("GET", "/api/batch/ws/<job_id>"),
    # The link is signed, and expires.
    ("GET", "/exports/download/<key>"),
}
#: Contract, 5.1 and 7.1.
GUARDED = {
    ("POST", "/kyc/jobs"): "kyc:create",
    ("GET", "/kyc/jobs/<job_id>"): "kyc:read",
    ("POST", "/kyc"): "kyc:create",
    ("GET", "/kyc/jobs"): "kyc:read",
    ("POST", "/kyc/jobs/<job_id>/cancel"): "kyc:create",
    ("POST", "/kyc/jobs/<job_id>/retry"): "kyc:create",
    ("GET", "/kyc/jobs/<job_id>/results"): "kyc:read",
    ("GET", "/kyc/lists"): "kyc:read",
    ("POST", "/kyc/lists"): "watchlist:create",
    ("GET", "/kyc/lists/<name>"): "watchlist:read",
    ("POST", "/kyc/lists/<name>"): "watchlist:update",
    ("DELETE", "/kyc/lists/<name>"): "watchlist:delete",
    ("POST", "/kyc/exclusions"): "exclusions:manage",
    ("GET", "/kyc/exclusions"): "exclusions:read",
    ("GET", "/kyc/exclusions/<exclusion_id>"): "exclusions:read",
    ("DELETE", "/kyc/exclusions/<exclusion_id>"): "exclusions:manage",
    ("POST", "/kyc/watchlists"): "watchlist:create",
    ("GET", "/kyc/watchlists"): "watchlist:list",
    ("GET", "/kyc/watchlists/<watchlist_id>"): "watchlist:read",
    ("PATCH", "/kyc/watchlists/<watchlist_id>"): "watchlist:update",
    ("DELETE", "/kyc/watchlists/<watchlist_id>"): "watchlist:delete",
    ("POST", "/kyc/watchlists/<watchlist_id>/subjects"): "watchlist:update",
    ("GET", "/kyc/watchlists/<watchlist_id>/subjects"): "watchlist:read",
    ("GET", "/kyc/watchlists/<watchlist_id>/subjects/<entity_id>"): "watchlist:read",
    ("DELETE", "/kyc/watchlists/<watchlist_id>/subjects/<entity_id>"): "watchlist:update",
    ("POST", "/kyc/watchlists/<watchlist_id>/remove-subjects"): "watchlist:update",
    ("POST", "/kyc/watchlists/<watchlist_id>/monitor"): "watchlist:run",
    ("GET", "/kyc/watchlists/<watchlist_id>/history"): "watchlist:read",
    ("GET", "/kyc/watchlists/<watchlist_id>/history/<check_id>"): "watchlist:read",
    ("GET", "/kyc/watchlists/<watchlist_id>/hits"): "watchlist:read",
    ("GET", "/kyc/watchlists/<watchlist_id>/changes"): "watchlist:read",
    ("GET", "/exports/<job_id>"): "kyc:export",
    ("GET", "/v1/jobs"): "jobs:read",
    ("GET", "/v1/jobs/<job_id>"): "jobs:read",
    ("GET", "/v1/jobs/<job_id>/items"): "jobs:read",
    ("DELETE", "/v1/jobs/<job_id>"): "jobs:control",
    ("GET", "/v1/jobs/<job_id>/errors"): "jobs:read",
    ("GET", "/v1/jobs/<job_id>/results"): "jobs:read",
    ("GET", "/v1/jobs/<job_id>/events"): "jobs:read",
    ("GET", "/api/batch/jobs/<job_id>/events"): "documents:read",
    ("POST", "/v1/jobs/<job_id>/pause"): "jobs:control",
    ("POST", "/v1/jobs/<job_id>/resume"): "jobs:control",
    ("POST", "/v1/jobs/<job_id>/cancel"): "jobs:control",
    ("POST", "/v1/jobs/<job_id>/retry"): "jobs:control",
    ("POST", "/api/batch/start"): "documents:create",
    ("GET", "/api/batch/jobs/<job_id>/status"): "documents:read",
    ("POST", "/api/batch/jobs/<job_id>/pause"): "documents:create",
    ("POST", "/api/batch/jobs/<job_id>/resume"): "documents:create",
    ("POST", "/api/batch/jobs/<job_id>/cancel"): "documents:create",
    ("GET", "/api/batch/jobs/<job_id>/results"): "documents:read",
    ("POST", "/api/batch/jobs/<job_id>/retry"): "documents:create",
    ("GET", "/api/batch/active"): "documents:read",
    ("POST", "/api/batch/upload"): "documents:create",
    ("POST", "/api/batch/validate-paths"): "documents:create",
    ("GET", "/api/batch/template"): "documents:read",
    ("POST", "/api/single/process"): "documents:create",
    ("GET", "/api/history/jobs"): "documents:read",
    ("GET", "/api/history/jobs/<job_id>"): "documents:read",
    ("DELETE", "/api/history/jobs/<job_id>"): "documents:create",
    ("GET", "/api/history/documents"): "documents:read",
    ("GET", "/api/history/documents/search"): "documents:read",
    ("GET", "/api/history/documents/<document_id>"): "documents:read",
    ("GET", "/api/history/stats"): "documents:read",
    ("POST", "/api/auth/logout"): "documents:read",
    ("GET", "/api/auth/me"): "documents:read",
    ("POST", "/api/v1/auth/logout"): "face:read",
    ("GET", "/api/v1/auth/me"): "face:read",
    ("POST", "/api/v1/organizations"): "collections:manage",
    ("GET", "/api/v1/organizations"): "collections:read",
    ("GET", "/api/v1/organizations/<org_id>"): "collections:read",
    ("POST", "/api/v1/organizations/<org_id>/collections"): "collections:manage",
    ("GET", "/api/v1/organizations/<org_id>/collections"): "collections:read",
    ("POST", "/api/v1/organizations/<org_id>/api-keys"): "keys:manage",
    ("GET", "/api/v1/organizations/<org_id>/api-keys"): "keys:manage",
    ("DELETE", "/api/v1/organizations/<org_id>/api-keys/<key_id>"): "keys:manage",
    ("GET", "/api/v1/organizations/<org_id>/batch"): "face:read",
    ("GET", "/api/v1/organizations/<org_id>/batch/<job_id>"): "face:read",
    ("POST", "/api/v1/organizations/<org_id>/batch/<job_id>/cancel"): "face:write",
    ("GET", "/api/v1/collections/<collection_id>"): "collections:read",
    ("PUT", "/api/v1/collections/<collection_id>"): "collections:manage",
    ("DELETE", "/api/v1/collections/<collection_id>"): "collections:manage",
    ("POST", "/api/v1/collections/<collection_id>/faces/batch-async"): "face:write",
    ("GET", "/api/v1/collections/<collection_id>/batch/<job_id>"): "face:read",
    ("POST", "/api/v1/collections/<collection_id>/faces/batch"): "face:write",
    ("DELETE", "/api/v1/collections/<collection_id>/faces/batch"): "face:write",
    ("POST", "/api/v1/collections/<collection_id>/faces"): "face:write",
    ("GET", "/api/v1/collections/<collection_id>/faces"): "face:read",
    ("GET", "/api/v1/collections/<collection_id>/faces/<face_id>"): "face:read",
    ("PATCH", "/api/v1/collections/<collection_id>/faces/<face_id>"): "face:write",
    ("DELETE", "/api/v1/collections/<collection_id>/faces/<face_id>"): "face:write",
    ("GET", "/api/v1/collections/<collection_id>/export"): "face:read",
    ("POST", "/api/v1/collections/<collection_id>/identify"): "face:read",
    ("POST", "/api/v1/collections/<collection_id>/verify"): "face:read",
    ("POST", "/api/v1/search"): "face:read",
    ("POST", "/api/v1/compare"): "face:read",
    ("POST", "/v5/verifications"): "verifications:create",
    ("GET", "/v5/verifications"): "verifications:read",
    ("GET", "/v5/verifications/<trace>"): "verifications:read",
    ("POST", "/v5/verifications/<trace>/watchlist"): "verifications:create",
    ("GET", "/v5/verifications/<trace>/watchlist/latest"): "verifications:read",
    ("GET", "/v5/verifications/<trace>/watchlist/history"): "verifications:read",
    (
        "GET",
        "/v5/verifications/<trace>/stakeholders/<stakeholder_id>/watchlist/latest",
    ): "verifications:read",
    ("GET", "/v5/verifications/<trace>/jobs"): "verifications:read",
    ("GET", "/v5/verifications/<trace>/jobs/<type>"): "verifications:read",
    ("GET", "/v5/verifications/<trace>/jobs/<type>/<job_id>"): "verifications:read",
    ("POST", "/v5/verifications/<trace>/jobs/<type>/<job_id>/cancel"): "verifications:create",
    ("GET", "/v5/verifications/<trace>/record"): "verifications:read",
    ("GET", "/v5/verifications/<trace>/monitoring"): "verifications:read",
    ("PUT", "/v5/verifications/<trace>/monitoring"): "verifications:create",
    ("GET", "/v5/verifications/<trace>/watchlist/changes"): "verifications:read",
}


def routes() -> list[tuple[str, str]]:
    app = create_app(
        Settings.build(
            database_url="postgresql://nobody@127.0.0.1:1/none",
            redis_url="redis://127.0.0.1:1/0",
            jwt_secret="a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c",
        )
    )
    return sorted(
        {
            (method, re.sub(r"<[^>]*:", "<", rule.rule))
            for rule in app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD"}
        }
    )


ROUTES = routes()
#: Those of dialect C have more ids than this: tests/integration/test_faces_access.py.
WITH_ID = [
    route
    for route in ROUTES
    if "<job_id>" in route[1] and route not in OPEN and not route[1].startswith("/api/v1")
]


NO_ID = "V1StGXR8_Z5jdHi6B-myT"


def fill(rule: str, job_id: str | None = None) -> str:
    filled = rule.replace("<job_id>", job_id or str(uuid4())).replace("<name>", "nobodys")
    filled = re.sub(r"<(trace|stakeholder_id)>", NO_ID, filled).replace("<type>", "watchlist")
    filled = filled.replace("<entity_id>", "nobody").replace("<key>", "none")
    return re.sub(r"<\w+_id>", str(uuid4()), filled)


#: What dialect C calls what others have a word of their own for.
FACES_CODES = {
    "missing_token": "TOKEN_INVALID",
    "insufficient_permissions": "INSUFFICIENT_SCOPE",
    "method_not_allowed": "METHOD_NOT_ALLOWED",
}


def assert_refused(answer, rule: str, status: int, code: str) -> dict[str, Any]:
    """The error is in the shape of the path's dialect."""
    if rule.startswith(("/kyc", "/exports")):
        return assert_flat(answer, status, code)
    if rule.startswith("/api/v1"):
        return assert_error(answer, status, FACES_CODES[code]).get("details", {})
    if rule.startswith("/api"):
        return assert_detail(answer, status)
    if rule.startswith("/v5"):
        return assert_enveloped(answer, status, code)
    return assert_problem(answer, status, code)


CHALLENGES = {
    "/kyc": 'Bearer realm="kyc"',
    "/exports": 'Bearer realm="kyc"',
    "/v1": "Bearer",
    "/api/v1": 'Bearer realm="faces"',
    "/v5": 'Basic realm="v5"',
    "/api": "Bearer",
}


def test_every_route_is_open_on_purpose_or_guarded():
    assert set(ROUTES) == OPEN | set(GUARDED)
    assert set(GUARDED.values()) <= ALL_PERMISSIONS


@pytest.mark.parametrize(("method", "rule"), GUARDED)
def test_without_a_token_a_route_is_closed(web, servers, method, rule):
    answer = web.test_client().open(fill(rule), method=method)

    assert_refused(answer, rule, 401, "missing_token")
    challenge = next(CHALLENGES[prefix] for prefix in CHALLENGES if rule.startswith(prefix))
    assert answer.headers["WWW-Authenticate"] == challenge


@pytest.mark.parametrize(("method", "rule"), GUARDED)
def test_with_every_permission_but_its_own_a_route_is_closed(web, settings, tenant, method, rule):
    permission = GUARDED[method, rule]
    token = tokens.mint_access(settings, tenant.id, "usr_x", ALL_PERMISSIONS - {permission})

    answer = web.test_client().open(
        fill(rule), method=method, headers={"Authorization": f"Bearer {token}"}
    )

    error = assert_refused(answer, rule, 403, "insufficient_permissions")
    assert error.get("required_permission", error.get("requiredPermission")) == permission


@pytest.mark.parametrize(("method", "rule"), GUARDED)
def test_with_its_permission_alone_a_route_is_open(web, settings, tenant, method, rule):
    token = tokens.mint_access(settings, tenant.id, "usr_x", {GUARDED[method, rule]})

    answer = web.test_client().open(
        fill(rule), method=method, headers={"Authorization": f"Bearer {token}"}
    )

    assert answer.status_code in {200, 400, 404, 422}


@pytest.fixture
def foreign_job(resources) -> str:
    other = accounts.ensure_tenant(resources.db, "other")
    items = [NewItem(None, service.encode_item({"subject": {"full_name": "Any Body"}}))]
    plan = kyc.plan(resources, tenant_id=other.id, created_by="usr_other", items=items)
    return service.submit(resources, plan).external_id


@pytest.mark.parametrize(("method", "rule"), WITH_ID)
def test_what_belongs_to_another_tenant_does_not_exist(
    web, settings, tenant, foreign_job, method, rule
):
    token = tokens.mint_access(settings, tenant.id, "usr_x", PERMISSIONS[Role.ADMIN])

    answer = web.test_client().open(
        fill(rule, foreign_job), method=method, headers={"Authorization": f"Bearer {token}"}
    )

    assert_refused(answer, rule, 404, "job_not_found")


NAMED = [route for route in ROUTES if "<" in route[1]]


@pytest.mark.parametrize(
    "name", ["%00", "a%00b", "%ff", "%ed%a0%80", "%F0%9F%92%A9", "..", "%25", "a" * 3000]
)
@pytest.mark.parametrize(("method", "rule"), NAMED)
def test_a_name_that_nothing_can_have_leads_nowhere(web, settings, tenant, method, rule, name):
    """Postgres, for one, takes no NUL."""
    token = tokens.mint_access(settings, tenant.id, "usr_x", ALL_PERMISSIONS)
    headers = {"Authorization": f"Bearer {token}"}
    # What a list takes: its name is looked at behind that.
    body = {"data": "id,name\n1,Ann", "content_type": "text/csv"} if "<name>" in rule else {}

    # Of types of jobs there are a few words, and another is told which.
    path = re.sub(r"<[a-z_]+>", name, rule.replace("<type>", "watchlist"))

    answer = web.test_client().open(path, method=method, headers=headers, **body)

    if (method, rule) in OPEN:
        # A link that is not signed, and a path that is a WebSocket.
        assert answer.status_code in {403, 426}
    else:
        # Dialect B says what is wrong with the body before what is wrong with the path.
        assert answer.status_code in {400, 404, 422}, answer.text


@pytest.mark.parametrize(
    "path", ["/kyc/x", "/kyc/jobs/1/2/3", "/kyc//", "/kyc/auth", "/kyc/%2e%2e"]
)
def test_a_path_of_dialect_a_that_leads_nowhere_is_answered_in_its_shape(web, servers, path):
    assert_flat(web.test_client().get(path), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["/", "/x", "/kycx", "/favicon.ico", "/v1/job", "//kyc/jobs", "/%"]
)
def test_every_other_path_that_leads_nowhere_is_a_problem(web, servers, path):
    answer = web.test_client().get(path)

    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.get_json(force=True)
    assert body.keys() == {"type", "title", "status", "detail", "instance", "request_id"}
    assert (body["status"], body["type"]) == (404, "urn:muster:problem:not-found")
    assert body["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("rule", sorted({rule for _, rule in ROUTES}))
def test_a_method_that_a_path_does_not_take_is_told_which_it_does(web, servers, method, rule):
    if (method, rule) in ROUTES:
        return
    answer = web.test_client().open(fill(rule), method=method)

    taken = {known for known, path in ROUTES if path == rule}
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) - {"HEAD"} == taken
    if rule.startswith(("/kyc", "/exports", "/api", "/v5")):
        assert_refused(answer, rule, 405, "method_not_allowed")
    else:
        assert answer.status_code == 405
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "rule"), [route for route in ROUTES if route[0] == "GET"])
def test_a_slash_at_the_end_is_no_reason_for_a_redirect(web, servers, method, rule):
    answer = web.test_client().get(fill(rule) + "/")

    assert answer.status_code in {200, 401, 403, 426, 503}


def test_every_answer_carries_the_id_of_its_request(web, servers):
    for method, rule in ROUTES:
        answer = web.test_client().open(
            fill(rule), method=method, headers={"X-Request-ID": "trace-7"}
        )
        assert answer.headers["X-Request-ID"] == "trace-7"
