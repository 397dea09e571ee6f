"""Keeping and deleting, in Postgres. Every function runs inside the caller's transaction.

`seconds` is how long jobs of a kind are kept by who says nothing about it; None: for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

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


def expire_jobs(tx: Cursor, ids: Collection[UUID]) -> int:
    """Delete the rows of jobs, and note that they were there. Return how many there were."""
    tx.execute(QUERIES["expire_jobs"], {"ids": list(ids)})
    return tx.rowcount


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
