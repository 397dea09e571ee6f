"""Faults drawn by lot, on a whole platform with work in hand: nothing is lost, doubled or stuck.

    MUSTER_CHAOS_SEED=random MUSTER_CHAOS_SECONDS=600 \\
        python3 dev.py test tests/chaos/test_random_faults.py -s

A seed is printed with all that happened, and draws the same faults again. Without one it is always
the same: a schedule that nobody has seen yet is for who looks for faults, and says so, and not for
a change that has nothing to do with them.
"""

from __future__ import annotations

import os
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
import requests

from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.errors import DatabaseUnavailable, IllegalTransition
from app.jobs import service
from app.jobs.model import Job
from app.resources import Resources
from tests.chaos import faults
from tests.chaos.conftest import Site, open_site
from tests.chaos.programs import Program
from tests.chaos.proxy import Proxy
from tests.integration.conftest import until
from tests.integration.engine import ledger, outcomes
from tests.kyc import ENTRIES, LISTED, load

_GIVEN = os.environ.get("MUSTER_CHAOS_SEED") or "11"
SEED = secrets.randbelow(1_000_000) if _GIVEN == "random" else int(_GIVEN)
SECONDS = float(os.environ.get("MUSTER_CHAOS_SECONDS") or 60)

#: After the last fault. It is no measure of anything: what is stuck is stuck for ever.
DEADLINE_SECONDS = 300.0

#: Jobs that have not ended, beyond which nobody submits another: so that the end is in sight.
MOST_OPEN = 12


@dataclass
class Platform:
    """All of it, and ways to it: `site` as its programs reach it, `direct` past the proxies."""

    site: Site
    direct: Site
    programs: dict[str, Program]
    faults: faults.Site


@pytest.fixture
def platform(settings, mortal, tmp_path) -> Iterator[Platform]:
    postgres, valkey = mortal("postgres"), mortal("valkey")
    proxies = {"postgres": Proxy(postgres.port), "redis": Proxy(valkey.port)}
    real = replace(settings, database_url=postgres.url, redis_url=valkey.url)
    seen = replace(
        real,
        database_url=postgres.url.replace(f":{postgres.port}/", f":{proxies['postgres'].port}/"),
        redis_url=valkey.url.replace(f":{valkey.port}/", f":{proxies['redis'].port}/"),
    )
    direct = open_site(real)
    load(direct.resources, real, tmp_path, "house", ENTRIES)
    programs = {
        "worker 1": Program(seen, tmp_path, "worker", "worker1"),
        "worker 2": Program(seen, tmp_path, "worker", "worker2"),
        "control": Program(seen, tmp_path, "control"),
        "beat": Program(seen, tmp_path, "beat"),
        "web": Program(seen, tmp_path, "web"),
    }
    site = Site(Resources.open(seen), direct.tenant_id)
    try:
        for program in programs.values():
            program.start(wait=False)
        for program in programs.values():
            program.wait_until_ready()
        yield Platform(
            site,
            direct,
            programs,
            faults.Site(random.Random(SEED + 1), programs, valkey, postgres, proxies),
        )
    finally:
        for program in programs.values():
            program.kill()
        for each in (site, direct):
            each.resources.close()
        for proxy in proxies.values():
            proxy.close()


@dataclass
class Clients:
    """Who submits, polls, pauses and resumes meanwhile, each as often as it can."""

    platform: Platform
    accepted: set[tuple[str, str]] = field(default_factory=set)
    #: What ought not to have happened.
    wrong: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        acts = (self.submit_over_http, self.submit_here, self.poll, self.pause)
        self._threads = [
            threading.Thread(target=self._run, args=(act, random.Random(SEED + 2 + number)))
            for number, act in enumerate(acts)
        ]
        site = self.platform.site
        token = tokens.mint_access(
            site.resources.settings, site.tenant_id, "u", PERMISSIONS[Role.OPERATOR]
        )
        self._headers = {"Authorization": f"Bearer {token}"}
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        self.over.set()
        for each in self._threads:
            each.join()

    def _run(self, act: Callable[[random.Random], None], lot: random.Random) -> None:
        while not self.over.is_set():
            try:
                act(lot)
            except (requests.RequestException, DatabaseUnavailable) as error:
                self.answers[type(error).__name__] += 1
            except Exception as error:  # reported at the end, where it fails the test
                self.wrong.append(f"{act.__name__}: {error!r}")
            time.sleep(lot.uniform(0.05, 0.4))

    def _ask(self, method: str, path: str, **given: object) -> requests.Response:
        url = self.platform.programs["web"].url + path
        answer = requests.request(method, url, headers=self._headers, timeout=30, **given)
        self.answers[f"{method} {answer.status_code}"] += 1
        if answer.status_code not in {200, 503}:
            self.wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def _is_enough(self) -> bool:
        with self.platform.direct.resources.db.transaction() as tx:
            tx.execute("SELECT count(*) AS open FROM jobs WHERE finished_at IS NULL")
            return tx.fetchone()["open"] >= MOST_OPEN

    def submit_over_http(self, lot: random.Random) -> None:
        if self._is_enough():
            return
        entities = [
            {"subject": {"full_name": f"Harriet Ploughwright {n}"}}
            for n in range(lot.choice((1, 20, 300, 900)))
        ]
        entities[lot.randrange(len(entities))] = LISTED
        answer = self._ask("POST", "/kyc/jobs", json={"entities": entities})
        if answer.ok:
            self.accepted.add(("kyc", answer.json()["job_id"]))

    def submit_here(self, lot: random.Random) -> None:
        if self._is_enough():
            return
        count = lot.choice((1, 15, 60, 120))
        payloads = [{"sleep": lot.choice((0, 0.01, 0.03)), "matches": 1} for _ in range(count)]
        if lot.random() < 0.15:
            payloads[lot.randrange(count)] = {"die": True}
        kind = lot.choice(("slow", "slow", "fast"))
        chunk_size = lot.choice((5, 20, 50))
        job = self.platform.site.submit(payloads, kind=kind, chunk_size=chunk_size)
        self.accepted.add((kind, job.external_id))

    def poll(self, lot: random.Random) -> None:
        known = sorted(name for dialect, name in self.accepted if dialect == "kyc")
        if known:
            self._ask("GET", f"/kyc/jobs/{lot.choice(known)}")

    def pause(self, lot: random.Random) -> None:
        known = sorted(self.accepted)
        if known and lot.random() < 0.3:
            dialect, name = lot.choice(known)
            site = self.platform.site
            for act in (service.pause, service.resume):
                with suppress(IllegalTransition):
                    act(site.resources, site.tenant_id, dialect, name)
                time.sleep(lot.uniform(0, 0.5))


