"""What `updates` has to know of a population, whoever keeps it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.resources import Resources
from app.screening.model import Entry, ListVersion, Subject


@dataclass(frozen=True, slots=True)
class Waiting:
    """Some of a population who know version `known_id` of a list and not `version_id`.

    The latter is in force; None: they know none. `threshold` is that of all of them. Who they are
    the source alone knows.
    """

    version_id: int
    known_id: int | None
    threshold: float
    who: Sequence[object]


@dataclass(frozen=True, slots=True)
class ListUpdate:
    """Between the version that was known and the one in force.

    `entries` are new or changed, `gone_or_changed` the ids of those whose hits may end; the latter
    is None where nobody can say what changed, and then everybody is concerned.
    """

    before: ListVersion | None
    after: ListVersion
    entries: Sequence[Entry]
    gone_or_changed: Sequence[str] | None


class Source(Protocol):
    @property
    def name(self) -> str:
        """What its index is called: letters and digits."""
        ...

    def outdated(self, resources: Resources) -> Collection[str]:
        """Return the lists with a version in force that somebody has not heard of."""
        ...

    def waiting(self, resources: Resources, list_name: str) -> Sequence[Waiting]:
        """Return who has not heard of the version in force, by the version that they know."""
        ...

    def numbers(self, resources: Resources) -> Iterator[int]:
        """Yield the numbers of all who are watched. Another number is another subject."""
        ...

    def subjects(
        self, resources: Resources, numbers: Collection[int] | None
    ) -> Iterator[tuple[int, Subject]]:
        """Yield all who are watched, or these, as the engine has them."""
        ...

    def rescreen(
        self,
        resources: Resources,
        waiting: Waiting,
        update: ListUpdate,
        numbers: Collection[int] | None,
    ) -> int:
        """Begin to screen these, or everybody who waits, on the list that changed.

        Those with hits on entries that are gone or changed are screened too. From then on they
        know the version. Return how many are screened.
        """
        ...
