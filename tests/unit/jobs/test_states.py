"""The life of a job is the published table, and nothing else can happen to one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.jobs.states import CLAIMABLE, DRAINING, NEXT, Event, JobState, moves

#: As published to callers, typed again by hand: a change here is a change of the contract.
#: A dash is an event that cannot happen, and an x one that is refused with an error.
PUBLISHED = """
             claim    all_done   fatal      pause    resume   cancel      drained    gate_held  deadline
queued       running  -          failed     paused   x        cancelled   -          rejected   expired
running      -        completed  failed     pausing  x        cancelling  -          -          expired
pausing      -        completed  failed     pausing  running  cancelling  paused     -          expired
paused       -        -          failed     x        running  cancelled   -          -          expired
cancelling   -        cancelled  cancelled  x        x        cancelling  cancelled  -          cancelled
completed    -        -          -          x        x        x           -          -          -
failed       -        -          -          x        x        x           -          -          -
cancelled    -        -          -          x        x        x           -          -          -
rejected     -        -          -          x        x        x           -          -          -
expired      -        -          -          x        x        x           -          -          -
"""  # noqa: E501  # a table is read in columns

FINAL = {"completed", "failed", "cancelled", "rejected", "expired"}

events = st.lists(st.sampled_from(Event), max_size=30)


def published() -> dict[tuple[str, str], str]:
    head, *rows = [line.split() for line in PUBLISHED.strip().splitlines()]
    cells = {
        (row[0], event): cell for row in rows for event, cell in zip(head, row[1:], strict=True)
    }
    table = {pair: cell for pair, cell in cells.items() if cell not in "-x"}
    # "running (queued if never claimed)" is one cell of the published table, and two events here.
    return {**table, ("paused", "resume_never_claimed"): "queued"}


def after(history: list[Event], state: JobState = JobState.QUEUED) -> JobState:
    for event in history:
        state = NEXT.get(state, {}).get(event, state)
    return state


def reachable(start: JobState) -> set[JobState]:
    seen, todo = {start}, [start]
    while todo:
        following = set(NEXT.get(todo.pop(), {}).values()) - seen
        seen |= following
        todo += following
    return seen


def test_the_table_is_the_published_one():
    ours = {
        (str(state), str(event)): str(target)
        for state, following in NEXT.items()
        for event, target in following.items()
    }

    assert ours == published()


def test_the_final_states_are_the_published_ones():
    assert {state for state in JobState if state.is_final} == FINAL


def test_every_state_can_be_reached_from_submission():
    assert reachable(JobState.QUEUED) == set(JobState)


@pytest.mark.parametrize("state", JobState)
def test_every_state_can_end(state):
    assert any(each.is_final for each in reachable(state))


@pytest.mark.parametrize("state", NEXT)
def test_a_caller_can_stop_a_job_in_every_state_that_is_not_final(state):
    stopping = NEXT[state][Event.CANCEL]

    assert stopping is JobState.CANCELLED or NEXT[stopping][Event.DRAINED] is JobState.CANCELLED


@pytest.mark.parametrize("state", NEXT)
def test_a_deadline_ends_a_job_in_every_state_that_is_not_final(state):
    assert NEXT[state][Event.DEADLINE].is_final


@given(events, events)
def test_nothing_follows_a_final_state(history, more):
    state = after(history)

    assert not state.is_final or after(more, state) is state


@given(events)
def test_only_a_job_that_is_running_or_asked_to_pause_can_complete(history):
    states = [after(history[:n]) for n in range(len(history) + 1)]

    if JobState.COMPLETED in states:
        before = states[states.index(JobState.COMPLETED) - 1]
        assert before in {JobState.RUNNING, JobState.PAUSING}


@given(events)
def test_a_job_that_was_asked_to_stop_never_completes(history):
    assert after(history, JobState.CANCELLING) in {JobState.CANCELLING, JobState.CANCELLED}


@given(events)
def test_a_job_goes_back_to_the_queue_only_if_no_worker_ever_claimed_it(history):
    """RESUME_NEVER_CLAIMED is only sent to such a job; without it nothing leads back."""
    claimed = [each for each in history if each is not Event.RESUME_NEVER_CLAIMED]

    assert after(claimed, JobState.RUNNING) is not JobState.QUEUED


def test_work_is_begun_and_drained_in_states_that_exclude_each_other():
    assert {*map(str, CLAIMABLE)} == {"queued", "running"}
    assert {*map(str, DRAINING)} == {"pausing", "cancelling"}
    assert set(moves(Event.DRAINED)) == DRAINING


def test_moves_lists_where_an_event_leads_from_everywhere_it_may_happen():
    assert moves(Event.CLAIM) == {JobState.QUEUED: JobState.RUNNING}
    assert moves(Event.RESUME) == {
        JobState.PAUSING: JobState.RUNNING,
        JobState.PAUSED: JobState.RUNNING,
    }
    assert all(
        NEXT[state][event] is target for event in Event for state, target in moves(event).items()
    )
