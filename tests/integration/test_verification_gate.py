"""The gate of verifications: one run at a time, whoever dispatches it and however it ends.

No worker is about: what one would do is called here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import uuid4

import psycopg2.errors
import pytest

from app.errors import IllegalTransition, RunInFlight, VerificationNotFound
from app.jobs import service as jobs
from app.jobs import store as jobs_store
from app.jobs.states import Event, JobState
from app.kinds import verifications as kind
from app.verifications import dispatch, service, store
from app.verifications.model import KIND, Run
from tests.integration.conftest import commits, until
from tests.kyc import house_list as house_list
from tests.verifications import API, JANE, TRUST
from tests.verifications import ended as ended
from tests.verifications import read as read
from tests.verifications import run as run
from tests.verifications import verified as verified
from workers import chunk

PARALLEL = 50


def gates(resources) -> list[str]:
    """Return what the runs are called that hold a gate."""
    with resources.db.transaction() as tx:
        tx.execute("SELECT external_id FROM verification_gates JOIN jobs ON jobs.id = job_id")
        return [row["external_id"] for row in tx.fetchall()]


def test_of_fifty_dispatches_at_once_one_is_accepted_and_the_others_name_it(
    resources, tenant, verified
):
    verification = verified()

    def one(_: int) -> tuple[str, str]:
        try:
            made = dispatch.dispatch(resources, tenant.id, verification.trace, API)
        except RunInFlight as refused:
            return "refused", str(refused.details["conflicting_run"])
        return "accepted", made.run_id

    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(one, range(PARALLEL)))

    (accepted,) = [name for how, name in answers if how == "accepted"]
    refused = [name for how, name in answers if how == "refused"]
    assert refused == [accepted] * (PARALLEL - 1)
    assert gates(resources) == [accepted]
    with resources.db.transaction() as tx:
        assert len(store.list_runs(tx, verification.id, limit=PARALLEL)) == 1


def test_runs_of_other_verifications_stand_in_nobodys_way(verified, run):
    assert run(verified()).run_id != run(verified()).run_id


@pytest.mark.parametrize("how", ["cancelled", "failed", "expired"])
def test_however_a_run_ends_the_gate_opens_with_it_and_the_audit_says_so(
    resources, tenant, verified, run, how
):
    events = {
        "cancelled": Event.CANCEL,
        "failed": Event.FATAL,
        "expired": Event.DEADLINE,
    }
    verification = verified()
    begun = run(verification)
    error = ("internal_error", "It broke.") if how == "failed" else None

    with resources.db.transaction() as tx:
        jobs_store.advance(tx, begun.id, events[how], error=error)
        assert store.holder_of_gate(tx, verification.id, "watchlist") is None

    newest, *_ = service.audit(resources, tenant.id, verification.trace, before=None, limit=9)
    assert f'"run.{how}"' in newest.entry
    assert begun.run_id in newest.entry


def test_a_background_run_that_finds_the_gate_held_ends_rejected_and_names_the_holder(
    resources, tenant, verified, run, read
):
    verification = verified()
    holder = run(verification)
    scheduled = dispatch.dispatch_background(resources, tenant.id, verification.trace)
    assert (scheduled.state, scheduled.attempts) == ("queued", 0)

    chunk.run(resources, scheduled.id, 1, 0)

    lost = read(scheduled)
    assert (lost.state, lost.attempts, lost.conflicting_run) == ("rejected", 1, holder.run_id)
    assert lost.finished_at is not None
    assert (lost.source_action, lost.source_uid) == ("scheduled", None)
    assert gates(resources) == [holder.run_id]


def test_a_background_run_takes_the_gate_when_a_worker_claims_it(
    resources, tenant, house_list, verified, read
):
    verification = verified()
    scheduled = dispatch.dispatch_background(resources, tenant.id, verification.trace, "system")
    assert gates(resources) == []

    with resources.db.transaction() as tx:
        job = jobs.get(resources, tenant.id, scheduled.id)
        assert kind.admit(tx, job)
    with pytest.raises(RunInFlight):
        dispatch.dispatch(resources, tenant.id, verification.trace, API)
    chunk.run(resources, scheduled.id, 1, 0)

    assert read(scheduled).state is JobState.COMPLETED
    assert gates(resources) == []


def test_a_redelivered_chunk_is_no_further_attempt(
    resources, tenant, house_list, verified, run, read
):
    """Its worker is gone, the broker brings the message again, and then once more."""
    begun = run(verified(JANE))
    job = jobs.get(resources, tenant.id, begun.id)
    with resources.db.transaction() as tx:
        claimed = jobs_store.lock_job(tx, job.id)
        assert kind.admit(tx, claimed)
        jobs_store.claim_chunk(tx, claimed, 0, holder="elsewhere/1/x", pass_no=1, seconds=-1)
        jobs_store.advance(tx, job.id, Event.CLAIM)
    assert (read(begun).state, read(begun).attempts) == ("running", 1)

    for _ in range(3):
        chunk.run(resources, job.id, 1, 0)

    assert (read(begun).state, read(begun).attempts) == ("completed", 1)
    with resources.db.transaction() as tx:
        assert len(store.list_screenings(tx, begun.verification_id, limit=None)) == 2


def test_another_tenants_verification_does_not_exist(resources, verified):
    verification = verified()

    with pytest.raises(VerificationNotFound):
        dispatch.dispatch(resources, uuid4(), verification.trace, API)
    with pytest.raises(VerificationNotFound):
        dispatch.dispatch_background(resources, uuid4(), verification.trace)


def test_nobody_changes_the_audit_or_a_screening_or_who_asked_for_a_run(
    resources, database, house_list, verified, run
):
    begun = run(verified())
    chunk.run(resources, begun.id, 1, 0)
    for statement in (
        "UPDATE verification_audit SET entry = '{}'",
        "DELETE FROM verification_audit",
        "TRUNCATE verification_audit",
        "DELETE FROM screenings",
        "UPDATE screenings SET total_hits = 0",
        "UPDATE verification_runs SET source_action = 'system'",
        "DELETE FROM verification_runs",
        "TRUNCATE verification_runs CASCADE",
    ):
        with (
            pytest.raises(psycopg2.errors.RestrictViolation),
            database.transaction() as tx,
        ):
            tx.execute(statement)


def test_only_who_asks_for_one_verification_is_given_its_documents(resources, tenant, verified):
    deed = {"kind": "deed", "data": "x" * 100_000}
    verification = verified(JANE, documents=[deed], addresses={"home": "1 York St"})

    one = service.get(resources, tenant.id, verification.trace)
    (listed,) = service.list_all(resources, tenant.id, user_id=None, before=None, limit=9)
    with resources.db.transaction() as tx:
        loaded = store.load_verification(tx, verification.id)

    assert one == verification
    assert one.entity["documents"] == [deed]
    assert "documents" not in loaded.entity
    # Of a list, names are shown, and nothing else of an entity is read.
    shown = [each.entity for each in (listed, *listed.stakeholders)]
    assert [each["name"] for each in shown] == [TRUST["name"], JANE["entity"]["name"]]
    named = {"name", "firstName", "middleName", "lastName"}
    assert all(each.keys() <= named for each in shown)


def test_a_run_that_is_rejected_is_on_the_disk_before_anybody_is_told(
    resources, tenant, verified, run, monkeypatch
):
    verification = verified()
    run(verification)
    scheduled = dispatch.dispatch_background(resources, tenant.id, verification.trace)
    ends = commits(monkeypatch, Event.GATE_HELD)

    chunk.run(resources, scheduled.id, 1, 0)

    assert ends == ["on"]


def test_who_loses_the_gate_holds_up_nobody_who_is_about_to_open_it(
    resources, database, tenant, verified, run, read
):
    """The one ends, the other is rejected, and each wants what the other has: nobody gives up."""
    verification = verified()
    holder = run(verification)
    scheduled = dispatch.dispatch_background(resources, tenant.id, verification.trace)

    def waits() -> bool:
        with database.transaction() as tx:
            tx.execute("SELECT count(*) AS waiting FROM pg_locks WHERE NOT granted")
            return tx.fetchone()["waiting"] > 0

    with ThreadPoolExecutor(1) as pool:
        with resources.db.transaction() as tx:
            store.set_risk(tx, verification.id, {"description": "Low"})
            losing = pool.submit(chunk.run, resources, scheduled.id, 1, 0)
            until(waits, 20, "the loser waits for the audit")
            jobs_store.advance(tx, holder.id, Event.FATAL, error=("internal_error", "It broke."))
        losing.result(20)

    assert read(scheduled).state is JobState.REJECTED
    assert read(scheduled).conflicting_run == holder.run_id
    assert gates(resources) == []


@pytest.fixture
def nobody_gets_in(database) -> Iterator[None]:
    """Every try finds the gate taken, by somebody who has ended when one looks who it is."""
    with database.transaction() as tx:
        tx.execute(
            "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
        )
        tx.execute(
            "CREATE TRIGGER lose BEFORE INSERT ON verification_gates"
            " FOR EACH ROW EXECUTE FUNCTION lose()"
        )
    yield
    with database.transaction() as tx:
        tx.execute("DROP TRIGGER lose ON verification_gates")
        tx.execute("DROP FUNCTION lose")


@pytest.fixture
def gone(house_list, resources, verified, run) -> Run:
    """A run that held the gate, and has ended."""
    gone = run(verified())
    chunk.run(resources, gone.id, 1, 0)
    return gone


def test_who_loses_the_gate_again_and_again_is_told_who_held_it_last(
    resources, tenant, gone, nobody_gets_in, read
):
    with resources.db.transaction() as tx:
        trace = store.load_verification(tx, gone.verification_id).trace
    scheduled = dispatch.dispatch_background(resources, tenant.id, trace)

    with pytest.raises(RunInFlight) as refused:
        dispatch.dispatch(resources, tenant.id, trace, API)
    chunk.run(resources, scheduled.id, 1, 0)

    assert refused.value.details["conflicting_run"] == gone.run_id
    assert (read(scheduled).state, read(scheduled).conflicting_run) == ("rejected", gone.run_id)


def standing(resources) -> dict[str, tuple[bool, bool, bool]]:
    """Return, by run, whether it has ended, whether it was begun, and whether it holds a gate."""
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT jobs.external_id, finished_at IS NOT NULL AS ended,"
            " started_at IS NOT NULL AS begun, gate.job_id IS NOT NULL AS holds"
            " FROM jobs LEFT JOIN verification_gates AS gate ON gate.job_id = jobs.id"
        )
        return {
            row["external_id"]: (row["ended"], row["begun"], row["holds"]) for row in tx.fetchall()
        }


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happens_one_run_at_the_most_holds_the_gate_and_none_that_has_ended(
    resources, tenant, house_list, verified, run, seed
):
    dice = random.Random(seed)
    verification = verified(JANE)
    runs = []

    def request():
        with suppress(RunInFlight):
            runs.append(run(verification))

    def schedule():
        runs.append(dispatch.dispatch_background(resources, tenant.id, verification.trace))

    def work():
        chunk.run(resources, dice.choice(runs).id, 1, 0)

    def cancel():
        with suppress(IllegalTransition):
            jobs.cancel(resources, tenant.id, KIND, dice.choice(runs).run_id)

    def pause():
        with suppress(IllegalTransition):
            jobs.pause(resources, tenant.id, KIND, dice.choice(runs).run_id)

    def resume():
        with suppress(IllegalTransition):
            jobs.resume(resources, tenant.id, KIND, dice.choice(runs).run_id)

    def admit():
        job = jobs.get(resources, tenant.id, dice.choice(runs).id)
        with resources.db.transaction() as tx:
            if jobs_store.lock_job(tx, job.id).state is JobState.QUEUED:
                let_in = kind.admit(tx, job)
                jobs_store.advance(tx, job.id, Event.CLAIM if let_in else Event.GATE_HELD)

    schedule()
    for _ in range(40):
        dice.choice([request, schedule, work, cancel, pause, resume, admit])()

        now = standing(resources).values()
        assert sum(holds for _, _, holds in now) <= 1
        assert not any(ended and holds for ended, _, holds in now)
        assert all(holds for ended, begun, holds in now if begun and not ended)
    assert any(ended for ended, _, _ in standing(resources).values())
