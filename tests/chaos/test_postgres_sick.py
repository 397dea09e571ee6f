"""Postgres is there, and does not do what it is asked: it only reads, has no connection or no room
left, or cuts off whoever is in the middle of something.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg2
import pytest

from app import db, embedded
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.errors import DatabaseUnavailable
from app.factory import create_app
from app.jobs import service
from tests.chaos.conftest import Site, open_site
from tests.integration.conftest import new_job, until
from tests.integration.engine import assert_whole, lasting_worker
from workers import chunk, passes

#: From the moment that it works again: a task tries again after 5 s at the most, and the rest of
#: the job takes 2 s. Twice that, on a machine that is busy.
BOUND_SECONDS = 15.0


@pytest.fixture(scope="module")
def postgres(mortal):
    return mortal("postgres")


@pytest.fixture(scope="module")
def site(settings, postgres, redis_client, tmp_path_factory) -> Iterator[Site]:
    settings = replace(settings, database_url=postgres.url)
    site = open_site(settings)
    with lasting_worker(settings, tmp_path_factory.mktemp("engine")):
        yield site
    site.resources.close()


@pytest.fixture
def ask(site):
    """Call with a method and a path of the API, as an operator, to be answered by this process."""
    settings = site.resources.settings
    token = tokens.mint_access(settings, site.tenant_id, "u", PERMISSIONS[Role.OPERATOR])
    client = create_app(settings).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return lambda method, path, **given: client.open(path, method=method, **given)


@contextmanager
def order(url: str) -> Iterator[psycopg2.extensions.cursor]:
    """Give orders to the server that no transaction may hold."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def fill(ballast: Path) -> None:
    """Take all the room of the disk, in ever smaller pieces: faster than any job ends."""
    taken = 0
    with ballast.open("wb") as file:
        for piece in (16 << 20, 1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    os.posix_fallocate(file.fileno(), taken, piece)
                    taken += piece


def look(site: Site, job):
    """Return the job as it is, once Postgres has a connection for who asks."""

    def seen():
        with suppress(DatabaseUnavailable):
            return site.reload(job)

    return until(seen, 20, "Postgres says how the job is")


def running(site: Site, items: int = 120, seconds: float = 0.03, **said: object):
    job = site.submit([{"sleep": seconds, "matches": 1, **said}] * items, chunk_size=20)
    until(lambda: site.reload(job).done >= 10, 20, "it is running")
    return job


def stands_still(site: Site, job) -> int:
    """Wait until the job has not moved for a second, and return how much of it is done."""
    seen, since = -1, time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        done = look(site, job).done
        if done != seen:
            seen, since = done, time.monotonic()
        return time.monotonic() - since > 1.0

    until(still, 20, "it stands still")
    return seen


def ends_well(site: Site, job, items: int = 120) -> None:
    """The job ends within the bound, with one result for each item and each counted once."""
    began = time.monotonic()
    until(lambda: look(site, job).state.is_final, 60, lambda: f"it ends: {look(site, job)}")
    took = time.monotonic() - began
    job = site.reload(job)
    assert_whole(site.resources, job)
    assert (job.succeeded, job.matches) == (items, items)
    assert took < BOUND_SECONDS


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (
            ("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"),
            ("ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"),
        ),
        # Connections that were opened meanwhile would only read for as long as they live.
        (
            (
                "ALTER DATABASE muster SET default_transaction_read_only = on",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'muster'",
            ),
            (
                "SET default_transaction_read_only = off",
                "ALTER DATABASE muster RESET default_transaction_read_only",
            ),
        ),
    ],
    ids=["for everybody", "for each new connection"],
)
def test_a_job_waits_while_postgres_only_reads_and_ends_when_it_writes_again(
    site, postgres, ask, begin, end
):
    job = running(site)

    with order(postgres.url) as cursor:
        for statement in begin:
            cursor.execute(statement)
    try:
        done = stands_still(site, job)
        with pytest.raises(DatabaseUnavailable):
            site.submit([{}])
        refused = ask("POST", "/kyc/jobs", json={"entities": [{"subject": {"full_name": "A B"}}]})
        shown = ask("GET", "/kyc/jobs")
    finally:
        with order(postgres.url) as cursor:
            for statement in end:
                cursor.execute(statement)

    assert 10 <= done < 120
    assert (refused.status_code, refused.json["code"]) == (503, "database_unavailable")
    assert shown.status_code == 200, "what only reads is answered"
    ends_well(site, job)
    # One request may still meet the connection that could only read.
    answers = [
        ask("POST", "/kyc/jobs", json={"entities": [{"subject": {"full_name": "A B"}}]})
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers[1:]] == [200, 200]


def test_a_job_goes_on_when_others_let_go_of_the_connections_they_took(site, postgres, ask):
    """All of Postgres' connections are somebody else's for a while."""
    job = running(site)

    with ExitStack() as taken:

        def take_all() -> bool:
            with suppress(psycopg2.OperationalError):  # too many clients already
                while True:
                    connection = psycopg2.connect(postgres.url, application_name="hoarder")
                    taken.callback(connection.close)
            with first.cursor() as cursor:
                cursor.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE application_name = 'muster'"
                )
                return cursor.fetchone()[0] == 0

        first = psycopg2.connect(postgres.url, application_name="hoarder")
        first.autocommit = True
        taken.callback(first.close)
        until(take_all, 30, "nobody else has a connection")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            site.submit([{}])
        refused = ask("POST", "/kyc/jobs", json={"entities": [{"subject": {"full_name": "A B"}}]})
        took = time.monotonic() - began

    assert (refused.status_code, refused.json["code"]) == (503, "database_unavailable")
    assert took < 20.0, "for the two of them: nobody is kept waiting"
    ends_well(site, job)


