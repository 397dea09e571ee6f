"""What ops see of a job in Flower: every chunk and the callback, by a name they can read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from app import embedded
from tests.integration.conftest import ROOT, STARTING_SECONDS, until

pytestmark = pytest.mark.integration

AUTH = ("ops", "a-password-for-tests")
MARK = "Zebulon Quackenbush"


@pytest.fixture
def flower(settings, tmp_path) -> Iterator[str]:
    """A real Flower on the broker of the tests; yields its address."""
    port = embedded.free_port()
    env = {
        **os.environ,
        **{name: value for name, value in settings.to_env().items() if value},
        "MUSTER_FLOWER_AUTH": ":".join(AUTH),
        "FLOWER_PORT": str(port),
    }
    command = ["celery", "-A", "workers.main", "flower", "--conf=deploy/flower.py"]
    with (tmp_path / "flower.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _answers(url), STARTING_SECONDS, "Flower answers")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthcheck", auth=AUTH, timeout=2).ok
    except requests.RequestException:
        return False


def _workers(url: str) -> dict:
    return requests.get(f"{url}/api/workers", {"refresh": "1"}, auth=AUTH, timeout=10).json()


def test_a_finished_job_is_seen_by_readable_names_and_without_personal_data(
    flower, worker, submit, finished
):
    worker(beat=False)
    until(lambda: _workers(flower), 20, "Flower knows the worker")

    job = submit("fast", [{"echo": MARK}] * 30, chunk_size=10)
    finished(job)

    def tasks() -> list[dict]:
        answer = requests.get(f"{flower}/api/tasks", auth=AUTH, timeout=5)
        assert MARK not in answer.text
        seen = [task for task in answer.json().values() if str(job.id) in (task["kwargs"] or "")]
        return seen if len(seen) == 4 and all(t["state"] == "SUCCESS" for t in seen) else []

    seen = until(tasks, 20, "three chunks and their callback are shown as done")
    assert sorted(task["name"] for task in seen) == ["fast.chunk"] * 3 + ["fast.finish_pass"]
    chunk = next(task for task in seen if task["name"] == "fast.chunk")
    assert "'pass_no': 1" in chunk["kwargs"]
    assert "'chunk_no': " in chunk["kwargs"]
