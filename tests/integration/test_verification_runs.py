"""Runs of verifications: dispatched, gated, screened by real workers, concluded."""

from __future__ import annotations

import pytest

from app.errors import RunInFlight, ScreeningNotFound
from app.jobs.states import JobState
from app.verifications import service
from tests.kyc import house_list as house_list
from tests.kyc import screener as screener
from tests.verifications import JANE, ZEBULON
from tests.verifications import ended as ended
from tests.verifications import read as read
from tests.verifications import run as run
from tests.verifications import verified as verified

PARALLEL = 50


def gates(resources) -> list[str]:
    """Return what the runs are called that hold a gate."""
    with resources.db.transaction() as tx:
        tx.execute("SELECT external_id FROM verification_gates JOIN jobs ON jobs.id = job_id")
        return [row["external_id"] for row in tx.fetchall()]


def test_the_entity_and_each_stakeholder_are_screened_and_the_risk_follows(
    resources, tenant, house_list, screener, verified, run, ended
):
    verification = verified(JANE, ZEBULON)

    done = ended(run(verification))

    assert (done.state, done.attempts, done.error_message) == ("completed", 1, None)
    assert done.started_at <= done.finished_at
    now = service.get(resources, tenant.id, verification.trace)
    jane, zebulon = now.stakeholders
    entity, everybody = service.latest(resources, tenant.id, verification.trace)
    assert len(everybody) == 3
    assert (entity.total_hits, entity.is_complete, entity.run_id) == (0, True, done.run_id)
    found, _ = service.latest(resources, tenant.id, verification.trace, zebulon.stakeholder_id)
    assert found.total_hits == 1
    (source,) = found.matched_sources
    assert (source["source"], source["hits"]) == ("house", 1)
    assert source["records"][0]["id"] == "h-1"
    (checked,) = found.sources_checked
    assert (checked["source"], checked["version"], checked["status"]) == ("house", "v1", "ok")
    assert checked["records"] == 4
    assert now.risk["description"] == "Medium"
    assert now.risk["reasons"][0]["stakeholderId"] == zebulon.stakeholder_id
    nobody, _ = service.latest(resources, tenant.id, verification.trace, jane.stakeholder_id)
    assert nobody.total_hits == 0


def test_when_a_run_has_ended_the_next_one_is_let_in(
    resources, house_list, screener, verified, run, ended
):
    verification = verified()
    first = run(verification)
    with pytest.raises(RunInFlight):
        run(verification)

    ended(first)

    assert gates(resources) == []
    assert ended(run(verification)).state is JobState.COMPLETED


def test_a_run_without_a_list_fails_and_says_why(resources, tenant, screener, verified, run, ended):
    verification = verified()

    failed = ended(run(verification))

    assert failed.state is JobState.FAILED
    assert "No watchlist is loaded" in failed.error_message
    with pytest.raises(ScreeningNotFound):
        service.latest(resources, tenant.id, verification.trace)
