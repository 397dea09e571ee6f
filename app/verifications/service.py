"""What can be asked of verifications. Each function is one use case and one transaction.

How a run begins is in dispatch.py.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.errors import (
    JobNotFound,
    ScreeningNotFound,
    StakeholderNotFound,
    UserIdTaken,
    VerificationNotFound,
)
from app.jobs import service as jobs
from app.resources import Resources
from app.verifications import ids, risk, store
from app.verifications.model import (
    KIND,
    WATCHLIST,
    Actor,
    AuditEntry,
    Run,
    Screening,
    Stakeholder,
    Verification,
)

log = logging.getLogger(__name__)

#: Subjects of one run at the most, which is more than any verification has.
_SUBJECTS = 10_000


def create(
    resources: Resources,
    tenant_id: UUID,
    by: Actor,
    *,
    entity: Mapping[str, Any],
    stakeholders: Sequence[Mapping[str, Any]] = (),
    user_id: str | None = None,
    on_behalf_uid: str | None = None,
) -> Verification:
    """Write a verification with its stakeholders, each {"role", "entity"}. Raises UserIdTaken."""
    given = [Stakeholder(ids.make(), each["role"], each["entity"]) for each in stakeholders]
    with resources.db.transaction() as tx:
        made = store.insert_verification(
            tx,
            tenant_id,
            ids.make(),
            user_id=user_id,
            on_behalf_uid=on_behalf_uid,
            entity=entity,
            risk=risk.UNDEFINED,
        )
        if made is None:
            raise UserIdTaken("A verification with this userId exists already.")
        store.insert_stakeholders(tx, made.id, given)
        store.add_audit(
            tx, made.id, "verification.created", by, detail={"stakeholders": len(given)}
        )
    log.info("verification.created", extra={"trace": made.trace, "stakeholders": len(given)})
    return replace(made, stakeholders=tuple(given))


def get(resources: Resources, tenant_id: UUID, trace: str) -> Verification:
    """Return the tenant's verification, or raise VerificationNotFound."""
    with resources.db.transaction() as tx:
        return store.find_verification(tx, tenant_id, trace)


def list_all(
    resources: Resources,
    tenant_id: UUID,
    *,
    user_id: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Verification]:
    """Return a page of the tenant's verifications, newest first."""
    with resources.db.transaction() as tx:
        return store.list_verifications(tx, tenant_id, user_id=user_id, before=before, limit=limit)


def get_run(resources: Resources, tenant_id: UUID, trace: str, type_: str, run_id: str) -> Run:
    """Return a run, or raise JobNotFound: also where the verification is not the tenant's."""
    with resources.db.transaction() as tx:
        try:
            verification_id = store.find_id(tx, tenant_id, trace)
        except VerificationNotFound:
            # Whatever is missing on the way to a job, the same is said of it.
            raise JobNotFound("This verification has no such job.") from None
        found = (
            store.list_runs(tx, verification_id, type_=type_, run_id=run_id, limit=1)
            if ids.is_like_one(run_id)
            else []
        )
    if not found:
        raise JobNotFound("This verification has no such job.")
    return found[0]


def list_runs(
    resources: Resources,
    tenant_id: UUID,
    trace: str,
    *,
    type_: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Run]:
    """Return a page of the verification's runs, newest first."""
    with resources.db.transaction() as tx:
        verification_id = store.find_id(tx, tenant_id, trace)
        return store.list_runs(tx, verification_id, type_=type_, before=before, limit=limit)


def cancel(
    resources: Resources, tenant_id: UUID, trace: str, type_: str, run_id: str, by: Actor
) -> Run:
    """Stop a run: at once if nothing is in hand. Raises JobNotFound or IllegalTransition."""
    run = get_run(resources, tenant_id, trace, type_, run_id)
    jobs.cancel(resources, tenant_id, KIND, run.run_id)
    with resources.db.transaction() as tx:
        store.add_audit(tx, run.verification_id, "run.cancel_requested", by, run_id=run.run_id)
        return store.load_run(tx, run.id)


def latest(
    resources: Resources, tenant_id: UUID, trace: str, stakeholder_id: str | None = None
) -> tuple[Screening, list[Screening]]:
    """Return what the last completed run found of the entity or of a stakeholder, and of all.

    Raises VerificationNotFound, StakeholderNotFound, or ScreeningNotFound if none has completed.
    """
    with resources.db.transaction() as tx:
        verification = store.find_verification(tx, tenant_id, trace)
        if stakeholder_id is not None and not any(
            each.stakeholder_id == stakeholder_id for each in verification.stakeholders
        ):
            raise StakeholderNotFound("This verification has no such stakeholder.")
        job_id = store.latest_completed(tx, verification.id, WATCHLIST)
        found = (
            store.list_screenings(tx, verification.id, job_id=job_id, limit=_SUBJECTS)
            if job_id
            else []
        )
    wanted = [each for each in found if each.stakeholder_id == stakeholder_id]
    if not wanted:
        raise ScreeningNotFound("No watchlist screening of this subject has completed yet.")
    return wanted[0], found


def audit(
    resources: Resources, tenant_id: UUID, trace: str, *, before: int | None, limit: int
) -> list[AuditEntry]:
    """Return a page of what was done to the verification, and by whom; newest first."""
    with resources.db.transaction() as tx:
        verification_id = store.find_id(tx, tenant_id, trace)
        return store.list_audit(tx, verification_id, before=before, limit=limit)
