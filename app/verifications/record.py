"""All there is of a verification, in a form that an auditor reads and checks without us."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.resources import Resources
from app.screening.model import ENGINE_VERSION
from app.verifications import risk, store
from app.verifications.conclusion import digest
from app.verifications.model import Actor, AuditEntry, Run, Screening, Verification
from app.version import VERSION

FORMAT = "muster-verification-record/1"

#: More than any verification has: a run an hour for over ten years.
_ALL = 100_000

HOW_TO_CHECK = (
    "Every entry of `audit` holds the digest of the entry before it, and the first one 64 zeros."
    " For each, SHA-256 of `previous`, a line feed and `text`, in UTF-8 and written in hex, must"
    " be `digest`, and `previous` must be the `digest` of the entry before. The entry of a"
    " completed run holds, under detail.outcome.screenings, a SHA-256 of every screening: of"
    ' {"subject", "totalHits", "matchedSources", "sourcesChecked"} as JSON with sorted keys, no'
    " spaces, and everything beyond ASCII escaped. Keep the last digest somewhere else: who has it"
    " can tell later that nothing was changed or taken away."
)

#: The first entry has none before it.
NONE_BEFORE = "0" * 64


def make(resources: Resources, tenant_id: UUID, trace: str, *, by: Actor) -> dict[str, Any]:
    """Return the record of a verification. That it was exported goes into its audit first.

    Times are ISO 8601 in UTC, but for those inside the audit, which are milliseconds since 1970.
    """
    with resources.db.transaction() as tx:
        verification = store.find_verification(tx, tenant_id, trace)
        store.add_audit(tx, verification.id, "record.exported", by)
        runs = store.list_runs(tx, verification.id, limit=_ALL)
        screenings = store.list_screenings(tx, verification.id, limit=_ALL)
        audit = store.list_audit(tx, verification.id, limit=_ALL)
    entries = [_entry(each) for each in reversed(audit)]
    of_run: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in screenings:
        of_run[each.run_id].append(_screening(each))
    documents = [shown for run in reversed(runs) for shown in of_run[run.run_id]]
    return {
        "format": FORMAT,
        "generatedAt": _iso(datetime.now(UTC)),
        "generatedBy": {"action": by.action, "uid": by.uid},
        "software": {"name": "muster", "version": VERSION, "engineVersion": ENGINE_VERSION},
        "verification": _verification(verification),
        "riskRules": _rules(),
        "runs": [_run(each) for each in reversed(runs)],
        "screenings": documents,
        "audit": entries,
        "lastDigest": entries[-1]["digest"],
        "isIntact": is_intact(entries) and covers(entries, documents),
        "howToCheck": HOW_TO_CHECK,
    }


def is_intact(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether no entry of an exported audit was changed, dropped, added or moved."""
    before = NONE_BEFORE
    for number, entry in enumerate(entries, start=1):
        text = f"{entry['previous']}\n{entry['text']}"
        if (
            entry["previous"] != before
            or hashlib.sha256(text.encode()).hexdigest() != entry["digest"]
            or json.loads(entry["text"])["seq"] != number
        ):
            return False
        before = entry["digest"]
    return True


def covers(entries: Sequence[Mapping[str, Any]], documents: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the audit knows every screening, just as it stands in the record."""
    known = {
        each["screeningId"]: each["sha256"]
        for entry in entries
        for each in json.loads(entry["text"])["detail"].get("outcome", {}).get("screenings", ())
    }
    found = {
        each["screeningId"]: digest(
            subject=each["subject"],
            total_hits=each["totalHits"],
            matched_sources=each["matchedSources"],
            sources_checked=each["sourcesChecked"],
        )
        for each in documents
    }
    return known == found


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return {"text": entry.entry, "previous": entry.previous, "digest": entry.digest}


def _verification(verification: Verification) -> dict[str, Any]:
    return {
        "trace": verification.trace,
        "userId": verification.user_id,
        "onBehalfUid": verification.on_behalf_uid,
        "status": verification.status,
        "entity": verification.entity,
        "stakeholders": [
            {"stakeholderId": each.stakeholder_id, "role": each.role, "entity": each.entity}
            for each in verification.stakeholders
        ],
        "idvRisk": verification.risk,
        "createdAt": _iso(verification.created_at),
        "screenedAt": _iso(verification.screened_at),
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "jobId": run.run_id,
        "type": run.type,
        "sourceAction": run.source_action,
        "sourceUid": run.source_uid,
        "sourceEmail": run.source_email,
        "requestedAt": _iso(run.requested_at),
        "startedAt": _iso(run.started_at),
        "completedAt": _iso(run.finished_at),
        "state": str(run.state),
        "attemptCount": run.attempts,
        "errorSummary": run.error_message,
        "conflictingJobId": run.conflicting_run,
    }


def _screening(screening: Screening) -> dict[str, Any]:
    return {
        "screeningId": screening.screening_id,
        "jobId": screening.run_id,
        "stakeholderId": screening.stakeholder_id,
        "screenedAt": _iso(screening.screened_at),
        "subject": screening.subject,
        "totalHits": screening.total_hits,
        "isComplete": screening.is_complete,
        "matchedSources": screening.matched_sources,
        "sourcesChecked": screening.sources_checked,
        "risk": screening.risk,
    }


def _rules() -> dict[str, Any]:
    """The rules of today; each risk says by which rules it was assessed."""
    return {
        "version": risk.RULES,
        "pointsByCategory": {
            name: {"strong": strong, "other": weak}
            for name, (strong, weak) in {**risk.POINTS, "other": risk.OTHER}.items()
        },
        "strongFrom": risk.STRONG,
        "ofAStakeholder": risk.OF_A_STAKEHOLDER,
        "forEachFurtherSubject": risk.FURTHER,
        "forFurtherSubjectsAtMost": risk.FURTHER_AT_MOST,
        "inputRisk": dict(risk.INPUT),
        "levels": [{"from": least, "description": word} for least, word in reversed(risk.LEVELS)],
    }


def _iso(at: datetime | None) -> str | None:
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
