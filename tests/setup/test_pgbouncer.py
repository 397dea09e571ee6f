"""Everything of the Procfile behind PgBouncer in transaction mode, with five connections in all.

Nothing that a program does may live in a session of Postgres: the next transaction has another
one. And five connections for eight programs run out every moment, so that each has to wait.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests

from app import embedded
from devtools import portraits
from tests import pgbouncer
from tests.setup.conftest import ROOT, Dev, delete_data, need_servers, running

pytestmark = pytest.mark.timeout(300)

POOL = 5
#: Seconds until PgBouncer sends away who got no connection.
WAIT = 6.0
NAME = "behind_pgbouncer"
VERSIONS = (
    [{"id": "p-1", "type": "person", "name": "Zebulon Quartermain"}],
    [
        {"id": "p-1", "type": "person", "name": "Zebulon Quartermain"},
        {"id": "p-2", "type": "person", "name": "Harriet Ploughwright"},
    ],
)


@dataclass(frozen=True)
class Site:
    """A platform behind PgBouncer, as its clients see it."""

    dev: Dev
    env: dict[str, str]
    bouncer: pgbouncer.Bouncer

    @property
    def database_url(self) -> str:
        return self.env["DATABASE_URL"]

    def ask(self, method: str, path: str, status: int = 200, **given: Any) -> Any:
        answer = self.request(method, path, **given)
        assert answer.status_code == status, answer.text
        return answer.json()

    def request(self, method: str, path: str, **given: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.env['MUSTER_TOKEN']}"}
        url = self.env["MUSTER_URL"] + path
        return requests.request(method, url, headers=headers, timeout=60, **given)

    def submit(self, count: int, name: str = "Jane Citizen") -> str:
        entities = [
            {"entity_id": f"e{number}", "subject": {"full_name": f"{name} {number}"}}
            for number in range(count)
        ]
        return self.ask("POST", "/kyc/jobs", json={"entities": entities})["job_id"]

    def job(self, job_id: str) -> dict[str, Any]:
        return self.read(f"/v1/jobs/{job_id}").json()

    def read(self, path: str) -> requests.Response:
        """Read as a client does, who comes back after a 503.

        Each web process answers with one when it first meets a connection that was cut.
        """
        answer = until(
            lambda: (got := self.request("GET", path)).status_code != 503 and got, 30, lambda: path
        )
        assert answer.status_code == 200, answer.text
        return answer

    def ended(self, job_id: str, seconds: float = 200) -> dict[str, Any]:
        final = {"completed", "failed", "cancelled", "expired"}
        return until(
            lambda: (job := self.job(job_id))["status"] in final and job,
            seconds,
            lambda: f"it ends: {self.job(job_id)}",
        )

    def run(self, *command: str, **other: str) -> str:
        """Run a program of ours in the environment of the platform, and return what it says."""
        ran = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **self.env, **other},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def muster(self, *words: str, **other: str) -> str:
        return self.run("-m", "app.cli", *words, **other)


def until(condition, seconds: float, what) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(0.1)
    return value


def different_ports(*names: str) -> dict[str, str]:
    """Draw until no port is drawn twice: each is free until its program listens there."""
    ports: set[int] = set()
    while len(ports) < len(names):
        ports.add(embedded.free_port())
    return dict(zip(names, map(str, ports), strict=True))


def _load(site: Site, name: str, folder: Path, entries: list[dict[str, Any]]) -> None:
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    site.muster("lists", "load", name, str(file))


def assert_whole(site: Site, job_id: str, total: int) -> None:
    """The job completes, and each item has one result and was counted once."""
    job = site.ended(job_id)
    assert job["status"] == "completed", job
    assert job["counts"]["succeeded"] == job["counts"]["total"] == total
    lines = site.read(f"/v1/jobs/{job_id}/results").text.splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(total))


@pytest.fixture(scope="module")
def site(servers, tmp_path_factory):
    need_servers()
    pgbouncer.needed()
    state = tmp_path_factory.mktemp("behind") / "state"
    with pgbouncer.before(servers.admin_url, pool_size=POOL, wait_seconds=WAIT) as bouncer:
        given = {
            "DATABASE_URL": bouncer.url(servers.new_empty_database(NAME)),
            "REDIS_URL": servers.redis_url.replace("/0", "/8"),
            **different_ports("PORT", "LIVE_PORT", "FLOWER_PORT"),
            "MUSTER_MONITOR_SECONDS": "1",
            "MUSTER_SWEEP_SECONDS": "1",
            "MUSTER_STALE_SECONDS": "2",
        }
        with running(state, "up", "--quiet", **given) as dev:
            yield Site(dev, dev.wait_until_up(120), bouncer)
    delete_data(state)


@pytest.fixture(autouse=True)
def _nothing_is_wrong(site):
    """No program wrote of a bug, whatever became of its connections."""
    yield
    assert set(site.dev.children()) >= {"web", "live", "worker", "control", "beat"}
    for log in (site.dev.state / "logs").glob("*.log"):
        text = log.read_text()
        assert "Traceback" not in text, f"{log.name}: {text}"
        for word in ("prepared statement", "ProgrammingError", "InternalError"):
            assert word not in text, f"{log.name}: {text}"


def test_migrations_and_lists_take_their_locks_in_a_transaction(site, servers, tmp_path):
    empty = site.bouncer.url(servers.new_empty_database("migrated_behind_pgbouncer"))
    with ThreadPoolExecutor(3) as threads:
        said = threads.map(lambda _: site.muster("migrate", DATABASE_URL=empty), range(3))
        assert sorted("up to date" in each for each in said) == [False, True, True]

    for entries in VERSIONS:
        _load(site, "bounced", tmp_path, entries)
    shown = {each["list_name"]: each for each in site.ask("GET", "/kyc/lists")["lists"]}
    assert {"sample", "bounced"} <= shown.keys()
    assert shown["bounced"]["entities"] == 2


def test_every_kind_of_job_ends_as_it_would_without(site):
    site.run("-m", "app.demo", "--entities", "1000")
    assert "was checked here" in site.run("-m", "app.demo_verifications")
    documents = [{"text": f"Bank {number} was fined for laundering."} for number in range(20)]
    body = {"job_id": "bounced", "config": {}, "documents": documents}
    made = site.request("POST", "/api/batch/start", json=body)
    assert made.ok, made.text
    told = site.request("GET", "/api/batch/jobs/bounced/events?after=0").text
    last = json.loads(told.rstrip().rpartition("data: ")[2])
    assert (last["processed_count"], last["failed_count"]) == (len(documents), 0)


def test_people_are_enrolled_and_found_again(site):
    try:
        folder = portraits.folder()
    except portraits.NotToBeHad as why:
        pytest.skip(str(why))
    assert "3 of 3 answers are right." in site.run("-m", "app.demo_faces", str(folder))


def _caught(site: Site, request: str, state: str) -> str:
    """Ask a job to stop while workers are at it, and return its id once it is `state`.

    On an idle machine a job may be done before it notices, and then the next one is asked.
    """
    for _ in range(20):
        job_id = site.submit(5000)
        answer = site.request("POST", f"/v1/jobs/{job_id}/{request}")
        assert answer.status_code in (200, 409), answer.text
        until(
            lambda job_id=job_id: site.job(job_id)["status"] in (state, "completed"),
            60,
            lambda job_id=job_id: site.job(job_id),
        )
        if site.job(job_id)["status"] == state:
            return job_id
    raise AssertionError(f"20 jobs were done before any of them was {state}")


def test_a_job_is_paused_resumed_and_cancelled(site):
    job_id = _caught(site, "pause", "paused")
    _caught(site, "cancel", "cancelled")

    site.ask("POST", f"/v1/jobs/{job_id}/resume")

    assert_whole(site, job_id, 5000)


def test_a_changed_list_finds_whom_it_concerns(site, tmp_path):
    subjects = [
        {"entity_id": name, "subject": {"full_name": name}}
        for name in ("Harriet Ploughwright", "Jane Citizen")
    ]
    body = {"name": "behind", "check_frequency": "on_update", "lists": ["late"]}
    _load(site, "late", tmp_path, VERSIONS[0])
    watchlist = site.ask("POST", "/kyc/watchlists", 201, json=body)["watchlist"]["watchlist_id"]
    site.ask("POST", f"/kyc/watchlists/{watchlist}/subjects", json={"subjects": subjects})
    assert site.ask("POST", f"/kyc/watchlists/{watchlist}/monitor")["data"]["total_matches"] == 0

    _load(site, "late", tmp_path, VERSIONS[1])

    path = f"/kyc/watchlists/{watchlist}/changes"
    found = until(
        lambda: site.ask("GET", path)["changes"], 60, lambda: "it is told who is listed now"
    )
    assert [(each["entity_id"], each["change"]) for each in found] == [
        ("Harriet Ploughwright", "new")
    ]


def test_a_crowd_shares_five_connections_and_nobody_is_sent_away(site):
    with ThreadPoolExecutor(40) as threads:
        jobs = list(threads.map(lambda _: site.submit(25), range(80)))
    assert len(set(jobs)) == 80
    for job_id in jobs:
        assert_whole(site, job_id, 25)
    (pool,) = (each for each in site.bouncer.show("pools") if each["database"] == NAME)
    assert pool["pool_mode"] == "transaction"
    servers = [each for each in site.bouncer.show("servers") if each["database"] == NAME]
    assert 0 < len(servers) <= POOL
    clients = [each for each in site.bouncer.show("clients") if each["database"] == NAME]
    assert len(clients) > POOL, "more programs than connections"


def test_while_others_hold_every_connection_it_is_503_and_nothing_is_lost(site):
    jobs = [site.submit(1000) for _ in range(2)]
    entities = {"entities": [{"subject": {"full_name": "Jane Citizen"}}]}
    with ExitStack() as stack:
        for _ in range(POOL):
            held = stack.enter_context(closing(psycopg2.connect(site.database_url)))
            held.cursor().execute("SELECT 1")
        # Each waits until it is sent away, and meanwhile so are the workers.
        for method, path, given in (
            ("POST", "/kyc/jobs", {"json": entities}),
            ("GET", "/kyc/jobs", {}),
        ):
            refused = site.request(method, path, **given)
            assert refused.status_code == 503, refused.text
            assert refused.json()["code"] == "database_unavailable"
            assert "Retry-After" in refused.headers

    for job_id in jobs:
        assert_whole(site, job_id, 1000)
    assert_whole(site, site.submit(10), 10)


def test_who_is_cut_off_in_the_middle_of_a_job_goes_on(site):
    jobs = [site.submit(1000) for _ in range(2)]

    site.bouncer.cut(NAME)

    for job_id in jobs:
        assert_whole(site, job_id, 1000)
