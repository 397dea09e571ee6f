"""How the native API words a job and its items: the record of the contract, section 4.1."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.jobs import ids
from app.jobs.dispatch import FACES_INTERACTIVE
from app.jobs.model import Job
from app.jobs.progress import expected_end
from app.jobs.states import CLAIMABLE

#: Seconds between two polls.
POLL_SECONDS = 2

#: Kinds that count matches.
_MATCHING = frozenset({"kyc", "verifications"})

#: Where each dialect shows its job; calls about faces that wait for it show none.
_DIALECT_LINKS: Mapping[str, str] = {
    "kyc": "/kyc/jobs/{}",
    "documents": "/api/batch/jobs/{}/status",
    "faces": "/api/v1/organizations/{tenant}/batch/{}",
}


def path(job: Job) -> str:
    return f"/v1/jobs/{ids.render(job.id)}"


def record(
    job: Job, running: int, now: datetime, expires_at: datetime | None = None
) -> dict[str, Any]:
    """A job as `/v1` shows it. What does not apply is null."""
    here = path(job)
    links = {"self": here, "items": f"{here}/items", "results": f"{here}/results"}
    links["events"] = f"{here}/events"
    if job.dialect == "verifications":
        trace, kind_of_run = job.options["trace"], job.options["type"]
        links["dialect"] = f"/v5/verifications/{trace}/jobs/{kind_of_run}/{job.external_id}"
    elif job.dialect in _DIALECT_LINKS and job.queue != FACES_INTERACTIVE:
        links["dialect"] = _DIALECT_LINKS[job.dialect].format(job.external_id, tenant=job.tenant_id)
    ended = job.succeeded + job.failed + job.cancelled + job.expired
    error = {"code": job.error_code, "message": job.error_message} if job.error_code else None
    return {
        "id": ids.render(job.id),
        "object": "job",
        "kind": job.kind,
        "dialect": job.dialect,
        "external_id": job.external_id,
        "status": str(job.state),
        "status_reason": "rate_limited" if job.resume_at else None,
        "allowed_actions": job.allowed_actions,
        "counts": {
            "total": job.total,
            "pending": job.outstanding - running,
            "running": running,
            "succeeded": job.succeeded,
            "failed": job.failed,
            "cancelled": job.cancelled,
            "expired": job.expired,
        },
        # Rounded down: 1 says that nothing more will come.
        "progress": math.floor(10_000 * ended / job.total) / 10_000,
        "passes": job.pass_no,
        "error": error,
        "summary": {"matches_found": job.matches} if job.kind in _MATCHING else {},
        "warnings": job.warnings,
        "labels": job.labels,
        "retry_of": ids.render(job.retry_of) if job.retry_of else None,
        "created_by": {"uid": job.created_by},
        "created_at": stamp(job.created_at),
        "started_at": stamp(job.started_at),
        "finished_at": stamp(job.finished_at),
        "updated_at": stamp(job.updated_at),
        "deadline_at": stamp(job.deadline_at),
        "expires_at": stamp(expires_at),
        # When a job that a rate limit paused goes on by itself.
        "resume_at": stamp(job.resume_at),
        "estimated_completion": stamp(expected_end(job, now)) if job.state in CLAIMABLE else None,
        "links": links,
    }


def item(row: Mapping[str, Any]) -> dict[str, Any]:
    """How one item stands, without what it holds."""
    return {
        "index": row["position"],
        "ref": row["ref"],
        "status": row["status"],
        "attempts": row["attempts"],
        "error": _error(row),
    }


def failure(row: Mapping[str, Any]) -> dict[str, Any]:
    """What some items failed of: how many, and the indexes of the first."""
    return {
        "code": row["code"],
        "message": row["message"],
        "count": row["items"],
        "indexes": row["examples"],
    }


def result(row: Mapping[str, Any]) -> str:
    """One finished item as JSON text. What the kind wrote is passed through untouched."""
    head = _dumps({"index": row["position"], "ref": row["ref"], "status": row["status"]})
    rest = {
        "error": _error(row),
        "attempts": row["attempts"],
        "finished_at": stamp(row["finished_at"]),
    }
    return f'{head[:-1]},"result":{row["result"] or "null"},{_dumps(rest)[1:]}'


def _error(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["error_code"] is None:
        return None
    return {"code": row["error_code"], "message": row["error_message"]}


def stamp(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
