"""What workers keep on the disk of those who are watched goes when they are watched no longer."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from app.errors import IndexNotReady
from app.monitoring import updates
from app.monitoring.sources import SOURCES
from app.screening.model import EntityType, Entry, Subject
from app.screening.population import Population
from tests.kyc import screener
from tests.monitoring import VEXFORD, client, make

__all__ = ["client", "screener"]

pytestmark = pytest.mark.integration

VEXFORD_LISTED = Entry("h-4", EntityType.PERSON, "Ottoline Vexford")


def litter(resources) -> tuple[list[Path], list[Path]]:
    """Leave what is to go, and what is to stay."""
    index_dir = resources.settings.index_dir
    removed = updates.folder_of(resources, SOURCES[0])
    gone = [
        index_dir / "population-monitors-engine0",
        index_dir / "population-verifications-engine1-plain",
        index_dir / ".building-abandoned",
        removed,
    ]
    kept = [index_dir / ".building-now", index_dir / "1-0123456789ab-engine0"]
    for folder in (*gone, *kept):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "names").write_text("Ottoline Vexford")
    Population.build([(4_711, Subject(name="Ottoline Vexford"))]).save(removed)
    long_ago = time.time() - 3 * 3600
    os.utime(index_dir / ".building-abandoned", (long_ago, long_ago))
    return gone, kept


def holds(gone: list[Path], kept: list[Path]) -> None:
    assert [folder.name for folder in gone if folder.exists()] == []
    assert [folder.name for folder in kept if not folder.exists()] == []


def test_renewing_discards_the_indexes_of_other_engines_and_what_was_abandoned(resources):
    gone, kept = litter(resources)

    assert updates.renew(resources) == 0

    holds(gone, kept)


@pytest.fixture(scope="module")
def littered(resources) -> tuple[list[Path], list[Path]]:
    return litter(resources)


def test_a_worker_discards_them_when_it_starts(littered, screener):
    holds(*littered)


def test_an_index_that_cannot_be_made_is_not_made_in_the_worker(resources, client, monkeypatch):
    monkeypatch.setattr(updates, "_KEPT_FROM", 1)
    make(client, VEXFORD)
    folder = updates.folder_of(resources, SOURCES[0])
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way")
    try:
        with pytest.raises(IndexNotReady):
            updates.concerned(resources, SOURCES[0], [VEXFORD_LISTED], 0.85)
    finally:
        folder.unlink()

    assert updates.concerned(resources, SOURCES[0], [VEXFORD_LISTED], 0.85)
