"""What a record shows of a verification, and the digests of it that the audit keeps.

A digest is taken of a document just as the record shows it, so that whoever holds a record needs
nothing else to take it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.verifications.model import Verification

#: Of a verification, what was sent, or given to it when it was written; it never changes.
SENT = ("trace", "userId", "onBehalfUid", "entity", "stakeholders", "createdAt")
#: And what the last completed run made of it.
ASSESSED = ("idvRisk", "screenedAt")


def digest(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document as JSON, in hex.

    The keys are sorted, nothing stands between them, and what is not ASCII is escaped.
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def only(document: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return some members of a document."""
    return {name: document[name] for name in names}


def verification(known: Verification) -> dict[str, Any]:
    return {
        "trace": known.trace,
        "userId": known.user_id,
        "onBehalfUid": known.on_behalf_uid,
        "status": known.status,
        "entity": known.entity,
        "stakeholders": [
            {"stakeholderId": each.stakeholder_id, "role": each.role, "entity": each.entity}
            for each in known.stakeholders
        ],
        "idvRisk": known.risk,
        "createdAt": iso(known.created_at),
        "screenedAt": iso(known.screened_at),
    }


def screening(
    *,
    screening_id: str,
    run_id: str,
    stakeholder_id: str | None,
    screened_at: datetime,
    subject: Mapping[str, Any],
    total_hits: int,
    is_complete: bool,
    matched_sources: Sequence[Mapping[str, Any]],
    sources_checked: Sequence[Mapping[str, Any]],
    risk: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "screeningId": screening_id,
        "jobId": run_id,
        "stakeholderId": stakeholder_id,
        "screenedAt": iso(screened_at),
        "subject": subject,
        "totalHits": total_hits,
        "isComplete": is_complete,
        "matchedSources": matched_sources,
        "sourcesChecked": sources_checked,
        "risk": risk,
    }


def iso(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
