"""Rows of job_events become events: each item one of its own, numbers that only grow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from app.jobs.events import reading
from app.jobs.events.model import EventType, beginning, ending, from_row, picture, read_positions
from app.jobs.model import Job
from app.jobs.states import JobState

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)


@pytest.fixture
def job() -> Job:
    empty = dict.fromkeys(Job.__slots__)
    known = {
        "id": UUID(int=7),
        "kind": "kyc",
        "month": date(2026, 1, 1),
        "state": JobState.RUNNING,
        "version": 9,
        "total": 10,
        **dict.fromkeys(("succeeded", "failed", "cancelled", "expired", "matches"), 0),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Job(**{**empty, **known})


def row(seq: int, **facts):
    return {
        **{"seq": seq, "at": NOW, "state": "running", "previous": None, "positions": None},
        **dict.fromkeys(("succeeded", "failed", "cancelled", "expired", "matches"), 0),
        **{"error_code": None, "error_message": None},
        **facts,
    }


def numbered(events) -> list[tuple[int, str]]:
    return [(event.seq, event.type) for event in events]


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        (None, []),
        ("{}", []),
        ("{[0,250)}", [range(250)]),
        ("{[0,2),[300,301)}", [range(2), range(300, 301)]),
    ],
)
def test_positions_are_read_as_postgres_writes_them(text, ranges):
    assert read_positions(text) == ranges


def test_results_that_came_together_have_a_number_each_before_that_of_their_counts(job):
    events = list(from_row(job, row(14, positions="{[2,4),[7,8)}", succeeded=4, failed=1)))

    assert numbered(events) == [(11, "item"), (12, "item"), (13, "item"), (14, "progress")]
    assert [event.position for event in events] == [2, 3, 7, None]
    assert [event.done for event in events] == [3, 4, 5, 5]


def test_a_final_state_is_followed_by_the_end_and_no_other_is(job):
    paused = from_row(job, row(5, state="paused", previous="pausing"))
    failed = from_row(
        job, row(8, state="failed", previous="running", error_code="gone", error_message="Gone.")
    )

    assert numbered(paused) == [(5, "state")]
    state, end = failed
    assert numbered([state, end]) == [(8, "state"), (9, "end")]
    assert state.error == ("gone", "Gone.")


@pytest.mark.parametrize("after", range(16))
def test_from_any_place_on_there_is_exactly_the_rest(job, after):
    rows = [
        row(2, previous="queued"),
        row(6, positions="{[0,3)}", succeeded=3),
        row(14, positions="{[3,10)}", succeeded=10),
        row(15, state="completed", previous="running", succeeded=10),
    ]
    whole = reading.since(job, rows, after=0, limit=100)

    rest = reading.since(
        job, [each for each in rows if each["seq"] >= after], after=after, limit=100
    )

    assert numbered(whole) == sorted(set(numbered(whole)))
    assert rest == [event for event in whole if event.seq > after]
    assert reading.since(job, rows, after=after, limit=3) == rest[:3]


def test_a_job_begins_queued_and_its_picture_carries_its_version(job):
    assert (beginning(job).seq, beginning(job).state) == (1, JobState.QUEUED)
    assert numbered(picture(job)) == [(9, "progress"), (9, "state")]


def test_only_a_job_that_has_ended_can_have_an_end_that_nobody_told(job):
    ended = replace(job, state=JobState.CANCELLED)

    assert reading.untold(job, 3) == []
    assert numbered(reading.untold(ended, 3)) == [(9, "state"), (10, "end")]
    assert numbered(reading.untold(ended, 9)) == [(10, "end")]
    assert reading.untold(ended, 10) == []
    assert numbered(reading.untold(ended, 3, frozenset({EventType.END}))) == [(10, "end")]
    assert ending(ended) == reading.untold(ended, 0)


def test_what_is_said_of_an_event_is_worded_once(job):
    event, worded = beginning(job), []

    for _ in range(3):
        assert event.said("native", lambda: worded.append(1) or "text") == "text"

    assert worded == [1]
    assert event.said("documents", lambda: "other") == "other"
