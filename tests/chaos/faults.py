"""Faults drawn by lot: which, when, for how long, all of it from one seed.

A schedule is made before the first fault happens, so that the same seed and length make the same
one. Two faults may hold at once, but not two of the same target.
"""

from __future__ import annotations

import heapq
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg2
import redis

from tests.chaos.conftest import Mortal
from tests.chaos.programs import Program
from tests.chaos.proxy import Proxy
from tests.integration.engine import deliver


@dataclass(frozen=True)
class Fault:
    at: float
    target: str
    name: str
    #: Until it is over; most are over at once.
    seconds: float

    def __str__(self) -> str:
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"{self.at:7.1f} s  {self.target}: {self.name}{lasts}"


#: For each target, what may happen to it, and for how long at the least and at the most.
_POOL = {
    "killed": (0, 0),
    "a process killed": (0, 0),
    "told to stop": (0, 0),
    "a process frozen": (0.5, 4.0),
}
KNOWN: dict[str, dict[str, tuple[float, float]]] = {
    "worker 1": _POOL,
    "worker 2": _POOL,
    "control": _POOL,
    "beat": {"killed": (0, 0)},
    "web": {"killed": (0, 0), "a process killed": (0, 0), "a process frozen": (0.5, 2.0)},
    "redis": {
        "killed": (0.1, 2.0),
        "killed, its data lost": (0.1, 2.0),
        "emptied": (0, 0),
        "hangs": (0.5, 4.0),
        "full": (0.5, 4.0),
        "slow": (1.0, 4.0),
        "in drops": (1.0, 4.0),
        "cut": (0, 0),
        "messages doubled": (0, 0),
        "a message lost": (0, 0),
    },
    "postgres": {
        "stopped": (0.1, 2.0),
        "crashed": (0.1, 2.0),
        "hangs": (0.5, 3.0),
        "only reads": (0.5, 4.0),
        "slow": (1.0, 4.0),
        "cut": (0, 0),
        "connections ended": (0, 0),
        "a commit's answer lost": (0.5, 2.0),
    },
}

#: How often each target is hit: servers and workers more than what stands around them.
_WEIGHTS = {"worker 1": 3, "worker 2": 3, "redis": 5, "postgres": 4, "web": 2}

#: After a server was away everybody gets this long to do something before it is hit again.
_REST = 1.5


def draw(seed: int, seconds: float) -> list[Fault]:
    """Return the faults of so many seconds, in the order in which they begin."""
    lot = random.Random(seed)
    free_at = dict.fromkeys(KNOWN, 0.0)
    targets = list(KNOWN)
    weights = [_WEIGHTS.get(target, 1) for target in targets]
    # Each kind of fault once, in an order of its own, before any comes by weight alone.
    unseen = [(target, name) for target in targets for name in KNOWN[target]]
    lot.shuffle(unseen)
    faults: list[Fault] = []
    at = 1.0
    while at < seconds:
        open_ = [each for each in unseen if free_at[each[0]] <= at]
        if open_ and lot.random() < 0.7:
            target, name = open_[0]
            unseen.remove(open_[0])
        else:
            target = lot.choices(targets, weights)[0]
            name = lot.choice(list(KNOWN[target]))
        if free_at[target] <= at:
            lasts = round(lot.uniform(*KNOWN[target][name]), 1)
            faults.append(Fault(round(at, 1), target, name, lasts))
            free_at[target] = at + lasts + _REST
        at += lot.uniform(0.3, 1.7)
    return faults