def test_a_job_goes_on_though_its_connections_are_cut_again_and_again(site, postgres):
    job = running(site, items=240)

    with order(postgres.url) as cursor:
        for _ in range(8):
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'muster'"
            )
            time.sleep(0.25)  # Long enough for some to be in the middle of something again.

    assert not look(site, job).state.is_final
    ends_well(site, job, items=240)


class Cut:
    """Cuts the connection of a statement, just after it was carried out: one that is chosen.

    Whoever works through a job in this process meets it in the middle of a transaction, or just
    before its commit.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.countdown: int | None = None
        self.seen: list[str] = []

    def after(self, cursor, statement: str) -> None:
        self.seen.append(" ".join(str(statement).split())[:60])
        if self.countdown is None:
            return
        self.countdown -= 1
        if self.countdown == 0:
            self.countdown = None
            pid = cursor.connection.info.backend_pid
            with order(self.url) as executioner:
                executioner.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


@pytest.fixture
def cut(monkeypatch, site):
    cut = Cut(site.resources.settings.database_url)

    class Watched(db.Cursor):
        def execute(self, query, vars=None):
            super().execute(query, vars)
            cut.after(self, query)

        def copy_expert(self, sql, file, size=8192):
            super().copy_expert(sql, file, size)
            cut.after(self, sql)

    monkeypatch.setattr(db, "RealDictCursor", Watched)
    return cut


def test_a_connection_cut_at_any_statement_of_a_jobs_life_loses_and_doubles_nothing(
    site, cut, redis_client
):
    """Submitting, claiming, saving, ending, a second pass, pausing and resuming: each is cut once
    after each of its statements, and done again by whoever did it, as the tasks do.
    """
    resources = site.resources
    payloads = [{"matches": 1}] * 4
    #: A queue that no worker serves: this process does the work.
    wanted = replace(new_job(site.tenant_id, "fast", payloads, 2), queue="faces")

    def again(act):
        """Do it until it was not cut: a task that comes back, or a client that asks again."""
        for _ in range(3):
            with suppress(DatabaseUnavailable):
                return act()
        raise AssertionError("it was cut once, and failed three times")

    def life():
        before = jobs(cut.url)
        job = again(lambda: service.submit(resources, wanted))
        assert jobs(cut.url) - before == {job.id}, "what was refused is not there"
        names = (resources, job.tenant_id, job.dialect, job.external_id)
        again(lambda: chunk.run(resources, job.id, 1, 0))
        again(lambda: service.pause(*names))
        again(lambda: service.resume(*names))
        again(lambda: passes.finish(resources, job.id, 2))

        def ended():
            for number in range(job.chunk_count):
                again(partial(chunk.run, resources, job.id, 3, number))
            again(lambda: passes.finish(resources, job.id, 3))
            return again(lambda: site.reload(job)).state.is_final

        # Who was cut while it held a chunk may seem to hold it until its claim has run out.
        until(ended, 10, "it ends")
        return again(lambda: site.reload(job))

    assert_whole(resources, life())
    statements = len(cut.seen)
    assert statements > 30, cut.seen
    for number in range(1, statements + 1):
        cut.countdown = number
        job = life()
        cut.countdown = None
        assert_whole(resources, job)
        assert (job.succeeded, job.matches) == (4, 4), cut.seen[-statements:]


def jobs(url: str) -> set[str]:
    with order(url) as cursor:
        cursor.execute("SELECT id FROM jobs")
        return {row[0] for row in cursor.fetchall()}


@pytest.fixture
def small_disk(tmp_path_factory) -> Iterator[Path]:
    """A disk of its own for a server, that can be full. Only root may mount one."""
    home = embedded.make_home(embedded.scratch())
    user = embedded.account()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500m,mode=0700", "muster-test", str(home)]
    if user is None or subprocess.run(mount, capture_output=True).returncode != 0:
        home.rmdir()
        pytest.skip("a disk that can be full is a tmpfs of its own, and only root may mount one")
    try:
        user.owns(home)
        yield home
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)
        home.rmdir()


def test_a_job_waits_while_the_disk_of_postgres_is_full_and_ends_when_it_has_room(
    settings, mortal, small_disk, tmp_path
):
    # Of its own: the worker of the other tests would take the messages, and know no such job.
    postgres, valkey = mortal("postgres", home=small_disk), mortal("valkey")
    site = open_site(replace(settings, database_url=postgres.url, redis_url=valkey.url))
    ballast = small_disk / "ballast"
    with lasting_worker(site.resources.settings, tmp_path):
        # Results that need a page each, and will not be compressed.
        payloads = [
            {"sleep": 0.03, "matches": 1, "echo": secrets.token_hex(8_000)} for _ in range(240)
        ]
        job = site.submit(payloads, chunk_size=20)
        until(lambda: site.reload(job).done >= 10, 60, "it is running")

        fill(ballast)
        done = stands_still(site, job)
        with pytest.raises(DatabaseUnavailable):
            site.submit(payloads)
        os.unlink(ballast)

        assert 10 <= done < 240
        ends_well(site, job, items=240)
    site.resources.close()
    postgres.end()
