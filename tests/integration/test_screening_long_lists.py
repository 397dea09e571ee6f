"""A list that is long enough for compiled loops: jobs wait until it is ready, and then use it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import IndexNotReady, JobError
from app.sample.people import entities
from app.screening import build, resident, store
from app.screening.index import COMPILED_FROM
from app.screening.lists.load import load_list
from app.screening.model import EntityType, Subject
from tests.integration.conftest import ROOT, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def long_list(database, tmp_path, settings):
    """A list of people who do not exist, in force, and no index of it on this machine."""
    names = [entity["subject"]["full_name"] for entity in entities(COMPILED_FROM + 100)]
    lines = [
        json.dumps({"id": f"p{n}", "type": "person", "name": f"{name} {n}"})
        for n, name in enumerate(names)
    ]
    lines.append(json.dumps({"id": "wanted", "type": "person", "name": "Zebulon Quartermain"}))
    path: Path = tmp_path / "long.jsonl"
    path.write_text("\n".join(lines) + "\n")
    load_list(database, "internal", path)
    shutil.rmtree(settings.index_dir, ignore_errors=True)
    resident._open.clear()
    with database.transaction() as tx:
        yield store.current_versions(tx)["internal"]
    resident._open.clear()
    for process in build._started.values():
        process.wait(120)
    build._started.clear()
    build._tries.clear()


def test_a_job_waits_for_the_index_of_a_long_list_and_goes_on_by_itself(client, worker, long_list):
    listed = {"entity_id": "e1", "subject": {"full_name": "Zebulon Quartermain"}}
    clear = {"entity_id": "e2", "subject": {"full_name": "Harriet Ploughwright"}}
    job_id = client.post("/kyc/jobs", json={"entities": [listed, clear]}).json["job_id"]

    worker()

    def job():
        return client.get(f"/kyc/jobs/{job_id}").json

    until(lambda: job()["job_status"] != "processing", 240, "the job ends")
    assert job()["job_status"] == "completed", job()
    found = {each["entity_id"]: each for each in job()["results"]}
    assert [m["match_data"]["id"] for m in found["e1"]["matches"]] == ["wanted"]
    assert found["e2"]["is_match"] is False


def test_a_process_that_builds_a_long_list_shares_it_with_those_that_wait(
    database, settings, long_list, monkeypatch
):
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)

    with pytest.raises(IndexNotReady):
        resident.open_index(database, settings.index_dir, long_list.id)

    def opened():
        try:
            return resident.open_index(database, settings.index_dir, long_list.id)
        except IndexNotReady:
            return None

    index = until(opened, 240, "the index is built")
    assert index.is_compiled
    asked = [Subject("Quartermain, Zebulon", EntityType.PERSON)]
    assert [match.entry.id for match in index.screen(asked)[0]] == ["wanted"]


def test_a_list_that_cannot_be_built_fails_the_job_and_keeps_nobody_waiting(
    database, settings, long_list, monkeypatch
):
    for name, value in settings.to_env().items():
        monkeypatch.setenv(name, value)
    # The process that builds has no database: it ends with an error, however often it is tried.
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

    def failure():
        try:
            return resident.open_index(database, settings.index_dir, long_list.id)
        except IndexNotReady:
            return None
        except JobError as error:
            return error

    assert until(failure, 60, "building is given up").code == resident.INDEX_FAILED


def test_a_builder_that_fails_logs_no_text_of_an_exception(settings):
    given = {**os.environ, **settings.to_env()}
    env = {name: value for name, value in given.items() if value}

    ran = subprocess.run(
        [sys.executable, "-m", "app.screening.build", "4711"],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert ran.returncode == 1
    assert "index.build_crashed" in ran.stderr
    assert "is not loaded" not in ran.stderr + ran.stdout
