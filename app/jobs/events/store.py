"""Events in Postgres. Every function runs inside the caller's transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

from app import sealing
from app.db import Cursor, load_queries, one
from app.jobs.events.model import read_positions
from app.jobs.model import Job

QUERIES = load_queries("app.jobs.events")


def list_events(
    tx: Cursor,
    wanted: Sequence[tuple[Job, int]],
    *,
    limit: int,
    moves: bool = True,
    counts: bool = True,
) -> Mapping[UUID, list[dict[str, Any]]]:
    """Return rows of each job from a seq on, at most `limit` of each; by default all of them."""
    tx.execute(
        QUERIES["list_events"],
        {
            "kinds": [job.kind for job, _ in wanted],
            "months": [job.month for job, _ in wanted],
            "job_ids": [job.id for job, _ in wanted],
            "seqs": [seq for _, seq in wanted],
            "limit": limit,
            "moves": moves,
            "counts": counts,
        },
    )
    found: dict[UUID, list[dict[str, Any]]] = defaultdict(list)
    for row in tx.fetchall():
        found[row["job_id"]].append(dict(row))
    return found


def list_item_results(
    tx: Cursor, job: Job, positions: Collection[int], *, detailed: bool
) -> dict[int, dict[str, Any]]:
    """Return {position: row} of those that have a result."""
    tx.execute(
        QUERIES["list_item_results"],
        {
            "kind": job.kind,
            "month": job.month,
            "job_id": job.id,
            "positions": list(positions),
            "detailed": detailed,
        },
    )
    return {row["position"]: _opened(tx, row) for row in tx.fetchall()}


def _opened(tx: Cursor, row: Mapping[str, Any]) -> dict[str, Any]:
    sealer = sealing.of(tx)
    opened = dict(row)
    opened["result"] = sealer.open_value(opened["result"])
    payload = sealer.open_value(opened.pop("sealed"))
    if payload is not None:
        # What Postgres picks from a payload that it can read.
        document = payload.get("document") or {}
        opened["title"] = document.get("title") or payload.get("title")
        opened["name"] = document.get("id")
    return opened


def list_versions(tx: Cursor, ids: Collection[UUID]) -> dict[UUID, tuple[int, bool]]:
    """Return the version of each job there is, and whether it has ended."""
    tx.execute(QUERIES["list_versions"], {"ids": list(ids)})
    return {row["id"]: (row["version"], row["is_final"]) for row in tx.fetchall()}


def told_positions(tx: Cursor, job: Job, seq: int) -> list[range]:
    """Return whose results have been told of up to that event."""
    tx.execute(
        QUERIES["told_positions"],
        {"kind": job.kind, "month": job.month, "job_id": job.id, "seq": seq},
    )
    return read_positions(one(tx)["positions"])