class Site:
    """What the faults happen to, and how each is begun and ended."""

    def __init__(
        self,
        lot: random.Random,
        programs: dict[str, Program],
        valkey: Mortal,
        postgres: Mortal,
        proxies: dict[str, Proxy],
    ) -> None:
        self._lot = lot
        self._programs = programs
        self._valkey, self._postgres = valkey, postgres
        self._proxies = proxies
        self.survived: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()

    def suffer(self, faults: list[Fault], tell: Callable[[str], None]) -> None:
        """Let all of them happen, and be well at the end."""
        began = time.monotonic()
        ends: list[tuple[float, int, Callable[[], None]]] = []
        try:
            for number, fault in enumerate(faults):
                while fault.at > time.monotonic() - began:
                    self.keep()
                    time.sleep(0.05)
                    self._end_what_is_over(ends, time.monotonic() - began)
                self._end_what_is_over(ends, fault.at)
                tell(str(fault))
                over = self._begin(fault)
                if over is not None:
                    heapq.heappush(ends, (fault.at + fault.seconds, number, over))
                self.survived[f"{fault.target}: {fault.name}"] += 1
            while ends:
                time.sleep(0.05)
                self._end_what_is_over(ends, time.monotonic() - began)
            self.keep()
        finally:
            # Also when something unexpected happens: nothing is left frozen.
            self._end_what_is_over(ends, float("inf"))

    @staticmethod
    def _end_what_is_over(ends: list[tuple[float, int, Callable[[], None]]], now: float) -> None:
        while ends and ends[0][0] <= now:
            heapq.heappop(ends)[2]()

    def keep(self) -> None:
        """Start again what has ended, as whatever runs programs in production does."""
        for name, program in self._programs.items():
            if not program.runs:
                # What it started may be left, frozen at that.
                program.kill()
                program.start(wait=False)
                self.restarts[name] += 1

    def _begin(self, fault: Fault) -> Callable[[], None] | None:
        """Begin it; return what ends it, if it is not over at once."""
        if fault.target in self._programs:
            return self._hit(self._programs[fault.target], fault.name)
        if fault.target == "redis":
            return self._hit_redis(fault.name)
        return self._hit_postgres(fault.name)

    def _hit(self, program: Program, name: str) -> Callable[[], None] | None:
        if name == "killed":
            program.kill()
        elif name == "told to stop":
            assert program.process is not None
            program.process.terminate()
        elif children := program.children():
            pid = self._lot.choice(children)
            if name == "a process killed":
                _signal(pid, signal.SIGKILL)
            else:
                _signal(pid, signal.SIGSTOP)
                return lambda: _signal(pid, signal.SIGCONT)
        return None

    def _hit_redis(self, name: str) -> Callable[[], None] | None:
        server, proxy = self._valkey, self._proxies["redis"]
        match name:
            case "killed":
                server.end()
                return server.start
            case "killed, its data lost":
                server.end()
                server.forget()
                return server.start
            case "hangs":
                server.server.process.send_signal(signal.SIGSTOP)
                return lambda: server.server.process.send_signal(signal.SIGCONT)
            case "slow":
                proxy.delay = self._lot.uniform(0.02, 0.15)
                return proxy.good
            case "in drops":
                proxy.drop = self._lot.choice((16, 64, 256))
                return proxy.good
            case "cut":
                proxy.cut()
                return None
        with redis.Redis.from_url(server.url) as client:
            match name:
                case "emptied":
                    client.flushall()
                case "full":
                    client.config_set("maxmemory", 1)
                    return self._make_room
                case "messages doubled":
                    deliver(client, client.lrange("screening", 0, 9))
                case "a message lost":
                    client.rpop(self._lot.choice(("screening", "control")))
        return None

    def _make_room(self) -> None:
        with redis.Redis.from_url(self._valkey.url) as client:
            client.config_set("maxmemory", 0)

    def _hit_postgres(self, name: str) -> Callable[[], None] | None:
        server, proxy = self._postgres, self._proxies["postgres"]
        match name:
            case "stopped":
                server.end(signal.SIGINT)
                return server.start
            case "crashed":
                server.end(signal.SIGQUIT)
                return server.start
            case "hangs":
                # Whoever is connected; the one who lets them in goes on.
                pids = [int(pid) for pid in _children(server.server.process.pid)]
                for pid in pids:
                    _signal(pid, signal.SIGSTOP)
                return lambda: [_signal(pid, signal.SIGCONT) for pid in pids] and None
            case "slow":
                proxy.delay = self._lot.uniform(0.005, 0.03)
                return proxy.good
            case "cut":
                proxy.cut()
            case "a commit's answer lost":
                proxy.lose_answer_to = b"COMMIT"
                return proxy.good
            case "only reads":
                self._order("ALTER SYSTEM SET default_transaction_read_only = on")
                self._order("SELECT pg_reload_conf()")
                return self._write_again
            case "connections ended":
                self._order(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'muster'"
                )
        return None

    def _write_again(self) -> None:
        self._order("ALTER SYSTEM RESET default_transaction_read_only")
        self._order("SELECT pg_reload_conf()")

    def _order(self, statement: str) -> None:
        with _session(self._postgres.url) as cursor:
            cursor.execute(statement)


@contextmanager
def _session(url: str) -> Iterator[psycopg2.extensions.cursor]:
    connection = psycopg2.connect(url, connect_timeout=10)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def _children(pid: int) -> list[str]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
