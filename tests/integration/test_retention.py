"""What is kept no longer goes, a month as a whole or a job alone, and is remembered for a while."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from unittest.mock import ANY

import pytest
from click.testing import CliRunner

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.cli.group import cli
from app.jobs import ids, service, store
from app.jobs.dispatch import CONTROL, PRUNE
from app.jobs.model import Item, Result
from app.protection import periods, subjects
from app.protection import prune as pruning
from app.protection import store as protection
from app.resources import make_celery
from tests.faces_api import move
from tests.integration.conftest import new_job, until
from tests.native import assert_problem

pytestmark = pytest.mark.integration

DAY = 86_400
YEAR = 365.25 * DAY
TABLES = ("items", "results", "job_events")
OLD = date(2019, 3, 1)


@pytest.fixture
def ended(resources, tenant):
    """Make a job of so many items that has ended, with a result."""

    def make(kind: str, items: int = 3, tenant_id=None):
        wanted = new_job(tenant_id or tenant.id, kind, [{"name": "Somebody"}] * items)
        job = service.submit(resources, wanted)
        with resources.db.transaction() as tx:
            done = [Result.success(Item(0, None, {}), {"found": "Somebody"})]
            store.save_results(tx, job, done, pass_no=1)
            store.add_counts(tx, job, succeeded=1, failed=0, matches=0, positions="{[0,1)}")
        return service.cancel(resources, job.tenant_id, job.dialect, job.external_id)

    return make


def put_back(database, job, month: date, finished_at: datetime | None = None) -> None:
    """Let the job be of another month, in which it ended."""
    with database.transaction() as tx:
        tx.execute("SELECT ensure_partitions(%s, 1)", (month,))
        for table in TABLES:
            tx.execute(f"UPDATE {table} SET month = %s WHERE job_id = %s", (month, job.id))
        at = finished_at or datetime(month.year, month.month, 15)
        tx.execute(
            "UPDATE jobs SET month = %s, finished_at = %s WHERE id = %s", (month, at, job.id)
        )


def rows(database, job=None) -> dict[str, int]:
    """Return how many rows there are, in the tables as a whole."""
    with database.transaction() as tx:
        found = {}
        for table in (*TABLES, "jobs"):
            column = "id" if table == "jobs" else "job_id"
            where = "" if job is None else f" WHERE {column} = '{job.id}'"
            tx.execute(f"SELECT count(*) AS rows FROM {table}{where}")
            found[table] = tx.fetchone()["rows"]
    return found


def months(database, kind: str, month: date) -> set[str]:
    """Return the partitions of a kind's month, on their tables or not."""
    with database.transaction() as tx:
        tx.execute("SELECT name FROM month_partitions(%s) WHERE month = %s", (kind, month))
        return {row["name"] for row in tx.fetchall()}


@contextmanager
def reading(database, table: str):
    """Read a partition in a transaction that lasts."""
    with database.transaction() as tx:
        tx.execute(f"SELECT count(*) FROM {table}")
        yield


def test_a_job_is_kept_as_long_as_its_kind_is_and_then_remembered_by_its_id(
    resources, settings, database, client, ended, tenant
):
    job = ended("documents")
    place = f"/v1/jobs/{ids.render(job.id)}"
    shown = client.get(place)
    kept = datetime.fromisoformat(shown.json["expires_at"]) - job.finished_at
    listed = client.get("/v1/jobs").json["data"]
    running = service.submit(resources, new_job(tenant.id, "documents", [{}]))

    move(database, "jobs", "finished_at", 30 * DAY - 60)
    assert pruning.prune(resources.db, settings).jobs == {}
    assert client.get(f"{place}/results").status_code == 200
    move(database, "jobs", "finished_at", 61)
    pruned = pruning.prune(resources.db, settings)

    assert round(kept.total_seconds()) == 30 * DAY
    assert [each["expires_at"] for each in listed] == [shown.json["expires_at"]]
    assert client.get(f"/v1/jobs/{ids.render(running.id)}").json["expires_at"] is None
    assert (pruned.jobs, pruned.items) == ({"documents": 1}, {"documents": 3})
    assert rows(database, job) == dict.fromkeys((*TABLES, "jobs"), 0)
    for method, path in (
        *(("GET", place), ("GET", f"{place}/items"), ("GET", f"{place}/results")),
        *(("GET", f"{place}/errors"), ("POST", f"{place}/retry"), ("POST", f"{place}/cancel")),
        ("DELETE", place),
    ):
        problem = assert_problem(client.open(path, method=method), 410, "job_expired")
        assert "deleted" in problem["detail"]
    gone = client.get(f"/api/batch/jobs/{job.external_id}/status")
    assert gone.status_code == 404
    assert client.get("/v1/jobs").json["data"][0]["id"] == ids.render(running.id)

    other = accounts.ensure_tenant(resources.db, "other")
    theirs = tokens.mint_access(settings, other.id, "usr_other", PERMISSIONS[Role.ADMIN])
    hidden = client.get(place, headers={"Authorization": f"Bearer {theirs}"})
    assert_problem(hidden, 404, "job_not_found")

    move(database, "expired_jobs", "expired_at", 30 * DAY + 1)
    assert_problem(client.get(place), 404, "job_not_found")
    assert pruning.prune(resources.db, settings).others == {"expired_jobs": 1}


