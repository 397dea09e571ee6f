"""Keeping and deleting, in Postgres. Every function runs inside the caller's transaction.

`seconds` is how long jobs of a kind are kept by who says nothing about it; None: for ever.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

from app import sealing
from app.db import Cursor, load_queries, one
from app.jobs.model import Job

QUERIES = load_queries("app.protection")


@dataclass(frozen=True, slots=True)
class Month:
    """A partition: what one table holds of the jobs of one kind and month."""

    name: str
    parent: str
    month: date
    is_attached: bool


@dataclass(frozen=True, slots=True)
class Expiry:
    """When jobs of a kind are to go.

    Who keeps them for a year or longer waits until the whole month can go, which is a drop and no
    deletion of rows, and at most two months.
    """

    seconds: float | None
    #: That any tenant has.
    shortest: float
    #: Months that can go as a whole.
    whole: Collection[date]

    def wanted(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds,
            "shortest": self.shortest,
            "whole": list(self.whole),
            "long": 365 * 86_400.0,
            "grace": 62 * 86_400.0,
        }


def impatient(tx: Cursor) -> None:
    tx.execute(QUERIES["impatient"])


def set_retention(tx: Cursor, tenant_id: UUID, kind: str, seconds: float | None) -> None:
    tx.execute(QUERIES["set_retention"], {"tenant_id": tenant_id, "kind": kind, "seconds": seconds})


def forget_retention(tx: Cursor, tenant_id: UUID) -> None:
    tx.execute(QUERIES["forget_retention"], {"tenant_id": tenant_id})


def shortest(tx: Cursor, kind: str, seconds: float | None) -> float | None:
    """Return the shortest time that any tenant keeps jobs of the kind; None: all for ever."""
    tx.execute(QUERIES["shortest"], {"kind": kind, "seconds": seconds})
    return one(tx)["seconds"]


def list_months(tx: Cursor, kind: str, *, seconds: float) -> list[Month]:
    """Return partitions of months that ended longer ago than so many seconds."""
    tx.execute(QUERIES["list_months"], {"kind": kind, "seconds": seconds})
    return [Month(**row) for row in tx.fetchall()]


def kept_months(tx: Cursor, kind: str, months: Iterable[date], seconds: float | None) -> set[date]:
    """Return in which of the months there is a job whose time is not over."""
    tx.execute(QUERIES["kept_months"], {"kind": kind, "months": list(months), "seconds": seconds})
    return {row["month"] for row in tx.fetchall()}


def used_months(tx: Cursor, kind: str, months: Iterable[date]) -> set[date]:
    """Return in which of the months there is a job at all."""
    tx.execute(QUERIES["used_months"], {"kind": kind, "months": list(months)})
    return {row["month"] for row in tx.fetchall()}


def take_expired(
    tx: Cursor, kind: str, expiry: Expiry, *, after: datetime, limit: int
) -> list[Job]:
    """Lock jobs whose time is over and that ended at `after` or later; return them, in order."""
    tx.execute(
        QUERIES["take_expired"],
        {"kind": kind, **expiry.wanted(), "after": after, "limit": limit},
    )
    return [Job.from_row(row) for row in tx.fetchall()]


def count_expired(tx: Cursor, kind: str, expiry: Expiry) -> dict[str, int]:
    """Return how many `jobs` and `items` there are whose time is over."""
    tx.execute(QUERIES["count_expired"], {"kind": kind, **expiry.wanted()})
    return {name: int(value) for name, value in one(tx).items()}


def expire_jobs(tx: Cursor, ids: Collection[UUID], whole: Collection[date]) -> int:
    """Delete the rows of jobs, and note that they were there. Return how many there were.

    What those of the months in `whole` held is left, to go with its month.
    """
    tx.execute(QUERIES["expire_jobs"], {"ids": list(ids), "whole": list(whole)})
    return tx.rowcount


def months_left(
    tx: Cursor, *, kind: str | None = None, tenant_id: UUID | None = None
) -> list[tuple[str, date]]:
    """Return kinds and months in which jobs that are gone still have rows."""
    tx.execute(QUERIES["months_left"], {"kind": kind, "tenant_id": tenant_id})
    return [(row["kind"], row["month"]) for row in tx.fetchall()]


def note_dropped(tx: Cursor, kind: str, month: date) -> None:
    """Note that no job which is gone has rows in the month any more."""
    tx.execute(QUERIES["note_dropped"], {"kind": kind, "month": month})


def delete_left(
    tx: Cursor, kind: str, month: date, *, tenant_id: UUID | None = None, limit: int
) -> int:
    """Delete the rows of some jobs that are gone, and return of how many."""
    tx.execute(
        QUERIES["delete_left"],
        {"kind": kind, "month": month, "tenant_id": tenant_id, "limit": limit},
    )
    return int(one(tx)["jobs"])


def detach_month(tx: Cursor, name: str) -> bool:
    """Take a partition off its table, and return whether it was on."""
    tx.execute(QUERIES["detach_month"], {"name": name})
    return bool(one(tx)["done"])


def drop_month(tx: Cursor, name: str) -> bool:
    """Drop a partition that was taken off, and return whether there was one."""
    tx.execute(QUERIES["drop_month"], {"name": name})
    return bool(one(tx)["done"])


def forget_expired(tx: Cursor, *, seconds: float, limit: int) -> int:
    tx.execute(QUERIES["forget_expired"], {"seconds": seconds, "limit": limit})
    return tx.rowcount


def expire_checks(tx: Cursor, seconds: float | None, *, limit: int) -> int:
    tx.execute(QUERIES["expire_checks"], {"seconds": seconds, "limit": limit})
    return tx.rowcount


def expire_exclusions(tx: Cursor, seconds: float | None, *, limit: int) -> int:
    tx.execute(QUERIES["expire_exclusions"], {"seconds": seconds, "limit": limit})
    return tx.rowcount


@dataclass(frozen=True, slots=True)
class Deletion:
    """That something was deleted on request: the proof, once it is finished."""

    id: UUID
    tenant_id: UUID
    #: `tenant` or `subject`.
    scope: str
    #: A keyed hash of what it was called.
    reference: str
    requested_by: str
    began_at: datetime
    finished_at: datetime | None
    #: Rows by table.
    counts: Mapping[str, int]
    number: int | None
    entry: str | None
    previous: str | None
    digest: str | None


def begin_deletion(
    tx: Cursor, tenant_id: UUID, scope: str, reference: str, requested_by: str
) -> Deletion:
    """Return a new record, or that of the same deletion if it was broken off."""
    tx.execute(
        QUERIES["begin_deletion"],
        {
            **{"id": uuid4(), "tenant_id": tenant_id, "scope": scope},
            **{"reference": reference, "requested_by": requested_by},
        },
    )
    return Deletion(**one(tx))


def note_deleted(tx: Cursor, deletion_id: UUID, name: str, rows: int) -> None:
    tx.execute(QUERIES["note_deleted"], {"id": deletion_id, "name": name, "rows": rows})


def allow_deletion(tx: Cursor, deletion_id: UUID) -> None:
    """Let this transaction delete what is otherwise only ever added to."""
    tx.execute(QUERIES["allow_deletion"], {"id": str(deletion_id)})


def seal_deletion(tx: Cursor, deletion_id: UUID) -> None:
    tx.execute(QUERIES["seal_deletion"], {"id": deletion_id})


def show_deletion(tx: Cursor, deletion_id: UUID) -> Deletion:
    tx.execute(QUERIES["show_deletion"], {"id": deletion_id})
    return Deletion(**one(tx))


def list_deletions(
    tx: Cursor, *, tenant_id: UUID | None, reference: str | None, limit: int
) -> list[Deletion]:
    """Return the latest records, of one tenant or of all."""
    tx.execute(
        QUERIES["list_deletions"],
        {"tenant_id": tenant_id, "reference": reference, "limit": limit},
    )
    return [Deletion(**row) for row in tx.fetchall()]


def check_deletions(tx: Cursor) -> list[int]:
    """Return the numbers of records that are not what their digests say."""
    tx.execute(QUERIES["check_deletions"])
    return [row["number"] for row in tx.fetchall()]


def list_living(
    tx: Cursor, tenant_id: UUID, *, ids: Collection[UUID] | None, limit: int
) -> list[Job]:
    """Return the tenant's jobs that have not ended, of these or of all."""
    tx.execute(
        QUERIES["list_living"],
        {"tenant_id": tenant_id, "ids": None if ids is None else list(ids), "limit": limit},
    )
    return [Job.from_row(row) for row in tx.fetchall()]


