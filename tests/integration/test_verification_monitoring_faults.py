"""Monitored verifications when runs come to nothing. No worker and no beat runs here."""

from __future__ import annotations

import pytest

from app.monitoring import clock
from app.monitoring.verifications import store
from tests.integration.test_verification_monitoring import LATER, path, watch
from tests.kyc import ENTRIES, house_list
from tests.monitoring import new_version
from tests.verifications import JANE, verified

__all__ = ["house_list", "verified"]

pytestmark = pytest.mark.integration


def test_a_run_that_came_to_nothing_is_dispatched_again_and_not_at_once(
    client, resources, settings, tenant, tmp_path, house_list, verified
):
    verification = verified(JANE)
    watch(client, verification, "on_update")
    with resources.db.transaction() as tx:
        tx.execute("SELECT id FROM watchlists")
        known = tx.fetchone()["id"]
        store.set_list(tx, "house", known, [verification.id])
        tx.execute("UPDATE verification_monitoring SET synced_at = now(), next_run_at = NULL")
    new_version(resources, settings, tmp_path, *ENTRIES, LATER)

    clock.take_up(resources, "house")
    (first,) = client.get(path(verification, "jobs")).json["data"]["jobs"]
    client.post(path(verification, f"jobs/watchlist/{first['run']['jobId']}/cancel"))
    clock.take_up(resources, "house")
    assert len(client.get(path(verification, "jobs")).json["data"]["jobs"]) == 1
    with resources.db.transaction() as tx:
        tx.execute("UPDATE verification_monitoring SET retry_at = now() - interval '1 second'")
    clock.take_up(resources, "house")

    assert len(client.get(path(verification, "jobs")).json["data"]["jobs"]) == 2


def test_two_looks_at_once_dispatch_one_run(client, resources, house_list, verified):
    verification = verified(JANE)
    watch(client, verification, "daily")

    clock.look(resources)
    clock.look(resources)

    assert len(client.get(path(verification, "jobs")).json["data"]["jobs"]) == 1
