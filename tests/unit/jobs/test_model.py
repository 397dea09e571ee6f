"""Jobs, items and results as values: the arithmetic of chunks, and what a row becomes."""

from __future__ import annotations

import dataclasses
from dataclasses import fields
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.model import Item, ItemStatus, Job, Result
from app.jobs.states import JobState

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)

ROW = {
    "id": UUID(int=1),
    "tenant_id": UUID(int=2),
    "kind": "kyc",
    "dialect": "kyc",
    "external_id": "one",
    "month": date(2026, 7, 1),
    "state": "running",
    "version": 3,
    "options": {},
    "labels": {},
    "queue": "screening",
    "chunk_size": 10,
    "total": 95,
    "succeeded": 20,
    "failed": 2,
    "cancelled": 0,
    "expired": 0,
    "matches": 5,
    "pass_no": 1,
    "pass_began_at": 0,
    "idle_passes": 0,
    "created_at": AT,
    "updated_at": AT,
    "started_at": AT,
    "finished_at": None,
    "estimated_at": None,
    "retry_of": None,
    "created_by": "usr_1",
    "error_code": None,
    "error_message": None,
    "allowed_seconds": None,
    "spent_seconds": 0.0,
    "active_since": None,
}


def job(**given: object) -> Job:
    return Job.from_row({**ROW, **given})


sizes = st.builds(
    lambda total, chunk_size: job(total=total, chunk_size=chunk_size),
    st.integers(1, 10_000),
    st.integers(1, 12_000),
)


def test_a_row_becomes_a_job_whatever_else_the_row_holds():
    made = job(heartbeat_at=AT, spent_seconds=0.0)

    assert made.state is JobState.RUNNING
    assert (made.done, made.total) == (22, 95)


def test_a_row_with_a_state_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="dreaming"):
        job(state="dreaming")


def test_the_last_chunk_may_be_short():
    made = job(total=95, chunk_size=10)

    assert made.chunk_count == 10
    assert made.chunk(0) == range(0, 10)
    assert made.chunk(9) == range(90, 95)


@given(sizes)
def test_the_chunks_hold_every_item_once_and_in_order(made):
    positions = [each for number in range(made.chunk_count) for each in made.chunk(number)]

    assert positions == list(range(made.total))


@given(sizes)
def test_no_chunk_is_empty_and_none_is_larger_than_it_may_be(made):
    lengths = {len(made.chunk(number)) for number in range(made.chunk_count)}

    assert min(lengths) > 0
    assert max(lengths) <= made.chunk_size


@given(sizes, st.data())
def test_an_item_is_in_the_chunk_that_the_database_would_name(made, data):
    """The store finds outstanding chunks by dividing positions."""
    position = data.draw(st.integers(0, made.total - 1))

    assert position in made.chunk(position // made.chunk_size)


def test_a_success_carries_its_detail_and_no_error():
    made = Result.success(Item(7, "a", {}), {"is_match": True}, matches=2)

    assert made == Result(7, ItemStatus.SUCCEEDED, {"is_match": True}, 2)
    assert (made.error_code, made.error_message) == (None, None)


def test_a_failure_carries_a_code_and_no_detail():
    made = Result.failure(Item(7, "a", {}), "bad_item", "It is bad.")

    assert (made.status, made.error_code, made.error_message) == (
        ItemStatus.FAILED,
        "bad_item",
        "It is bad.",
    )
    assert (made.detail, made.matches) == (None, 0)


@pytest.mark.parametrize("value", [job(), Item(0, None, {}), Result(0, ItemStatus.FAILED)])
def test_what_was_read_is_never_changed_in_place(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, fields(value)[0].name, None)
