"""What beat looks for: checks that ended, checks that are due, lists that changed.

Everything is read from Postgres, and doing it twice does it once: a look that is lost is made good
by the next one.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from uuid import UUID, uuid4

from app.errors import BrokerUnavailable, Unavailable
from app.jobs.dispatch import send_settle, send_update
from app.kinds import kyc
from app.monitoring import checks, store
from app.monitoring.model import Cause, CheckState
from app.monitoring.sources import SOURCES
from app.monitoring.turns import alone, in_time
from app.monitoring.verifications import clock as verifications
from app.resources import Resources
from app.screening.model import ENGINE_VERSION

log = logging.getLogger(__name__)

#: Of one sort in one look, if there is time; the next look goes on.
_LIMIT = 200
#: Subjects are screened so many seconds after they came: others may come along with them.
PATIENCE = 60.0
#: A million subjects take a few minutes to compare; they may have to wait for a worker.
SETTLE_SECONDS = 3600.0
#: A list's update is sent again if no worker has taken it up for so long.
CLAIM_SECONDS = 1800.0
#: Who is at work is taken for dead after so many seconds without a sign of life.
HOLD_SECONDS = 60.0


def look(resources: Resources) -> None:
    """Look once. Raises Unavailable."""
    # First what is soon done: whatever comes of the rest, lists that changed are taken up. Each
    # has its share of the time, and the next look goes on.
    for part in (_send, _settle, _begin, _review, _withdraw, verifications.look):
        alone(partial(part, resources))


def _settle(resources: Resources) -> None:
    with resources.db.transaction() as tx:
        ended = store.list_ended(tx, kyc.NAME, limit=_LIMIT)
    for each in in_time(ended):
        whose = each["tenant_id"], each["id"]
        alone(partial(_close, resources, *whose), check_id=str(each["id"]))


def _close(resources: Resources, tenant_id: UUID, check_id: UUID) -> None:
    check = checks.settle(resources, tenant_id, check_id, most=checks.AT_ONCE)
    if check is not None and check.state == CheckState.RUNNING:
        _hand_over(resources, tenant_id, check_id)


def _hand_over(resources: Resources, tenant_id: UUID, check_id: UUID) -> None:
    """Let a worker close the check, which takes longer than this one may."""
    with resources.db.transaction() as tx:
        if not store.claim_check(tx, check_id, SETTLE_SECONDS):
            return
    try:
        send_settle(resources.celery, tenant_id, check_id, SETTLE_SECONDS)
    except BrokerUnavailable:
        log.warning("check.deferred", extra={"check_id": str(check_id)})
        release_check(resources, check_id)


def settle(resources: Resources, tenant_id: UUID, check_id: UUID) -> None:
    """Close a large check. Raises Unavailable; whatever it raises, the next look hands it over."""
    with resources.db.transaction() as tx:
        store.hold_check(tx, check_id, HOLD_SECONDS)
    try:
        checks.settle(resources, tenant_id, check_id)
    finally:
        release_check(resources, check_id)


def release_check(resources: Resources, check_id: UUID) -> None:
    with resources.db.transaction() as tx:
        store.release_check(tx, check_id)


def _begin(resources: Resources) -> None:
    with resources.db.transaction() as tx:
        due = store.list_due(
            tx,
            patience=PATIENCE,
            again=checks.AGAIN_SECONDS,
            engine=int(ENGINE_VERSION),
            limit=_LIMIT,
        )
    for monitor, cause, after in in_time(due):
        work = partial(checks.begin, resources, monitor, cause, added_after=after)
        alone(work, monitor_id=str(monitor.id))


def _review(resources: Resources) -> None:
    """Screen those again about whom a reviewer has decided, or has ended a decision."""
    with resources.db.transaction() as tx:
        found = store.list_reviewed(tx, patience=PATIENCE, limit=_LIMIT)
        for each in found:
            if not each.entity_ids:
                store.note_reviewed(tx, each.monitor.id, each.upto)
    for each in in_time(found):
        if each.entity_ids:
            begin = partial(
                checks.begin,
                resources,
                each.monitor,
                Cause.REVIEW,
                entity_ids=each.entity_ids,
                reviewed=each.upto,
            )
            alone(begin, monitor_id=str(each.monitor.id))


def _withdraw(resources: Resources) -> None:
    with resources.db.transaction() as tx:
        withdrawn = store.list_withdrawn(tx, limit=_LIMIT)
    for monitor, list_name in in_time(withdrawn):
        alone(partial(checks.withdraw, resources, monitor, list_name), monitor_id=str(monitor.id))


def _send(resources: Resources) -> None:
    """Hand each list that has changed to a worker that screens: it has the engine."""
    names = {name for source in SOURCES for name in source.outdated(resources)}
    for name in sorted(names):
        with resources.db.transaction() as tx:
            if not store.claim_update(tx, name, CLAIM_SECONDS):
                continue
        try:
            send_update(resources.celery, name, CLAIM_SECONDS)
        except BrokerUnavailable:
            log.warning("update.deferred", extra={"list": name})
            release(resources, name, None)


def take_up(resources: Resources, list_name: str) -> None:
    """Do what `look` asked for, unless somebody else is at it. Raises Unavailable."""
    # Here and not above: the worker that only controls never loads an engine.
    from app.monitoring import updates

    holder = uuid4()
    if not _hold(resources, list_name, holder):
        return
    done = threading.Event()
    renewing = threading.Thread(
        target=_keep, args=(resources, list_name, holder, done), daemon=True, name="claim"
    )
    renewing.start()
    try:
        updates.take_up(resources, list_name)
    finally:
        done.set()
        renewing.join()
        release(resources, list_name, holder)


def _hold(resources: Resources, list_name: str, holder: UUID) -> bool:
    with resources.db.transaction() as tx:
        return store.hold_update(tx, list_name, holder, HOLD_SECONDS)


def _keep(resources: Resources, list_name: str, holder: UUID, done: threading.Event) -> None:
    """Renew the claim until it is done. Should somebody else have it, both do the same twice."""
    while not done.wait(HOLD_SECONDS / 4):
        with suppress(Unavailable):
            _hold(resources, list_name, holder)


def renew(resources: Resources) -> None:
    from app.monitoring import updates

    updates.renew(resources)


def forget(resources: Resources) -> None:
    """Discard the indexes on this disk that hold names of those who are watched no longer."""
    from app.monitoring import updates

    updates.forget(resources)


def release(resources: Resources, list_name: str, holder: UUID | None) -> None:
    """Let others see to the list's update."""
    with resources.db.transaction() as tx:
        store.release_update(tx, list_name, holder)
