"""Who has failed many times in a row is left alone for a while, and then tried once."""

from __future__ import annotations

from app.verifications.providers.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_failures_in_a_row_and_not_before():
    breaker = Breaker(failures=3)
    for _ in range(2):
        breaker.report(succeeded=False)
    breaker.report(succeeded=True)
    for _ in range(2):
        breaker.report(succeeded=False)
    assert breaker.lets_through()

    breaker.report(succeeded=False)

    assert not breaker.lets_through()


def test_when_its_time_is_over_one_call_tries_it_and_closes_it():
    clock = Clock()
    breaker = Breaker(failures=1, seconds=30, clock=clock)
    breaker.report(succeeded=False)
    clock.now = 29.9
    assert not breaker.lets_through()

    clock.now = 30.0

    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.report(succeeded=True)
    assert all(breaker.lets_through() for _ in range(3))


def test_a_call_that_fails_again_keeps_it_open():
    clock = Clock()
    breaker = Breaker(failures=1, seconds=30, clock=clock)
    breaker.report(succeeded=False)
    clock.now = 30.0
    assert breaker.lets_through()

    breaker.report(succeeded=False)

    clock.now = 59.9
    assert not breaker.lets_through()


def test_it_says_how_long_it_stays_open():
    clock = Clock()
    breaker = Breaker(failures=1, seconds=30, clock=clock)
    assert breaker.left() == 0

    breaker.report(succeeded=False)

    clock.now = 10.0
    assert breaker.left() == 20
    clock.now = 40.0
    assert breaker.left() == 0
