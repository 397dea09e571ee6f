"""`dev.py up`, looked at from outside while it runs."""

from __future__ import annotations

import json
import stat
import urllib.request

import psycopg2

from tests.setup.conftest import run, running, wait_until_nothing_lives

PROGRAMS = {"web", "live", "worker", "documents", "faces", "control", "beat", "flower"}


def test_every_program_of_the_procfile_runs(up):
    assert set(up.children()) == {*PROGRAMS, "postgres", "valkey-server"}


def test_the_printed_token_opens_the_printed_address(up, up_env):
    assert up_env["MUSTER_URL"] in up.text
    assert up_env["MUSTER_TOKEN"] in up.text

    authorised = {"Authorization": f"Bearer {up_env['MUSTER_TOKEN']}"}
    request = urllib.request.Request(f"{up_env['MUSTER_URL']}/kyc/jobs", headers=authorised)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_whoever_asks_the_web_for_a_stream_is_led_to_live(up, up_env):
    authorised = {"Authorization": f"Bearer {up_env['MUSTER_TOKEN']}"}
    entities = [{"subject": {"full_name": "Jane Citizen"}}]
    made = urllib.request.Request(
        f"{up_env['MUSTER_URL']}/kyc/jobs",
        data=json.dumps({"entities": entities}).encode(),
        headers={**authorised, "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(made, timeout=10) as answer:
        job_id = json.load(answer)["job_id"]

    asked = urllib.request.Request(
        f"{up_env['MUSTER_URL']}/v1/jobs/{job_id}/events?after=0", headers=authorised
    )
    with urllib.request.urlopen(asked, timeout=30) as answer:
        assert f":{up_env['LIVE_PORT']}/" in answer.url
        told = answer.read().decode()

    assert f"http://127.0.0.1:{up_env['LIVE_PORT']}" in up.text
    assert told.rstrip().endswith('event: end\ndata: {"status":"completed"}')


def test_only_its_owner_can_read_the_secrets(up):
    for name in ("run.env", "run.json", "secrets.json"):
        assert stat.S_IMODE((up.state / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(up.state.stat().st_mode) == 0o700


def test_the_database_asks_for_its_password(up_env):
    url = up_env["DATABASE_URL"]
    user_and_password = url.partition("//")[2].partition("@")[0]

    psycopg2.connect(url).close()
    wrong = url.replace(user_and_password, "muster:wrong")
    try:
        psycopg2.connect(wrong).close()
    except psycopg2.OperationalError:
        refused = True
    else:
        refused = False
    assert refused


def test_a_second_start_is_refused_with_a_sentence(up, up_env):
    for command in ("up", "demo"):
        second = run(up.state, command)

        assert second.returncode == 1
        assert f"already running here at {up_env['MUSTER_URL']}" in second.stderr
        assert "Traceback" not in second.stderr


def test_status_says_what_runs(up, up_env):
    shown = run(up.state, "status")

    assert shown.returncode == 0
    assert up_env["MUSTER_URL"] in shown.stdout
    assert all(name in shown.stdout for name in PROGRAMS)


def test_another_instance_gets_other_ports_and_down_stops_it(up_env, state):
    with running(state, "up", "--quiet") as other:
        env = other.wait_until_up()
        run_ids = frozenset({other.run_file()["run"]})
        assert env["PORT"] != up_env["PORT"]
        assert env["FLOWER_PORT"] != up_env["FLOWER_PORT"]
        assert env["LIVE_PORT"] != up_env["LIVE_PORT"]

        stopped = run(state, "down")

        assert stopped.returncode == 0
        assert other.ended() == 0
        wait_until_nothing_lives(state, run_ids, 1)
    assert not (state / "run.env").exists()
    assert run(state, "status").returncode == 1


def test_what_programs_log_is_json(up):
    log = (up.state / "logs" / "beat.log").read_text().splitlines()
    events = [json.loads(line) for line in log if line.startswith("{")]
    assert events
