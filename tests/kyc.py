"""What the tests of dialect A share: a small list, a worker for a module, a real web process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from app import embedded
from app.jobs import service
from app.jobs.dispatch import FACES
from app.jobs.model import Job, NewItem
from app.kinds import kyc
from app.screening.lists.load import load_list
from app.settings import Settings
from devtools import procfile
from tests.integration.conftest import ROOT, STARTING_SECONDS, Worker, clear_broker, until

ENTRIES = (
    {
        "id": "h-1",
        "type": "person",
        "name": "Zebulon Quartermain",
        "aliases": ["Zeb Quartermain"],
        "birth_dates": ["1961-04-12"],
        "countries": ["GB"],
        "identifiers": [{"type": "Passport", "value": "X9988776"}],
        "programs": ["TEST"],
    },
    {"id": "h-2", "type": "organisation", "name": "Brackwater Holdings Ltd", "countries": ["MT"]},
    {
        "id": "h-3",
        "type": "vessel",
        "name": "Northern Lark",
        "identifiers": [{"type": "IMO", "value": "9187629"}],
    },
    {
        "id": "h-4",
        "type": "person",
        "name": "Ottoline Vexford",
        "identifiers": [{"type": "Digital currency address", "value": "bc1qtestwallet0000000001"}],
    },
)

LISTED = {"entity_id": "listed", "subject": {"full_name": "Zebulon Quartermain"}}
CLEAR = {"entity_id": "clear", "subject": {"full_name": "Harriet Ploughwright"}}
#: In the catalogue, and never loaded by these tests.
NOT_LOADED = {"entity_id": "unlisted", "subject": {"full_name": "Any Body"}, "lists": ["un"]}


@pytest.fixture
def house_list(resources, settings, tmp_path) -> str:
    """A list of four, loaded under the name `house`."""
    return load(resources, settings, tmp_path, "house", ENTRIES)


def load(resources, settings, folder: Path, name: str, entries: Any) -> str:
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    load_list(resources.db, name, file, format="plain", version="v1", index_dir=settings.index_dir)
    return name


@pytest.fixture(scope="module")
def screener(settings, tmp_path_factory) -> Iterator[Worker]:
    """One worker for all tests of a module: starting it takes longer than most of them."""
    folder = tmp_path_factory.mktemp("screener")
    env = {**os.environ, **settings.to_env(), "REMAP_SIGTERM": "SIGQUIT"}
    env = {key: value for key, value in env.items() if value != ""}
    worker = Worker(env, folder, "screener", "-B", "-s", str(folder / "schedule"))
    try:
        worker.wait_until_ready()
        yield worker
    finally:
        worker.stop()
        clear_broker(settings)


@pytest.fixture
def waiting(resources, tenant) -> Callable[..., Job]:
    """Submit a job that no worker takes, on a queue that none of them serves."""

    def run(*subjects: str, **changes: Any) -> Job:
        names = subjects or ("Ada Lovelace", "Grace Hopper")
        items = [
            NewItem(f"e{n}", service.encode_item({"subject": {"full_name": name}}))
            for n, name in enumerate(names)
        ]
        plan = kyc.plan(resources, tenant_id=tenant.id, created_by="usr_test", items=items)
        return service.submit(resources, replace(plan, queue=FACES, **changes))

    return run


def ended(client, job_id: str, seconds: float = 40, **query: str) -> dict[str, Any]:
    """Poll until the job has ended, and return what the poll says then."""

    def look() -> dict[str, Any] | None:
        answer = client.get(f"/kyc/jobs/{job_id}", query_string={"results": "false"})
        return None if answer.json["job_status"] == "processing" else answer.json

    until(look, seconds, "the job ends")
    return client.get(f"/kyc/jobs/{job_id}", query_string=query).json


def single_checks(resources) -> list[str]:
    """Return the states of all single checks, which no list of jobs shows."""
    with resources.db.transaction() as tx:
        tx.execute("SELECT state FROM jobs WHERE queue = 'interactive'")
        return [row["state"] for row in tx.fetchall()]


def assert_flat(response, status: int, code: str) -> dict[str, Any]:
    """Every error of dialect A: one shape, whatever went wrong. Returns the body."""
    body = response.get_json() if hasattr(response, "get_json") else response.json()
    assert (response.status_code, body.get("code")) == (status, code), body
    assert response.headers["Content-Type"] == "application/json"
    assert body["status"] == "error"
    assert {"error", "message", "request_id"} <= body.keys()
    assert body["error"]
    assert body["message"]
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert "Traceback" not in json.dumps(body)
    return body


@dataclass(frozen=True)
class Web:
    """A web process as the Procfile starts it."""

    url: str
    port: int
    log: Path
    pid: int

    def children(self) -> list[int]:
        """The processes that answer; the one above them starts another for each that dies."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def call(self, method: str, path: str, token: str | None = None, **given: Any):
        headers = {**given.pop("headers", {})}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return requests.request(method, self.url + path, headers=headers, timeout=60, **given)


@contextmanager
def serving(settings: Settings, folder: Path) -> Iterator[Web]:
    """Run the web line of the Procfile on a free port."""
    port = embedded.free_port()
    env = {**os.environ, **{k: v for k, v in settings.to_env().items() if v}}
    env |= {"PORT": str(port), "MUSTER_BIND": "127.0.0.1", "MUSTER_WEB_WORKERS": "1"}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = "exec " + procfile.read(ROOT / "Procfile")["web"]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    web = Web(f"http://127.0.0.1:{port}", port, folder / "web.log", process.pid)
    try:
        until(
            lambda: process.poll() is not None or _answers(web),
            STARTING_SECONDS,
            lambda: f"the web answers: {web.log.read_text()}",
        )
        assert process.poll() is None, f"the web has ended: {web.log.read_text()}"
        yield web
    finally:
        process.terminate()
        process.wait(20)


def _answers(web: Web) -> bool:
    try:
        return web.call("GET", "/healthz").ok
    except requests.RequestException:
        return False
