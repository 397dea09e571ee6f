"""A marked person through every dialect of a full set-up, and then looked for everywhere.

web, live, a worker for every queue with its beat, and Flower, all logging what they have; every
command that reaches Redis is recorded, and at the end every key and value in it is read.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from app import embedded
from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.jobs.dispatch import QUEUES
from tests.contract.test_personal_data import (
    BIRTH_DATE,
    DOCUMENT,
    ENTRY,
    NAME,
    PERSON,
    Recorder,
    marks_in,
    provoke,
    recorder,
)
from tests.integration.conftest import ROOT, STARTING_SECONDS, Worker, until
from tests.kyc import load, serving
from tests.live import started as live_started

__all__ = ["recorder"]

pytestmark = pytest.mark.integration

AUTH = ("ops", "a-password-for-tests")
PASSWORD = "quillwick horse battery"
PAGES = (
    *("/", "/workers", "/tasks", "/broker", "/metrics", "/healthcheck"),
    *("/api/workers?refresh=1", "/api/tasks?limit=1000", "/api/task/types", "/api/queues/length"),
)


@contextmanager
def flower(settings, folder: Path) -> Iterator[tuple[str, Path]]:
    port = embedded.free_port()
    env = {**os.environ, **{name: value for name, value in settings.to_env().items() if value}}
    env |= {"MUSTER_FLOWER_AUTH": ":".join(AUTH), "FLOWER_PORT": str(port)}
    command = ["celery", "-A", "workers.main", "flower", "--conf=deploy/flower.py"]
    log, url = folder / "flower.log", f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=env, stdout=output, stderr=output
        )

    def answers() -> bool:
        try:
            return requests.get(f"{url}/healthcheck", auth=AUTH, timeout=2).ok
        except requests.RequestException:
            return False

    try:
        until(answers, STARTING_SECONDS, "Flower answers")
        yield url, log
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()


def everything_in(client) -> bytes:
    """Every key in Redis with its value, whatever its type."""
    return b"\n".join(
        key + b" " + (client.dump(key) or b"") + repr(read(client, key)).encode()
        for key in client.scan_iter("*")
    )


def read(client, key: bytes):
    match client.type(key):
        case b"string":
            return client.get(key)
        case b"list":
            return client.lrange(key, 0, -1)
        case b"hash":
            return client.hgetall(key)
        case b"set":
            return client.smembers(key)
        case b"zset":
            return client.zrange(key, 0, -1)
        case b"stream":
            return client.xrange(key)
    return None


@pytest.mark.timeout(400)
def test_a_marked_person_is_in_no_log_no_redis_no_flower_and_no_secret_is_in_any_answer(
    resources, settings, database, redis_client, tenant, tmp_path, recorder: Recorder
):
    talkative = replace(settings, log_level="DEBUG")
    load(resources, settings, tmp_path, "house", [ENTRY])
    accounts.create_user(database, tenant.id, "ada@example.com", PASSWORD, Role.ADMIN)
    admin = tokens.mint_access(settings, tenant.id, "usr_admin", PERMISSIONS[Role.ADMIN])
    _, key = accounts.create_key(database, tenant.id, "nightly", ["kyc:read"])
    env = {**os.environ, **talkative.to_env(), "REMAP_SIGTERM": "SIGQUIT"}
    env = {name: value for name, value in env.items() if value}
    queues = ",".join(queue.name for queue in QUEUES)
    beat = ("-B", "-s", str(tmp_path / "schedule"), "-Q", queues)
    worker = Worker(env, tmp_path, "worker", *beat)
    said: list[str] = []
    try:
        with (
            serving(talkative, tmp_path) as web,
            live_started(talkative, tmp_path) as live,
            flower(talkative, tmp_path) as (dashboard, flower_log),
        ):
            worker.wait_until_ready(60)

            def call(method: str, path: str, token: str | None = admin, **given):
                answer = web.call(method, path, token, **given)
                said.append(f"{answer.headers} {answer.text}")
                return answer

            def made(path: str, **given):
                answer = call("POST", path, **given)
                assert answer.status_code < 300, answer.text
                return answer.json()

            made("/kyc/jobs", json={"entities": [PERSON]})
            text = f"{NAME}, born {BIRTH_DATE}, was arrested for fraud."
            note = {"id": NAME, "title": NAME, "text": text, "born": BIRTH_DATE}
            made("/api/batch/start", json={"documents": [note], "config": {}})
            call("POST", "/api/single/process", json={"document": note, "config": {}})
            party = {"type": "individual", "name": NAME, "dateOfBirth": BIRTH_DATE}
            owner = {"role": "owner", "entity": party}
            verified = made("/v5/verifications", json={**party, "stakeholders": [owner]})
            made(f"/v5/verifications/{verified['trace']}/watchlist")
            place = f"/api/v1/organizations/{tenant.id}/collections"
            collection = made(place, json={"name": NAME})["data"]["id"]
            form = {"external_ids[]": NAME, "metadata[]": f'{{"born": "{BIRTH_DATE}"}}'}
            made(
                f"/api/v1/collections/{collection}/faces/batch-async",
                files=[("images", (f"{NAME}.jpg", NAME.encode()))],
                data=form,
            )
            watched = made("/kyc/watchlists", json={"name": NAME})["watchlist"]["watchlist_id"]
            made(f"/kyc/watchlists/{watched}/subjects", json={"subjects": [PERSON]})
            call("POST", f"/kyc/watchlists/{watched}/monitor")

            def ended() -> list | None:
                jobs = call("GET", "/v1/jobs?limit=100").json()["data"]
                busy = [job for job in jobs if job["finished_at"] is None]
                return None if busy or len(jobs) < 4 else jobs

            jobs = until(ended, 120, "every job ends")
            for job in jobs:
                told = live.watch(f"/v1/jobs/{job['id']}/events?after=0", admin)
                until(lambda told=told: told.told, 30, "the stream tells")
            call("GET", "/kyc/jobs", None)
            call("GET", "/kyc/jobs", key)
            for path in ("/kyc/auth/token", "/api/auth/login", "/api/v1/auth/login"):
                good = {"email": "ada@example.com", "password": PASSWORD}
                assert call("POST", path, None, json=good).status_code == 200
                call("POST", path, None, json={**good, "password": f"{NAME} {DOCUMENT}"})
            provoke(web, admin)
            pages = [requests.get(dashboard + page, auth=AUTH, timeout=30).text for page in PAGES]
            logs = {
                name: path.read_bytes()
                for name, path in {
                    **{"web": web.log, "live": live.log, "worker": worker.log},
                    "flower": flower_log,
                }.items()
            }
            kept = everything_in(redis_client)
    finally:
        worker.stop()

    assert {job["kind"] for job in jobs} >= {"kyc", "documents", "verifications", "faces"}
    places = {**logs, "redis": kept, "monitor": recorder.everything()}
    places |= {f"flower {page}": text.encode() for page, text in zip(PAGES, pages, strict=True)}
    assert {name: marks_in(text) for name, text in places.items() if marks_in(text)} == {}
    assert all(len(text) > 0 for text in logs.values())
    assert len(recorder.commands) > 100
    # Secrets: in no answer, no log, no page; a token is in the answer that makes it alone.
    secrets = [settings.jwt_secret, PASSWORD, key]
    secrets += [urlsplit(url).password for url in (settings.database_url, settings.redis_url)]
    places |= {f"answer {n}": text.encode() for n, text in enumerate(said)}
    # Whoever connects to Redis says its password to it.
    places.pop("monitor")
    found = [
        (name, n)
        for name, text in places.items()
        for n, secret in enumerate(secrets)
        if secret and secret.encode() in text
    ]
    assert found == []
    assert not any(admin.encode() in text for text in logs.values())
