"""What Prometheus is told: how jobs, queues and lists are, and nothing about anybody."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.factory import create_app
from app.jobs.dispatch import QUEUES
from tests.integration.test_list_freshness import grow_old
from tests.kyc import ENTRIES, LISTED, house_list
from tests.native import assert_problem

__all__ = ["grow_old", "house_list"]

pytestmark = pytest.mark.integration

TOKEN = "prometheus-6c1f0e7b9a24d385e0"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def watched(settings):
    """A server that has metrics, and wants `house` refreshed hourly."""
    return create_app(
        replace(settings, metrics_token=TOKEN, list_intervals="house=1h")
    ).test_client()


def told(client):
    """Return every sample, by its name and its labels."""
    answer = client.get("/metrics", headers=AUTHORIZED)
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "text/plain"
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_there_are_no_metrics_until_somebody_sets_their_token(client):
    answer = client.get("/metrics", headers=AUTHORIZED)

    assert_problem(answer, 401, "invalid-token")
    assert "MUSTER_METRICS_TOKEN" in answer.json["detail"]


@pytest.mark.parametrize("given", [{}, {"Authorization": f"Bearer {TOKEN}x"}])
def test_metrics_are_told_to_nobody_without_their_token(watched, given):
    assert_problem(watched.get("/metrics", headers=given), 401, "invalid-token")


def test_jobs_that_wait_are_counted_by_kind_and_state(client, watched, house_list):
    before = told(watched)
    client.post("/kyc/jobs", json={"entities": [LISTED, {**LISTED, "entity_id": "another"}]})

    now = told(watched)

    assert ("muster_jobs", "kyc", "queued") not in before
    assert now["muster_jobs", "kyc", "queued"] == 1
    assert now["muster_items_outstanding", "kyc", "queued"] == 2
    assert 0 <= now["muster_oldest_job_seconds", "kyc", "queued"] < 600
    assert now["muster_queue_depth", "screening"] == 1


def test_every_queue_has_its_depth(watched):
    names = {key[1] for key in told(watched) if key[0] == "muster_queue_depth"}

    assert names == {queue.name for queue in QUEUES}


def test_a_list_that_is_late_is_stale_in_the_metrics(watched, house_list, grow_old):
    assert told(watched)["muster_list_stale", "house"] == 0

    grow_old()

    now = told(watched)
    assert now["muster_list_stale", "house"] == 1
    assert now["muster_list_entries", "house", "v1"] == len(ENTRIES)
    assert now["muster_list_refresh_failing", "house"] == 0


def test_without_redis_the_metrics_say_so_and_tell_no_depth(settings):
    away = replace(settings, metrics_token=TOKEN, redis_url="redis://127.0.0.1:1/0")

    now = told(create_app(away).test_client())

    assert now["muster_broker_up",] == 0
    assert not [key for key in now if key[0] == "muster_queue_depth"]


def test_no_metric_names_a_tenant_a_job_or_a_person(client, watched, house_list, tenant):
    made = client.post("/kyc/jobs", json={"entities": [LISTED]}).json["job_id"]

    text = watched.get("/metrics", headers=AUTHORIZED).text

    for secret in (str(tenant.id), tenant.name, made, LISTED["entity_id"], TOKEN):
        assert secret not in text
