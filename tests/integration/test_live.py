"""The process `live`: every kind of job is watched the same way, and nothing is lost or repeated."""

from __future__ import annotations

import pytest

from tests.integration.engine import lasting_worker
from tests.live import started


@pytest.fixture(scope="module")
def live_settings(settings):
    from dataclasses import replace

    return replace(settings, live_heartbeat_seconds=0.5)


@pytest.fixture(scope="module")
def live(live_settings, tmp_path_factory):
    with started(live_settings, tmp_path_factory.mktemp("live")) as live:
        yield live


@pytest.fixture(scope="module")
def engine(settings, tmp_path_factory):
    with lasting_worker(settings, tmp_path_factory.mktemp("engine")) as worker:
        yield worker


def test_smoke(live, engine, submit, token):
    job = submit("slow", [{"sleep": 0.05}] * 30)
    told = live.watch(f"/v1/jobs/{job.id}/events?after=0", token).until_over()
    for each in told:
        print(each)
    assert told[-1].name == "end"
