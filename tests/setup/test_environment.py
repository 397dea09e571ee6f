"""The virtual environment is made once, and again when what it is made of changes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from devtools import environment, state
from devtools.supervisor import ProgramFailed, supervising


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    """A checkout with manifests and an environment that fits them."""
    for name in environment.MANIFESTS:
        (tmp_path / name).write_text((state.ROOT / name).read_text())
    monkeypatch.setattr(state, "ROOT", tmp_path)
    monkeypatch.delenv("MUSTER_VENV", raising=False)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    facts = {"of": environment._fingerprint(), "python": sys.version, "extras": []}
    (tmp_path / ".venv" / "muster.json").write_text(json.dumps(facts))
    return tmp_path


def test_an_environment_that_fits_is_used_as_it_is(checkout):
    assert environment.is_ready()


@pytest.mark.parametrize("name", environment.MANIFESTS)
def test_a_changed_manifest_makes_it_anew(checkout, name):
    with (checkout / name).open("a") as manifest:
        manifest.write("# changed\n")

    assert not environment.is_ready()


def test_tools_for_development_are_added_when_first_needed(checkout):
    assert not environment.is_ready(frozenset({"dev"}))


def test_an_interrupted_installation_is_not_ready(checkout):
    (checkout / ".venv" / "muster.json").unlink()

    assert not environment.is_ready()


def test_a_python_that_was_removed_is_noticed(checkout):
    (checkout / ".venv" / "bin" / "python").unlink()

    assert not environment.is_ready()


def test_an_environment_that_somebody_else_looks_after_is_left_alone(checkout, monkeypatch):
    monkeypatch.setenv("MUSTER_VENV", str(checkout / "elsewhere"))

    assert environment.is_ready(frozenset({"dev"}))
    assert environment.python() == checkout / "elsewhere" / "bin" / "python"


def test_requirements_are_those_of_setup_cfg(checkout):
    plain = environment.requirements(frozenset())
    with_tools = environment.requirements(frozenset({"dev"}))

    assert any(line.startswith("celery>=") for line in plain)
    assert not any(line.startswith("pytest>=") for line in plain)
    assert any(line.startswith("pytest>=") for line in with_tools)


# Interrupted


@pytest.fixture
def begin(checkout, monkeypatch):
    """Call to begin a set-up; it is then as if it had been killed before it was done."""
    monkeypatch.setattr(state, "LOGS", checkout)
    # Or each environment of these tests would get a pip of its own, for three seconds.
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _name: True)

    def run() -> None:
        with supervising() as supervisor:
            environment._begin(supervisor, None, frozenset({"dev"}))

    return run


@pytest.fixture
def venv(checkout) -> Path:
    return checkout / ".venv"


def half_installed(venv: Path) -> Path:
    """What pip leaves when it is killed between the data of a package and its scripts."""
    package = next(venv.glob("lib/python3*/site-packages")) / "celery.dist-info"
    package.mkdir()
    return package


def test_an_interrupted_set_up_begins_again_with_an_empty_environment(venv, begin):
    shutil.rmtree(venv)
    begin()
    left = half_installed(venv)
    assert not environment.is_ready()

    begin()

    assert not left.exists()
    assert environment.python().exists()


def test_so_does_an_interrupted_update_and_it_knows_the_tools_that_were_there(venv, begin):
    shutil.rmtree(venv)
    begin()
    facts = {"of": "older manifests", "python": sys.version, "extras": ["bench"]}
    (venv / "muster.json").write_text(json.dumps(facts))
    kept = half_installed(venv)

    begin()
    assert kept.exists(), "a finished environment is brought up to date where it is"
    begin()

    assert not kept.exists()
    assert json.loads((venv / "muster.json").read_text())["extras"] == ["bench", "dev"]


def test_an_interruption_before_there_is_an_environment_is_repaired(venv, begin):
    shutil.rmtree(venv)
    venv.mkdir()
    begin()
    (venv / "pyvenv.cfg").unlink()
    (venv / "bin" / "python").unlink()

    begin()

    assert (venv / "pyvenv.cfg").exists()
    assert environment.python().exists()


def test_a_folder_with_something_else_in_it_is_refused_and_left_as_it_is(venv, begin):
    shutil.rmtree(venv)
    venv.mkdir()
    (venv / "thesis.txt").write_text("years of work")

    with pytest.raises(ProgramFailed, match="in the way"):
        begin()

    assert [path.name for path in venv.iterdir()] == ["thesis.txt"]


def test_an_environment_that_somebody_made_by_hand_is_used_while_it_is_empty(venv, begin):
    shutil.rmtree(venv)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    begin()
    assert environment.python().exists()


def test_an_environment_with_somebodys_packages_is_refused_and_left_as_it_is(venv, begin):
    shutil.rmtree(venv)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    theirs = half_installed(venv)

    with pytest.raises(ProgramFailed, match="MUSTER_VENV"):
        begin()

    assert theirs.exists()
