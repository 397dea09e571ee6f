"""What a run leaves behind when it completes: a screening of every subject, and the risk anew.

All of it is written in the transaction that completes the job. A run that fails, or is cancelled,
leaves nothing behind but its entry in the audit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.db import Cursor
from app.jobs.model import Job
from app.verifications import findings, ids, risk, store
from app.verifications.model import Verification
from app.verifications.risk import Found

NO_SOURCE_ANSWERED = "no_source_answered"

#: The version of a source that tells none. Not null, which the audit leaves out.
_UNKNOWN = "unknown"


def conclude(tx: Cursor, job: Job) -> tuple[str, str] | None:
    """Write the screenings and the risk, or return why the run has failed after all."""
    run = store.load_run(tx, job.id)
    verification = store.load_verification(tx, run.verification_id)
    rows = store.list_outcomes(tx, job)
    found = [
        Found(row["payload"].get("stakeholder_id"), _findings(row, job.options)) for row in rows
    ]
    if not any(findings.has_answer(each.findings) for each in found):
        return NO_SOURCE_ANSWERED, _nobody_answered(found)
    assessed = risk.assess(
        found,
        input_risk=str(verification.entity.get("inputRisk") or "unknown"),
        before=verification.risk,
    )
    screenings = [_screening(row, each) for row, each in zip(rows, found, strict=True)]
    store.insert_screenings(tx, verification.id, job.id, screenings)
    store.set_risk(tx, verification.id, assessed)
    store.set_outcome(tx, job.id, _outcome(verification, found, screenings, assessed))
    return None


def _findings(row: Mapping[str, Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
    if row["status"] == "succeeded":
        found: Mapping[str, Any] = row["result"]
        return found
    return findings.nobody(options, row["error_code"], row["error_message"])


def _nobody_answered(found: Sequence[Found]) -> str:
    codes = sorted(
        {
            source["error"]["code"]
            for each in found
            for source in each.findings["sourcesChecked"]
            if "error" in source
        }
    )
    subjects = "the subject" if len(found) == 1 else f"any of {len(found)} subjects"
    return f"No source answered for {subjects}: {', '.join(codes) or 'none is configured'}."


def _screening(row: Mapping[str, Any], found: Found) -> dict[str, Any]:
    document = {
        "subject": row["payload"]["subject"],
        "total_hits": found.findings["totalHits"],
        "matched_sources": found.findings["matchedSources"],
        "sources_checked": found.findings["sourcesChecked"],
        "is_complete": found.findings["isComplete"],
        "risk": risk.of_subject(found),
    }
    return {
        **document,
        "screening_id": f"scr_{ids.make()}",
        "stakeholder_id": found.stakeholder_id,
        "screened_at": row["finished_at"].isoformat(),
    }


def digest(
    *,
    subject: Mapping[str, Any],
    total_hits: int,
    matched_sources: Sequence[Mapping[str, Any]],
    sources_checked: Sequence[Mapping[str, Any]],
) -> str:
    """Return what the audit keeps of a screening: SHA-256 of its findings as JSON, in hex.

    The keys are sorted, nothing stands between them, and what is not ASCII is escaped.
    """
    text = json.dumps(
        {
            "subject": subject,
            "totalHits": total_hits,
            "matchedSources": matched_sources,
            "sourcesChecked": sources_checked,
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _outcome(
    verification: Verification,
    found: Sequence[Found],
    screenings: Sequence[Mapping[str, Any]],
    assessed: Mapping[str, Any],
) -> dict[str, Any]:
    """A run in short, for the audit: it names nobody."""
    checked = [source for each in found for source in each.findings["sourcesChecked"]]
    failed = sorted({source["source"] for source in checked if source["status"] != findings.OK})
    return {
        "totalHits": sum(each["total_hits"] for each in screenings),
        "subjects": len(screenings),
        "subjectsWithMatches": sum(each["total_hits"] > 0 for each in screenings),
        "isComplete": all(each.findings["isComplete"] for each in found),
        "sources": {source["source"]: source["version"] or _UNKNOWN for source in checked},
        "failedSources": failed,
        "risk": {
            "from": verification.risk["description"],
            "to": assessed["description"],
            "score": assessed["score"],
            "rules": assessed["rules"],
        },
        "screenings": [
            {
                "screeningId": each["screening_id"],
                "stakeholderId": each["stakeholder_id"],
                "totalHits": each["total_hits"],
                "sha256": digest(
                    subject=each["subject"],
                    total_hits=each["total_hits"],
                    matched_sources=each["matched_sources"],
                    sources_checked=each["sources_checked"],
                ),
            }
            for each in screenings
        ],
    }
