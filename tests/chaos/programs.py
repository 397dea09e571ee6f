"""The programs of the Procfile, each of which can be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

from app import embedded
from app.settings import Settings
from devtools import procfile
from tests.integration.conftest import ROOT, until

#: What a program writes to its log when it can do its work.
_READY = {"worker": b" ready.", "control": b" ready.", "beat": b"beat: Starting..."}


@dataclass
class Program:
    """One line of the Procfile, with the kinds of the tests, in a process group of its own."""

    settings: Settings
    folder: Path
    line: str
    #: Of several that run the same line.
    name: str = ""
    env: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=embedded.free_port)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name or self.line}.{self.starts}.log"

    def start(self, *, wait: bool = True) -> None:
        self.starts += 1
        own = self.name or self.line
        given = {
            **os.environ,
            **self.settings.to_env(),
            "REMAP_SIGTERM": "SIGQUIT",
            "PORT": str(self.port),
            "MUSTER_BIND": "127.0.0.1",
            "MUSTER_BEAT_SCHEDULE": str(self.folder / f"{own}.schedule"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            **self.env,
        }
        command = procfile.read(ROOT / "Procfile")[self.line]
        command = command.replace("workers.main", "tests.probes.worker")
        command = command.replace(f"{self.line}@%h", f"{own}@%h")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=ROOT,
                env={name: value for name, value in given.items() if value},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        until(self.is_ready, 60, lambda: f"{self.line} is ready: {self.log.read_text()[-2_000:]}")

    def is_ready(self) -> bool:
        if self.line != "web":
            return _READY[self.line] in self.log.read_bytes()
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        return False

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def children(self) -> list[int]:
        """The processes that do the work: those of a pool, or the web's."""
        assert self.process is not None
        pid = self.process.pid
        with suppress(FileNotFoundError):
            return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        return []

    def kill(self) -> None:
        """End it and all that it started, as a power cut would."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
