"""Workers to kill, and a Redis and a Postgres of one's own to stop.

The clocks are those of tests/integration: a chunk works for 2 s, an unacknowledged message is given
to another worker after 4 s, and the sweep looks every half second for jobs silent for a second.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from app import embedded
from app.accounts import service as accounts
from app.jobs import service
from app.migrate import migrate
from app.resources import Resources
from devtools.guard import Guard, note
from tests.integration.conftest import _probe_kinds as _probe_kinds
from tests.integration.conftest import finished as finished
from tests.integration.conftest import new_job, until
from tests.integration.conftest import reload as reload
from tests.integration.conftest import settings as settings
from tests.integration.conftest import submit as submit
from tests.integration.conftest import tenant as tenant
from tests.integration.conftest import token as token
from tests.integration.engine import kill, lasting_worker, start_worker


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.chaos)


@pytest.fixture
def start(settings, tmp_path):
    """Call with a name to start a worker; `beat=False` for one without the sweep."""
    started = []

    def run(name, *args, beat=True, **changed):
        worker = start_worker(replace(settings, **changed), tmp_path, name, *args, beat=beat)
        started.append(worker)
        return worker

    yield run
    for worker in started:
        kill(worker)


@pytest.fixture(scope="module")
def engine(settings, tmp_path_factory):
    """A worker that outlives what is done to its pool."""
    with lasting_worker(settings, tmp_path_factory.mktemp("engine")) as worker:
        yield worker


@dataclass
class Mortal:
    """A server that can be killed, and comes back at the same address with what it had saved."""

    program: str
    home: Path
    guard: Guard
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    server: embedded.Server | None = None
    port: int = field(default_factory=embedded.free_port)

    @property
    def url(self) -> str:
        assert self.server is not None
        return self.server.url

    def start(self) -> None:
        log = self.home / f"{self.program}.log"
        kept: dict[str, Any] = {"durable": True, "log": log, "launch": self._launch}
        with mock.patch.object(embedded, "free_port", return_value=self.port):
            if self.program == "valkey":
                program = embedded.find_valkey()
                self.server = embedded.start_valkey(self.home, self.password, program, **kept)
            else:
                folder = embedded.find_postgres()
                self.server = embedded.start_postgres(self.home, self.password, folder, **kept)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self.server is not None
        self.server.process.send_signal(how)
        self.server.process.wait()

    def forget(self) -> None:
        """Lose what was saved."""
        for file in (self.home / "valkey").rglob("*"):
            if file.is_file():
                file.unlink()

    def take_over(self, files: Path) -> None:
        """Let a copy of these files be what was saved."""
        copy = shutil.copytree(files, self.home / self.program)
        user = embedded.account()
        for each in [copy, *copy.rglob("*")] if user is not None else ():
            user.owns(each)

    def _launch(self, command, **options) -> subprocess.Popen[bytes]:
        process = embedded.plain_launch(command, **options)
        self.guard.watch(note(self.program, process.pid, "servers", embedded.QUICK_STOP))
        return process


@pytest.fixture(scope="module")
def mortal(servers) -> Iterator[Any]:
    """Call with `valkey` or `postgres` for a server of your own. Skips where there are none.

    One that shall have the files of another has its password too.
    """
    guard = Guard(secrets.token_hex(8))
    made = []

    def make(
        program: str, files: Path | None = None, home: Path | None = None, **known: Any
    ) -> Mortal:
        if home is None:
            home = embedded.make_home(embedded.scratch())
            guard.delete_at_the_end(home)
        server = Mortal(program, home, guard, **known)
        if files is not None:
            server.take_over(files)
        server.start()
        made.append(server)
        return server

    yield make
    guard.finish()
    for server in made:
        server.server.process.wait()


@dataclass(frozen=True)
class Site:
    """A platform of one's own around a server that will be killed."""

    resources: Resources
    tenant_id: Any

    def submit(self, payloads, *, kind="slow", chunk_size=10):
        return service.submit(self.resources, new_job(self.tenant_id, kind, payloads, chunk_size))

    def reload(self, job):
        return service.find(self.resources, job.tenant_id, job.dialect, job.external_id)


def open_site(settings) -> Site:
    resources = Resources.open(settings)
    migrate(resources.db)
    return Site(resources, accounts.ensure_tenant(resources.db, "acme").id)


def kill_one_that_works(worker, resources) -> None:
    """Kill a process of the pool that holds a chunk at this moment."""

    def working():
        with resources.db.transaction() as tx:
            tx.execute("SELECT holder FROM chunk_claims WHERE expires_at > clock_timestamp()")
            holders = {int(row["holder"].split("/")[1]) for row in tx.fetchall()}
        return holders.intersection(worker.children())

    os.kill(until(working, 10, "one of them works").pop(), signal.SIGKILL)
