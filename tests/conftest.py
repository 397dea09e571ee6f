"""Fixtures that every folder of tests shares. tests/unit uses none of them, and needs no server.

A test that used the servers, however far down its fixtures, leaves them empty.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from app.db import Database
from app.resources import Resources
from app.screening.compiled import cache
from app.screening.index import can_compile
from app.settings import UNLIMITED, Settings
from tests import servers as test_servers
from tests.servers import Servers

ROOT = Path(__file__).parents[1]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Compile the loops of the screening engine before the first test that has them is timed."""
    needed = any(
        "screening" in item.path.as_posix() or "shared_data" in getattr(item, "fixturenames", ())
        for item in session.items
    )
    collecting = session.config.option.collectonly
    if needed and not collecting and can_compile() and not cache.is_ready():
        session.config.get_terminal_writer().line("\ncompiling the screening engine (once)")
        subprocess.run([sys.executable, "-m", "app.screening.compiled.warm"], check=True)


@pytest.fixture(autouse=True, scope="session")
def _temporary_files() -> Iterator[None]:
    """Give what tests start a folder of its own: a process that is killed clears up nothing."""
    own = tempfile.gettempdir()  # Kept from here on: only those that we start shall move.
    folder = tempfile.mkdtemp(prefix="muster-tests-", dir=own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        yield
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Postgres and Valkey for this run of pytest."""
    try:
        with test_servers.running() as started:
            yield started
    except test_servers.Missing as missing:
        # A test that CI skips is a test nobody runs.
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def settings(servers, tmp_path_factory) -> Settings:
    return Settings.build(
        database_url=servers.database_url,
        redis_url=servers.redis_url,
        jwt_secret=secrets.token_urlsafe(48),
        environment="development",
        index_dir=tmp_path_factory.mktemp("index"),
        # Most tests ask from one address as fast as they can.
        **UNLIMITED,
    )


@pytest.fixture(scope="session")
def resources(settings) -> Iterator[Resources]:
    opened = Resources.open(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def database(settings) -> Iterator[Database]:
    opened = Database(settings.database_url, name="tests")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def redis_client(settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as client:
        yield client


@pytest.fixture(autouse=True)
def _leave_nothing(request) -> Iterator[None]:
    if "servers" not in request.fixturenames:
        yield
        return
    database, redis_client = map(request.getfixturevalue, ("database", "redis_client"))
    yield
    test_servers.empty(database)
    redis_client.flushall()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real lists and labelled names: other people's data, and not in the project."""
    folder = Path(os.environ.get("MUSTER_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "watchlists").is_dir():
        pytest.skip(
            "the real lists are not here: name their folder in MUSTER_SHARED_DATA,"
            " or put it at ../shared/data"
        )
    return folder
