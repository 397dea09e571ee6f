"""Starts children, tells the guard of each, and watches them."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app import embedded
from devtools import state
from devtools.guard import Guard, leave_nothing, note
from devtools.processes import MARKER, Child
from devtools.signals import Signals, listening

#: Lines of a log that are shown when its program failed.
TAIL_LINES = 20


class ProgramFailed(Exception):
    """A program ended that should not have, or not like this. The message shows its last words."""


class Supervisor:
    """Use through `supervising`."""

    def __init__(self, signals: Signals, guard: Guard, run_id: str, record: bool) -> None:
        self._signals = signals
        self._guard = guard
        self._run_id = run_id
        self._record = record
        self._children: dict[int, tuple[Child, subprocess.Popen[bytes]]] = {}
        self._lasting: list[tuple[str, subprocess.Popen[bytes], Path]] = []
        self._unwanted: list[str] = []
        self._facts: dict[str, str] = {}
        if record:
            for path in (state.RUN_FILE, state.RUN_ENV):
                guard.delete_at_the_end(path)

    def pause(self, seconds: float) -> None:
        """Wait; raises Interrupted when asked to stop, and ProgramFailed when a program ended."""
        self._signals.pause(seconds)
        if not self._guard.is_alive():
            raise ProgramFailed("the guard process was killed")
        for name, process, log in self._lasting:
            if process.poll() is not None:
                raise _failed(name, process.returncode, log)
        self._forget_the_dead()

    def launch(
        self,
        command: Sequence[str | Path],
        *,
        name: str = "",
        stage: str = "programs",
        stop_signal: int = signal.SIGTERM,
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a child in a group of its own; a signal that arrives meanwhile waits."""
        env = {**options.pop("env", os.environ), MARKER: self._run_id}
        process = subprocess.Popen(command, env=env, process_group=0, **options)
        child = note(name or Path(command[0]).name, process.pid, stage, stop_signal)
        self._guard.watch(child)
        self._children[process.pid] = (child, process)
        self.write_down()
        return process

    def launch_server(
        self, command: Sequence[str | Path], **options: Any
    ) -> subprocess.Popen[bytes]:
        """As `launch`, for what outlives the programs."""
        return self.launch(command, stage="servers", stop_signal=embedded.QUICK_STOP, **options)

    def keep(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        """From now on the end of this child is a failure."""
        self._lasting.append((name, process, log))

    def start(self, name: str, command: Sequence[str | Path], **options: Any) -> None:
        """Start a program that runs until we stop it, with a log of its own."""
        process, log = self._launch_with_log(name, command, options)
        self.keep(name, process, log)

    def run(self, name: str, command: Sequence[str | Path], **options: Any) -> str:
        """Run a program to its end and return what it wrote; raises ProgramFailed."""
        return self.result(name, *self._launch_with_log(name, command, options))

    def background(self, name: str, command: Sequence[str | Path], **options: Any) -> Background:
        """Start a program that ends by itself; ask for its `result` later."""
        return Background(self, name, *self._launch_with_log(name, command, options))

    def result(self, name: str, process: subprocess.Popen[bytes], log: Path) -> str:
        if self.finish(process) != 0:
            raise _failed(name, process.returncode, log)
        return log.read_text(encoding="utf-8", errors="replace")

    def finish(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for a child to end by itself, and return its status."""
        while process.poll() is None:
            self.pause(0.5)
        self._forget_the_dead()
        return process.returncode

    def delete_at_the_end(self, path: Path) -> None:
        self._guard.delete_at_the_end(path)
        self._unwanted.append(str(path))
        self.write_down()

    def leave_nothing(self) -> None:
        """Do what the guard would have done, had nobody killed it."""
        # Of a child that has been waited for, the number may be somebody else's by now.
        children = [
            child for child, process in self._children.values() if process.returncode is None
        ]
        files = [state.RUN_FILE, state.RUN_ENV] if self._record else []
        leave_nothing(children, self._run_id, [*map(Path, self._unwanted), *files])

    def write_down(self, **facts: str) -> None:
        """Keep run.json true, with these facts added, for `status` and `down`."""
        self._facts |= facts
        if self._record:
            run = {
                "run": self._run_id,
                "supervisor": asdict(note("dev.py", os.getpid(), "programs", signal.SIGTERM)),
                "children": [asdict(child) for child, _ in self._children.values()],
                "unwanted": self._unwanted,
                **self._facts,
            }
            state.write_private(state.RUN_FILE, json.dumps(run, indent=2))

    def _forget_the_dead(self) -> None:
        dead = [pid for pid, (_, process) in self._children.items() if process.poll() is not None]
        for pid in dead:
            self._guard.forget(pid)
            del self._children[pid]
        if dead:
            self.write_down()

    def _launch_with_log(
        self, name: str, command: Sequence[str | Path], options: dict[str, Any]
    ) -> tuple[subprocess.Popen[bytes], Path]:
        log = state.LOGS / f"{name}.log"
        options = {"stdin": subprocess.DEVNULL, "cwd": state.ROOT, **options}
        # A file rather than a pipe: programs must be able to write when we are no more.
        with log.open("wb") as output:
            process = self.launch(command, name=name, stdout=output, stderr=output, **options)
        return process, log


class Background:
    """A program that runs while we do something else."""

    def __init__(
        self, supervisor: Supervisor, name: str, process: subprocess.Popen[bytes], log: Path
    ) -> None:
        self._supervisor = supervisor
        self._name = name
        self._process = process
        self._log = log

    def result(self) -> str:
        """Wait for its end and return what it wrote; raises ProgramFailed."""
        return self._supervisor.result(self._name, self._process, self._log)


@contextmanager
def supervising(*locks: int, record: bool = False) -> Iterator[Supervisor]:
    """Run children inside the block; when it ends, however it ends, none is left.

    The guard holds `locks` until then. `record` keeps run.json up to date.
    """
    run_id = secrets.token_hex(8)
    with listening() as signals:
        guard = Guard(run_id, keep_open=locks)
        supervisor = Supervisor(signals, guard, run_id, record)
        try:
            yield supervisor
        finally:
            if not guard.finish():
                supervisor.leave_nothing()


def _failed(name: str, status: int, log: Path) -> ProgramFailed:
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended ({status})"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    said = "".join(f"\n    {line}" for line in lines)
    return ProgramFailed(f"{name} {how}. The end of {log}:{said}")
