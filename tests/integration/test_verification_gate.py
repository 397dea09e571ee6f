"""The gate of verifications: one run at a time, whoever dispatches it and however it ends.

No worker is about: what one would do is called here.
"""

from __future__ import annotations

import random
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
from app.verifications import dispatch, service, store, subjects
from app.verifications.model import KIND
from tests.integration.conftest import until
from tests.kyc import house_list as house_list
from tests.verifications import API, JANE, ZEBULON
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


def test_a_redelivered_chunk_is_no_further_attempt(resources, tenant, house_list, verified, run):
    verification = verified()
    begun = run(verification)
    job = jobs.get(resources, tenant.id, begun.id)
    for _ in range(3):
        with resources.db.transaction() as tx:
            assert kind.admit(tx, job)

    with resources.db.transaction() as tx:
        assert store.load_run(tx, begun.id).attempts == 1


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
    ):
        with (
            pytest.raises(psycopg2.errors.RestrictViolation),
            database.transaction() as tx,
        ):
            tx.execute(statement)


def test_everybody_who_is_screened_is_told_page_by_page(resources, tenant, verified):
    verification = verified(JANE, ZEBULON)
    verified()

    found = [each for page in subjects.every(resources, tenant.id) for each in page]

    assert len(found) == 4
    assert {each.trace for each in found} >= {verification.trace}
    names = {each.payload["subject"]["full_name"] for each in found}
    assert names == {"Ploughwright Family Trust", "Jane Ploughwright", "Zebulon Quartermain"}
    assert [each for page in subjects.every(resources, uuid4()) for each in page] == []
    assert KIND == "verifications"


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
