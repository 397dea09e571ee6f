"""A client with a token, real workers, and jobs whose items do as they are told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import auth, tokens
from app.factory import create_app
from app.jobs import service, store
from app.jobs.model import Job, NewItem, NewJob
from app.jobs.states import Event
from app.kinds import KINDS
from app.settings import Settings
from tests.probes import kinds as probes

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def settings(settings):
    """The same machinery on a shorter clock, so that repairs are seen in seconds."""
    return replace(
        settings,
        chunk_seconds=2.0,
        flush_seconds=0.1,
        claim_seconds=2.0,
        visibility_timeout=4.0,
        sweep_seconds=0.5,
        monitor_seconds=0.5,
        stale_seconds=1.0,
        worker_grace_seconds=1.0,
    )


@pytest.fixture(scope="session", autouse=True)
def _probe_kinds() -> None:
    KINDS.update({kind.name: kind for kind in (probes.SLOW, probes.FAST)})


@pytest.fixture
def tenant(resources):
    return accounts.ensure_tenant(resources.db, "acme")


@pytest.fixture
def token(settings, tenant) -> str:
    return tokens.mint_access(settings, tenant.id, "usr_test", PERMISSIONS[Role.OPERATOR])


@pytest.fixture(scope="session")
def web(settings):
    return create_app(settings)


@pytest.fixture
def client(web, token):
    """Flask's test client, with an operator's token on every request."""
    auth._known_keys.clear()
    client = web.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


#: Until a program answers, however busy the machine is: it is no promise how soon that is.
STARTING_SECONDS = 90.0

_QUEUES = "control,interactive,verifications,screening,documents_interactive,documents"


class Worker:
    """A real worker process, with the kinds of the tests, all queues and a beat of its own."""

    def __init__(self, env: dict[str, str], folder: Path, name: str, *args: str) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        command = [
            *(sys.executable, "-m", "celery", "-A", "tests.probes.worker", "worker"),
            *("--concurrency", "2", "-n", f"{name}@%h", "--without-gossip", "--without-mingle"),
            *("-Q", _QUEUES, "-E"),
            *args,
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """The pool's processes."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def wait_until_ready(self, seconds: float = STARTING_SECONDS) -> None:
        until(self._is_ready, seconds, f"{self.name} is ready")

    def _is_ready(self) -> bool:
        if b" ready." in self.log.read_bytes():
            return True
        assert self.process.poll() is None, f"{self.name} has ended: {self.log.read_text()}"
        return False

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.pid, 9)
            self.process.wait()


def clear_broker(settings: Settings) -> None:
    """Delete the messages of a worker that served many tests: it may have stopped after the last
    of them, when nobody clears up any more, and its sweeps would be counted by the next test."""
    with redis.Redis.from_url(settings.redis_url) as client, suppress(redis.ConnectionError):
        client.flushall()


@pytest.fixture
def worker(settings, tmp_path) -> Iterator[Callable[..., Worker]]:
    """Call to start a worker; `beat=False` for one without the sweep."""
    started: list[Worker] = []

    def start(
        *args: str, beat: bool = True, ready: bool = True, env: dict[str, str] | None = None
    ) -> Worker:
        name = f"worker{len(started)}"
        if beat:
            args = ("-B", "-s", str(tmp_path / f"{name}.schedule"), *args)
        given = {**os.environ, **settings.to_env(), "REMAP_SIGTERM": "SIGQUIT", **(env or {})}
        given = {key: value for key, value in given.items() if value != ""}
        started.append(Worker(given, tmp_path, name, *args))
        if ready:
            started[-1].wait_until_ready()
        return started[-1]

    yield start
    for each in started:
        each.stop()


@pytest.fixture
def submit(resources, tenant) -> Callable[..., Job]:
    """Submit a job of a probe kind: `submit("slow", [{"sleep": 0.1}] * 10, chunk_size=5)`."""

    def run(
        kind: str, payloads: Sequence[dict[str, Any]], *, chunk_size: int = 10, **options: Any
    ) -> Job:
        return service.submit(resources, new_job(tenant.id, kind, payloads, chunk_size, options))

    return run


def new_job(
    tenant_id: UUID,
    kind: str,
    payloads: Sequence[dict[str, Any]],
    chunk_size: int = 10,
    options: dict[str, Any] | None = None,
) -> NewJob:
    return NewJob(
        tenant_id=tenant_id,
        kind=kind,
        dialect=kind,
        queue="screening",
        chunk_size=chunk_size,
        options=options or {},
        items=[
            NewItem(f"r{n}", service.encode_item(payload)) for n, payload in enumerate(payloads)
        ],
        created_by="usr_test",
    )


@pytest.fixture
def reload(resources) -> Callable[[Job], Job]:
    """Return the job as Postgres has it now."""
    return lambda job: service.find(resources, job.tenant_id, job.dialect, job.external_id)


@pytest.fixture
def finished(reload) -> Callable[..., Job]:
    """Wait until the job has ended, and return it."""

    def wait(job: Job, seconds: float = 40) -> Job:
        until(lambda: reload(job).state.is_final, seconds, lambda: f"it ends: {reload(job)}")
        return reload(job)

    return wait


def until(
    condition: Callable[[], Any], seconds: float, what: str | Callable[[], str] = "condition"
) -> Any:
    """Wait for the condition, and return what it returned. Fails when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            said = what if isinstance(what, str) else what()
            raise AssertionError(f"not within {seconds} s: {said}")
        time.sleep(0.02)


def commits(monkeypatch, event: Event) -> list[str]:
    """Return a list that says, of every job that the event moves, how its transaction commits."""
    seen: list[str] = []
    advance = store.advance

    def watched(tx, job_id, happens, **more):
        if happens is event:
            tx.execute("SHOW synchronous_commit")
            seen.append(tx.fetchone()["synchronous_commit"])
        return advance(tx, job_id, happens, **more)

    monkeypatch.setattr(store, "advance", watched)
    return seen
