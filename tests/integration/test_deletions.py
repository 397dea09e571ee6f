"""A tenant, or one subject, is deleted on request: nothing is left, and a record proves it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import psycopg2
import pytest
from click.testing import CliRunner

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.cli.group import cli
from app.documents import uploads
from app.errors import Conflict
from app.faces import collections
from app.faces.collections import OnDuplicate
from app.jobs import ids, service, store
from app.jobs.dispatch import FACES
from app.jobs.model import ERASED, Item, NewItem, Result
from app.jobs.states import Event
from app.protection import deletions, subjects, tenants
from app.protection import store as protection
from tests.integration.conftest import new_job, until
from tests.integration.engine import assert_whole, waits_for_a_lock
from tests.kyc import CLEAR, ended, house_list, screener
from tests.monitoring import make, monitor

__all__ = ["house_list", "screener"]

pytestmark = pytest.mark.integration

REF = "customer-xq7719"
BIRTH_DATE = "1931-02-19"
DOCUMENT = "QZX7719304"
MARKS = (REF, BIRTH_DATE, DOCUMENT)
SUBJECT = {"full_name": "Ottoline Vexford", "birth_date": BIRTH_DATE, "document_id": DOCUMENT}
MARKED = {"entity_id": REF, "subject": SUBJECT}


def traces(database, *marks: str) -> dict[str, int]:
    """Look through every column of every table; return how many rows hold a mark, by table."""
    found: dict[str, int] = {}
    wanted = [text for mark in marks for text in (mark, mark.encode().hex())]
    with database.transaction() as tx:
        tx.execute(
            "SELECT DISTINCT table_name FROM information_schema.columns JOIN pg_class"
            " ON relname = table_name AND relkind = 'r' WHERE table_schema = 'public'"
        )
        for name in [row["table_name"] for row in tx.fetchall()]:
            query = f'SELECT count(*) AS rows FROM "{name}" AS t WHERE t::text ILIKE ANY (%s)'
            tx.execute(query, ([f"%{text}%" for text in wanted],))
            rows = tx.fetchone()["rows"]
            if rows:
                name = re.sub(r"_(kyc|documents|faces|verifications|other)_.*", "", name)
                found[name] = found.get(name, 0) + rows
    return found


def caller(web, settings, tenant):
    client = web.test_client()
    token = tokens.mint_access(settings, tenant.id, "usr_admin", PERMISSIONS[Role.ADMIN])
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def fill(resources, client, tenant) -> dict[str, str]:
    """Put the marked subject, beside another, into everything that a tenant can have."""
    db = resources.db
    made = client.post("/kyc/jobs", json={"entities": [MARKED, CLEAR]}).json["job_id"]
    done = ended(client, made)
    assert done["matches_found"] == 1
    monitor(client, make(client, MARKED, CLEAR))
    decided = {"list_name": "house", "entry_id": "h-4", "decision": "false_positive"}
    given = {"job_id": made, "entity_id": REF, "reason": f"Not born {BIRTH_DATE}", **decided}
    assert client.post("/kyc/exclusions", json=given).status_code == 200

    party = {"type": "individual", "name": "Ottoline Vexford", "dateOfBirth": BIRTH_DATE}
    body = {**party, "userId": REF, "stakeholders": [{"role": "owner", "entity": party}]}
    trace = client.post("/v5/verifications", json=body).json["trace"]
    run = client.post(f"/v5/verifications/{trace}/watchlist").json["data"]["jobId"]
    poll = f"/v5/verifications/{trace}/jobs/watchlist/{run}"
    until(lambda: "completedAt" in client.get(poll).json["data"]["result"], 60, "the run ends")

    collection = collections.create(db, tenant.id, name="x", created_by="usr_test")
    with db.transaction() as tx:
        collections.enrol(
            *(tx, collection.id, uuid4()),
            external_id=REF,
            embedding=bytes(512),
            quality_score=0.9,
            metadata={"born": BIRTH_DATE},
            on_duplicate=OnDuplicate.ADD,
            faces_max=10,
        )
    searched = with_result(
        resources, tenant, "faces", None, {"matches": [{"external_id": REF, "metadata": DOCUMENT}]}
    )
    upload = uploads.save(
        *(db, resources.settings, tenant.id), name=REF, data=MARKS[1].encode(), created_by="usr"
    )
    tagged = with_result(resources, tenant, "documents", REF, {"tags": [DOCUMENT]}, upload.id)
    waits = service.submit(
        resources,
        replace(new_job(tenant.id, "fast", [{}] * 2), queue=FACES, items=two(REF, MARKED)),
    )
    return {
        **{"kyc": made, "trace": trace, "faces": str(searched.id), "documents": str(tagged.id)},
        "waiting": str(waits.id),
    }


def two(ref, payload):
    other = service.encode_item({"subject": {"full_name": "Somebody Else"}})
    return [NewItem(ref, service.encode_item(payload)), NewItem("other", other)]


def with_result(resources, tenant, kind, ref, detail, upload_id: UUID | None = None):
    """A job that has ended, with a result that somebody wrote."""
    payload = {"document": {"title": DOCUMENT}, "subject": SUBJECT}
    items = [NewItem(ref, service.encode_item(payload if ref else {}))]
    job = service.submit(
        resources, replace(new_job(tenant.id, kind, [{}]), queue=FACES, items=items)
    )
    with resources.db.transaction() as tx:
        if upload_id is not None:
            uploads.attach(tx, tenant.id, job.id, [(0, upload_id)])
        store.save_results(tx, job, [Result.success(Item(0, ref, {}), detail)], pass_no=1)
        store.add_counts(tx, job, succeeded=1, failed=0, matches=0)
    return service.cancel(resources, tenant.id, job.dialect, job.external_id)


def test_of_a_deleted_subject_nothing_is_left_and_others_and_the_counts_stay(
    resources, settings, database, web, tenant, house_list, screener, redis_client
):
    client = caller(web, settings, tenant)
    other = accounts.ensure_tenant(resources.db, "other")
    made = fill(resources, client, tenant)
    theirs = with_result(resources, other, "documents", REF, {"tags": ["theirs"]})
    assert {
        *("items", "results", "exclusions", "monitor_subjects", "monitor_changes", "faces"),
        *("verifications", "stakeholders", "screenings", "uploads"),
    } <= traces(database, *MARKS).keys()

    proof = subjects.delete(resources, tenant.id, REF, requested_by="request 4711")

    # What another tenant calls so is somebody else.
    assert traces(database, *MARKS) == {"items": 1}
    assert client.get(f"/v5/verifications/{made['trace']}").status_code == 404
    shown = client.get(f"/kyc/jobs/{made['kyc']}").json
    assert (shown["total_entities"], shown["matches_found"]) == (2, 0)
    for name in ("kyc", "documents", "faces", "waiting"):
        place = f"/v1/jobs/{ids.render(UUID(made[name]))}"
        items = client.get(f"{place}/items").json["data"]
        assert items[0]["ref"] == ERASED
        record = client.get(place).json
        assert sum(record["counts"].values()) == 2 * record["counts"]["total"]
        results = client.get(f"{place}/results?format=json").json["data"]
        if name != "waiting":
            assert results[0]["error"]["code"] == ERASED
    assert client.get("/api/history/documents").status_code == 200
    for form in ("json", "csv", "html"):
        link = client.get(f"/exports/{made['kyc']}?format={form}").json["presigned_url"]
        assert client.get(link.partition("localhost")[2] or link).status_code == 200
    kept = client.get(f"/v1/jobs/{ids.render(UUID(made['kyc']))}/results?format=json").json
    assert kept["data"][1]["ref"] == "clear"
    assert rows_of(database, theirs) == 1

    # The proof counts what went, and names nobody.
    assert proof.finished_at is not None
    assert proof.counts.keys() >= {
        *("items", "results", "exclusions", "monitor_subjects", "monitor_hits", "faces"),
        *("verifications", "stakeholders", "screenings", "verification_audit", "uploads", "jobs"),
    }
    assert REF not in (proof.entry or "")
    assert deletions.list_all(resources.db, settings, tenant_id=tenant.id, name=REF) == [proof]
    assert deletions.list_all(resources.db, settings, tenant_id=other.id, name=REF) == []
    again = subjects.delete(resources, tenant.id, REF, requested_by="request 4711")
    assert (again.counts, again.previous) == ({}, proof.digest)

    # What was erased while it waited is done as such, and the job as ever.
    with database.transaction() as tx:
        tx.execute("UPDATE jobs SET queue = 'screening' WHERE id = %s", (made["waiting"],))
        store.mark_undelivered(tx, UUID(made["waiting"]))
    redis_client.delete(FACES)
    until(lambda: state(resources, made["waiting"]).is_final, 60, "the job ends")
    with resources.db.transaction() as tx:
        assert_whole(resources, store.load_job(tx, UUID(made["waiting"])))


def state(resources, job_id):
    with resources.db.transaction() as tx:
        return store.load_job(tx, UUID(job_id)).state


def rows_of(database, job) -> int:
    with database.transaction() as tx:
        tx.execute("SELECT count(*) AS rows FROM items WHERE job_id = %s", (job.id,))
        return tx.fetchone()["rows"]


def test_of_a_deleted_tenant_nothing_is_left_but_the_record(
    resources, settings, database, web, house_list, screener, monkeypatch
):
    for variable, value in settings.to_env().items():
        monkeypatch.setenv(variable, value)
    acme, other = (accounts.ensure_tenant(resources.db, name) for name in ("acme-x7719", "other"))
    client = caller(web, settings, acme)
    fill(resources, client, acme)
    fill(resources, caller(web, settings, other), other)
    running = service.submit(resources, new_job(acme.id, "slow", [{"sleep": 0.5}] * 40))
    accounts.create_key(resources.db, acme.id, "nightly", PERMISSIONS[Role.OPERATOR])
    for tenants_of in ((acme,), (acme, other)):
        email = f"{REF}.{len(tenants_of)}@example.com"
        accounts.create_user(resources.db, acme.id, email, "correct horse battery", Role.ADMIN)
        for each in tenants_of[1:]:
            accounts.grant_role(resources.db, each.id, email, Role.VIEWER)
    started = "SELECT started_at IS NOT NULL AS is_there FROM jobs WHERE id = %s"
    until(lambda: asked(database, started, running.id), 60, "it runs")
    before = traces(database, str(other.id))

    ran = CliRunner().invoke(cli, ["tenants", "delete", "acme-x7719", "--yes", "--by", "me"])

    assert ran.exit_code == 0, ran.output
    assert "tenants: 1" in ran.output
    assert traces(database, str(acme.id), "acme-x7719").keys() == {"deletions"}
    assert traces(database, f"{REF}.1@example.com") == {}
    assert traces(database, f"{REF}.2@example.com") == {"users": 1}
    after = traces(database, str(other.id))
    assert after == before
    assert "verification_audit" in ran.output
    listed = CliRunner().invoke(cli, ["deletions", "--tenant", str(acme.id)])
    assert "tenant" in listed.output
    assert listed.exit_code == 0
    assert client.get("/kyc/jobs").json["jobs"] == []
    assert client.post("/kyc/jobs", json={"entities": [CLEAR]}).status_code == 401


def asked(database, query, *values):
    with database.transaction() as tx:
        tx.execute(query, values)
        return next(iter(tx.fetchone().values()))


def test_a_deletion_that_is_broken_off_goes_on_and_its_record_counts_everything(
    resources, database, tenant, monkeypatch
):
    for _ in range(3):
        with_result(resources, tenant, "documents", REF, {})

    class Killed(Exception):
        pass

    def broken(*args, **more):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(protection, "delete_tenant", broken)
        with pytest.raises(Killed):
            tenants.delete(resources, tenant, requested_by="me")
    proof = tenants.delete(resources, tenant, requested_by="me")

    assert proof.counts == {
        **{"items": 3, "results": 3, "jobs": 3, "tenants": 1},
        "job_events": proof.counts["job_events"],
    }
    assert proof.number == 1


def test_whoever_is_in_a_workers_hands_is_waited_for(resources, database, tenant, submit):
    job = service.submit(
        resources, replace(new_job(tenant.id, "slow", [{}]), queue=FACES, items=two(REF, {}))
    )
    with resources.db.transaction() as tx:
        store.advance(tx, job.id, Event.CLAIM)
        store.claim_chunk(tx, job, 0, holder="host/1/x", pass_no=1, seconds=60)
    with pytest.raises(Conflict, match="hands of a worker"):
        subjects.delete(resources, tenant.id, REF, requested_by="me", seconds=0.5)
    with pytest.raises(Conflict, match="hands of a worker"):
        tenants.delete(resources, tenant, requested_by="me", seconds=0.5)
    with resources.db.transaction() as tx:
        store.release_claim(tx, job, 0, holder="host/1/x")

    subjects.delete(resources, tenant.id, REF, requested_by="me")
    assert traces(database, REF) == {}


def test_what_is_copied_while_a_subject_is_deleted_is_deleted_too(
    resources, database, tenant, monkeypatch
):
    """As a retry does, or a check of a watchlist."""
    with_result(resources, tenant, "documents", REF, {"tags": [DOCUMENT]})
    erase, copies = subjects._erase, []

    def meanwhile(*given):
        if not copies:
            copies.append(with_result(resources, tenant, "documents", REF, {"tags": [DOCUMENT]}))
        erase(*given)

    monkeypatch.setattr(subjects, "_erase", meanwhile)
    subjects.delete(resources, tenant.id, REF, requested_by="me")

    assert copies
    assert traces(database, *MARKS) == {}


def test_what_a_check_finds_while_a_subject_is_deleted_is_deleted_too(
    web, settings, resources, database, tenant, house_list, screener
):
    client = caller(web, settings, tenant)
    watchlist = make(client, MARKED)
    monitor(client, watchlist)
    with ThreadPoolExecutor(1) as pool:
        with database.transaction() as tx:
            # As one does that is being closed.
            tx.execute("SELECT FROM monitors FOR UPDATE")
            deleting = pool.submit(subjects.delete, resources, tenant.id, REF, requested_by="me")
            until(lambda: waits_for_a_lock(database), 20, "the deletion waits")
            tx.execute(
                "INSERT INTO monitor_changes"
                " SELECT check_id, position + 100, monitor_id, entity_id, list_name, entry_id,"
                " change, is_alert, score, score_before, detail"
                " FROM monitor_changes LIMIT 1"
            )
        deleting.result(60)

    assert traces(database, *MARKS) == {}


def test_no_request_is_carried_out_twice_because_somebody_was_deleted(
    web, settings, resources, database, tenant, house_list
):
    client = caller(web, settings, tenant)
    posts = {
        # Who is deleted is in the second; what they are called is in all of them, somewhere.
        "one": ("/kyc/jobs", {"entities": [CLEAR], "labels": {"batch": "7"}}),
        "two": ("/kyc/jobs", {"entities": [{**CLEAR, "entity_id": "7"}]}),
        "three": ("/kyc/watchlists", {"name": "of 7", "check_frequency": "weekly"}),
    }

    def send() -> list[Any]:
        return [
            client.post(path, json=body, headers={"Idempotency-Key": key})
            for key, (path, body) in posts.items()
        ]

    before = send()
    assert [each.status_code for each in before] == [200, 200, 201]

    subjects.delete(resources, tenant.id, "7", requested_by="me")

    after = send()
    assert [each.status_code for each in after] == [200, 200, 409]
    assert [each.json["job_id"] for each in after[:2]] == [
        each.json["job_id"] for each in before[:2]
    ]
    assert after[2].json["code"] == "idempotency_answer_not_kept"
    assert len(client.get("/kyc/jobs").json["jobs"]) == 2


def test_records_cannot_be_changed_and_nothing_sealed_goes_without_one(
    resources, settings, database, tenant, monkeypatch
):
    proof = subjects.delete(resources, tenant.id, "a", requested_by="me")
    subjects.delete(resources, tenant.id, "b", requested_by="me")
    for statement in (
        "DELETE FROM deletions",
        "TRUNCATE deletions",
        "UPDATE deletions SET counts = '{}'",
        f"SELECT set_config('muster.deletion', '{proof.id}', true); DELETE FROM deletions",
    ):
        with (
            pytest.raises(psycopg2.Error, match="only ever added to"),
            database.transaction() as tx,
        ):
            tx.execute(statement)
    assert deletions.check(resources.db) == []

    for variable, value in settings.to_env().items():
        monkeypatch.setenv(variable, value)
    with database.transaction() as tx:
        tx.execute("SET LOCAL session_replication_role = replica")
        tx.execute("UPDATE deletions SET requested_by = 'you' WHERE id = %s", (proof.id,))
    assert deletions.check(resources.db) == [1]
    ran = CliRunner().invoke(cli, ["deletions"])
    assert ran.exit_code == 1
    with database.transaction() as tx:
        tx.execute("SET LOCAL session_replication_role = replica")
        tx.execute("UPDATE deletions SET requested_by = 'me' WHERE id = %s", (proof.id,))
        tx.execute("UPDATE deletions SET finished_at = finished_at + interval '1 day'")
    assert deletions.check(resources.db) == [1, 2]
    with database.transaction() as tx:
        tx.execute("SET LOCAL session_replication_role = replica")
        tx.execute("DELETE FROM deletions WHERE id = %s", (proof.id,))
    assert deletions.check(resources.db) == [2]
