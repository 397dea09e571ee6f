"""The guard: a process that stops everything, whoever ends first.

The supervisor tells it of every child through a pipe. When the pipe closes, because the supervisor
is done or because it was killed, the guard stops the children in good order, deletes what was to
be deleted, and ends. So there is one way to stop, and it is the one that is always used. Only
where the guard itself was killed does the supervisor go the same way (`leave_nothing`).

Run as `python -m devtools.guard` with the pipe as its standard input.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from devtools.processes import Child, birth, stop_in_order, stop_marked

ROOT = Path(__file__).resolve().parents[1]


class Guard:
    """The supervisor's end of the pipe."""

    def __init__(self, run_id: str, keep_open: Sequence[int] = ()) -> None:
        """`keep_open` are files the guard holds too: a lock stays held until all is stopped."""
        self._process = subprocess.Popen(
            [sys.executable, "-E", "-s", "-S", "-m", "devtools.guard"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=keep_open,
            # A session of its own: neither Ctrl-C nor a closed terminal reaches it.
            start_new_session=True,
        )
        self._tell(run=run_id)

    def watch(self, child: Child) -> None:
        self._tell(started=asdict(child))

    def forget(self, pid: int) -> None:
        self._tell(ended=pid)

    def delete_at_the_end(self, path: Path) -> None:
        self._tell(delete=str(path))

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def finish(self) -> bool:
        """Have everything stopped, and wait until it is; False if it was killed before that."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        return self._process.wait() == 0

    def _tell(self, **message: object) -> None:
        assert self._process.stdin is not None
        # A guard that was killed is noticed by `is_alive`, at a better moment.
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()


def note(name: str, pid: int, stage: str, stop_signal: int) -> Child:
    """Return the child as the guard knows it."""
    return Child(name, pid, birth(pid) or "", stage, stop_signal)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    run_id = ""
    children: dict[int, Child] = {}
    unwanted: list[Path] = []
    for line in sys.stdin:
        match json.loads(line):
            case {"run": id_}:
                run_id = id_
            case {"started": facts}:
                children[facts["pid"]] = Child(**facts)
            case {"ended": pid}:
                children.pop(pid, None)
            case {"delete": path}:
                unwanted.append(Path(path))
    leave_nothing(children.values(), run_id, unwanted)


def leave_nothing(children: Iterable[Child], run_id: str, unwanted: Iterable[Path]) -> None:
    """Stop the children and what carries the marker of the run, and delete what is unwanted."""
    stop_in_order(children)
    if run_id:
        stop_marked(run_id)
    for path in unwanted:
        delete(path)


def delete(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(path)


if __name__ == "__main__":
    main()
