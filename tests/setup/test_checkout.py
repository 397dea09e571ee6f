"""A checkout works wherever somebody puts it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools import procfile
from tests.setup.conftest import FOREIGN, ROOT, need_servers

NAME = "it's a folder & more; $HOME"
LEFT_OUT = (".*", "__pycache__", "*.egg-info", "tests", "benchmarks")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Iterator[Path]:
    """A copy of the checkout in a folder whose name a shell would take apart."""
    copy = tmp_path_factory.mktemp("checkout") / NAME
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    yield copy
    shutil.rmtree(copy)


def test_the_demo_runs_in_a_folder_with_a_space_in_its_name(checkout):
    need_servers()
    env = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    env.pop("MUSTER_STATE_DIR", None)

    shown = subprocess.run(
        [sys.executable, "dev.py", "demo"],
        cwd=checkout,
        env={**env, "MUSTER_VENV": sys.prefix},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert shown.returncode == 0, shown.stdout + shown.stderr


@pytest.mark.parametrize("schedule", ["a b;c", None])
def test_the_schedule_of_beat_stays_one_argument(schedule, tmp_path):
    """As the shell splits it, whether a setting names the file or TMPDIR its folder."""
    (tmp_path / "celery").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "celery").chmod(0o755)
    temporary = tmp_path / "two words"
    temporary.mkdir()
    env = {"PATH": f"{tmp_path}:{os.defpath}", "TMPDIR": str(temporary)}
    if schedule is not None:
        env["MUSTER_BEAT_SCHEDULE"] = schedule

    shown = subprocess.run(
        ["/bin/sh", "-c", f"exec {procfile.read(ROOT / 'Procfile')['beat']}"],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )

    lines = shown.stdout.splitlines()
    assert lines[:-1] == ["-A", "workers.main", "beat", "--schedule"]
    assert lines[-1] == schedule or lines[-1].startswith(f"{temporary}/")
