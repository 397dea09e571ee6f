"""Postgres stops and starts again while jobs run: what was committed stays, the rest is redone."""

from __future__ import annotations

import signal
from dataclasses import replace

import pytest

from app.errors import DatabaseUnavailable
from tests.chaos.conftest import open_site
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, lasting_worker


@pytest.fixture(scope="module")
def postgres(mortal):
    return mortal("postgres")


@pytest.fixture(scope="module")
def site(settings, postgres, redis_client, tmp_path_factory):
    settings = replace(settings, database_url=postgres.url)
    site = open_site(settings)
    with lasting_worker(settings, tmp_path_factory.mktemp("engine")):
        yield site
    site.resources.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_job_survives_a_restart_of_postgres(site, postgres, how):
    job = site.submit([{"sleep": 0.03, "matches": 1}] * 120, chunk_size=20)
    until(lambda: site.reload(job).done >= 10, 20, "it is running")

    postgres.end(how)
    with pytest.raises(DatabaseUnavailable):
        site.submit([{}])
    postgres.start()

    until(lambda: site.reload(job).state.is_final, 30, lambda: f"it ends: {site.reload(job)}")
    job = site.reload(job)
    assert_whole(site.resources, job)
    assert (job.succeeded, job.matches) == (120, 120)
