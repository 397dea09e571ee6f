"""Verifications in Postgres. Every function runs inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg2.extras import Json

from app import sealing
from app.db import Cursor, load_queries, one
from app.errors import VerificationNotFound
from app.jobs.model import Job
from app.jobs.states import JobState
from app.verifications import ids
from app.verifications.model import (
    Actor,
    AuditEntry,
    Counted,
    Run,
    Screening,
    Stakeholder,
    Verification,
)

QUERIES = load_queries("app.verifications")

#: Behind everything there is.
_NOW = datetime.max.replace(tzinfo=UTC)
_LAST = UUID(int=2**128 - 1)


_OWN = [each.name for each in fields(Verification) if each.name != "stakeholders"]


def insert_verification(
    tx: Cursor,
    tenant_id: UUID,
    trace: str,
    *,
    user_id: str | None,
    on_behalf_uid: str | None,
    entity: Mapping[str, Any],
    risk: Mapping[str, Any],
) -> Verification | None:
    """Return the new verification without stakeholders, or None if the user id is taken."""
    documents = entity.get("documents")
    rest = {name: value for name, value in entity.items() if name != "documents"}
    tx.execute(
        QUERIES["insert_verification"],
        {
            "id": uuid4(),
            "tenant_id": tenant_id,
            "trace": trace,
            "user_id": user_id,
            "on_behalf_uid": on_behalf_uid,
            "entity": Json(rest),
            "documents": None if documents is None else Json(documents),
            "risk": Json(risk),
        },
    )
    row = tx.fetchone()
    return None if row is None else _verification(row, ())


def insert_stakeholders(tx: Cursor, verification_id: UUID, given: Sequence[Stakeholder]) -> None:
    rows = [
        {
            "stakeholder_id": each.stakeholder_id,
            "position": position,
            "role": each.role,
            "entity": each.entity,
        }
        for position, each in enumerate(given)
    ]
    tx.execute(
        QUERIES["insert_stakeholders"], {"verification_id": verification_id, "rows": Json(rows)}
    )


def find_verification(tx: Cursor, tenant_id: UUID, trace: str) -> Verification:
    """Return the tenant's verification. Somebody else's is as good as none."""
    if not ids.is_like_one(trace):
        raise _unknown()
    tx.execute(QUERIES["find_verification"], {"tenant_id": tenant_id, "trace": trace})
    return _one(tx)


def find_id(tx: Cursor, tenant_id: UUID, trace: str) -> UUID:
    """Return the id of the tenant's verification, without all that it holds."""
    if not ids.is_like_one(trace):
        raise _unknown()
    tx.execute(QUERIES["find_id"], {"tenant_id": tenant_id, "trace": trace})
    row = tx.fetchone()
    if row is None:
        raise _unknown()
    found: UUID = row["id"]
    return found


def load_verification(tx: Cursor, verification_id: UUID) -> Verification:
    """Return any tenant's verification, without its documents: for workers."""
    tx.execute(QUERIES["load_verification"], {"id": verification_id})
    return _one(tx)


def _one(tx: Cursor) -> Verification:
    row = tx.fetchone()
    if row is None:
        raise _unknown()
    return _with_stakeholders(tx, [row])[0]


def _unknown() -> VerificationNotFound:
    return VerificationNotFound("No such verification exists for this tenant.")


def list_stakeholders(tx: Cursor, ids: Collection[UUID]) -> dict[UUID, list[Stakeholder]]:
    """Return the stakeholders of each verification, in the order in which they were sent."""
    tx.execute(QUERIES["list_stakeholders"], {"ids": list(ids)})
    return _by_verification(tx.fetchall())


def list_stakeholder_names(tx: Cursor, ids: Collection[UUID]) -> dict[UUID, list[Stakeholder]]:
    """Return the same, and of every entity the names alone."""
    tx.execute(QUERIES["list_stakeholder_names"], {"ids": list(ids)})
    return _by_verification(tx.fetchall())


def _by_verification(rows: Iterable[Mapping[str, Any]]) -> dict[UUID, list[Stakeholder]]:
    found: dict[UUID, list[Stakeholder]] = defaultdict(list)
    for row in rows:
        found[row["verification_id"]].append(
            Stakeholder(row["stakeholder_id"], row["role"], row["entity"])
        )
    return found


