"""What beat looks for: verifications that are due, and lists that were withdrawn."""

from __future__ import annotations

import logging

from app.errors import VerificationNotFound
from app.monitoring.verifications import store
from app.monitoring.verifications.model import AGAIN_SECONDS, Due
from app.resources import Resources
from app.verifications import dispatch

log = logging.getLogger(__name__)

#: Verifications of one sort in one look; the next look goes on.
_LIMIT = 500


def look(resources: Resources) -> None:
    """Look once. Raises Unavailable. Twice at once makes a run more, which the gate rejects."""
    with resources.db.transaction() as tx:
        while store.sync(tx, limit=_LIMIT) == _LIMIT:
            pass
        due = store.list_due(tx, limit=_LIMIT)
        withdrawn = store.list_withdrawn(tx, limit=_LIMIT)
    for each in due:
        _dispatch(resources, each)
        with resources.db.transaction() as tx:
            store.note_dispatched(tx, each.verification_id, AGAIN_SECONDS)
    for each, list_name in withdrawn:
        with resources.db.transaction() as tx:
            holds = store.holders(tx, list_name, None, [each.verification_id])
        if holds:
            _dispatch(resources, each)
        with resources.db.transaction() as tx:
            store.forget_list(tx, each.verification_id, list_name)


def _dispatch(resources: Resources, due: Due) -> None:
    try:
        dispatch.dispatch_background(resources, due.tenant_id, due.trace, "scheduled")
    except VerificationNotFound:
        log.info("monitoring.verification_gone", extra={"trace": due.trace})
