"""The commands of dev.py, one function each."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from app import embedded
from app.errors import AppError
from devtools import dependencies, environment, portraits, procfile, stack, state
from devtools.follow import Follower
from devtools.guard import delete
from devtools.processes import Child, stop_in_order, stop_marked
from devtools.signals import Interrupted
from devtools.state import Refused
from devtools.supervisor import ProgramFailed, Supervisor, supervising

#: What the programs of the Procfile can do; the demo does without.
FULL = frozenset({"crypto", "html", "documents", "faces", "pdf"})
DEV = FULL | {"dev"}
#: The peers that benchmarks measure beside us come with them.
BENCH = DEV | {"bench"}
#: What writes the lock of the image's packages, and asks what is known against them.
AUDIT = frozenset({"audit"})
#: Beyond what a stop can take, so that `down` waits for one in progress.
STOP_SECONDS = 20.0


#: What `demo` can show, and the program that shows it.
@dataclass(frozen=True, slots=True)
class Demo:
    """A program that shows what the platform does, and the programs that it needs."""

    module: str
    worker: str = "worker"
    extras: frozenset[str] = frozenset()


DEMOS = {
    "screening": Demo("app.demo"),
    "verifications": Demo("app.demo_verifications"),
    "faces": Demo("app.demo_faces", "faces", frozenset({"faces"})),
}

EPILOG = """\
Servers of your own: set DATABASE_URL and REDIS_URL, and none is started here.
Other settings: docs/settings.md and docs/development.md.
"""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Muster on this machine: set up, try, develop, test.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo_parser = commands.add_parser(
        "demo", help="start everything, screen 1,000 entities, show the matches"
    )
    demo_parser.add_argument(
        "what",
        nargs="?",
        choices=tuple(DEMOS),
        default="screening",
        help="screening (unless said); verifications: three of them, their runs and their risk;"
        " or faces: six portraits, and who is found again",
    )
    up_parser = commands.add_parser("up", help="start everything, until Ctrl-C")
    up_parser.add_argument("--quiet", action="store_true", help="do not show what programs log")
    commands.add_parser("down", help="stop what runs here, or what a crash left behind")
    commands.add_parser("status", help="show what runs here")
    commands.add_parser("setup", help="make the virtual environment, and nothing else")
    commands.add_parser("check", help="ruff, ruff format and mypy, as CI runs them")
    lock_parser = commands.add_parser(
        "lock", help="write requirements.lock, from which the image is made, by setup.cfg"
    )
    lock_parser.add_argument("--upgrade", action="store_true", help="to the newest that fits")
    commands.add_parser("audit", help="ask a service on the internet what is known against those")
    for name, what in (("test", "pytest"), ("bench", "a benchmark, by name")):
        each = commands.add_parser(name, help=f"run {what}; all arguments are passed on")
        each.add_argument("rest", nargs=argparse.REMAINDER)

    given, unknown = parser.parse_known_args(arguments)
    if unknown and given.command not in {"test", "bench"}:
        parser.error(f"unknown argument: {unknown[0]}")
    try:
        state.prepare()
        match given.command:
            case "demo":
                return demo(given.what)
            case "up":
                return up(quiet=given.quiet)
            case "down":
                return down()
            case "status":
                return status()
            case "setup":
                return setup()
            case "check":
                return check()
            case "lock":
                ensure_environment(AUDIT)
                dependencies.lock(FULL, given.upgrade)
                return 0
            case "audit":
                ensure_environment(AUDIT)
                return dependencies.audit()
            case "test" if not arguments[1:]:
                replace_with(DEV, "-m", "devtools.suite")
            case "test":
                # The wheel of Valkey brings a plugin that needs packages we leave out.
                replace_with(DEV, "-m", "pytest", "-p", "no:valkey", *arguments[1:])
            case _:
                replace_with(BENCH, "-m", "benchmarks", *arguments[1:])
    except (Refused, ProgramFailed, AppError) as error:
        say(f"\ndev.py: {error}")
        return 1
    except (Interrupted, KeyboardInterrupt):
        say("\nStopped; nothing is left running.")
        return 130


# The platform


def up(quiet: bool) -> int:
    """Start every program of the Procfile, and keep them running until told to stop."""
    with platform("up", FULL) as supervisor:
        plan = stack.Plan(
            programs=tuple(procfile.read(state.ROOT / "Procfile")),
            home=state.servers_home(),
            work=state.STATE / "work",
            keys=state.load_secrets(),
            durable=True,
            web_port=stack.WEB_PORT,
            flower_port=stack.FLOWER_PORT,
            live_port=stack.LIVE_PORT,
        )
        running = stack.start(supervisor, plan, Clock().lap)
        write_run_env(running)
        say(banner(running))
        follower = Follower([] if quiet else plan.programs)
        try:
            while True:
                supervisor.pause(0.5)
                follower.show_news()
        except Interrupted:
            say("\nStopping ...")
    say("Nothing is left running. The data is kept for the next `dev.py up`.")
    return 0


def demo(what: str) -> int:
    """Start the platform on throwaway data, and let a program of the app show what it does."""
    chosen = DEMOS[what]
    arguments = [str(_portraits())] if what == "faces" else ["--passing"]
    start = time.monotonic()
    with platform("demo", chosen.extras) as supervisor:
        home = embedded.make_home(embedded.scratch())
        work = state.STATE / "demo"
        for folder in (home, work):
            supervisor.delete_at_the_end(folder)
        plan = stack.Plan(
            programs=("web", chosen.worker, "control", "beat"),
            home=home,
            work=work,
            keys=state.new_secrets(),
            durable=False,
        )
        running = stack.start(supervisor, plan, Clock().lap)
        show = [str(environment.python()), "-m", chosen.module, *arguments]
        # SIGINT, so that it can put the terminal back in order.
        process = supervisor.launch(
            show, name="demo", stop_signal=signal.SIGINT, env=running.env, cwd=state.ROOT
        )
        result = supervisor.finish(process)
        took = time.monotonic() - start
    say(f"\nFrom the command to the result: {took:.1f} s. Nothing is left running.")
    return result


def _portraits() -> Path:
    """Return the folder of the portraits, which are fetched once."""
    try:
        return portraits.folder()
    except portraits.NotToBeHad as error:
        raise ProgramFailed(
            f"{error}\nThe demo needs them once; with `dev.py up` running, another folder will do:"
            " .venv/bin/python -m app.demo_faces FOLDER"
        ) from error


@contextmanager
def platform(command: str, extras: frozenset[str] = frozenset()) -> Iterator[Supervisor]:
    """Hold the lock, clear up after a crash, and have the environment ready."""
    run = state.read_run() or {}
    where = f" at {run['url']}" if "url" in run else ""
    refusal = (
        f"Muster is already running here{where}. Stop it first: Ctrl-C in its terminal, or"
        " `python3 dev.py down`."
    )
    with state.locked("lock", refusal) as lock:
        clear_up()
        with supervising(lock, record=True) as supervisor:
            supervisor.write_down(command=command)
            make_environment(supervisor, extras)
            yield supervisor


def banner(running: stack.Stack) -> str:
    return f"""