def list_ended(tx: Cursor, tenant_id: UUID, *, limit: int) -> list[Job]:
    """Lock and return jobs of the tenant that have ended, but for runs of verifications."""
    tx.execute(QUERIES["list_ended"], {"tenant_id": tenant_id, "limit": limit})
    return [Job.from_row(row) for row in tx.fetchall()]


def list_verifications(tx: Cursor, tenant_id: UUID, *, ref: str | None, limit: int) -> list[UUID]:
    """Return verifications of the tenant, all or those that somebody calls `ref`."""
    tx.execute(QUERIES["list_verifications"], {"tenant_id": tenant_id, "ref": ref, "limit": limit})
    return [row["id"] for row in tx.fetchall()]


def lock_verification(tx: Cursor, verification_id: UUID) -> None:
    """Let no run of it be dispatched until the transaction ends."""
    tx.execute(QUERIES["lock_verification"], {"id": verification_id})


def list_runs(tx: Cursor, verification_id: UUID) -> list[Job]:
    tx.execute(QUERIES["list_runs"], {"verification_id": verification_id})
    return [Job.from_row(row) for row in tx.fetchall()]


def delete_verification(tx: Cursor, verification_id: UUID) -> dict[str, int]:
    """Delete it with all but the jobs of its runs; return rows by table."""
    tx.execute(QUERIES["delete_verification"], {"id": verification_id})
    return dict(one(tx))


