"""The whole platform on this machine: servers, migrations and programs.

Everything starts as early as it can: Valkey while Postgres creates its cluster, the programs while
the migrations run. What they need from each other they wait for by themselves.
"""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app import embedded
from app.settings import UNLIMITED
from devtools import environment, procfile, state
from devtools.supervisor import ProgramFailed, Supervisor

WEB_PORT = 8000
FLOWER_PORT = 5555
LIVE_PORT = 8001
READY_SECONDS = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stack:
    """A running platform, as those who use it need to know it."""

    url: str
    flower_url: str
    live_url: str
    token: str
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start, and where its data goes."""

    programs: tuple[str, ...]
    #: Of the servers' data; as root it belongs to another user.
    home: Path
    #: Of what programs make for themselves: indexes, beat's schedule.
    work: Path
    keys: Mapping[str, str]
    durable: bool
    #: Ports to use if they are free; any other will do.
    web_port: int = 0
    flower_port: int = 0
    live_port: int = 0


def start(supervisor: Supervisor, plan: Plan, say: Say) -> Stack:
    """Start servers and programs, and return once the platform answers."""
    urls = _start_servers(supervisor, plan)
    say("servers")
    env, ports = _environment(plan, urls)

    bootstrap = supervisor.background(
        "bootstrap", [environment.python(), "-m", "app.bootstrap"], env=env
    )
    commands = procfile.read(state.ROOT / "Procfile")
    first = [name for name in plan.programs if name in {"web", "worker"}]
    _start_programs(supervisor, commands, first, env)
    token = bootstrap.result().split()[-1]
    say("schema, watchlist and token")
    # These talk to the database from their first second, so the schema comes before them.
    _start_programs(supervisor, commands, [p for p in plan.programs if p not in first], env)

    url, live_url, flower_url = (
        f"http://127.0.0.1:{ports[name]}" for name in ("PORT", "LIVE_PORT", "FLOWER_PORT")
    )
    _wait_for(supervisor, f"{url}/healthz")
    if "live" in plan.programs:
        _wait_for(supervisor, f"{live_url}/healthz")
    say("API")
    env |= {"MUSTER_URL": url, "MUSTER_TOKEN": token}
    supervisor.write_down(url=url)
    return Stack(url, flower_url, live_url, token, env)


def _start_servers(supervisor: Supervisor, plan: Plan) -> dict[str, str]:
    """Start what no URL was given for, and return the URLs of both."""
    urls = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")}
    site = environment.site_packages()
    if not urls["REDIS_URL"]:
        program = embedded.find_valkey(site)
        if program is None:
            raise ProgramFailed(environment.HOW_TO_DO_WITHOUT)
        log = state.LOGS / "valkey.log"
        valkey = embedded.start_valkey(
            plan.home,
            plan.keys["valkey"],
            program,
            durable=plan.durable,
            log=log,
            launch=supervisor.launch_server,
            pause=supervisor.pause,
        )
        supervisor.keep("valkey", valkey.process, log)
        urls["REDIS_URL"] = valkey.url
    if not urls["DATABASE_URL"]:
        programs = embedded.find_postgres(site)
        if programs is None:
            raise ProgramFailed(environment.HOW_TO_DO_WITHOUT)
        log = state.LOGS / "postgres.log"
        postgres = embedded.start_postgres(
            plan.home,
            plan.keys["postgres"],
            programs,
            durable=plan.durable,
            log=log,
            launch=supervisor.launch_server,
            pause=supervisor.pause,
        )
        supervisor.keep("postgres", postgres.process, log)
        urls["DATABASE_URL"] = postgres.url
    return urls


def _environment(plan: Plan, urls: Mapping[str, str]) -> tuple[dict[str, str], dict[str, int]]:
    """Return the variables of the programs, and the ports among them."""
    wanted = {
        "PORT": plan.web_port,
        "LIVE_PORT": plan.live_port,
        "FLOWER_PORT": plan.flower_port,
    }
    ports = {name: _port(name, port) for name, port in wanted.items()}
    plan.work.mkdir(exist_ok=True)
    defaults = {
        "MUSTER_ENV": "development",
        "MUSTER_JWT_SECRET": plan.keys["jwt"],
        "MUSTER_FLOWER_AUTH": f"muster:{plan.keys['flower']}",
        "MUSTER_INDEX_DIR": str(plan.work / "index"),
        "MUSTER_BEAT_SCHEDULE": str(plan.work / "schedule"),
        # On one machine nobody is helped by a slow goodbye; chunks are handed back.
        "MUSTER_WORKER_GRACE_SECONDS": "1",
        # A demo asks from one address, as fast as it can.
        **(
            {}
            if plan.durable
            else {f"MUSTER_{name.upper()}": off for name, off in UNLIMITED.items()}
        ),
        **(
            {"MUSTER_LIVE_URL": f"http://127.0.0.1:{ports['LIVE_PORT']}"}
            if "live" in plan.programs
            else {}
        ),
    }
    forced = {
        **urls,
        **environment.variables(),
        **{name: str(port) for name, port in ports.items()},
        # Told to stop, a worker hands its chunks back at once.
        "REMAP_SIGTERM": "SIGQUIT",
        "PYTHONUNBUFFERED": "1",
    }
    return {**defaults, **os.environ, **forced}, ports


def _port(variable: str, wanted: int) -> int:
    if os.environ.get(variable):
        return int(os.environ[variable])
    if wanted:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", wanted))
            except OSError:
                return embedded.free_port()
        return wanted
    return embedded.free_port()


def _start_programs(
    supervisor: Supervisor,
    commands: Mapping[str, str],
    names: Iterable[str],
    env: Mapping[str, str],
) -> None:
    for name in names:
        # The Procfile's ${...} needs a shell; `exec` leaves none between us and the program.
        supervisor.start(name, ["/bin/sh", "-c", f"exec {commands[name]}"], env=env)


def _wait_for(supervisor: Supervisor, url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not answers(url):
        if time.monotonic() > deadline:
            raise ProgramFailed(f"{url} does not answer; see {state.LOGS}")
        supervisor.pause(0.05)


def answers(url: str) -> bool:
    """Tell whether the address answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own http://
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