Muster is running. Ctrl-C stops it.

  API       {running.url}
  live      {running.live_url}   (streams and WebSockets: docs/live.md)
  Flower    {running.flower_url}   ({running.env["MUSTER_FLOWER_AUTH"]})
  Postgres  {running.env["DATABASE_URL"]}
  Redis     {running.env["REDIS_URL"]}
  token     {running.token}

The `muster` command finds these by itself in this checkout: .venv/bin/muster --help
Logs: {state.LOGS}
"""


def write_run_env(running: stack.Stack) -> None:
    names = ("DATABASE_URL", "REDIS_URL", "PORT", "LIVE_PORT", "FLOWER_PORT", "REMAP_SIGTERM")
    state.write_run_env(
        {
            name: value
            for name, value in sorted(running.env.items())
            if name in names or name.startswith("MUSTER_")
        }
    )


def down() -> int:
    """Stop what runs here, or what was left by a supervisor and a guard that were both killed."""
    run = state.read_run()
    if state.is_locked("lock"):
        if run is not None:
            supervisor = Child(**run["supervisor"])
            if supervisor.is_alive():
                os.kill(supervisor.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while state.is_locked("lock"):
            if time.monotonic() > deadline:
                raise Refused("it does not stop; is another `dev.py` busy here?")
            time.sleep(0.05)
        say("Stopped.")
        return 0
    with state.locked("lock", "another `dev.py` is starting here"):
        say("Stopped what a crash left behind." if clear_up() else "Nothing was running.")
    return 0


def clear_up() -> bool:
    """Stop and delete what the last run left, if it did not end in good order."""
    run = state.read_run()
    if run is None:
        return False
    children = [Child(**facts) for facts in run.get("children", [])]
    # Only the living: the number of a dead one may be somebody else's by now.
    stop_in_order([child for child in children if child.is_alive()])
    stop_marked(run["run"])
    for path in run.get("unwanted", []):
        delete(Path(path))
    delete(state.RUN_ENV)
    delete(state.RUN_FILE)
    return True


def status() -> int:
    """Show what runs here; the exit status is 0 if the API answers, else 1."""
    run = state.read_run()
    if run is None or not state.is_locked("lock"):
        say("Nothing is running here." if run is None else "A crash left things: dev.py down")
        return 1
    healthy = "url" in run and stack.answers(f"{run['url']}/healthz")
    for facts in run["children"]:
        child = Child(**facts)
        print(f"{child.name:12} {child.pid:>8}  {'runs' if child.is_alive() else 'has ended'}")
    print(f"{'API':12} {'':>8}  {run.get('url', '')} {'answers' if healthy else 'does not answer'}")
    return 0 if healthy else 1


# The environment and its tools


def setup() -> int:
    """Make the virtual environment with all that developing needs."""
    ensure_environment(DEV)
    say(f"The environment is ready: {environment.folder()}")
    return 0


def check() -> int:
    """Run what CI runs besides the tests, to the end even if one finds something."""
    ensure_environment(DEV)
    tools = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))
    results = [
        subprocess.call([environment.python(), "-m", *tool], cwd=state.ROOT) for tool in tools
    ]
    return max(results)


def replace_with(extras: frozenset[str], *arguments: str) -> NoReturn:
    """Become a program of the environment."""
    ensure_environment(extras)
    os.chdir(state.ROOT)
    program = str(environment.python())
    os.execve(program, [program, *arguments], {**os.environ, **environment.variables()})


def ensure_environment(extras: frozenset[str]) -> None:
    if not environment.is_ready(extras):
        with supervising() as supervisor:
            make_environment(supervisor, extras)


def make_environment(supervisor: Supervisor, extras: frozenset[str] = frozenset()) -> None:
    if environment.is_ready(extras):
        return
    with state.locked("setup.lock", "another `dev.py` is installing here; try again in a minute"):
        say(f"Making the environment in {environment.folder()} (once) ...")
        clock = Clock()
        environment.make(supervisor, extras)
        clock.lap("environment")


class Clock:
    """Says what took how long."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def lap(self, what: str) -> None:
        now = time.monotonic()
        say(f"  {now - self._last:4.1f} s  {what}")
        self._last = now


def say(message: str) -> None:
    """Tell the person, on standard error: standard output is for results."""
    print(message, file=sys.stderr, flush=True)
