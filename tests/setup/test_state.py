"""What dev.py keeps between runs, for itself and for other terminals."""

from __future__ import annotations

import os
import subprocess

import pytest

from app.cli import run_env
from devtools import state

AWKWARD = "a b;c & $HOME `id` \"q\" 'r' \\ # end"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "STATE", tmp_path)
    monkeypatch.setattr(state, "RUN_ENV", tmp_path / "run.env")
    return tmp_path


@pytest.fixture
def written(folder):
    values = {"MUSTER_INDEX_DIR": AWKWARD, "MUSTER_TOKEN": "two\nlines", "DATABASE_URL": "x=y"}
    state.write_run_env(values)
    return values


def test_a_shell_that_reads_run_env_gets_each_value_as_it_is(folder, written):
    shown = subprocess.run(
        ["/bin/sh", "-c", f"set -a; . '{folder}/run.env'; env -0"],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )

    assert shown.stderr == ""
    exported = dict(pair.split("=", 1) for pair in shown.stdout.split("\0") if pair)
    assert {name: exported.get(name) for name in written} == written


def test_the_command_line_reads_run_env_as_the_shell_does(folder, written, monkeypatch):
    for name in written:
        # Set first, so that what the command line adds is taken away again.
        monkeypatch.setenv(name, "")

    run_env.apply(folder / "run.env")

    assert {name: os.environ[name] for name in written} == written
