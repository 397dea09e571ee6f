"""A name, a birth date and a document number are in Postgres, and nowhere else.

A marked person is submitted, screened, polled and put into every error that can be provoked, with
web and worker logging all they have. Meanwhile every command that reaches Redis is recorded.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.jobs import service
from app.jobs.model import NewItem
from app.jobs.service import encode_item
from app.kinds import documents
from app.screening.lists.load import load_list
from tests.faces import people
from tests.faces_api import recognizer
from tests.integration.conftest import Worker, until
from tests.kyc import Web, load, serving
from tests.model_server import fails, says
from tests.model_server import serving as model_serving
from tests.servers import beside_workers

__all__ = ["people"]

NAME = "Xylophandra Quillwick"
BIRTH_DATE = "1931-02-19"
DOCUMENT = "QZX7719304"
MARKS = ("xylophandra", "quillwick", BIRTH_DATE, DOCUMENT.lower())

PERSON = {
    "entity_id": f"customer {NAME}",
    "subject": {"full_name": NAME, "birth_date": BIRTH_DATE, "document_id": DOCUMENT},
}
ENTRY = {"id": "x-1", "name": NAME, "birth_dates": [BIRTH_DATE]}

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")


def marks_in(text: bytes) -> set[str]:
    """Return the marks that stand in the bytes, or in anything there that is base64 or escaped."""
    with warnings.catch_warnings():
        # A backslash in a random text escapes nothing that Python knows.
        warnings.simplefilter("ignore", DeprecationWarning)
        layers = [text, text.decode("unicode_escape", "replace").encode("utf-8", "replace")]
    for run in _BASE64.findall(text):
        try:
            layers.append(base64.b64decode(run + b"=" * (-len(run) % 4), b"-_"))
            layers.append(base64.b64decode(run + b"=" * (-len(run) % 4)))
        except binascii.Error:
            continue
    return {mark for mark in MARKS for layer in layers if mark.encode() in layer.lower()}


class Recorder:
    """Every command that reaches Redis, from the moment it is ready."""

    def __init__(self, client: redis.Redis) -> None:
        self.commands: list[bytes] = []
        self._client = client
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._ready = threading.Event()

    def _listen(self) -> None:
        with self._client.monitor() as monitor:
            self._ready.set()
            while True:
                command = monitor.connection.read_response(disable_decoding=True)
                self.commands.append(command)
                if b"end of recording" in command:
                    return

    def __enter__(self) -> Recorder:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.echo("end of recording")
        self._thread.join(5)

    def everything(self) -> bytes:
        return b"\n".join(self.commands)


@pytest.fixture
def recorder(settings) -> Iterator[Recorder]:
    # On a busy machine nothing may reach Redis for longer than the client waits by default.
    with (
        redis.Redis.from_url(settings.redis_url, socket_timeout=None) as client,
        Recorder(client) as started,
    ):
        yield started


@pytest.fixture
def talkative(settings):
    return replace(settings, log_level="DEBUG")


@pytest.fixture
def web_process(talkative, tmp_path) -> Iterator[Web]:
    with serving(talkative, tmp_path) as web:
        yield web


@pytest.fixture
def worker_log(talkative, tmp_path) -> Iterator[Path]:
    env = {**os.environ, **talkative.to_env(), "REMAP_SIGTERM": "SIGQUIT"}
    env = {key: value for key, value in env.items() if value != ""}
    worker = Worker(env, tmp_path, "worker", "-B", "-s", str(tmp_path / "schedule"))
    try:
        worker.wait_until_ready()
        yield worker.log
    finally:
        worker.stop()


@contextmanager
def refusing(database, table: str) -> Iterator[None]:
    """Let Postgres refuse every row of the table, in a message that quotes the whole row."""

    def begin() -> None:
        with database.transaction() as tx:
            tx.execute(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RAISE EXCEPTION 'refused: %', NEW::text; END $$"
            )
            tx.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT ON {table}"
                " FOR EACH ROW EXECUTE FUNCTION refuse()"
            )

    def end() -> None:
        with database.transaction() as tx:
            tx.execute("DROP FUNCTION refuse CASCADE")

    beside_workers(begin)
    try:
        yield
    finally:
        beside_workers(end)


def tables_with_marks(database) -> set[str]:
    found = set()
    with database.transaction() as tx:
        tx.execute("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
        for name in [row["name"] for row in tx.fetchall()]:
            tx.execute(f"SELECT t::text AS text FROM {name} AS t")
            if any(marks_in(row["text"].encode()) for row in tx.fetchall()):
                found.add(re.sub(r"_(kyc|documents|faces|verifications|other).*", "", name))
    return found


def wait_for_the_end(web: Web, token: str, job_id: str) -> dict:
    def look():
        body = web.call("GET", f"/kyc/jobs/{job_id}", token, params={"results": "false"}).json()
        return body if body["job_status"] != "processing" else None

    return until(look, 60, "the job ends")


def provoke(web: Web, token: str) -> list[int]:
    """Send the person in every wrong way there is, and return the statuses."""
    subject, name = PERSON["subject"], NAME.lower().replace(" ", "_")
    batches = [
        {"entities": [PERSON, PERSON]},
        {"entities": [{**PERSON, "lists": [name]}]},
        {"entities": [{**PERSON, "search_type": NAME}]},
        {"entities": [{"subject": {**subject, "birth_date": f"{BIRTH_DATE} {NAME}"}}]},
        {"entities": [{"subject": {**subject, "nationality": NAME}}]},
        {"entities": [{"subject": {"identifiers": [NAME]}}]},
        {"entities": [PERSON], "threshold": NAME},
        {"entities": [PERSON], "labels": {NAME: 7}},
        {"entities": NAME},
        [PERSON],
        {"entities": [PERSON] * 10_001},
    ]
    whole = json.dumps({"entities": [PERSON]})
    raw = [whole[:-20], whole.replace('"subject"', f'"{NAME}": 1, "{NAME}": 2, "subject"')]
    answers = [web.call("POST", "/kyc/jobs", token, json=body) for body in batches]
    headers = {"Content-Type": "application/json"}
    answers += [web.call("POST", "/kyc/jobs", token, data=text, headers=headers) for text in raw]
    answers += [
        web.call("POST", "/kyc/jobs", token, data=whole, headers={"Content-Type": "text/plain"}),
        web.call("POST", "/kyc/jobs", NAME.split()[0], json={"entities": [PERSON]}),
        web.call("POST", "/kyc/jobs", None, json={"entities": [PERSON]}),
        web.call("POST", "/kyc", token, json={**PERSON, "lists": ["un"]}),
        web.call("POST", "/kyc", token, json={**PERSON, "subject": {"birth_date": BIRTH_DATE}}),
        web.call("POST", "/kyc/auth/token", json={"email": NAME, "password": DOCUMENT}),
        web.call("POST", "/kyc/auth/token", json={"refresh_token": NAME}),
        web.call("GET", "/kyc/jobs", token, params={"cursor": DOCUMENT}),
    ]
    return [answer.status_code for answer in answers]


def test_the_search_would_find_a_mark_wherever_it_hid():
    packed = base64.b64encode(json.dumps(PERSON).encode())

    assert marks_in(f"x {NAME} y".encode()) == {"xylophandra", "quillwick"}
    assert marks_in(packed) == set(MARKS)
    assert marks_in(b'"body": "' + packed + b'"') == set(MARKS)
    assert marks_in(rb"\x51uillwick") == {"quillwick"}
    assert marks_in(b"nothing of the kind") == set()


def test_a_person_is_in_postgres_and_in_no_log_and_no_message(
    resources, settings, database, tmp_path, tenant, token, recorder, web_process, worker_log
):
    load(resources, settings, tmp_path, "house", [ENTRY])

    made = web_process.call("POST", "/kyc/jobs", token, json={"entities": [PERSON]})
    job = wait_for_the_end(web_process, token, made.json()["job_id"])
    lenient = {"Prefer": "handling=lenient"}
    wrong = {**PERSON, "subject": {**PERSON["subject"], "nationality": NAME}}
    let_through = web_process.call(
        "POST", "/kyc/jobs", token, json={"entities": [wrong, PERSON]}, headers=lenient
    )
    wait_for_the_end(web_process, token, let_through.json()["job_id"])
    retried = web_process.call("POST", f"/kyc/jobs/{let_through.json()['job_id']}/retry", token)
    wait_for_the_end(web_process, token, retried.json()["job_id"])
    checked = web_process.call("POST", "/kyc", token, json=PERSON)
    statuses = provoke(web_process, token)
    with refusing(database, "items"):
        statuses.append(
            web_process.call("POST", "/kyc/jobs", token, json={"entities": [PERSON]}).status_code
        )

    decided = web_process.call(
        "POST",
        "/kyc/exclusions",
        token,
        json={
            **{"job_id": made.json()["job_id"], "entity_id": PERSON["entity_id"]},
            **{"list_name": "house", "entry_id": "x-1", "reason": f"Not {NAME}"},
        },
    )
    admin = tokens.mint_access(settings, tenant.id, "usr_admin", PERMISSIONS[Role.ADMIN])
    csv = {"data": f"id,name\n1,{NAME}\n", "headers": {"Content-Type": "text/csv"}}
    uploaded = web_process.call("POST", "/kyc/lists?name=own", admin, **csv)
    csv["data"] += f"2,{NAME},{DOCUMENT}\n"
    statuses.append(web_process.call("POST", "/kyc/lists/own", admin, **csv).status_code)
    with refusing(database, "watchlist_entries"):
        csv["data"] = f"id,name\n1,{NAME}\n2,{NAME}\n"
        statuses.append(web_process.call("POST", "/kyc/lists/own", admin, **csv).status_code)

    assert (decided.status_code, uploaded.status_code) == (200, 200)
    assert job["matches_found"] == 1
    assert checked.json()["data"]["result"]["is_match"]
    assert set(statuses) == {400, 401, 500, 503}
    for answer in (made, let_through, retried, checked):
        assert not marks_in(" ".join([answer.url, *answer.headers.values()]).encode())
    assert len(recorder.commands) > 100
    assert marks_in(recorder.everything()) == set()
    assert marks_in(web_process.log.read_bytes()) == set()
    assert marks_in(worker_log.read_bytes()) == set()
    assert "request.failed" in web_process.log.read_text()
    assert tables_with_marks(database) == {
        *("items", "results", "watchlist_entries", "exclusions"),
    }


def test_a_worker_that_fails_over_a_person_names_nobody(
    resources, settings, database, tmp_path, token, recorder, web_process, worker_log
):
    """Postgres refuses the result and quotes the row. Celery quotes the exception, if let:

    in its log, in the event that Flower shows, and in the part of the chord it keeps in Redis.
    """
    load(resources, settings, tmp_path, "house", [ENTRY])

    with refusing(database, "results"):
        made = web_process.call("POST", "/kyc/jobs", token, json={"entities": [PERSON]})
        until(lambda: b"RaiseException" in worker_log.read_bytes(), 30, "the worker fails")
    wait_for_the_end(web_process, token, made.json()["job_id"])

    assert marks_in(recorder.everything()) == set()
    assert marks_in(worker_log.read_bytes()) == set()
    assert marks_in(web_process.log.read_bytes()) == set()


def test_a_document_is_in_no_log_and_no_message_and_a_models_key_is_nowhere_at_all(
    resources, talkative, database, tenant, tmp_path, recorder, monkeypatch
):
    """One job for our engine, and one for a model that echoes what it gets in all its errors."""
    monkeypatch.setenv("OUR_KEY", DOCUMENT)
    text = f"{NAME}, born {BIRTH_DATE}, was arrested for fraud, said {NAME}."
    document = {"id": NAME, "title": NAME, "text": text, "extra": {"of": BIRTH_DATE}}
    items = [NewItem(NAME, encode_item({"document": document}))] * 3
    echo = f"{text} {DOCUMENT}"
    answers = (
        says({"tag": NAME, "score": 1}),
        fails(500, echo),
        fails(400, echo),
        fails(401, echo),
    )
    with model_serving(*answers) as model:
        known = {"ours": {"base_url": model.url, "key_env": "OUR_KEY", "models": ["small"]}}
        ours = replace(talkative, tagging_providers=json.dumps(known))
        env = {**os.environ, **ours.to_env(), "REMAP_SIGTERM": "SIGQUIT"}
        env = {key: value for key, value in env.items() if value != ""}
        worker = Worker(env, tmp_path, "tagger", "-B", "-s", str(tmp_path / "schedule"))
        try:
            worker.wait_until_ready()
            for config in ({}, {"model_name": "ours/small", "api_key": DOCUMENT}):
                made = documents.plan(
                    replace(resources, settings=ours),
                    tenant_id=tenant.id,
                    created_by="usr_test",
                    items=items,
                    config=config,
                )
                job = service.submit(resources, made)
                until(lambda job=job: _state(resources, job).is_final, 60, "the job has ended")
        finally:
            worker.stop()

    assert {asked.headers["authorization"] for asked in model.asked} == {f"Bearer {DOCUMENT}"}
    assert marks_in(worker.log.read_bytes()) == set()
    assert marks_in(recorder.everything()) == set()
    assert tables_with_marks(database) == {"items", "results"}
    with database.transaction() as tx:
        tx.execute("SELECT string_agg(t::text, ' ') AS text FROM results AS t")
        assert DOCUMENT not in tx.fetchone()["text"]
        tx.execute("SELECT string_agg(t::text, ' ') AS text FROM items AS t")
        assert DOCUMENT not in tx.fetchone()["text"]


def test_a_face_is_in_no_log_and_no_message_and_its_image_is_nowhere_at_all(
    talkative, database, settings, tenant, tmp_path, recorder, web_process, people
):
    admin = tokens.mint_access(settings, tenant.id, "usr_admin", PERMISSIONS[Role.ADMIN])
    place = f"/api/v1/organizations/{tenant.id}"
    made = web_process.call("POST", f"{place}/collections", admin, json={"name": "x"})
    mine = f"/api/v1/collections/{made.json()['data']['id']}"
    who = [("external_ids[]", NAME), ("external_ids[]", DOCUMENT)]
    who += [("metadata[]", json.dumps({"born": BIRTH_DATE}))] * 2
    images = [("images", (NAME, people["person_a_1"])), ("images", (NAME, NAME.encode()))]
    one = {"image": (NAME, people["person_a_2"])}

    with recognizer(talkative, tmp_path) as worker:
        key = {"Idempotency-Key": f"for {NAME}"}
        batch = web_process.call(
            "POST", f"{mine}/faces/batch-async", admin, files=images, data=who, headers=key
        )
        job_id = batch.json()["data"]["job_id"]

        def done():
            answer = web_process.call("GET", f"{place}/batch/{job_id}", admin).json()["data"]
            return answer if answer["status"] == "done" else None

        job = until(done, 60, "the job ends")
        asked = web_process.call("POST", f"{mine}/identify", admin, files=one)
        again = {"files": one, "data": {"external_id": NAME, "metadata": NAME}}
        statuses = {
            web_process.call("POST", f"{mine}/faces", admin, **again).status_code,
            web_process.call(
                "POST", f"{mine}/faces", admin, files=one, data={"external_id": NAME}
            ).status_code,
            web_process.call(
                "POST", f"{mine}/verify", admin, files=one, data={"external_id": DOCUMENT}
            ).status_code,
        }
        with refusing(database, "faces"):
            failed = web_process.call(
                "POST", f"{mine}/faces", admin, files=one, data={"external_id": f"{NAME} 2"}
            )
        worker_log = worker.log.read_bytes()

    assert [item["success"] for item in job["results"]] == [True, False]
    assert asked.json()["data"]["matches"][0]["external_id"] == NAME
    assert statuses == {400, 409, 404}
    assert failed.status_code == 500
    assert marks_in(recorder.everything()) == set()
    assert marks_in(web_process.log.read_bytes()) == set()
    assert marks_in(worker_log) == set()
    assert tables_with_marks(database) == {"items", "results", "faces"}
    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS parts FROM face_images")
        assert tx.fetchone()["parts"] == 0


def _state(resources, job):
    return service.find(resources, job.tenant_id, job.dialect, job.external_id).state


def test_a_watched_person_is_in_postgres_and_in_no_log_and_no_message(
    resources, settings, tmp_path, tenant, recorder, web_process, worker_log
):
    """Put into a watchlist, checked, concerned by an update, and exported."""
    token = tokens.mint_access(settings, tenant.id, "usr_admin", PERMISSIONS[Role.ADMIN])
    load(resources, settings, tmp_path, "house", [{"id": "x-0", "name": "Somebody Else"}])
    wanted = {"name": NAME, "check_frequency": "on_update"}
    made = web_process.call("POST", "/kyc/watchlists", token, json=wanted).json()
    path = f"/kyc/watchlists/{made['watchlist']['watchlist_id']}"
    added = web_process.call("POST", f"{path}/subjects", token, json={"subjects": [PERSON]})
    assert added.status_code == 200
    checked = web_process.call("POST", f"{path}/monitor", token)
    assert checked.json()["data"]["new_matches_count"] == 0
    load_list(
        *(resources.db, "house", _listing(tmp_path)),
        format="plain",
        allow_shrink=True,
        index_dir=settings.index_dir,
    )

    def found() -> list:
        return web_process.call("GET", f"{path}/changes", token).json()["changes"]

    (change,) = until(found, 60, "the update is taken up")
    assert change["match"]["matched_name"] == NAME
    link = web_process.call("GET", f"/exports/{change['check_id']}?format=html", token).json()
    page = web_process.call("GET", link["presigned_url"].partition(web_process.url)[2])
    assert NAME in page.text
    for wrong in ({"name": NAME}, {"name": "x", "lists": [NAME]}, {"name": ["x", NAME]}):
        assert web_process.call("POST", "/kyc/watchlists", token, json=wrong).status_code >= 400

    assert marks_in(web_process.log.read_bytes()) == set()
    assert marks_in(worker_log.read_bytes()) == set()
    assert marks_in(recorder.everything()) == set()
    assert b"update.taken_up" in worker_log.read_bytes()


def _listing(folder: Path) -> Path:
    file = folder / "next.jsonl"
    file.write_text(json.dumps(ENTRY) + "\n")
    return file


def test_a_verification_is_in_postgres_and_in_no_log_and_no_message_and_no_key_anywhere(
    resources, talkative, database, tenant, token, tmp_path, recorder, monkeypatch
):
    """Screened by our engine and by a provider that echoes the person in all its errors."""
    monkeypatch.setenv("OUR_KEY", DOCUMENT)
    load(resources, talkative, tmp_path, "house", [ENTRY])
    party = {"type": "individual", "name": NAME, "dateOfBirth": BIRTH_DATE}
    body = {**party, "userId": NAME, "stakeholders": [{"role": "owner", "entity": party}]}
    echo = f"{NAME} {BIRTH_DATE} {DOCUMENT}"
    with model_serving(fails(500, echo), fails(400, echo), fails(401, echo)) as provider:
        given = {"kind": "yente", "base_url": provider.url, "key_env": "OUR_KEY", "tries": 2}
        ours = replace(talkative, screening_providers=json.dumps({"open": given}))
        env = {**os.environ, **ours.to_env(), "REMAP_SIGTERM": "SIGQUIT"}
        env = {key: value for key, value in env.items() if value != ""}
        worker = Worker(env, tmp_path, "verifier", "-B", "-s", str(tmp_path / "schedule"))
        with serving(ours, tmp_path) as web:
            try:
                worker.wait_until_ready()
                made = web.call("POST", "/v5/verifications", token, json=body)
                here = f"/v5/verifications/{made.json()['trace']}"
                begun = web.call("POST", f"{here}/watchlist", token)
                poll = f"{here}/jobs/watchlist/{begun.json()['data']['jobId']}"
                until(
                    lambda: "completedAt" in web.call("GET", poll, token).json()["data"]["result"],
                    *(60, "the run ends"),
                )
                found = web.call("GET", f"{here}/watchlist/latest", token).json()["data"]
                wrong = [
                    {**body, "country": NAME},
                    {**body, "stakeholders": [{"role": NAME, "entity": {"dateOfBirth": NAME}}]},
                    [body],
                    body,
                ]
                statuses = [
                    web.call("POST", "/v5/verifications", token, json=each).status_code
                    for each in wrong
                ]
                with refusing(database, "stakeholders"):
                    again = {**body, "userId": "other"}
                    answer = web.call("POST", "/v5/verifications", token, json=again)
                    statuses.append(answer.status_code)
            finally:
                worker.stop()

    assert found["totalHits"] == 1
    assert {each["status"] for each in found["sourcesChecked"]} == {"ok", "error"}
    assert statuses == [422, 422, 422, 409, 500]
    assert marks_in(recorder.everything()) == set()
    assert marks_in(web.log.read_bytes()) == set()
    assert marks_in(worker.log.read_bytes()) == set()
    assert tables_with_marks(database) == {
        *("items", "results", "watchlist_entries"),
        *("verifications", "stakeholders", "screenings"),
    }
    with database.transaction() as tx:
        tx.execute("SELECT string_agg(t::text, ' ') AS text FROM results AS t")
        assert DOCUMENT not in tx.fetchone()["text"]
