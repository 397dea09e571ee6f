"""All there is of a verification, in a form that an auditor reads and checks without us."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.resources import Resources
from app.screening.model import ENGINE_VERSION
from app.verifications import checking, risk, sealed, store
from app.verifications.model import Actor, AuditEntry, Run, Screening
from app.version import VERSION

FORMAT = "muster-verification-record/1"

HOW_TO_CHECK = (
    "Every entry of `audit` holds the digest of the entry before it, and the first one 64 zeros."
    " For each, SHA-256 of `previous`, a line feed and `text`, in UTF-8 and written in hex, must"
    " be `digest`, and `previous` must be the `digest` of the entry before. The entries hold"
    " further SHA-256: detail.sha256 of `verification.created` that of"
    f" {{{', '.join(sealed.SENT)}}} of `verification`; detail.outcome.screenings of a"
    " completed run that of each of its documents in `screenings`; detail.outcome.risk.sha256 of"
    f" the last completed run that of {{{', '.join(sealed.ASSESSED)}}} of `verification`: each of"
    " the whole as JSON with sorted keys, no spaces, and everything beyond ASCII escaped. What"
    " `runs` says of a run its entries `run.dispatched` and of its end say as well. Keep the last"
    " digest somewhere else: who has it can tell later that nothing was changed or taken away."
)


def make(resources: Resources, tenant_id: UUID, trace: str, *, by: Actor) -> dict[str, Any]:
    """Return the record of a verification. That it was exported goes into its audit first.

    Times are ISO 8601 in UTC, but for those inside the audit, which are milliseconds since 1970.
    """
    with resources.db.transaction() as tx:
        store.add_audit(tx, store.find_id(tx, tenant_id, trace), "record.exported", by)
    with resources.db.transaction() as tx:
        # As of one moment, and nobody who writes meanwhile has to wait.
        store.read_one_moment(tx)
        verification = store.find_verification(tx, tenant_id, trace)
        runs = store.list_runs(tx, verification.id, limit=None)
        screenings = store.list_screenings(tx, verification.id, limit=None)
        audit = store.list_audit(tx, verification.id, limit=None)
    of_run: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in screenings:
        of_run[each.run_id].append(_screening(each))
    entries = [_entry(each) for each in reversed(audit)]
    record = {
        "format": FORMAT,
        "generatedAt": sealed.iso(datetime.now(UTC)),
        "generatedBy": {"action": by.action, "uid": by.uid},
        "software": {"name": "muster", "version": VERSION, "engineVersion": ENGINE_VERSION},
        "verification": sealed.verification(verification),
        "riskRules": _rules(),
        "runs": [_run(each) for each in reversed(runs)],
        "screenings": [shown for run in reversed(runs) for shown in of_run[run.run_id]],
        "audit": entries,
        "lastDigest": entries[-1]["digest"],
        "howToCheck": HOW_TO_CHECK,
    }
    problems = checking.problems(record)
    return {**record, "isIntact": not problems, "problems": problems}


def _entry(entry: AuditEntry) -> dict[str, Any]:
    return {"text": entry.entry, "previous": entry.previous, "digest": entry.digest}


def _run(run: Run) -> dict[str, Any]:
    return {
        "jobId": run.run_id,
        "type": run.type,
        "sourceAction": run.source_action,
        "sourceUid": run.source_uid,
        "sourceEmail": run.source_email,
        "requestedAt": sealed.iso(run.requested_at),
        "startedAt": sealed.iso(run.started_at),
        "completedAt": sealed.iso(run.finished_at),
        "state": str(run.state),
        "attemptCount": run.attempts,
        "errorSummary": run.error_message,
        "conflictingJobId": run.conflicting_run,
    }


def _screening(screening: Screening) -> dict[str, Any]:
    return sealed.screening(
        screening_id=screening.screening_id,
        run_id=screening.run_id,
        stakeholder_id=screening.stakeholder_id,
        screened_at=screening.screened_at,
        subject=screening.subject,
        total_hits=screening.total_hits,
        is_complete=screening.is_complete,
        matched_sources=screening.matched_sources,
        sources_checked=screening.sources_checked,
        risk=screening.risk,
    )


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
