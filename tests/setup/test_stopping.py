"""However dev.py is stopped, nothing is left running, and what should be kept is."""

from __future__ import annotations

import os
import signal
import time

import psycopg2
import pytest

from devtools.processes import STAGES, marked
from tests.setup.conftest import living, run, running, wait_until_nothing_lives

#: From the first moments, through servers and migrations, to programs that are half started.
MOMENTS = (0.05, 0.3, 0.7, 1.2, 2.0, 3.0)


@pytest.mark.parametrize("seconds", MOMENTS)
def test_ctrl_c_at_any_moment_of_the_start_leaves_nothing(state, seconds):
    with running(state, "up", "--quiet") as dev:
        time.sleep(seconds)  # not a wait for anything: the moment is what is being tried
        dev.interrupt()

        dev.ended()
        assert living(state) == {}
        assert not (state / "run.json").exists()


def test_ctrl_c_during_the_demo_leaves_nothing_not_even_data(state):
    with running(state, "demo") as dev:
        dev.wait_for(lambda: "Submitting" in dev.text, "the batch")
        run_file = dev.run_file()
        dev.interrupt()

        assert dev.ended() == 130
        wait_until_nothing_lives(state, frozenset({run_file["run"]}), 1)
        assert run_file["unwanted"]
        assert not any(os.path.exists(path) for path in run_file["unwanted"])
        assert "Traceback" not in dev.text


def test_a_stop_waits_for_ten_seconds_at_the_most():
    assert sum(stage.longest for stage in STAGES.values()) <= 10


def test_a_killed_supervisor_leaves_nothing(state):
    with running(state, "up", "--quiet") as dev:
        dev.wait_until_up()
        run_ids = frozenset({dev.run_file()["run"]})
        assert len(living(state, run_ids)) > len(dev.children())

        dev.process.send_signal(signal.SIGKILL)

        # The ten seconds of a stop, and a machine that is busy.
        wait_until_nothing_lives(state, run_ids, 25)
        assert not (state / "run.env").exists()


def test_down_stops_what_a_crash_of_supervisor_and_guard_left_and_the_data_survives(state):
    with running(state, "up", "--quiet") as dev:
        env = dev.wait_until_up()
        with psycopg2.connect(env["DATABASE_URL"]) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 7 AS number")
        connection.close()
        run_ids = frozenset({dev.run_file()["run"]})
        everyone = living(state, run_ids)
        guard = next(pid for pid, shown in everyone.items() if "devtools.guard" in shown)
        for pid in (guard, dev.process.pid):
            os.kill(pid, signal.SIGKILL)
        dev.ended()
        assert marked(next(iter(run_ids)))

        stopped = run(state, "down")

        assert stopped.returncode == 0
        assert "crash" in stopped.stderr
        wait_until_nothing_lives(state, run_ids, 1)

    with running(state, "up", "--quiet") as again:
        env = again.wait_until_up()
        with psycopg2.connect(env["DATABASE_URL"]) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT number FROM kept")
            assert cursor.fetchone() == (7,)
        connection.close()


def test_a_program_that_dies_stops_the_rest_and_is_named(state):
    with running(state, "up", "--quiet") as dev:
        dev.wait_until_up()
        run_ids = frozenset({dev.run_file()["run"]})

        os.kill(dev.children()["beat"], signal.SIGKILL)

        assert dev.ended() == 1
        assert "beat was ended by SIGKILL" in dev.text
        wait_until_nothing_lives(state, run_ids, 1)


@pytest.mark.parametrize("command", ["up", "demo"])
def test_a_killed_guard_ends_the_run_and_leaves_nothing(state, command):
    with running(state, command) as dev:
        dev.wait_for(lambda: "API" in dev.text, "the API")
        run_file = dev.run_file()
        run_ids = frozenset({run_file["run"]})
        everyone = living(state, run_ids)
        guard = next(pid for pid, shown in everyone.items() if "devtools.guard" in shown)

        os.kill(guard, signal.SIGKILL)

        assert dev.ended() == 1
        assert "the guard process was killed" in dev.text
        assert living(state, run_ids) == {}
        assert not any(os.path.exists(path) for path in run_file["unwanted"])
        assert not (state / "run.env").exists()
        assert "Nothing was running" in run(state, "down").stderr
