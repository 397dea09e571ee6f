"""requirements.lock is what setup.cfg asks for, to the last hash, and all that the image gets."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from devtools import commands, dependencies, environment

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / dependencies.LOCK).read_text()
ENTRY = re.compile(
    r"^(\S+)==(\S+?)(?: ; [^\\\n]+?)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+$", re.MULTILINE
)
#: The packages of the image, by their names, in their versions.
LOCKED = {canonicalize_name(name): version for name, version in ENTRY.findall(TEXT)}
IMAGE = {
    **default_environment(),
    **{"python_version": dependencies.PYTHON, "python_full_version": f"{dependencies.PYTHON}.0"},
    **{"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""},
}


def faults(requirement: Requirement) -> list[str]:
    """Return what is wrong with what the lock has for it."""
    name = canonicalize_name(requirement.name)
    if requirement.marker is not None and not requirement.marker.evaluate(IMAGE):
        return []
    if name not in LOCKED:
        return [f"{requirement} is not in the lock"]
    if not requirement.specifier.contains(LOCKED[name], prereleases=True):
        return [f"{requirement} is locked as {LOCKED[name]}"]
    return []


def test_the_lock_is_made_of_versions_and_hashes_and_names_no_registry():
    beside = ENTRY.sub("", TEXT)

    assert len(LOCKED) > 50
    assert [line for line in beside.splitlines() if line and not line.startswith("#")] == []
    assert not re.search(r"https?:|file:|--(extra-)?index|--find-links|--trusted-host", TEXT)


def test_the_lock_has_all_that_setup_cfg_asks_for():
    wanted = environment.requirements(frozenset({*commands.FULL, dependencies.BUILD}))

    found = [fault for text in wanted for fault in faults(Requirement(text))]
    assert found == [], "python3 dev.py lock"


def test_the_lock_has_what_its_packages_ask_for_in_turn():
    looked_at = 0
    found = []
    for name, version in LOCKED.items():
        try:
            here = distribution(name)
        except PackageNotFoundError:
            continue
        if here.version == version:
            looked_at += 1
            found += [fault for text in here.requires or () for fault in faults(Requirement(text))]

    assert looked_at > 10
    assert found == []


def test_a_requirement_that_the_lock_does_not_meet_is_found():
    assert faults(Requirement("flask>=3.1,<4")) == []
    assert faults(Requirement("flask>=99")) == [f"flask>=99 is locked as {LOCKED['flask']}"]
    assert faults(Requirement("nothing")) == ["nothing is not in the lock"]
    assert faults(Requirement("nothing; sys_platform == 'win32'")) == []


def test_the_image_installs_nothing_but_the_lock_and_ourselves():
    text = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"^RUN pip install (.*)$", text, re.MULTILINE)

    assert installs == [
        f"--only-binary=:all: --require-hashes -r {dependencies.LOCK}",
        "--no-index --no-deps --no-build-isolation .",
    ]
    assert f"FROM python:{dependencies.PYTHON}-" in text
    assert f"!{dependencies.LOCK}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_an_audit_that_could_not_be_made_does_not_read_like_a_good_one(monkeypatch, tmp_path):
    """pip-audit itself ends with 1 both when it finds something and when it reaches nobody."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "pip-audit").write_text("#!/bin/sh\necho 'ConnectionError: nobody' >&2\nexit 1\n")
    (folder / "pip-audit").chmod(0o755)
    monkeypatch.setenv("MUSTER_VENV", str(tmp_path))

    with pytest.raises(dependencies.ProgramFailed, match=r"(?s)could not be made.*nobody"):
        dependencies.audit()

    (folder / "pip-audit").write_text("#!/bin/sh\necho 'Name Version ID Fix Versions'\nexit 1\n")
    assert dependencies.audit() == 1
    (folder / "pip-audit").write_text("#!/bin/sh\nexit 0\n")
    assert dependencies.audit() == 0
