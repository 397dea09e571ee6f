"""The virtual environment is made once, and again when what it is made of changes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from devtools import environment, state


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
    plain = environment._requirements(frozenset())
    with_tools = environment._requirements(frozenset({"dev"}))

    assert any(line.startswith("celery>=") for line in plain)
    assert not any(line.startswith("pytest>=") for line in plain)
    assert any(line.startswith("pytest>=") for line in with_tools)