def delete_jobs(tx: Cursor, ids: Collection[UUID]) -> int:
    tx.execute(QUERIES["delete_jobs"], {"ids": list(ids)})
    return tx.rowcount


def delete_rows(tx: Cursor, job: Job) -> dict[str, int]:
    """Delete what a job holds; return rows by table."""
    tx.execute(QUERIES["delete_rows"], {"id": job.id})
    return dict(one(tx))


def close_doors(tx: Cursor, tenant_id: UUID) -> dict[str, int]:
    """Delete keys, sessions, memberships, and users of this tenant alone; return rows by table."""
    tx.execute(QUERIES["close_doors"], {"tenant_id": tenant_id})
    return dict(one(tx))


def give_up_images(tx: Cursor, tenant_id: UUID) -> None:
    tx.execute(QUERIES["give_up_images"], {"tenant_id": tenant_id})


def count_objects(tx: Cursor, tenant_id: UUID) -> int:
    """Return how many of the tenant's images an object store still holds."""
    tx.execute(QUERIES["count_objects"], {"tenant_id": tenant_id})
    return int(one(tx)["objects"])


def tables_of_tenants(tx: Cursor) -> list[str]:
    tx.execute(QUERIES["tables_of_tenants"])
    return [row["name"] for row in tx.fetchall()]


def delete_of_tenant(tx: Cursor, name: str, tenant_id: UUID, *, limit: int) -> int:
    """Delete rows of a table that has the tenant's id; return how many."""
    tx.execute(QUERIES["delete_of_tenant"], {"name": name, "tenant_id": tenant_id, "limit": limit})
    return int(one(tx)["rows"])


def delete_below_tenant(
    tx: Cursor, name: str, link: str, parent: str, tenant_id: UUID, *, limit: int
) -> int:
    """Delete rows of a table whose column `link` names a row of the tenant's in `parent`."""
    tx.execute(
        QUERIES["delete_below_tenant"],
        {
            **{"name": name, "link": link, "parent": parent},
            **{"tenant_id": tenant_id, "limit": limit},
        },
    )
    return int(one(tx)["rows"])


def lock_tenant(tx: Cursor, tenant_id: UUID) -> bool:
    """Keep others from adding anything of the tenant; False if it is gone."""
    tx.execute(QUERIES["lock_tenant"], {"tenant_id": tenant_id})
    return tx.fetchone() is not None


def has_work(tx: Cursor, tenant_id: UUID) -> bool:
    tx.execute(QUERIES["has_work"], {"tenant_id": tenant_id})
    return bool(one(tx)["is_left"])


def delete_tenant(tx: Cursor, tenant_id: UUID) -> int:
    tx.execute(QUERIES["delete_tenant"], {"tenant_id": tenant_id})
    return tx.rowcount


def find_items(tx: Cursor, tenant_id: UUID, ref: str) -> dict[UUID, list[int]]:
    """Return positions by job of the tenant's items that are called so."""
    tx.execute(QUERIES["find_items"], {"tenant_id": tenant_id, "ref": ref})
    return _by_job(tx.fetchall())


def find_answers(tx: Cursor, tenant_id: UUID, text: str) -> dict[UUID, list[int]]:
    """Return positions by job of results about faces that hold the text."""
    tx.execute(QUERIES["find_answers"], {"tenant_id": tenant_id, "text": text})
    opened = sealing.of(tx).open_text
    return _by_job(row for row in tx.fetchall() if text in (opened(row["result"]) or ""))


