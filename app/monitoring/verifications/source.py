"""Verifications that wait for changes of lists, as a population: see `app.monitoring.sources`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from functools import partial

from app.kinds import kyc
from app.monitoring.population import ListUpdate, Waiting
from app.monitoring.turns import alone
from app.monitoring.verifications import store
from app.monitoring.verifications.dispatching import dispatch_once
from app.monitoring.verifications.model import Due
from app.resources import Resources
from app.screening.model import Subject
from app.verifications import dispatch, subjects
from app.verifications.providers.config import uses_built_in


class Verifications:
    """Those that are monitored `on_update`, each with its stakeholders."""

    name = "verifications"

    def outdated(self, resources: Resources) -> Collection[str]:
        if not _searches_lists(resources):
            return ()
        with resources.db.transaction() as tx:
            return {each.list_name for each in store.list_outdated(tx)}

    def waiting(self, resources: Resources, list_name: str) -> Sequence[Waiting]:
        if not _searches_lists(resources):
            return ()
        with resources.db.transaction() as tx:
            outdated = store.list_outdated(tx, list_name)
        by_version: dict[tuple[int, int | None], list[Due]] = {}
        for each in outdated:
            by_version.setdefault((each.version_id, each.known_id), []).append(each.due)
        return [Waiting(*versions, dispatch.THRESHOLD, who) for versions, who in by_version.items()]

    def numbers(self, resources: Resources) -> Iterator[int]:
        with resources.db.transaction() as tx:
            yield from store.numbers(tx)

    def subjects(
        self, resources: Resources, numbers: Collection[int] | None
    ) -> Iterator[tuple[int, Subject]]:
        with resources.db.transaction() as tx:
            for number, text in store.watched(tx, numbers):
                payload = subjects.payload(json.loads(text))
                yield number, kyc.read_subject(payload["subject"])

    def rescreen(
        self,
        resources: Resources,
        waiting: Waiting,
        update: ListUpdate,
        numbers: Collection[int] | None,
    ) -> int:
        every = {each.verification_id: each for each in waiting.who if isinstance(each, Due)}
        concerned = set(every)
        after = update.after
        if numbers is not None:
            with resources.db.transaction() as tx:
                concerned = store.whose_numbers(tx, numbers, list(every))
                concerned |= store.holders(
                    tx, after.name, update.gone_or_changed or (), list(every)
                )
                store.set_list(tx, after.name, after.id, [*every.keys() - concerned])
        # The others know the version when their run has completed.
        for each in sorted(concerned):
            work = partial(dispatch_once, resources, every[each], store.retry_later)
            alone(work, trace=every[each].trace)
        return len(concerned)


def _searches_lists(resources: Resources) -> bool:
    """Say whether runs search lists of ours: of those who ask others alone none is ever known."""
    return uses_built_in(resources.settings.screening_providers)