def test_a_tenant_may_keep_its_jobs_for_another_time(
    resources, settings, database, tenant, ended, monkeypatch
):
    longer, ever = (accounts.ensure_tenant(resources.db, name) for name in ("longer", "ever"))
    periods.change(resources.db, longer.id, {"documents": 90 * DAY})
    periods.change(resources.db, ever.id, {"documents": None})
    jobs = [ended("documents", tenant_id=each.id) for each in (tenant, longer, ever)]

    left = []
    for days in (31, 60, 4000):
        move(database, "jobs", "finished_at", days * DAY)
        pruning.prune(resources.db, settings)
        left.append([rows(database, job)["items"] for job in jobs])
    assert left == [[0, 3, 3], [0, 0, 3], [0, 0, 3]]

    for variable, value in settings.to_env().items():
        monkeypatch.setenv(variable, value)
    run = CliRunner().invoke
    said = run(cli, ["tenants", "retention", "ever", "documents=10d", "kyc=7y", "--json"])
    assert '"kyc": 220903200' in said.output
    assert '"documents": 864000' in said.output
    for wrong in ("faces=8d", "kyc=0d", "kyc=5", "other=3d", "kyc=101y"):
        assert run(cli, ["tenants", "retention", "ever", wrong]).exit_code == 2
    dry = run(cli, ["prune", "--dry-run"])
    assert "documents: 1 jobs of 3 items would be deleted" in dry.output
    assert rows(database, jobs[2])["items"] == 3
    assert "documents: 1 jobs of 3 items deleted" in run(cli, ["prune"]).output
    assert rows(database, jobs[2])["items"] == 0
    assert "Nothing is past" in run(cli, ["prune"]).output
    assert "1,826.25 days" in run(cli, ["tenants", "retention", "ever", "--reset"]).output


def test_a_month_that_is_over_for_all_is_dropped_and_no_row_of_it_is_deleted(
    resources, settings, database, ended, monkeypatch
):
    old, recent = [ended("kyc") for _ in range(3)], ended("kyc")
    for job in old:
        put_back(database, job, OLD)
    monkeypatch.setattr(store, "delete_items", None)
    names = {f"{table}_kyc_201903" for table in TABLES}
    assert names <= set(pruning.look(resources.db, settings).months)
    assert len(months(database, "kyc", OLD)) == 3

    pruned = pruning.prune(resources.db, settings)

    assert (pruned.jobs, pruned.items) == ({"kyc": 3}, {"kyc": 9})
    assert names <= set(pruned.months)
    assert months(database, "kyc", OLD) == set()
    assert rows(database) == rows(database, recent)
    assert rows(database, recent)["items"] == 3
    assert pruning.prune(resources.db, settings) == pruning.Pruned()


def test_a_month_waits_for_its_last_job_for_two_months_and_then_goes_row_by_row(
    resources, settings, database, ended, tenant
):
    early, late = ended("kyc"), ended("kyc")
    put_back(database, early, OLD)
    put_back(database, late, OLD)
    with database.transaction() as tx:
        ago = "now() - make_interval(secs => %s)"
        tx.execute(f"UPDATE jobs SET finished_at = {ago}", (5 * YEAR + 10 * DAY,))
        tx.execute(f"UPDATE jobs SET finished_at = {ago} WHERE id = %s", (4 * YEAR, late.id))

    waits = pruning.prune(resources.db, settings)
    move(database, "jobs", "finished_at", 53 * DAY)
    goes = pruning.prune(resources.db, settings)

    assert waits.jobs == {}
    assert goes.jobs == {"kyc": 1}
    assert f"items_kyc_{OLD:%Y%m}" not in goes.months
    assert rows(database) == rows(database, late)
    assert rows(database, late)["items"] == 3
    # Dropped later, in one piece.
    move(database, "jobs", "finished_at", YEAR)
    assert f"items_kyc_{OLD:%Y%m}" in pruning.prune(resources.db, settings).months


def test_whatever_breaks_off_a_prune_the_next_one_finishes_it(
    resources, settings, database, ended, monkeypatch
):
    """After the jobs, between a month's tables, and between taking off and dropping one."""
    for job in [ended("kyc") for _ in range(2)]:
        put_back(database, job, OLD)

    class Killed(Exception):
        pass

    def broken(*args):
        raise Killed

    for step in ("detach_month", "drop_month"):
        with monkeypatch.context() as patch:
            patch.setattr(protection, step, broken)
            with pytest.raises(Killed):
                pruning.prune(resources.db, settings)
        assert rows(database)["jobs"] == 0
    assert len(months(database, "kyc", OLD)) == 3
    pruned = pruning.prune(resources.db, settings)

    assert len([name for name in pruned.months if "kyc_201903" in name]) == 3
    assert months(database, "kyc", OLD) == set()


