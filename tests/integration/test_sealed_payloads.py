"""With keys set, Postgres holds who was asked about and what was found only in encrypted form."""

from __future__ import annotations

import base64
from dataclasses import replace
from uuid import UUID

import pytest
from click.testing import CliRunner

from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.cli.group import cli
from app.errors import KeyUnavailable, Misconfigured
from app.factory import create_app
from app.jobs import ids, service, store
from app.jobs.events import store as events
from app.jobs.model import Item, Result
from app.protection import rotation, subjects
from app.protection import store as protection
from app.resources import Resources
from tests.integration.conftest import new_job, until
from tests.kyc import CLEAR, ended, house_list

__all__ = ["house_list"]

pytestmark = pytest.mark.integration

ONE, TWO, WRONG = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
MARK = "QZX7719304"
LISTED = {"full_name": "Ottoline Vexford", "document_id": MARK}
MARKED = {"entity_id": "c1", "subject": LISTED}


@pytest.fixture
def sealed(settings):
    """Resources of a process that seals with k1."""
    opened = Resources.open(replace(settings, payload_keys=f"k1:{ONE}"))
    yield opened
    opened.close()


def with_keys(settings, keys: str) -> Resources:
    return Resources.open(replace(settings, payload_keys=keys))


def caller(settings, tenant):
    client = create_app(settings).test_client()
    token = tokens.mint_access(settings, tenant.id, "usr_admin", PERMISSIONS[Role.ADMIN])
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def stored(database) -> list[str]:
    """Return all payloads and results, as Postgres has them."""
    with database.transaction() as tx:
        tx.execute(
            "SELECT payload::text AS text FROM items"
            " UNION ALL SELECT result::text FROM results WHERE result IS NOT NULL"
        )
        return [row["text"] for row in tx.fetchall()]


def keys_in(database) -> set[str]:
    return {text.split(":")[2] if text.startswith('"sealed') else "" for text in stored(database)}


def test_what_is_sealed_is_read_by_every_part_and_by_nobody_else(
    sealed, settings, resources, database, tenant, house_list, worker
):
    """A screening, a verification and documents, from the request to results, exports and retry."""
    plain = caller(settings, tenant)
    before = plain.post("/kyc/jobs", json={"entities": [MARKED, CLEAR]}).json["job_id"]
    assert keys_in(database) == {""}
    started = worker(env={"MUSTER_PAYLOAD_KEYS": f"k1:{ONE}"})
    client = caller(sealed.settings, tenant)
    assert ended(client, before)["matches_found"] == 1

    made = client.post("/kyc/jobs", json={"entities": [MARKED, CLEAR]}).json["job_id"]
    assert ended(client, made)["matches_found"] == 1
    documents = [{"id": "d1", "title": MARK, "text": f"{MARK} was fined for money laundering."}]
    body = {"job_id": "sealed", "config": {}, "documents": documents}
    assert client.post("/api/batch/start", json=body).status_code < 300
    party = {"type": "individual", "name": "Ottoline Vexford", "country": "AUS"}
    trace = client.post("/v5/verifications", json=party).json["trace"]
    run = client.post(f"/v5/verifications/{trace}/watchlist").json["data"]["jobId"]
    poll = f"/v5/verifications/{trace}/jobs/watchlist/{run}"
    until(lambda: "completedAt" in client.get(poll).json["data"]["result"], 60, "the run ends")
    assert client.get(f"/v5/verifications/{trace}/watchlist/latest").json["data"]["totalHits"] == 1
    single = client.post("/kyc", json={"subject": LISTED}).json
    assert single["data"]["result"]["is_match"]
    status = "/api/batch/jobs/sealed/status"
    until(lambda: client.get(status).json["status"] == "completed", 60, "it is tagged")

    # Only the job that came before has a payload that can be read; its results cannot.
    readable = [text for text in stored(database) if not text.startswith('"sealed:1:k1:')]
    assert len(readable) == 2
    assert sum(MARK in text for text in stored(database)) == 1
    assert MARK.encode() not in started.log.read_bytes()

    for job_id in (before, made):
        (found, clear) = client.get(f"/kyc/jobs/{job_id}").json["results"]
        assert found["matches"][0]["matched_name"] == "Ottoline Vexford"
        assert clear["is_match"] is False
        link = client.get(f"/exports/{job_id}?format=html").json["presigned_url"]
        assert MARK in client.get(link.partition("localhost")[2] or link).text
    assert MARK in client.get("/api/batch/jobs/sealed/results").text
    with sealed.db.transaction() as tx:
        tagged = store.find_job(tx, tenant.id, "documents", "sealed")
        told = events.list_item_results(tx, tagged, [0], detailed=True)[0]
    assert (told["title"], told["name"], told["status"]) == (MARK, "d1", "succeeded")
    assert "tags" in told["result"]
    assert MARK in client.get("/api/history/documents").text
    given = {"job_id": made, "entity_id": "c1", "list_name": "house", "entry_id": "h-4"}
    given |= {"decision": "false_positive", "reason": "Another one"}
    assert client.post("/kyc/exclusions", json=given).status_code == 200
    place = f"/v1/jobs/{ids.render(UUID(made))}"
    again = client.post(f"{place}/retry", json={"items": "all"}).json["id"]
    until(lambda: client.get(f"/v1/jobs/{again}").json["status"] == "completed", 60, "it is done")
    rows = client.get(f"/v1/jobs/{again}/results?format=json").json["data"]
    assert rows[0]["result"]["suppressed_count"] == 1

    # Whoever has no key says which one is missing, and nothing of what it hides.
    answer = plain.get(f"{place}/results?format=json")
    assert answer.status_code == 503
    assert "'k1'" in answer.json["detail"]
    assert MARK not in answer.text


