"""dev.py as an ordinary user, tried where the tests themselves run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.setup.conftest import FOREIGN, ROOT, need_servers

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="the other tests run as an ordinary user already"
)

TREE = ("app", "deploy", "devtools", "schemas", "workers", "dev.py", "Procfile")
MANIFESTS = ("setup.cfg", "pyproject.toml", "requirements-embedded.txt")
PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")


def as_nobody(command: list[str | Path], **options) -> subprocess.CompletedProcess[str]:
    nobody = pwd.getpwnam("nobody")
    return subprocess.run(
        command,
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=[],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        **options,
    )


@pytest.fixture
def python() -> str:
    """A Python of our version that nobody can run, for the packages that we have."""
    need_servers()
    site = sysconfig.get_path("platlib")
    question = f"import os, sys; print(sys.version_info[:2], os.access({site!r}, os.R_OK))"
    for program in PYTHONS:
        if os.path.exists(program):
            answer = as_nobody([program, "-c", question], cwd="/")
            if answer.stdout.strip() == f"{sys.version_info[:2]} True":
                return program
    pytest.skip("no Python here that an ordinary user can run with the packages of these tests")


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A copy of the checkout that belongs to nobody; pytest's own folders are closed to them."""
    nobody = pwd.getpwnam("nobody")
    copy = Path(tempfile.mkdtemp(prefix="muster-checkout-"))
    for name in (*TREE, *MANIFESTS):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    for path in (copy, *copy.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    yield copy
    shutil.rmtree(copy)


def make_environment(python: str, folder: Path) -> None:
    """Make a virtual environment that borrows our packages, rather than install them again."""
    as_nobody([python, "-m", "venv", "--without-pip", folder], cwd="/")
    site = next(folder.glob("lib/python3*/site-packages"))
    for each in Path(sysconfig.get_path("platlib")).iterdir():
        if each.suffix != ".pth" and not each.name.startswith("__"):
            (site / each.name).symlink_to(each)
    # Before Python 3.11.3 redis-py wants a package for its asynchronous half, which we do not use.
    (site / "async_timeout.py").write_text("from asyncio import timeout\n")
    for name, module in (("celery", "celery.__main__"), ("gunicorn", "gunicorn.app.wsgiapp")):
        script = folder / "bin" / name
        function = "run" if name == "gunicorn" else "main"
        script.write_text(f"#!{folder}/bin/python\nfrom {module} import {function}\n{function}()\n")
        script.chmod(0o755)


def test_the_demo_runs_for_an_ordinary_user(python, checkout):
    make_environment(python, checkout / "environment")
    env = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    env |= {"HOME": str(checkout), "MUSTER_VENV": str(checkout / "environment")}

    shown = as_nobody([python, "dev.py", "demo"], cwd=checkout, env=env)

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert (checkout / ".muster").stat().st_uid == pwd.getpwnam("nobody").pw_uid