@pytest.mark.parametrize("kept", [None, 90 * YEAR])
def test_a_month_that_is_kept_after_all_keeps_no_rows_of_jobs_that_are_gone(
    resources, settings, database, tenant, ended, monkeypatch, kept
):
    """Somebody wants it longer while it is about to go: what others had in it goes all the same."""
    other = accounts.ensure_tenant(resources.db, "other")
    theirs, kept_job = ended("kyc", tenant_id=other.id), ended("kyc")
    for job in (theirs, kept_job):
        put_back(database, job, OLD)
    monkeypatch.setattr(pruning, "_JOBS", 1)
    late = pruning.prune(resources.db, settings, seconds=-1)
    assert late.has_more
    left = rows(database)["jobs"]
    assert left < 2, "one at least is gone, and its rows wait for the month"
    survivor = kept_job if rows(database, kept_job)["jobs"] else theirs
    periods.change(resources.db, survivor.tenant_id, {"kyc": kept})

    pruned = pruning.prune(resources.db, settings)

    assert left == 1
    assert not [name for name in pruned.months if "kyc" in name]
    assert rows(database) == rows(database, survivor)
    assert rows(database)["items"] == 3


def test_a_deletion_finds_what_jobs_that_are_gone_have_left_for_their_month(
    resources, settings, database, tenant, ended, monkeypatch
):
    put_back(database, ended("kyc"), OLD)
    monkeypatch.setattr(pruning, "_drop", lambda *_: False)
    pruning.prune(resources.db, settings)
    assert rows(database) == {**dict.fromkeys(TABLES, ANY), "jobs": 0, "items": 3}

    subjects.delete(resources, tenant.id, "somebody", requested_by="me")

    assert rows(database) == dict.fromkeys((*TABLES, "jobs"), 0)


def test_a_month_that_somebody_reads_waits_for_another_night_and_keeps_nobody_waiting(
    resources, settings, database, ended, monkeypatch
):
    put_back(database, ended("kyc"), OLD)
    monkeypatch.setattr(pruning, "_TRIES", 2)

    drop, tried = pruning._drop, []
    monkeypatch.setattr(pruning, "_drop", lambda db, month: tried.append(month) or drop(db, month))
    with reading(database, "items_kyc_201903"):
        first = pruning.prune(resources.db, settings, seconds=60)
        # Who is in the way of one is left alone with the others as well, and nobody sends it again.
        assert [each.name for each in tried if "kyc" in each.name] == ["items_kyc_201903"]
        again = ended("kyc")
        assert rows(database, again)["items"] == 3
    second = pruning.prune(resources.db, settings)

    assert not [name for name in first.months if "kyc" in name]
    assert len([name for name in second.months if "kyc" in name]) == 3


def test_two_prunes_at_once_share_the_work_and_one_that_has_no_time_does_some_and_says_so(
    resources, settings, database, ended, monkeypatch
):
    jobs = [ended("documents") for _ in range(3)]
    move(database, "jobs", "finished_at", 31 * DAY)
    with monkeypatch.context() as patch:
        patch.setattr(pruning, "_JOBS", 1)
        late = pruning.prune(resources.db, settings, seconds=-1)
    with database.transaction() as tx:
        tx.execute("SELECT FROM jobs WHERE id = %s FOR UPDATE", (jobs[1].id,))
        first = pruning.prune(resources.db, settings)
    second = pruning.prune(resources.db, settings)

    assert (late.has_more, late.jobs) == (True, {"documents": 1})
    assert (first.jobs, second.jobs) == ({"documents": 1}, {"documents": 1})
    assert rows(database) == dict.fromkeys((*TABLES, "jobs"), 0)


def test_beat_sends_it_every_night_and_a_worker_does_it(
    resources, settings, database, ended, worker, redis_client
):
    nightly = make_celery(settings).conf.beat_schedule[PRUNE]["schedule"]
    never = make_celery(replace(settings, prune_at="never")).conf.beat_schedule
    assert (nightly.hour, nightly.minute) == ({2}, {30})
    assert PRUNE not in never

    ended("documents")
    move(database, "jobs", "finished_at", 31 * DAY)
    started = worker(beat=False)
    resources.celery.send_task(PRUNE, queue=CONTROL)

    until(lambda: rows(database)["items"] == 0, 60, "it is pruned")
    until(lambda: b"data.pruned" in started.log.read_bytes(), 30, "it is logged")
    assert b"Somebody" not in started.log.read_bytes()