def some_job(resources, tenant, kind="documents", detail=None):
    job = service.submit(resources, new_job(tenant.id, kind, [{"document": {"title": MARK}}] * 3))
    with resources.db.transaction() as tx:
        done = [Result.success(Item(n, None, {}), detail or {"of": MARK}) for n in range(2)]
        store.save_results(tx, job, done, pass_no=1)
        store.add_counts(tx, job, succeeded=2, failed=0, matches=0)
    return job


def test_keys_are_rotated_in_steps_that_may_be_broken_off_and_the_old_one_is_dropped(
    sealed, settings, resources, database, tenant, monkeypatch
):
    jobs = [some_job(each, tenant) for each in (resources, sealed)]
    both = with_keys(settings, f"k2:{TWO},k1:{ONE}")
    monkeypatch.setattr(rotation, "_ROWS", 2)
    seal, left = protection.seal_results, [1]

    def broken(*args):
        if not left.pop():
            raise ConnectionError
        left.append(0)
        seal(*args)

    assert keys_in(database) == {"", "k1"}
    with monkeypatch.context() as patch:
        patch.setattr(protection, "seal_results", broken)
        with pytest.raises(ConnectionError):
            rotation.rotate(both.db)
    assert keys_in(database) & {"k2"}
    monkeypatch.setenv("MUSTER_PAYLOAD_KEYS", f"k2:{TWO},k1:{ONE}")
    for variable, value in both.settings.to_env().items():
        monkeypatch.setenv(variable, value)
    ran = CliRunner().invoke(cli, ["keys", "rotate-payloads"])
    assert "2 of 2 jobs" in ran.output
    assert keys_in(database) == {"k2"}
    assert rotation.rotate(both.db) == 0

    new = with_keys(settings, f"k2:{TWO}")
    for job in jobs:
        (page,) = service.worked(new, job, finished=False)
        assert [row["payload"]["document"]["title"] for row in page] == [MARK] * 3
        assert page[0]["result"] == f'{{"of":"{MARK}"}}'
    for keys, said in ((f"k2:{WRONG}", "another one"), (f"k3:{ONE}", "not in")):
        other = with_keys(settings, keys)
        with pytest.raises(KeyUnavailable, match=f"'k2'.*{said}"):
            next(service.worked(other, jobs[0], finished=False))
        other.close()
    other = with_keys(settings, f"k3:{ONE}")
    with pytest.raises(KeyUnavailable):
        rotation.rotate(other.db)
    other.close()
    assert keys_in(database) == {"k2"}
    with pytest.raises(Misconfigured, match="no keys"):
        rotation.rotate(resources.db)
    for each in (both, new):
        each.close()


def test_a_job_whose_key_is_missing_waits_and_goes_on_when_it_is_there(
    sealed, resources, finished, tenant, worker
):
    job = service.submit(sealed, new_job(tenant.id, "fast", [{}] * 3))
    first = worker()
    until(lambda: b"payload_key.missing" in first.log.read_bytes(), 60, "it is missed")
    assert b"k1" in first.log.read_bytes()
    first.stop()

    worker(env={"MUSTER_PAYLOAD_KEYS": f"k1:{ONE}"})

    assert finished(job, 60).succeeded == 3


def test_a_subject_is_found_in_sealed_answers_and_deleted(sealed, database, tenant):
    answer = {"matches": [{"external_id": "c9", "metadata": {}}]}
    job = some_job(sealed, tenant, "faces", answer)
    other = some_job(sealed, tenant, "faces")

    proof = subjects.delete(sealed, tenant.id, "c9", requested_by="me")

    assert proof.counts == {"items": 2, "results": 2}
    kept = service.result_page(sealed, other, limit=10)
    assert [row["status"] for row in kept] == ["succeeded"] * 2
    gone = service.result_page(sealed, job, limit=10)
    assert {row["error_code"] for row in gone} == {"erased"}