def _by_job(rows: Iterable[Mapping[str, Any]]) -> dict[UUID, list[int]]:
    found: dict[UUID, list[int]] = {}
    for row in rows:
        found.setdefault(row["job_id"], []).append(row["position"])
    return found


def erase_items(
    tx: Cursor, job: Job, positions: Collection[int], *, word: str, payload: str
) -> int:
    """Put a word in place of what these items are called, and a payload in place of theirs."""
    tx.execute(
        QUERIES["erase_items"],
        {**_of(job), "positions": list(positions), "word": word, "payload": payload},
    )
    return tx.rowcount


def erase_results(
    tx: Cursor, job: Job, positions: Collection[int], *, word: str, message: str
) -> int:
    """Put a failure in place of these results, and return how many there were."""
    tx.execute(
        QUERIES["erase_results"],
        {**_of(job), "positions": list(positions), "word": word, "message": message},
    )
    return int(one(tx)["results"])


def release_uploads(tx: Cursor, job: Job, positions: Collection[int]) -> int:
    tx.execute(QUERIES["release_uploads"], {"job_id": job.id, "positions": list(positions)})
    return int(one(tx)["uploads"])


def delete_decisions(tx: Cursor, tenant_id: UUID, ref: str) -> int:
    tx.execute(QUERIES["delete_decisions"], {"tenant_id": tenant_id, "ref": ref})
    return tx.rowcount


def lock_monitors(tx: Cursor, tenant_id: UUID) -> None:
    """Let no check of the tenant's monitors begin or be closed until the transaction ends."""
    tx.execute(QUERIES["lock_monitors"], {"tenant_id": tenant_id})


def delete_watched(tx: Cursor, tenant_id: UUID, ref: str) -> dict[str, int]:
    """Watch the subject no longer, and forget what was found; return rows by table."""
    tx.execute(QUERIES["delete_watched"], {"tenant_id": tenant_id, "ref": ref})
    return dict(one(tx))


def find_faces(tx: Cursor, tenant_id: UUID, ref: str) -> dict[UUID, list[UUID]]:
    """Return the faces of a person by collection."""
    tx.execute(QUERIES["find_faces"], {"tenant_id": tenant_id, "ref": ref})
    return {row["collection_id"]: row["ids"] for row in tx.fetchall()}


def delete_answers(tx: Cursor, tenant_id: UUID, names: Collection[bytes]) -> int:
    """Delete answers that are kept to be given again and that hold any of the names."""
    tx.execute(QUERIES["delete_answers"], {"tenant_id": tenant_id, "names": list(names)})
    return int(one(tx)["rows"])


def _of(job: Job) -> dict[str, Any]:
    return {"kind": job.kind, "month": job.month, "job_id": job.id}


def page_jobs(tx: Cursor, *, after: UUID, limit: int) -> list[Job]:
    tx.execute(QUERIES["page_jobs"], {"after": after, "limit": limit})
    return [Job.from_row(row) for row in tx.fetchall()]


def count_jobs(tx: Cursor) -> int:
    tx.execute(QUERIES["count_jobs"])
    return int(one(tx)["jobs"])


def list_unsealed(
    tx: Cursor, job: Job, *, prefix: str, first: int, limit: int
) -> list[tuple[int, str]]:
    """Lock items from `first` on whose payload does not begin so; return position and text."""
    tx.execute(QUERIES["list_unsealed"], _unsealed(job, prefix, first, limit))
    return [(row["position"], row["text"]) for row in tx.fetchall()]


def list_unsealed_results(
    tx: Cursor, job: Job, *, prefix: str, first: int, limit: int
) -> list[tuple[int, str]]:
    """Likewise, of results."""
    tx.execute(QUERIES["list_unsealed_results"], _unsealed(job, prefix, first, limit))
    return [(row["position"], row["text"]) for row in tx.fetchall()]


def _unsealed(job: Job, prefix: str, first: int, limit: int) -> dict[str, Any]:
    return {**_of(job), "prefix": prefix, "length": len(prefix), "first": first, "limit": limit}


def seal_items(tx: Cursor, job: Job, rows: Sequence[tuple[int, str]]) -> None:
    """Put these texts in place of payloads, by position."""
    tx.execute(QUERIES["seal_items"], {**_of(job), "rows": _rows(rows)})


def seal_results(tx: Cursor, job: Job, rows: Sequence[tuple[int, str]]) -> None:
    """Put these texts in place of results, by position."""
    tx.execute(QUERIES["seal_results"], {**_of(job), "rows": _rows(rows)})


def _rows(rows: Sequence[tuple[int, str]]) -> str:
    return json.dumps([{"position": position, "text": text} for position, text in rows])
