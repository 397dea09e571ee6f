"""Running dev.py as a person would, beside whatever runs in this checkout already."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import embedded
from devtools.processes import MARKER, PROC

ROOT = Path(__file__).resolve().parents[2]

#: What would lead dev.py away from its defaults.
FOREIGN = ("DATABASE_URL", "REDIS_URL", "PORT", "FLOWER_PORT", MARKER)


class Dev:
    """One run of dev.py, with a state folder of its own."""

    def __init__(self, state: Path, command: list[str], env: Mapping[str, str], **options) -> None:
        self.state = state
        self.output = state.parent / f"{state.name}.{time.monotonic_ns()}.out"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **options
            )

    @property
    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen in {seconds} s: {self.text}"
            assert self.process.poll() is None, f"dev.py ended before {what}: {self.text}"
            time.sleep(0.02)

    def wait_until_up(self, seconds: float = 40) -> dict[str, str]:
        """Wait for the banner, and return what run.env says."""
        self.wait_for(lambda: "Muster is running" in self.text, "the banner", seconds)
        words = shlex.split((self.state / "run.env").read_text())
        return dict(word.split("=", 1) for word in words)

    def run_file(self) -> dict:
        return json.loads((self.state / "run.json").read_text())

    def children(self) -> dict[str, int]:
        return {child["name"]: child["pid"] for child in self.run_file()["children"]}

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def ended(self, seconds: float = 20) -> int:
        return self.process.wait(seconds)


def living(state: Path, run_ids: frozenset[str] = frozenset()) -> dict[int, str]:
    """Return what still runs with this state folder in its environment, or marked by these runs."""
    wanted = {f"MUSTER_STATE_DIR={state}".encode()}
    wanted |= {f"{MARKER}={run_id}".encode() for run_id in run_ids}
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                variables = set((folder / "environ").read_bytes().split(b"\0"))
                shown = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if variables & wanted:
                found[int(folder.name)] = shown
    return found


def wait_until_nothing_lives(state: Path, run_ids: frozenset[str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while left := living(state, run_ids):
        assert time.monotonic() < deadline, f"still running after {seconds} s: {left}"
        time.sleep(0.05)


def environment(state: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**kept, "MUSTER_STATE_DIR": str(state), "MUSTER_VENV": sys.prefix, **more}


@contextmanager
def running(state: Path, *arguments: str, **more: str) -> Iterator[Dev]:
    """Run dev.py; at the end of the block make sure that it has stopped."""
    dev = Dev(state, [sys.executable, ROOT / "dev.py", *arguments], environment(state, **more))
    try:
        yield dev
    finally:
        if dev.process.poll() is None:
            dev.process.terminate()
            dev.ended()


def run(state: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run dev.py to its end."""
    return subprocess.run(
        [sys.executable, ROOT / "dev.py", *arguments],
        env=environment(state, **more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def need_servers() -> None:
    """Skip where the servers' programs are missing; fail in CI."""
    if embedded.find_postgres() is None or embedded.find_valkey() is None:
        reason = "needs Postgres and Valkey: requirements-embedded.txt"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def delete_data(state: Path) -> None:
    """Delete what `up` keeps; as root it lies outside of the folder for state."""
    record = state / "servers"
    if record.is_file():
        shutil.rmtree(record.read_text().strip())


@pytest.fixture
def state(tmp_path) -> Iterator[Path]:
    need_servers()
    if not PROC.exists():
        pytest.skip("finds forgotten processes in /proc, which only Linux has")
    yield tmp_path / "state"
    delete_data(tmp_path / "state")


@pytest.fixture(scope="package")
def up(tmp_path_factory) -> Iterator[Dev]:
    """`dev.py up`, shared by the tests that only look at it."""
    need_servers()
    state = tmp_path_factory.mktemp("up") / "state"
    with running(state, "up") as dev:
        dev.wait_until_up()
        yield dev
    delete_data(state)


@pytest.fixture(scope="package")
def up_env(up) -> dict[str, str]:
    """What `muster` in another terminal reads."""
    return up.wait_until_up()
