"""Flower answers nobody who has not given the password, on whatever path."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode

import pytest

from tests.setup.conftest import ROOT

PATHS = (
    "/",
    "/workers",
    "/tasks",
    "/broker",
    "/metrics",
    "/healthcheck",
    "/api/workers",
    "/api/tasks",
    "/api/queues/length",
    "/static/css/flower.css",
    "/login",
    "/no/such/page",
)


def knock(url: str, method: str = "GET", auth: str | None = None) -> int:
    headers = {} if auth is None else {"Authorization": auth}
    try:
        request = urllib.request.Request(url, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture(scope="module")
def flower(up_env) -> str:
    url = f"http://127.0.0.1:{up_env['FLOWER_PORT']}"
    deadline = time.monotonic() + 20
    while True:
        try:
            knock(url)
        except OSError:
            assert time.monotonic() < deadline, "Flower does not answer"
            time.sleep(0.05)
        else:
            return url


@pytest.mark.parametrize("path", PATHS)
def test_no_path_of_flower_is_open(flower, path):
    assert knock(flower + path) == 401


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "HEAD", "PUT"])
def test_no_method_is_open_either(flower, method):
    assert knock(f"{flower}/api/task/async-apply/muster.sweep", method) == 401


@pytest.mark.parametrize(
    "auth",
    [
        "Basic",
        "Basic !",
        "Basic " + b64encode(b"muster:wrong").decode(),
        "Bearer x",
        "basic \u00fc",
    ],
)
def test_a_wrong_password_is_no_password(flower, auth):
    assert knock(f"{flower}/metrics", auth=auth) == 401


def test_the_password_opens_pages_metrics_and_api(flower, up_env):
    auth = "Basic " + b64encode(up_env["MUSTER_FLOWER_AUTH"].encode()).decode()

    for path in ("/", "/metrics", "/healthcheck", "/api/workers", "/static/css/flower.css"):
        assert knock(flower + path, auth=auth) == 200, path


@pytest.mark.parametrize("auth", ["", "muster", "muster:", "muster:short"])
def test_flower_does_not_start_without_a_real_password(up_env, auth):
    env = {**os.environ, **up_env, "MUSTER_FLOWER_AUTH": auth}
    command = [sys.executable, "-m", "celery", "-A", "workers.main", "flower"]
    ended = subprocess.run(
        [*command, "--conf=deploy/flower.py"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert ended.returncode == 1
    assert "MUSTER_FLOWER_AUTH must be user:password" in ended.stderr
    assert "Traceback" not in ended.stderr
