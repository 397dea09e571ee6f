"""At which level a chunk travels."""

from __future__ import annotations

from app.jobs import turns


def test_whoever_has_nothing_queued_is_next():
    assert [turns.level(before) for before in (0, 1, 2, 3)] == [0] * 4


def test_each_level_begins_at_three_times_the_one_before():
    firsts = [4, 12, 36, 108, 324, 972, 2_916, 8_748, 26_244]

    assert [turns.level(first) for first in firsts] == list(range(1, 10))
    assert [turns.level(first - 1) for first in firsts] == list(range(9))


def test_whatever_is_queued_there_is_a_level_for_it():
    assert turns.level(10**12) == turns.LEVELS[-1]


def test_a_chunk_waits_for_few_of_another_tenant_however_many_these_are():
    """At the worst all of the other's at its own level came first."""
    others = [turns.level(before) for before in range(26_244)]

    for before in (4, 5, 11, 12, 35, 36, 107, 108, 500, 971, 972, 2_915, 8_747):
        ahead = sum(other <= turns.level(before) for other in others)
        assert ahead <= 3 * before


def test_lists_are_read_against_the_way_that_messages_move():
    names = turns.lists("screening")

    assert names[-1] == "screening"
    assert [name[-1] for name in names[:-1]] == list("987654321")
