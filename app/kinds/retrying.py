"""Retrying a job of any kind: which items, and what of the old job the kind takes anew."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.jobs import service
from app.jobs.model import Job
from app.kinds import KINDS
from app.resources import Resources

#: What a caller may ask to be done again, by its word. `cancelled` are those never begun.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "unfinished": ("failed", "cancelled"),
    "all": ("succeeded", "failed", "cancelled"),
}


def retry(
    resources: Resources,
    job: Job,
    *,
    statuses: Collection[str],
    positions: Collection[int] | None = None,
    created_by: str,
) -> Job:
    """Make a new job of items of an ended one. Raises as `service.retry` does."""
    kind = KINDS.get(job.kind)
    options, seconds = kind.renew(resources, job) if kind else ({}, 0.0)
    return service.retry(
        resources,
        job.tenant_id,
        job.dialect,
        job.external_id,
        statuses=statuses,
        positions=positions,
        options=options,
        created_by=created_by,
        external_id_of_new=kind.external_id() if kind and kind.external_id else None,
        calibrated_seconds=seconds,
        hold=kind.adopt if kind else service.hold_nothing,
    )
