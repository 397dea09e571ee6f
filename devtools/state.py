"""What is kept between runs: the folder .muster/ in the checkout.

    lock            held by whoever runs the platform here
    run.json        the children of this run, for `down` and `status`
    run.env         the settings of this run, for the command line in another terminal
    secrets.json    passwords and keys, made once
    servers/        the data of the embedded servers; as root, `servers` names a folder elsewhere
    work/           indexes and the like, that programs can make again
    logs/           what each program wrote during the last run

MUSTER_STATE_DIR moves it, for a second instance beside the first.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app import embedded

ROOT = Path(__file__).resolve().parents[1]
STATE = Path(os.environ.get("MUSTER_STATE_DIR") or ROOT / ".muster").absolute()
RUN_FILE = STATE / "run.json"
RUN_ENV = STATE / "run.env"
LOGS = STATE / "logs"


class Refused(Exception):
    """What was asked cannot be done now. The message is for the person who asked."""


def prepare() -> None:
    """Make the folder, closed to everybody else."""
    try:
        STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
        LOGS.mkdir(exist_ok=True)
    except PermissionError as error:
        raise Refused(
            f"{STATE} cannot be written: an earlier run by another user may have made it"
        ) from error


@contextmanager
def locked(name: str, refusal: str) -> Iterator[int]:
    """Hold a lock inside the block, or refuse. Yields the open file, for the guard to hold too."""
    file = os.open(STATE / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(refusal) from error
        yield file
    finally:
        os.close(file)


def is_locked(name: str) -> bool:
    """Tell whether anybody holds the lock."""
    with suppress(FileNotFoundError):
        file = os.open(STATE / name, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
    return False


def write_private(path: Path, text: str) -> None:
    """Write a file that only we can read, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def read_run() -> dict[str, Any] | None:
    """Return what the last run wrote down, or None if it ended in good order."""
    try:
        run: dict[str, Any] = json.loads(RUN_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return run


def write_run_env(values: Mapping[str, str]) -> None:
    """Write the settings as a shell reads them; app/cli/run_env.py does so too."""
    lines = (f"{name}={shlex.quote(value)}\n" for name, value in values.items())
    write_private(RUN_ENV, "".join(lines))


def load_secrets() -> dict[str, str]:
    """Return the secrets of this checkout, made at random the first time."""
    path = STATE / "secrets.json"
    if not path.exists():
        write_private(path, json.dumps(new_secrets(), indent=2))
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return known


def new_secrets() -> dict[str, str]:
    return {
        "jwt": secrets.token_urlsafe(48),
        "postgres": secrets.token_urlsafe(24),
        "valkey": secrets.token_urlsafe(24),
        "flower": secrets.token_urlsafe(18),
    }


def servers_home() -> Path:
    """Return the folder of the embedded servers' data, made on first use.

    As root the servers run as somebody else, who must not need a way into the checkout.
    """
    if embedded.account() is None:
        home = STATE / "servers"
        home.mkdir(mode=0o700, exist_ok=True)
        return home
    record = STATE / "servers"
    with suppress(OSError):
        home = Path(record.read_text(encoding="utf-8").strip())
        if home.is_dir():
            return home
    # Not the folder for temporary files: it is emptied when the machine starts.
    home = embedded.make_home(Path("/var/tmp"))  # noqa: S108  # make_home's folder is private
    write_private(record, f"{home}\n")
    return home