def has_stakeholder(tx: Cursor, verification_id: UUID, stakeholder_id: str) -> bool:
    if not ids.is_like_one(stakeholder_id):
        return False
    tx.execute(
        QUERIES["has_stakeholder"],
        {"verification_id": verification_id, "stakeholder_id": stakeholder_id},
    )
    return tx.fetchone() is not None


def list_verifications(
    tx: Cursor,
    tenant_id: UUID,
    *,
    user_id: str | None,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Verification]:
    """Return the tenant's verifications, newest first, from before the given place on.

    In short: of every entity there are the names alone.
    """
    at, last = before or (_NOW, _LAST)
    tx.execute(
        QUERIES["list_verifications"],
        {
            "tenant_id": tenant_id,
            "user_id": user_id,
            "before": at,
            "before_id": last,
            "limit": limit,
        },
    )
    return _with_stakeholders(tx, tx.fetchall(), list_stakeholder_names)


def set_risk(tx: Cursor, verification_id: UUID, risk: Mapping[str, Any]) -> datetime:
    """Write the risk that a run has assessed; return when."""
    tx.execute(QUERIES["set_risk"], {"id": verification_id, "risk": Json(risk)})
    at: datetime = one(tx)["screened_at"]
    return at


def read_one_moment(tx: Cursor) -> None:
    """Let the whole transaction read as of one moment, and write nothing; its first statement."""
    tx.execute(QUERIES["read_one_moment"])


def insert_run(tx: Cursor, job_id: UUID, verification_id: UUID, type_: str, by: Actor) -> None:
    """Write who asked for the run of a job; it is never changed."""
    tx.execute(
        QUERIES["insert_run"],
        {
            "job_id": job_id,
            "verification_id": verification_id,
            "type": type_,
            "source_action": by.action,
            "source_uid": by.uid,
            "source_email": by.email,
        },
    )


def take_gate(tx: Cursor, job_id: UUID) -> bool:
    """Let the run of the job be the one in flight, or return False if another one is.

    Waits for a transaction that is about to take it, or to open it.
    """
    tx.execute(QUERIES["take_gate"], {"job_id": job_id})
    return tx.fetchone() is not None


def holder_of_gate(tx: Cursor, verification_id: UUID, type_: str) -> str | None:
    """Return what the client calls the run in flight, if there is one."""
    tx.execute(QUERIES["holder_of_gate"], {"verification_id": verification_id, "type": type_})
    row = tx.fetchone()
    return None if row is None else str(row["run_id"])


def last_holder(tx: Cursor, verification_id: UUID, type_: str) -> str | None:
    """Return what the client calls the run in flight, or the last that was."""
    tx.execute(QUERIES["last_holder"], {"verification_id": verification_id, "type": type_})
    row = tx.fetchone()
    return None if row is None else str(row["run_id"])


def count_attempt(tx: Cursor, job_id: UUID, pass_no: int) -> None:
    tx.execute(QUERIES["count_attempt"], {"job_id": job_id, "pass_no": pass_no})


def rests_before(tx: Cursor, job_id: UUID, pass_no: int) -> int:
    """Return how often the run has rested before this pass because no source answered."""
    tx.execute(QUERIES["rests_before"], {"job_id": job_id, "pass_no": pass_no})
    return int(one(tx)["rests"])


def count_rest(tx: Cursor, job_id: UUID, pass_no: int) -> None:
    """Count that the run rests after this pass: once, for however many subjects it does."""
    tx.execute(QUERIES["count_rest"], {"job_id": job_id, "pass_no": pass_no})


def note_conflict(tx: Cursor, job_id: UUID, *, even_ended: bool = False) -> str | None:
    """Note which run holds the gate that this one wanted, and return what it is called.

    The gate may have opened a moment ago: None then, or with `even_ended` who held it last.
    """
    run = load_run(tx, job_id)
    find = last_holder if even_ended else holder_of_gate
    holder = find(tx, run.verification_id, run.type)
    if holder is not None:
        tx.execute(QUERIES["note_conflict"], {"job_id": job_id, "holder": holder})
    return holder


def set_outcome(tx: Cursor, job_id: UUID, outcome: Mapping[str, Any]) -> None:
    tx.execute(QUERIES["set_outcome"], {"job_id": job_id, "outcome": Json(outcome)})


def load_run(tx: Cursor, job_id: UUID) -> Run:
    """Return the run of a job, which has one."""
    tx.execute(QUERIES["load_run"], {"job_id": job_id})
    return _run(one(tx))


