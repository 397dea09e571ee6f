"""Making a reviewer's decision from a match of a job: what they saw is what it is about."""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from app.errors import ExclusionNotFound, InvalidParameter
from app.jobs import store as jobs
from app.kinds.kyc import NAME
from app.resources import Resources
from app.screening import store as watchlists
from app.screening.exclusions import store
from app.screening.exclusions.model import SALT_BYTES, Exclusion, entry_hash, subject_hash

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a reviewer says about one match of one job."""

    tenant_id: UUID
    by: str
    job_id: UUID
    entity_id: str
    list_name: str
    entry_id: str
    reason: str
    decision: str


def decide(resources: Resources, said: Decision) -> Exclusion:
    """Record the decision, in the place of an earlier one about the same pair.

    Raises JobNotFound, or InvalidParameter if the job shows no such match.
    """
    with resources.db.transaction() as tx:
        job = jobs.find_job(tx, said.tenant_id, NAME, str(said.job_id))
        found = jobs.find_result(tx, job, said.entity_id)
        if found is None:
            raise InvalidParameter(
                "The request is not valid: entity_id: the job has no result for this entity."
            )
        version_id = _version_of(job.options, found["result"], said)
        entry = watchlists.get_entry(tx, version_id, said.entry_id) if version_id else None
        if entry is None:
            raise InvalidParameter(
                "The request is not valid: entry_id: the result of this entity shows no match"
                " with this entry of this list."
            )
        salt = secrets.token_bytes(SALT_BYTES)
        new = Exclusion(
            id=uuid4(),
            tenant_id=said.tenant_id,
            entity_id=said.entity_id,
            list_name=said.list_name,
            entry_id=said.entry_id,
            decision=said.decision,
            reason=said.reason,
            salt=salt,
            subject_hash=subject_hash(salt, found["payload"]["subject"]),
            entry_hash=entry_hash(salt, entry),
            job_id=job.id,
            list_version=job.options["lists"][said.list_name]["version"],
            created_at=datetime.now(UTC),
            created_by=said.by,
        )
        store.lock_entity(tx, said.tenant_id, said.entity_id)
        store.supersede(tx, new)
        made = store.insert(tx, new)
    log.info("exclusion.made", extra={"exclusion_id": str(made.id), "decision": made.decision})
    return made


def _version_of(options: Any, result: str, said: Decision) -> int | None:
    """Return the list version in which the reviewer saw the entry, if the result shows it."""
    for match in json.loads(result)["matches"]:
        if (match["list_name"], match["match_data"]["id"]) == (said.list_name, said.entry_id):
            return int(options["lists"][said.list_name]["id"])
    return None


def find(resources: Resources, tenant_id: UUID, exclusion_id: UUID) -> Exclusion:
    with resources.db.transaction() as tx:
        found = store.find(tx, tenant_id, exclusion_id)
    if found is None:
        raise ExclusionNotFound("There is no such exclusion.")
    return found


def revoke(resources: Resources, tenant_id: UUID, exclusion_id: UUID, by: str) -> Exclusion:
    """End the decision; it stays on record. Raises ExclusionNotFound."""
    with resources.db.transaction() as tx:
        found = store.revoke(tx, tenant_id, exclusion_id, by)
    if found is None:
        raise ExclusionNotFound("There is no such exclusion.")
    log.info("exclusion.revoked", extra={"exclusion_id": str(found.id)})
    return found


def list_page(
    resources: Resources,
    tenant_id: UUID,
    *,
    entity_id: str | None,
    list_name: str | None,
    revoked: bool | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Exclusion]:
    """Return one page of the tenant's decisions, the newest first."""
    with resources.db.transaction() as tx:
        return store.list_page(
            tx,
            tenant_id,
            entity_id=entity_id,
            list_name=list_name,
            revoked=revoked,
            before=before,
            limit=limit,
        )
