"""How a run begins, and the gate that lets one in at a time.

A run is a job of kind `verifications` and a row beside it that says who asked for it. What an API
caller or a person dispatches takes the gate in the transaction that writes it, or is not written
at all. What the platform dispatches by itself is written first, and takes the gate when a worker
claims it: if the gate is held by then, the run ends `rejected`. A trigger opens the gate in the
transaction that ends the job, whoever ends it (migrations/0010_verifications.sql).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from app.db import Cursor
from app.errors import RunInFlight
from app.jobs import service
from app.jobs.dispatch import SCREENING, VERIFICATIONS
from app.jobs.model import Job, NewItem, NewJob
from app.resources import Resources
from app.screening import citing
from app.verifications import ids, store, subjects
from app.verifications.model import KIND, WATCHLIST, Actor, Run, Verification
from app.verifications.providers import config as providers

log = logging.getLogger(__name__)

#: The score from which an entry of a list counts as a hit, as in dialect A.
THRESHOLD = 0.85

#: Times that a run may find the gate held by one that has ended by the time one looks.
_TRIES = 5


def dispatch(
    resources: Resources, tenant_id: UUID, trace: str, by: Actor, type_: str = WATCHLIST
) -> Run:
    """Begin a run that somebody waits for to be accepted.

    Raises VerificationNotFound, or RunInFlight that names the run which holds the gate.
    """
    if (made := service.made_earlier(resources, tenant_id)) is not None:
        with resources.db.transaction() as tx:
            return store.load_run(tx, made.id)
    for _ in range(_TRIES):
        with resources.db.transaction() as tx:
            verification = store.load_verification(tx, store.find_id(tx, tenant_id, trace))
            # A look without a lock, which spares most of those that come too early the work.
            holder = store.holder_of_gate(tx, verification.id, type_)
        if holder is not None:
            raise _in_flight(type_, holder)
        try:
            return _submit(resources, verification, type_, by, gated=True)
        except _GateHeldError as held:
            if held.holder is not None:
                raise _in_flight(type_, held.holder) from None
    # Others came first again and again, and each had ended before it could be named.
    with resources.db.transaction() as tx:
        holder = store.last_holder(tx, verification.id, type_)
    assert holder is not None, "runs are never deleted"
    raise _in_flight(type_, holder)


def dispatch_background(
    resources: Resources,
    tenant_id: UUID,
    trace: str,
    source_action: str = "scheduled",
    *,
    hold: Callable[[Cursor], None] | None = None,
) -> Run:
    """Begin a run for the platform itself: `scheduled` or `system`.

    It is written whether or not another one is in flight; it ends `rejected` if one still is when
    a worker claims it. `hold` is called in the transaction that writes it, and undoes that by
    raising. Raises VerificationNotFound, and what `hold` raises.
    """
    with resources.db.transaction() as tx:
        verification = store.load_verification(tx, store.find_id(tx, tenant_id, trace))
    return _submit(resources, verification, WATCHLIST, Actor(source_action), gated=False, held=hold)


class _GateHeldError(Exception):
    """Undoes the transaction; `holder` is None if it has ended meanwhile."""

    def __init__(self, holder: str | None) -> None:
        super().__init__()
        self.holder = holder


def _in_flight(type_: str, holder: str) -> RunInFlight:
    return RunInFlight(
        f"A {type_} job is already in flight for this verification.", conflicting_run=holder
    )


def _submit(
    resources: Resources,
    verification: Verification,
    type_: str,
    by: Actor,
    *,
    gated: bool,
    held: Callable[[Cursor], None] | None = None,
) -> Run:
    def hold(tx: Cursor, job: Job) -> None:
        if held is not None:
            held(tx)
        store.insert_run(tx, job.id, verification.id, type_, by)
        if gated and not store.take_gate(tx, job.id):
            raise _GateHeldError(store.holder_of_gate(tx, verification.id, type_))
        store.add_audit(
            tx,
            verification.id,
            "run.dispatched",
            by,
            run_id=job.external_id,
            detail={"type": type_, "listVersions": _versions(job.options)},
        )

    # Who asked for it polls; what the platform rescreens takes its turn among the batches.
    queue = VERIFICATIONS if gated else SCREENING
    job = service.submit(resources, plan(resources, verification, type_, by, queue), hold=hold)
    log.info("run.dispatched", extra={"job_id": str(job.id), "action": by.action})
    with resources.db.transaction() as tx:
        return store.load_run(tx, job.id)


def plan(
    resources: Resources, verification: Verification, type_: str, by: Actor, queue: str
) -> NewJob:
    """Return the job of a run, against the list versions that are in force now."""
    text = resources.settings.screening_providers
    loaded: citing.Loaded = ()
    if providers.uses_built_in(text):
        with resources.db.transaction() as tx:
            loaded = citing.in_force(tx, resources.settings, verification.tenant_id)
    shown = {v.name: {"title": v.title, "records": v.entries} for v, _ in loaded}
    cited = {name: {**each, **shown[name]} for name, each in citing.cite(loaded).items()}
    others = [
        {**asdict(each), "name": providers.apart(each.name, cited)}
        for each in providers.named(text)
    ]
    items = [
        NewItem(
            subject.ref,
            service.encode_item({**subject.payload, "stakeholder_id": subject.stakeholder_id}),
        )
        for subject in subjects.of(verification)
    ]
    return NewJob(
        tenant_id=verification.tenant_id,
        kind=KIND,
        dialect=KIND,
        queue=queue,
        # One task for each where other servers are asked: they may all be slow at once.
        chunk_size=1 if others else resources.settings.verification_chunk_size,
        options={
            "type": type_,
            "trace": verification.trace,
            "threshold": THRESHOLD,
            "lists": cited,
            **({"providers": others} if others else {}),
            **({"warnings": warnings} if (warnings := citing.warnings(loaded)) else {}),
        },
        items=items,
        created_by=by.uid or by.action,
        labels={"trace": verification.trace, "type": type_},
        external_id=ids.make(),
        calibrated_seconds=sum(v.seconds_per_entity for v, _ in loaded)
        / resources.settings.worker_processes,
    )


def _versions(options: Mapping[str, Any]) -> dict[str, str]:
    return {name: each["version"] for name, each in options["lists"].items()}
