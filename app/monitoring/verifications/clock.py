"""What beat looks for: verifications that are due, and lists that were withdrawn."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from app.monitoring.turns import alone, in_time
from app.monitoring.verifications import store
from app.monitoring.verifications.dispatching import dispatch_once
from app.monitoring.verifications.model import Due
from app.resources import Resources

#: Verifications of one sort in one look, if there is time; the next look goes on.
_LIMIT = 500


def look(resources: Resources) -> None:
    """Look once. Raises Unavailable. Two looks at once dispatch each run once."""
    for part in (_sync, _due, _withdraw):
        alone(partial(part, resources))


def _sync(resources: Resources) -> None:
    for _ in in_time(iter(partial(_sync_some, resources), False)):
        pass


def _sync_some(resources: Resources) -> bool:
    """Say whether there may be more."""
    with resources.db.transaction() as tx:
        return store.sync(tx, limit=_LIMIT) == _LIMIT


def _due(resources: Resources) -> None:
    with resources.db.transaction() as tx:
        due = store.list_due(tx, limit=_LIMIT)
    for each in in_time(due):
        work = partial(dispatch_once, resources, each, store.note_dispatched)
        alone(work, trace=each.trace)


def _withdraw(resources: Resources) -> None:
    with resources.db.transaction() as tx:
        withdrawn = store.list_withdrawn(tx, limit=_LIMIT)
    of: dict[Due, list[str]] = {}
    for each, list_name in withdrawn:
        of.setdefault(each, []).append(list_name)
    for each, names in in_time(of.items()):
        alone(partial(_take_away, resources, each, names), trace=each.trace)


def _take_away(resources: Resources, due: Due, names: Sequence[str]) -> None:
    """Screen one again that had a hit there; when that has completed, `sync` forgets the list."""
    with resources.db.transaction() as tx:
        held = [name for name in names if store.holders(tx, name, None, [due.verification_id])]
        for name in set(names) - set(held):
            store.forget_list(tx, due.verification_id, name)
    if held:
        dispatch_once(resources, due, store.retry_later)
