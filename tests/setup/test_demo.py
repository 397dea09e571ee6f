"""`dev.py demo`: what a newcomer sees first."""

from __future__ import annotations

import shutil

import pytest

from devtools import portraits
from tests.setup.conftest import run, running, wait_until_nothing_lives


def test_the_demo_screens_a_thousand_entities_and_ends_with_status_0(state):
    shown = run(state, "demo")

    assert shown.returncode == 0, shown.stderr
    assert "1,000" in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr
    onwards = shown.stdout.partition("Where to go next")[2]
    assert "python3 dev.py up" in onwards
    assert "http://" not in onwards, "its server is gone"
    wait_until_nothing_lives(state, frozenset(), 1)


def test_the_demo_of_faces_finds_people_again_and_ends_with_status_0(state):
    try:
        found = portraits.folder()
    except portraits.NotToBeHad as why:
        pytest.skip(str(why))
    # The demo looks in a folder of its own, and shall not depend on the network a second time.
    shutil.copytree(found, state / "portraits")

    shown = run(state, "demo", "faces")

    assert shown.returncode == 0, shown.stderr
    assert "3 enrolled, 2 failed" in shown.stdout
    assert "3 of 3 answers are right." in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr
    wait_until_nothing_lives(state, frozenset(), 1)


def test_the_demo_of_verifications_shows_their_risk_and_checks_a_record(state):
    shown = run(state, "demo", "verifications")

    assert shown.returncode == 0, shown.stderr
    assert "Critical" in shown.stdout
    assert "was checked here" in shown.stdout
    assert "Traceback" not in shown.stdout + shown.stderr
    wait_until_nothing_lives(state, frozenset(), 1)


def test_no_server_is_started_where_urls_are_given(state, servers):
    urls = {
        "DATABASE_URL": servers.new_empty_database("given"),
        "REDIS_URL": servers.redis_url.replace("/0", "/9"),
    }
    with running(state, "up", "--quiet", **urls) as dev:
        env = dev.wait_until_up()

        assert set(dev.children()) == {
            *("web", "live", "worker", "documents", "faces", "control", "beat", "flower")
        }
        assert {name: env[name] for name in urls} == urls
        dev.interrupt()
        assert dev.ended() == 0
