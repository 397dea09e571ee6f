"""What the image is made of, to the last hash, and whether something is known against it.

requirements.lock holds every package that the programs need, with the hashes of its files. It
names no registry: who builds the image says where packages come from, and the hashes say that
they are the right ones wherever that is.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable

from devtools import environment, state
from devtools.supervisor import ProgramFailed

LOCK = "requirements.lock"
#: The image's Python.
PYTHON = "3.12"
#: What builds the project inside the image: it comes with a hash like everything else.
BUILD = "build"

_HEADER = "# Made by `python3 dev.py lock` from setup.cfg; do not edit.\n"

#: pip-audit's words where it has an answer, and the answer is yes.
_FOUND = 1


def lock(extras: Iterable[str], upgrade: bool) -> None:
    """Write requirements.lock anew. What is in it stays as it is where it still fits."""
    place = state.ROOT / LOCK
    wanted = environment.requirements(frozenset({*extras, BUILD}))
    command = [
        *(_tool("uv"), "pip", "compile", "-", "--output-file", str(place)),
        *("--universal", "--python-version", PYTHON, "--generate-hashes"),
        # As the Dockerfile installs them: a package that has to be compiled would fail there.
        *("--only-binary", ":all:", "--no-header", "--no-annotate", "--quiet"),
        *(("--upgrade",) if upgrade else ()),
    ]
    ran = subprocess.run(command, cwd=state.ROOT, input="\n".join(wanted), text=True)
    if ran.returncode != 0:
        raise ProgramFailed(f"{LOCK} was not written: what uv says is above")
    text = place.read_text(encoding="utf-8")
    place.write_text(_HEADER + text.removeprefix(_HEADER), encoding="utf-8")


def audit() -> int:
    """Ask a vulnerability service about every package of the lock; 1 if something is known."""
    command = [
        *(_tool("pip-audit"), "--requirement", LOCK, "--require-hashes", "--disable-pip"),
        *("--progress-spinner", "off", "--vulnerability-service", _service()),
    ]
    ran = subprocess.run(command, cwd=state.ROOT, capture_output=True, text=True)
    if ran.returncode == 0 or (ran.returncode == _FOUND and "Fix Versions" in ran.stdout):
        print(ran.stdout + ran.stderr, end="")
        return ran.returncode
    last = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
    raise ProgramFailed(
        "the audit could not be made, which says nothing about the packages: pip-audit asks a"
        f" vulnerability service on the internet ({_service()}), and got no answer.\n  {last}\n"
        "Run it where that service can be reached; AUDIT_SERVICE=osv or pypi says which is asked."
    )


def _service() -> str:
    return os.environ.get("AUDIT_SERVICE", "osv")


def _tool(name: str) -> str:
    return str(environment.folder() / "bin" / name)
