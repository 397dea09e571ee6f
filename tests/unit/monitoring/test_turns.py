"""What one of many may do to the others."""

from __future__ import annotations

import pytest

from app.errors import DatabaseUnavailable, IndexNotReady, KeyUnavailable
from app.monitoring import updates
from app.monitoring.turns import alone


def fail(error: Exception):
    def work() -> None:
        raise error

    return work


def test_results_that_cannot_be_opened_keep_nobody_else_waiting():
    alone(fail(KeyUnavailable("This server lacks the key k1.")))

    with pytest.raises(DatabaseUnavailable):
        alone(fail(DatabaseUnavailable("away")))


def test_a_population_without_an_index_does_not_keep_the_other_from_an_update(monkeypatch):
    taken_up = []

    def take_up(resources, source, list_name):
        if source == "broken":
            raise IndexNotReady("It could not be made here.")
        taken_up.append((source, list_name))
        return 1

    monkeypatch.setattr(updates, "SOURCES", ("broken", "whole"))
    monkeypatch.setattr(updates, "_take_up", take_up)

    # Whoever asked comes back for the rest.
    with pytest.raises(IndexNotReady):
        updates.take_up(None, "ofac")
    assert taken_up == [("whole", "ofac")]
