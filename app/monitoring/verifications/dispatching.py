"""Dispatching what was found to be due: once, however many found it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import UUID

from app.db import Cursor
from app.errors import VerificationNotFound
from app.monitoring.verifications import store
from app.monitoring.verifications.model import Due
from app.resources import Resources
from app.verifications import dispatch

log = logging.getLogger(__name__)


class _OvertakenError(Exception):
    """Undoes the transaction that would have written the run."""


def dispatch_once(resources: Resources, due: Due, note: Callable[[Cursor, UUID], None]) -> None:
    """Dispatch a run, unless there is one that whoever found `due` did not know of.

    Two looks may find the same verification, or one look may find it twice: by its time, and for a
    list. With the run `note` writes when to try again, should nothing come of it; and also if
    there is no run to be had: the one that is due first must not always be the same.
    """

    def hold(tx: Cursor) -> None:
        store.lock_verification(tx, due.verification_id)
        if not store.is_as_found(tx, due):
            raise _OvertakenError
        note(tx, due.verification_id)

    try:
        dispatch.dispatch_background(resources, due.tenant_id, due.trace, "scheduled", hold=hold)
    except _OvertakenError:
        pass
    except VerificationNotFound:
        log.info("monitoring.verification_gone", extra={"trace": due.trace})
    except Exception:
        with resources.db.transaction() as tx:
            note(tx, due.verification_id)
        raise
