"""What the tests of dialect B share: a verification, its runs, and the credentials of a service."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any

import pytest

from app.accounts import service as accounts
from app.accounts.model import ALL_PERMISSIONS
from app.api import auth
from app.jobs import service as jobs
from app.verifications import dispatch, service
from app.verifications.model import KIND, Actor, Run, Verification
from tests.integration.conftest import until
from workers import chunk

API = Actor("manual-api", "5qA5Hq0n1JQTY2TASItxYXSRyND3")

#: On the list of tests/kyc.py is Zebulon Quartermain, and nobody else of these.
TRUST: dict[str, Any] = {
    "type": "trust",
    "subType": "bareTrust",
    "country": "AUS",
    "name": "Ploughwright Family Trust",
    "inputRisk": "low",
    "identifiers": {"abn": "12345678901"},
}
JANE: dict[str, Any] = {
    "role": "trustee",
    "entity": {"type": "individual", "name": "Jane Ploughwright", "dateOfBirth": "1982-12-20"},
}
ZEBULON: dict[str, Any] = {
    "role": "beneficiary",
    "entity": {"type": "individual", "firstName": "Zebulon", "lastName": "Quartermain"},
}


@pytest.fixture
def verified(resources, tenant) -> Callable[..., Verification]:
    """Make a verification: `verified(JANE, ZEBULON, name="...")`."""

    def make(*stakeholders: dict[str, Any], **entity: Any) -> Verification:
        return service.create(
            resources, tenant.id, API, entity={**TRUST, **entity}, stakeholders=stakeholders
        )

    return make


@pytest.fixture
def run(resources, tenant) -> Callable[[Verification], Run]:
    """Dispatch a run as an API caller does."""
    return lambda verification: dispatch.dispatch(resources, tenant.id, verification.trace, API)


@pytest.fixture
def read(resources, tenant) -> Callable[[Run], Run]:
    """Return the run as Postgres has it now."""

    def look(run: Run) -> Run:
        job = jobs.find(resources, tenant.id, KIND, run.run_id)
        trace = job.options["trace"]
        return service.get_run(resources, tenant.id, trace, run.type, run.run_id)

    return look


@pytest.fixture
def ended(read) -> Callable[..., Run]:
    """Wait until the run has ended, and return it."""

    def wait(run: Run, seconds: float = 40) -> Run:
        until(lambda: read(run).state.is_final, seconds, lambda: f"it ends: {read(run)}")
        return read(run)

    return wait


def work(resources, tenant, run_id: str, pass_no: int = 1) -> None:
    """Do what workers would in one pass."""
    job = jobs.find(resources, tenant.id, KIND, run_id)
    for number in range(job.chunk_count):
        chunk.run(resources, job.id, pass_no, number)


def assert_enveloped(answer, status: int, code: str) -> dict[str, Any]:
    """Every error of dialect B: in the envelope, its code in the details. Returns the error."""
    body = answer.get_json()
    assert answer.status_code == body["statusCode"] == status, body
    assert (body["status"], body["data"], body["help"]) == ("error", None, None)
    assert body["path"].startswith("/v5")
    assert [each["code"] for each in body["error"]["details"]] == [code], body
    error: dict[str, Any] = body["error"]
    return error


#: In the order of the seed's example.
ENVELOPE = [
    *("timestamp", "serviceUid", "trace", "path", "pathParams", "statusCode", "message", "help"),
    *("status", "data", "error"),
]
ID = re.compile(r"[A-Za-z0-9_-]{21}")
NO_JOB = "V1StGXR8_Z5jdHi6B-myT"


def basic(uid: str, key: str) -> str:
    return "Basic " + base64.b64encode(f"{uid}:{key}".encode()).decode()


@pytest.fixture
def uid(resources, tenant) -> str:
    return accounts.service_uid(resources.db, tenant.id)


@pytest.fixture
def key(resources, tenant) -> str:
    return accounts.create_key(resources.db, tenant.id, "service", ALL_PERMISSIONS)[1]


@pytest.fixture
def service_client(web, uid, key):
    """A client that calls as the seed's does."""
    auth._known_keys.clear()
    client = web.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = basic(uid, key)
    return client


def assert_envelope(answer, status: int, type_: str | None = None):
    """Whatever is answered, it is in the envelope. Returns the body."""
    body = answer.get_json()
    assert answer.status_code == status, body
    assert answer.mimetype == "application/json"
    assert list(body) == ENVELOPE
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])
    assert (body["statusCode"], body["help"]) == (status, None)
    if type_ is None:
        assert (body["status"], body["error"]) == ("success", None)
    else:
        assert (body["status"], body["data"]) == ("error", None)
        assert body["error"]["type"] == type_
        for detail in body["error"]["details"]:
            assert detail.keys() == {"message", "code", "path"}
            assert detail["message"]
            assert isinstance(detail["path"], list)
    return body


def made(client, *stakeholders, **entity) -> str:
    body = {**TRUST, **entity, "stakeholders": list(stakeholders)}
    answer = client.post("/v5/verifications", json=body)
    return assert_envelope(answer, 201)["data"]["trace"]


def dispatched(client, trace: str) -> str:
    return assert_envelope(client.post(f"/v5/verifications/{trace}/watchlist"), 202)["data"][
        "jobId"
    ]
