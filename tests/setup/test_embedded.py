"""app.embedded: Postgres and Valkey as plain children."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest
import redis

from app import embedded
from app.errors import Misconfigured
from tests.setup.conftest import need_servers


@pytest.fixture
def home() -> Iterator[Path]:
    need_servers()
    made = embedded.make_home(embedded.scratch())
    yield made
    shutil.rmtree(made)


@pytest.fixture
def launch() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started = []

    def start(command, **options):
        started.append(embedded.plain_launch(command, **options))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(embedded.QUICK_STOP)
        process.wait(10)


@pytest.fixture
def postgres(home, launch) -> Callable[..., embedded.Server]:
    def start(programs: Path | None = None, **options) -> embedded.Server:
        return embedded.start_postgres(
            home,
            "a-password",
            programs or embedded.find_postgres(),
            log=home / "postgres.log",
            launch=launch,
            **{"durable": False, **options},
        )

    return start


def ask(url: str, question: str) -> object:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(question)
        answer = cursor.fetchone()[0]
    connection.close()
    return answer


def test_the_database_speaks_utf8_and_sorts_the_same_everywhere(postgres):
    url = postgres().url

    assert ask(url, "SHOW server_encoding") == "UTF8"
    assert ask(url, "SELECT lower('ÉÀ')") == "éà"
    assert ask(url, "SELECT 'Z' < 'a'") is True


def test_nothing_but_this_machine_can_connect(postgres):
    url = postgres().url

    assert ask(url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(url, "SHOW unix_socket_directories") == ""


def test_data_survives_a_restart(postgres):
    first = postgres(durable=True)
    ask(first.url, "CREATE TABLE kept AS SELECT 1; SELECT 1")
    first.process.send_signal(embedded.QUICK_STOP)
    first.process.wait(10)

    assert ask(postgres(durable=True).url, "SELECT count(*) FROM kept") == 1


def test_what_an_interrupted_initdb_left_is_not_taken_for_a_database(home, postgres):
    (home / "postgres.new").mkdir()
    (home / "postgres.new" / "PG_VERSION").write_text("18\n")

    assert ask(postgres().url, "SELECT 1") == 1


def test_data_of_another_version_is_left_alone_and_named(home, postgres):
    (home / "postgres").mkdir()
    (home / "postgres" / "PG_VERSION").write_text("9\n")

    with pytest.raises(Misconfigured, match="written by Postgres 9"):
        postgres()


def test_a_free_port_is_none_that_a_connection_of_anybody_might_be_given():
    known = Path("/proc/sys/net/ipv4/ip_local_port_range")
    first = int(known.read_text().split()[0]) if known.exists() else embedded.LOWEST_OUTGOING
    ports = [embedded.free_port() for _ in range(50)]

    assert max(ports) < first
    assert len(set(ports)) > 40, "two who ask at once rarely get the same"


def test_a_taken_port_gets_another_try(postgres, monkeypatch):
    taken = int(postgres().url.rpartition(":")[2].partition("/")[0])
    ports = iter([taken, embedded.free_port()])
    home = embedded.make_home(embedded.scratch())
    monkeypatch.setattr(embedded, "free_port", lambda: next(ports))

    server = embedded.start_valkey(
        home, "a-password", embedded.find_valkey(), durable=False, log=home / "log"
    )

    assert redis.Redis.from_url(server.url).ping()
    server.process.send_signal(embedded.QUICK_STOP)
    server.process.wait(10)
    shutil.rmtree(home)


def test_valkey_asks_for_its_password_and_never_evicts(home, launch):
    server = embedded.start_valkey(
        home,
        "a-password",
        embedded.find_valkey(),
        durable=True,
        log=home / "valkey.log",
        launch=launch,
    )

    with redis.Redis.from_url(server.url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
    with (
        redis.Redis.from_url(server.url.replace(":a-password@", "")) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_only_who_runs_the_servers_can_enter_their_folder(home):
    facts = home.stat()

    assert stat.S_IMODE(facts.st_mode) == 0o700
    if os.geteuid() == 0:
        assert facts.st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the servers as somebody else")
def test_root_can_start_programs_from_a_checkout_that_others_cannot_enter(tmp_path, postgres):
    programs = embedded.find_postgres()
    package = next((p for p in programs.parents if (p / "__init__.py").exists()), None)
    if package is None:
        pytest.skip("Postgres is the system's here, which everybody can enter")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for source in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(source, closed / source.name)
    mode = stat.S_IMODE(closed.stat().st_mode)

    server = postgres(closed / programs.relative_to(package.parent))

    assert ask(server.url, "SELECT 1") == 1
    assert stat.S_IMODE(closed.stat().st_mode) == mode
