"""Who is watched, and by whom: what `updates` has to know of a population, whoever keeps it.

The monitors of this package are one population; who keeps another (the subjects of verifications,
say) writes the same functions and adds itself to SOURCES.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.errors import CheckRunning, MonitorNotFound
from app.kinds import kyc
from app.monitoring import checks, store
from app.monitoring.model import Cause, Monitor
from app.resources import Resources
from app.screening.model import Entry, ListVersion, Subject


@dataclass(frozen=True, slots=True)
class Waiting:
    """Some of a population who know version `known_id` of a list and not `version_id`.

    The latter is in force; None: they know none. `threshold` is the lowest of theirs. Who they are
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


class Monitors:
    """The monitors of dialect A that are checked `on_update`."""

    name = "monitors"

    def outdated(self, resources: Resources) -> Collection[str]:
        with resources.db.transaction() as tx:
            return {each.list_name for each in store.list_outdated(tx)}

    def waiting(self, resources: Resources, list_name: str) -> Sequence[Waiting]:
        with resources.db.transaction() as tx:
            outdated = store.list_outdated(tx, list_name)
        by_version: dict[tuple[int, int | None], list[Monitor]] = {}
        for each in outdated:
            by_version.setdefault((each.version_id, each.known_id), []).append(each.monitor)
        return [
            Waiting(*versions, min(m.threshold for m in monitors), monitors)
            for versions, monitors in by_version.items()
        ]

    def numbers(self, resources: Resources) -> Iterator[int]:
        with resources.db.transaction() as tx:
            yield from store.population_numbers(tx)

    def subjects(
        self, resources: Resources, numbers: Collection[int] | None
    ) -> Iterator[tuple[int, Subject]]:
        with resources.db.transaction() as tx:
            for number, text in store.population(tx, numbers):
                yield number, kyc.read_subject(json.loads(text)["subject"])

    def rescreen(
        self,
        resources: Resources,
        waiting: Waiting,
        update: ListUpdate,
        numbers: Collection[int] | None,
    ) -> int:
        monitors = [each for each in waiting.who if isinstance(each, Monitor)]
        ids = [each.id for each in monitors]
        concerned: Mapping[UUID, set[str]] | None = None
        if numbers is not None:
            with resources.db.transaction() as tx:
                found = store.whose_numbers(tx, numbers, ids)
                found |= store.holders(tx, update.after.name, update.gone_or_changed or (), ids)
            concerned = {}
            for monitor_id, entity_id in found:
                concerned.setdefault(monitor_id, set()).add(entity_id)
        after = update.after
        known = None if update.before is None else update.before.version
        screened = 0
        for monitor in monitors:
            try:
                check, _ = checks.begin(
                    resources,
                    monitor,
                    Cause.LIST_UPDATE,
                    entity_ids=None if concerned is None else concerned.get(monitor.id, ()),
                    update=(after.name, known, after.version),
                    knows={after.name: after.id},
                )
            except (CheckRunning, MonitorNotFound):
                # It is taken up by the next look, or there is nothing to take up.
                continue
            screened += check.subjects
        return screened


SOURCES: Sequence[Source] = (Monitors(),)
