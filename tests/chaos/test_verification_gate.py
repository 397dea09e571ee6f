"""A worker dies with the gate in its hands: the gate stays shut, and the same run goes on."""

from __future__ import annotations

import json
import threading

import pytest

from app.errors import RunInFlight
from app.verifications import service
from tests.integration.conftest import until
from tests.integration.engine import kill
from tests.kyc import house_list as house_list
from tests.model_server import serving
from tests.verifications import JANE, ZEBULON
from tests.verifications import ended as ended
from tests.verifications import read as read
from tests.verifications import run as run
from tests.verifications import verified as verified

NO_MATCH = {"json": {"responses": {"subject": {"status": 200, "results": []}}}}


def test_the_run_of_a_killed_worker_is_taken_up_again_and_no_other_is_let_in_before(
    start, resources, tenant, house_list, verified, run, read, ended
):
    dead = threading.Event()

    def slow_until_it_dies(body):
        # The victim is killed while it waits for this; whoever asks later is answered at once.
        dead.wait(15)
        return NO_MATCH

    with serving(slow_until_it_dies) as server:
        providers = json.dumps({"open": {"kind": "yente", "base_url": server.url, "tries": 1}})
        victim = start("victim", beat=False, screening_providers=providers)
        victim.wait_until_ready()
        verification = verified(JANE, ZEBULON)
        begun = run(verification)
        until(lambda: server.asked and read(begun).state == "running", 20, "it is at work")

        kill(victim)
        dead.set()

        with pytest.raises(RunInFlight) as refused:
            run(verification)
        assert refused.value.details["conflicting_run"] == begun.run_id
        assert read(begun).state == "running"
        start("survivor", screening_providers=providers).wait_until_ready()
        done = ended(begun)

    assert (done.run_id, done.state) == (begun.run_id, "completed")
    # Found again in the queue it is the same attempt; found by the sweep it is another.
    assert done.attempts in (1, 2)
    _, everybody = service.latest(resources, tenant.id, verification.trace)
    assert len(everybody) == 3
    assert [each.total_hits for each in everybody] == [0, 0, 1]
    assert run(verification).run_id != begun.run_id
