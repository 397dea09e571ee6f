"""The Procfile, docker-compose.yml and the Dockerfile name the same commands, and they work.

There is no Docker here; the compose file's commands are those that `dev.py up` runs, and its
health checks are run against that.
"""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest
import yaml

from app.settings import Settings
from devtools import procfile
from tests.setup.conftest import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
COMMANDS = procfile.read(ROOT / "Procfile")


def in_container(text: str) -> str:
    """Return the text as compose hands it on: a doubled dollar is one."""
    return text.replace("$$", "$")


@pytest.mark.parametrize("name", COMMANDS)
def test_compose_runs_the_command_of_the_procfile(name):
    shell, flag, command = SERVICES[name]["command"]

    assert (shell, flag) == ("sh", "-c")
    assert in_container(command) == f"exec {COMMANDS[name]}"


def test_the_image_runs_the_web_process_unless_told_otherwise():
    text = (ROOT / "Dockerfile").read_text()
    command = json.loads(re.search(r"^CMD (\[.*\])$", text, re.MULTILINE)[1])

    assert command == ["sh", "-c", f"exec {COMMANDS['web']}"]


def test_compose_has_every_part_and_each_has_a_health_check():
    assert set(SERVICES) == {*COMMANDS, "postgres", "redis", "migrate"}
    assert all("healthcheck" in s for name, s in SERVICES.items() if name != "migrate")


def test_the_readme_names_what_each_way_into_production_needs():
    text = (ROOT / "README.md").read_text().partition("## In production")[2].partition("\n## ")[0]
    by_hand, _, compose = text.partition("docker compose up")

    needed = set(re.findall(r"\${(\w+):\?", (ROOT / "docker-compose.yml").read_text()))
    assert all(f"`{name}`" in compose for name in needed)
    assert "export REMAP_SIGTERM=SIGQUIT" in by_hand
    assert "muster lists load" in by_hand


def test_every_program_waits_for_the_migrations():
    for name in COMMANDS:
        assert SERVICES[name]["depends_on"]["migrate"] == {
            "condition": "service_completed_successfully"
        }


def test_workers_can_be_scaled_since_nothing_in_them_is_unique():
    worker = SERVICES["worker"]

    assert "ports" not in worker
    assert "container_name" not in worker
    assert "-n worker@%h" in COMMANDS["worker"]


def test_the_stop_grace_is_longer_than_the_workers():
    grace = int(SERVICES["worker"]["stop_grace_period"].rstrip("s"))
    given = SERVICES["worker"]["environment"]["MUSTER_WORKER_GRACE_SECONDS"]

    assert grace > float(re.search(r":-([\d.]+)}", given)[1])
    assert grace > Settings.build(database_url="", redis_url="", jwt_secret="").worker_grace_seconds


def test_no_secret_has_a_default():
    text = (ROOT / "docker-compose.yml").read_text()
    for name in ("MUSTER_JWT_SECRET", "MUSTER_DB_PASSWORD", "MUSTER_FLOWER_AUTH"):
        uses = re.findall(rf"(?<!\$)\${{{name}([^}}]{{2}})", text)
        assert uses, name
        assert set(uses) == {":?"}, name


@pytest.mark.parametrize("name", [*COMMANDS, "migrate"])
def test_any_setting_in_the_file_env_reaches_every_program(name):
    """Else a MUSTER_MAX_ENTITIES in it did nothing, and nobody was told."""
    assert SERVICES[name]["env_file"] == [{"path": ".env", "required": False}]


def test_the_file_env_does_not_move_what_ports_and_health_checks_expect():
    web, live, flower = SERVICES["web"], SERVICES["live"], SERVICES["flower"]

    assert web["environment"]["PORT"] == web["ports"][0].rpartition(":")[2] == "8000"
    assert live["environment"]["LIVE_PORT"] == live["ports"][0].rpartition(":")[2] == "8001"
    assert web["environment"]["MUSTER_BIND"] == live["environment"]["MUSTER_BIND"] == "0.0.0.0"
    assert flower["environment"]["FLOWER_PORT"] == flower["ports"][0].rpartition(":")[2] == "5555"
    assert flower["environment"]["FLOWER_ADDRESS"] == "0.0.0.0"
    # What compose makes itself must win over the file.
    for name in COMMANDS:
        given = SERVICES[name]["environment"]
        assert {"DATABASE_URL", "REDIS_URL", "REMAP_SIGTERM"} <= set(given)
        assert given["MUSTER_BEAT_SCHEDULE"] == "/var/lib/muster/schedule"


def check(name: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a service's health check as its container would."""
    kind, *command = SERVICES[name]["healthcheck"]["test"]
    command = [in_container(part) for part in command]
    command = ["sh", "-c", command[0]] if kind == "CMD-SHELL" else command
    command = [
        part.replace(":8000/", f":{env['PORT']}/")
        .replace(":8001/", f":{env['LIVE_PORT']}/")
        .replace(":5555/", f":{env['FLOWER_PORT']}/")
        .replace("/var/lib/muster/schedule", env["MUSTER_BEAT_SCHEDULE"])
        for part in command
    ]
    path = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **env, "PATH": path, "HOSTNAME": socket.gethostname()},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_the_health_check_of_a_running_program_passes(up_env, name):
    deadline = time.monotonic() + 30
    while (result := check(name, up_env)).returncode != 0:
        assert time.monotonic() < deadline, result.stdout + result.stderr
        time.sleep(0.2)


@pytest.mark.parametrize("name", ["web", "live", "flower", "beat"])
def test_the_health_check_of_a_program_that_is_away_fails(up_env, tmp_path, name):
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # bound and not listening: nobody can answer here
        port = str(sock.getsockname()[1])
        away = {
            "PORT": port,
            "LIVE_PORT": port,
            "FLOWER_PORT": port,
            "MUSTER_BEAT_SCHEDULE": str(tmp_path / "schedule"),
        }
        assert check(name, {**up_env, **away}).returncode != 0


def test_the_health_check_of_a_worker_that_is_away_fails(up_env):
    nobody = {**up_env, "REDIS_URL": up_env["REDIS_URL"].rpartition("/")[0] + "/9"}
    assert check("worker", nobody).returncode != 0


def test_dev_py_can_say_on_an_old_python_that_it_is_too_old():
    ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 6))
