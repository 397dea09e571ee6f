"""Who is watched, and by whom: the populations that `updates` knows.

Another one is written like these two (`population.Source`) and added to SOURCES.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from uuid import UUID

from app.kinds import kyc
from app.monitoring import checks, store
from app.monitoring.model import Cause, Check, Monitor
from app.monitoring.population import ListUpdate, Source, Waiting
from app.monitoring.turns import alone
from app.monitoring.verifications.source import Verifications
from app.resources import Resources
from app.screening.model import Subject


class Monitors:
    """The monitors of dialect A that are checked `on_update`."""

    name = "monitors"

    def outdated(self, resources: Resources) -> Collection[str]:
        with resources.db.transaction() as tx:
            return {each.list_name for each in store.list_outdated(tx)}

    def waiting(self, resources: Resources, list_name: str) -> Sequence[Waiting]:
        with resources.db.transaction() as tx:
            outdated = store.list_outdated(tx, list_name)
        # By the threshold too: one tenant's low one must not have everybody screened.
        alike: dict[tuple[int, int | None, float], list[Monitor]] = {}
        for each in outdated:
            key = each.version_id, each.known_id, each.monitor.threshold
            alike.setdefault(key, []).append(each.monitor)
        return [Waiting(*key, monitors) for key, monitors in alike.items()]

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
        begun: list[Check] = []

        def begin(monitor: Monitor) -> None:
            check, _ = checks.begin(
                resources,
                monitor,
                Cause.LIST_UPDATE,
                entity_ids=None if concerned is None else concerned.get(monitor.id, ()),
                update=(after.name, known, after.version),
                knows={after.name: after.id},
            )
            begun.append(check)

        for monitor in monitors:
            # Of whom it fails, or a check is under way, the next look takes it up.
            alone(partial(begin, monitor), monitor_id=str(monitor.id))
        return sum(check.subjects for check in begun)


SOURCES: Sequence[Source] = (Monitors(), Verifications())
