"""Requests that a machine makes up from our own OpenAPI document, sent to a real web process.

No answer is a 500, and none has a status, a media type or a shape that is not documented. A run
is the same every time; MUSTER_FUZZ_EXAMPLES asks for more of it, by hand:

    MUSTER_FUZZ_EXAMPLES=200 python3 dev.py test tests/contract/test_schemathesis.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.accounts.model import ALL_PERMISSIONS
from app.api import tokens
from tests.kyc import LISTED, Web, house_list, serving
from tests.tagging import inline
from tests.verifications import TRUST

__all__ = ["house_list"]

pytestmark = [pytest.mark.integration]

#: Requests of each operation, beside those that its document asks for by itself.
EXAMPLES = int(os.environ.get("MUSTER_FUZZ_EXAMPLES", "2"))
TIMEOUT = 600 + 120 * EXAMPLES
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
#: Nobody works here: who waits for a result is told so. What is nobody's fault is no 500.
CONFIG = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503]
"""


@pytest.fixture(scope="module")
def web(settings, tmp_path_factory) -> Iterator[Web]:
    alone = replace(settings, sync_seconds=0.1, held_polls=0, document_urls="none")
    with serving(alone, tmp_path_factory.mktemp("web")) as started:
        yield started


@pytest.fixture
def make_up(web, settings, tenant, tmp_path) -> Callable[..., str]:
    """Run schemathesis with these arguments and lines of configuration; return what it says."""
    token = tokens.mint_access(settings, tenant.id, "usr_fuzz", ALL_PERMISSIONS)

    def run(*arguments: str, config: str = "") -> str:
        (tmp_path / "schemathesis.toml").write_text(CONFIG + config)
        ran = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "run"),
                *(f"{web.url}/openapi.json", "--header", f"Authorization: Bearer {token}"),
                *("--checks", ",".join(CHECKS), "--max-examples", str(EXAMPLES)),
                *("--generation-deterministic", "--continue-on-failure", "--no-color"),
                *("--request-timeout", "60", "--warnings", "off", *arguments),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr
        return ran.stdout

    return run


@pytest.mark.timeout(TIMEOUT)
def test_no_request_that_a_machine_makes_up_gets_an_answer_that_is_not_documented(make_up):
    said = make_up("--phases", "coverage,fuzzing")

    assert int(re.search(r"(\d+) generated", said)[1]) > 1_000


@pytest.mark.timeout(TIMEOUT)
def test_no_request_about_what_is_there_gets_an_answer_that_is_not_documented(
    make_up, web, settings, tenant, house_list
):
    admin = tokens.mint_access(settings, tenant.id, "usr_fuzz", ALL_PERMISSIONS)

    def made(path: str, **given) -> dict:
        answer = web.call("POST", path, admin, **given)
        assert answer.ok, answer.text
        return answer.json()

    screening = made("/kyc/jobs", json={"entities": [LISTED]})["job_id"]
    tagging = made("/api/batch/start", json={"documents": [inline(1)], "config": {}})["job_id"]
    csv = {"data": "id,name\n1,Somebody Else\n", "headers": {"Content-Type": "text/csv"}}
    made("/kyc/lists?name=own", **csv)
    watched = made("/kyc/watchlists", json={"name": "customers"})["watchlist"]["watchlist_id"]
    made(f"/kyc/watchlists/{watched}/subjects", json={"subjects": [LISTED]})
    place = f"/api/v1/organizations/{tenant.id}/collections"
    collection = made(place, json={"name": "x"})["data"]["id"]
    verified = made("/v5/verifications", json=TRUST)
    there = {
        "job_id": {"/kyc": screening, "/v1": screening, "/api/batch": tagging},
        "name": {"/kyc": "own"},
        "watchlist_id": {"/kyc": watched},
        "entity_id": {"/kyc": LISTED["entity_id"]},
        "org_id": {"/api/v1": str(tenant.id)},
        "collection_id": {"/api/v1": collection},
        "trace": {"/v5": verified["trace"]},
        "type": {"/v5": "watchlist"},
    }
    config = "".join(
        f"[[operations]]\ninclude-path-regex = '^{prefix}/'\n"
        f"parameters = {{ {', '.join(_named(there, prefix))} }}\n"
        for prefix in ("/kyc", "/v1", "/api/batch", "/api/v1", "/v5")
    )
    make_up(
        "--mode", "positive", "--phases", "fuzzing", "--exclude-method", "DELETE", config=config
    )

    # What was there was found: it was screened, and more than once.
    runs = web.call("GET", f"/v5/verifications/{verified['trace']}/jobs", admin).json()["data"]
    assert runs["jobs"]
    checks = web.call("GET", f"/kyc/watchlists/{watched}/history", admin).json()["checks"]
    assert checks


def _named(there: dict[str, dict[str, str]], prefix: str) -> Iterator[str]:
    for name, known in there.items():
        if prefix in known:
            yield f'"path.{name}" = {json.dumps(known[prefix])}'
