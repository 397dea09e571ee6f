"""What beat looks for: verifications that are due, and lists that were withdrawn."""

from __future__ import annotations

import logging
from functools import partial

from app.errors import VerificationNotFound
from app.monitoring.turns import in_time
from app.monitoring.verifications import store
from app.monitoring.verifications.model import AGAIN_SECONDS, Due
from app.resources import Resources
from app.verifications import dispatch

log = logging.getLogger(__name__)

#: Verifications of one sort in one look, if there is time; the next look goes on.
_LIMIT = 500


def look(resources: Resources) -> None:
    """Look once. Raises Unavailable. Twice at once makes a run more, which the gate rejects."""
    for _ in in_time(iter(partial(_sync, resources), False)):
        pass
    with resources.db.transaction() as tx:
        due = store.list_due(tx, limit=_LIMIT)
        withdrawn = store.list_withdrawn(tx, limit=_LIMIT)
    for each in in_time(due):
        _dispatch(resources, each)
        with resources.db.transaction() as tx:
            store.note_dispatched(tx, each.verification_id, AGAIN_SECONDS)
    for each, list_name in in_time(withdrawn):
        with resources.db.transaction() as tx:
            holds = store.holders(tx, list_name, None, [each.verification_id])
        if holds:
            _dispatch(resources, each)
        with resources.db.transaction() as tx:
            store.forget_list(tx, each.verification_id, list_name)


def _sync(resources: Resources) -> bool:
    """Say whether there may be more."""
    with resources.db.transaction() as tx:
        return store.sync(tx, limit=_LIMIT) == _LIMIT


def _dispatch(resources: Resources, due: Due) -> None:
    try:
        dispatch.dispatch_background(resources, due.tenant_id, due.trace, "scheduled")
    except VerificationNotFound:
        log.info("monitoring.verification_gone", extra={"trace": due.trace})
