"""A job's way through a real worker: every item gets one result, and is counted once."""

from __future__ import annotations

import pytest

from app.jobs import service
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, lasting_worker, ledger, messages, outcomes

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", autouse=True)
def engine(settings, tmp_path_factory):
    with lasting_worker(settings, tmp_path_factory.mktemp("engine")) as worker:
        yield worker


def rows_of(resources, job):
    return [row for page in service.results(resources, job) for row in page]


@pytest.mark.parametrize(("total", "chunk_size"), [(1, 10), (10, 10), (95, 10), (2_500, 250)])
def test_every_item_gets_one_result_and_is_counted_once(
    resources, submit, finished, total, chunk_size
):
    payloads = [{"echo": n, "matches": n % 3} for n in range(total)]

    job = finished(submit("fast", payloads, chunk_size=chunk_size))

    assert_whole(resources, job)
    assert job.succeeded == total
    assert job.matches == sum(payload["matches"] for payload in payloads)


def test_results_come_in_the_order_of_submission_under_the_callers_own_names(
    resources, submit, finished
):
    job = finished(submit("slow", [{"echo": n} for n in range(45)], chunk_size=4))

    rows = rows_of(resources, job)

    assert [row["position"] for row in rows] == list(range(45))
    assert [row["ref"] for row in rows] == [f"r{n}" for n in range(45)]
    assert [row["result"] for row in rows] == [f'{{"echo":{n}}}' for n in range(45)]


@pytest.mark.parametrize("kind", ["fast", "slow"])
def test_a_bad_item_is_a_failed_result_and_the_job_carries_on(resources, submit, finished, kind):
    payloads = [{"echo": n} for n in range(30)]
    payloads[7] = {"bad": "It cannot be read."}
    payloads[8] = {"raise": "a bug in the kind"}

    job = finished(submit(kind, payloads))

    assert_whole(resources, job)
    assert outcomes(resources, job) == {"succeeded": 28, "bad_item": 1, "internal_error": 1}
    assert rows_of(resources, job)[7]["error_message"] == "It cannot be read."


def test_a_bug_is_told_without_the_text_of_its_exception(resources, submit, finished, engine):
    """It may quote what was being worked on."""
    job = finished(submit("slow", [{"raise": "Jonathan Secretname"}]))

    assert "Secretname" not in str(rows_of(resources, job))
    assert b"item.failed" in engine.log.read_bytes()
    assert b"Secretname" not in engine.log.read_bytes()


def test_a_job_that_its_kind_refuses_fails_as_a_whole_and_says_why(resources, submit, finished):
    job = finished(submit("slow", [{}] * 25, refuse=True))

    assert (job.state, job.error_code) == ("failed", "refused")
    assert job.error_message == "The probe was told to refuse the job."
    assert (job.succeeded, job.failed, job.cancelled) == (0, 0, 25)
    assert ledger(resources, job).results == 0


def test_a_job_whose_every_pass_comes_to_nothing_fails_instead_of_going_round_for_ever(
    submit, finished
):
    job = finished(submit("slow", [{}] * 25, crash=True))

    assert (job.state, job.error_code, job.cancelled) == ("failed", "internal_error", 25)
    assert job.pass_no < 10


def test_a_long_chunk_hands_back_its_rest_and_another_pass_does_it(resources, submit, finished):
    """So a lost worker never costs more than a chunk's time, however slow the items are."""
    job = finished(submit("slow", [{"sleep": 0.1}] * 30, chunk_size=30))

    assert_whole(resources, job)
    assert 2 <= job.pass_no <= 4


def test_many_jobs_at_once_all_end_and_mix_up_nothing(resources, submit, finished):
    jobs = [
        submit("fast", [{"echo": f"{n}/{i}"} for i in range(20 + n)], chunk_size=7)
        for n in range(12)
    ]

    for n, job in enumerate(map(finished, jobs)):
        assert_whole(resources, job)
        assert [row["result"] for row in rows_of(resources, job)] == [
            f'{{"echo":"{n}/{i}"}}' for i in range(20 + n)
        ]


def test_a_finished_job_leaves_no_claim_no_message_and_no_chord_behind(
    resources, redis_client, submit, finished
):
    job = finished(submit("fast", [{}] * 95))

    until(lambda: messages(redis_client) == 0, 10, "the last messages are acknowledged")
    assert ledger(resources, job).claims == 0

    def stays() -> list[bytes]:
        kept = [key for key in redis_client.scan_iter() if not key.startswith(b"_kombu")]
        return [key for key in kept if redis_client.ttl(key) == -1]

    # A chord leaves a mark that it is done, for minutes; the job's last picture stays for an hour.
    # What beat sends just then is there for a moment.
    until(lambda: not stays(), 10, lambda: f"whatever stays goes by itself: {stays()}")


def test_a_job_says_when_it_began_and_when_it_ended(submit, finished):
    job = finished(submit("fast", [{}] * 20))

    assert job.created_at <= job.started_at <= job.finished_at
    assert job.estimated_at >= job.created_at