@pytest.mark.timeout(SECONDS + DEADLINE_SECONDS + 300)
def test_no_fault_that_is_drawn_by_lot_loses_or_doubles_an_item(platform):
    say(f"\nMUSTER_CHAOS_SEED={SEED} MUSTER_CHAOS_SECONDS={SECONDS:g}")
    clients = Clients(platform)
    try:
        platform.faults.suffer(faults.draw(SEED, SECONDS), say)
    finally:
        clients.stop()
    ended = time.monotonic()

    def is_over() -> bool:
        platform.faults.keep()
        resume_all(platform.direct)
        return all(job.state.is_final for job in everyone(platform.direct))

    until(is_over, DEADLINE_SECONDS, lambda: f"every job ends: {left(platform.direct)}")
    took = time.monotonic() - ended

    jobs = {(job.dialect, job.external_id): job for job in everyone(platform.direct)}
    say(report(platform, clients, list(jobs.values()), took))
    assert clients.accepted <= jobs.keys(), "what was accepted is there"
    assert not clients.wrong
    for job in jobs.values():
        assert_exact(platform.direct, job)
    # That some are there which nobody was told of is luck, and no matter.
    dialects = {dialect for dialect, _ in clients.accepted}
    assert "kyc" in dialects, "some came over HTTP"
    assert dialects & {"slow", "fast"}, "and some from here"
    # Who kills whoever touches it is given up; of others, only who was in hand at three deaths.
    given_up = sum(job.failed for job in jobs.values())
    deadly = count_deadly(platform.direct)
    assert deadly <= given_up <= deadly + sum(platform.faults.survived.values())


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # shown when the test fails, and with -s


def everyone(site: Site) -> list[Job]:
    """Every job that there is."""
    with site.resources.db.transaction() as tx:
        tx.execute("SELECT tenant_id, dialect, external_id FROM jobs ORDER BY created_at")
        rows = tx.fetchall()
    return [service.find(site.resources, *row.values()) for row in rows]


def left(site: Site) -> str:
    return "\n".join(str(job) for job in everyone(site) if not job.state.is_final)


def resume_all(site: Site) -> None:
    """Who had paused a job may have found nobody who would resume it."""
    for job in everyone(site):
        if job.state == "paused":
            with suppress(IllegalTransition):
                service.resume(site.resources, job.tenant_id, job.dialect, job.external_id)


def assert_exact(site: Site, job: Job) -> None:
    """The job is completed; of each item there are one row, one result, and one event of it."""
    found = ledger(site.resources, job)
    assert job.state == "completed", job
    assert found.results == job.total, job
    assert (found.succeeded, found.failed, found.matches) == (
        job.succeeded,
        job.failed,
        job.matches,
    ), job
    with site.resources.db.transaction() as tx:
        tx.execute(
            "SELECT (SELECT count(*) FROM items WHERE job_id = %(id)s) AS items,"
            " count(position) AS told, count(DISTINCT position) AS different"
            " FROM (SELECT generate_series(lower(part), upper(part) - 1) AS position"
            "         FROM job_events, unnest(positions) AS part WHERE job_id = %(id)s) AS each",
            {"id": job.id},
        )
        row = tx.fetchone()
    assert tuple(row.values()) == (job.total,) * 3, "told of each once"
    codes = outcomes(site.resources, job)
    assert set(codes) <= {"succeeded", "attempts_exhausted"}, codes
    if job.kind == "kyc":
        assert job.matches == 1, job
    else:
        assert job.matches == codes["succeeded"], job


def count_deadly(site: Site) -> int:
    with site.resources.db.transaction() as tx:
        tx.execute("SELECT count(*) AS deadly FROM items WHERE payload::jsonb ? 'die'")
        return int(tx.fetchone()["deadly"])


def report(platform: Platform, clients: Clients, jobs: list[Job], took: float) -> str:
    suffered = platform.faults.survived
    deadly = count_deadly(platform.direct)
    lines = [
        f"{suffered.total()} faults of {len(suffered)} kinds survived;"
        f" {len(jobs)} jobs, {sum(job.total for job in jobs):,} items; the last job ended"
        f" {took:.1f} s after the last fault",
        f"items without a result: {sum(job.total - job.done for job in jobs)}",
        f"items that kill who touches them: {deadly}; given up after three deaths:"
        f" {sum(job.failed for job in jobs)}",
        f"passes: {sum(job.pass_no for job in jobs)}",
        f"accepted: {len(clients.accepted)}; answers: {dict(sorted(clients.answers.items()))}",
        f"started again: {dict(platform.faults.restarts)}",
        *(f"  {count:4} x {name}" for name, count in sorted(suffered.items())),
    ]
    return "\n".join(lines)