def list_runs(
    tx: Cursor,
    verification_id: UUID,
    *,
    type_: str | None = None,
    run_id: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int | None,
) -> list[Run]:
    """Return runs of a verification, newest first, from before the given place on.

    Without a limit all of them, here and below.
    """
    at, last = before or (_NOW, _LAST)
    tx.execute(
        QUERIES["list_runs"],
        {
            "verification_id": verification_id,
            "type": type_,
            "run_id": run_id,
            "before": at,
            "before_id": last,
            "limit": limit,
        },
    )
    return [_run(row) for row in tx.fetchall()]


def list_outcomes(tx: Cursor, job: Job) -> list[dict[str, Any]]:
    """Return {ref, payload, status, result, error_code, error_message, finished_at} of each item
    that has a result.
    """
    tx.execute(QUERIES["list_outcomes"], {"kind": job.kind, "month": job.month, "job_id": job.id})
    opened = sealing.of(tx).open_value
    return [
        {**row, "payload": opened(row["payload"]), "result": opened(row["result"])}
        for row in tx.fetchall()
    ]


def insert_screenings(
    tx: Cursor, verification_id: UUID, job_id: UUID, rows: Sequence[Mapping[str, Any]]
) -> None:
    tx.execute(
        QUERIES["insert_screenings"],
        {"verification_id": verification_id, "job_id": job_id, "rows": Json(rows)},
    )


def list_screenings(
    tx: Cursor,
    verification_id: UUID,
    *,
    whose: str | None = None,
    job_id: UUID | None = None,
    limit: int | None,
) -> list[Screening]:
    """Return screenings, the newest first: of everybody, or of one stakeholder; '': the entity."""
    tx.execute(
        QUERIES["list_screenings"],
        {"verification_id": verification_id, "whose": whose, "job_id": job_id, "limit": limit},
    )
    return [Screening(**row) for row in tx.fetchall()]


def count_hits(tx: Cursor, job_id: UUID) -> list[Counted]:
    """Return of every subject of a run how many hits it has: the entity, then stakeholders."""
    tx.execute(QUERIES["count_hits"], {"job_id": job_id})
    return [Counted(**row) for row in tx.fetchall()]


def latest_completed(tx: Cursor, verification_id: UUID, type_: str) -> UUID | None:
    """Return the job of the last run that completed."""
    tx.execute(QUERIES["latest_completed"], {"verification_id": verification_id, "type": type_})
    row = tx.fetchone()
    return None if row is None else row["job_id"]


def add_audit(
    tx: Cursor,
    verification_id: UUID,
    action: str,
    by: Actor,
    *,
    run_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> int:
    """Add to the audit of a verification, which nothing is ever taken from; return its number."""
    tx.execute(
        QUERIES["add_audit"],
        {
            "verification_id": verification_id,
            "action": action,
            "run_id": run_id,
            "by": Json({"action": by.action, "uid": by.uid, "email": by.email}),
            "detail": Json(detail or {}),
        },
    )
    return int(one(tx)["seq"])


def list_audit(
    tx: Cursor, verification_id: UUID, *, before: int | None = None, limit: int | None
) -> list[AuditEntry]:
    """Return the audit, the newest entry first, from before the given number on."""
    tx.execute(
        QUERIES["list_audit"],
        {"verification_id": verification_id, "before": before or 2**31 - 1, "limit": limit},
    )
    return [AuditEntry(**row) for row in tx.fetchall()]


def _with_stakeholders(
    tx: Cursor,
    rows: Sequence[Mapping[str, Any]],
    read: Callable[
        [Cursor, Collection[UUID]], Mapping[UUID, Sequence[Stakeholder]]
    ] = list_stakeholders,
) -> list[Verification]:
    found = read(tx, [row["id"] for row in rows]) if rows else {}
    return [_verification(row, found.get(row["id"], ())) for row in rows]


def _verification(row: Mapping[str, Any], stakeholders: Sequence[Stakeholder]) -> Verification:
    own = {name: row[name] for name in _OWN}
    if row.get("documents") is not None:
        own["entity"] = {**row["entity"], "documents": row["documents"]}
    return Verification(**own, stakeholders=tuple(stakeholders))


def _run(row: Mapping[str, Any]) -> Run:
    return Run(**{**row, "state": JobState(row["state"])})
