"""Whether a record is as it was written: its audit as a chain, and everything else by the audit.

Needs nothing but the record: what is checked here an auditor can check without us.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from app.jobs.states import JobState
from app.verifications import risk
from app.verifications.sealed import ASSESSED, SENT, digest, only

#: The first entry has none before it.
NONE_BEFORE = "0" * 64

#: Of a run, what the entry of its end says too; times are milliseconds there.
_SAID = ("type", "attemptCount", "errorSummary", "conflictingJobId")
_TIMES = ("requestedAt", "startedAt", "completedAt")

_IN_FLIGHT = frozenset(str(state) for state in JobState if not state.is_final)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Entry = Mapping[str, Any]


def problems(record: Mapping[str, Any]) -> list[str]:
    """Return, in words, what of a record is not as its audit says; nothing if it is intact."""
    audit = record["audit"]
    if not is_intact(audit):
        return ["The chain of the audit is broken: an entry was changed, dropped, added or moved."]
    entries = [json.loads(each["text"]) for each in audit]
    found = [
        *_of_verification(record["verification"], entries),
        *_of_runs(record["runs"], entries),
        *_of_screenings(record["screenings"], entries),
    ]
    if record["lastDigest"] != (audit[-1]["digest"] if audit else NONE_BEFORE):
        found.append("lastDigest is not that of the last entry of the audit.")
    return found


def is_intact(audit: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether no entry of an exported audit was changed, dropped, added or moved."""
    before = NONE_BEFORE
    for number, entry in enumerate(audit, start=1):
        text = f"{entry['previous']}\n{entry['text']}"
        if (
            entry["previous"] != before
            or hashlib.sha256(text.encode()).hexdigest() != entry["digest"]
            or json.loads(entry["text"])["seq"] != number
        ):
            return False
        before = entry["digest"]
    return True


def _of_verification(verification: Mapping[str, Any], entries: Sequence[Entry]) -> Iterator[str]:
    created = [each for each in entries if each["action"] == "verification.created"]
    sealed = [each["detail"].get("sha256") for each in created]
    if sealed != [digest(only(verification, SENT))]:
        yield "The entity or its stakeholders are not as they were sent."
    assessed = [each["risk"]["sha256"] for each in _outcomes(entries)]
    now = only(verification, ASSESSED)
    undefined = {"idvRisk": dict(risk.UNDEFINED), "screenedAt": None}
    if digest(now) != (assessed[-1] if assessed else digest(undefined)):
        yield "The risk is not that of the last completed run."


def _of_runs(runs: Sequence[Mapping[str, Any]], entries: Sequence[Entry]) -> Iterator[str]:
    dispatched = {each["jobId"]: each for each in entries if each["action"] == "run.dispatched"}
    ended = {each["jobId"]: each for each in entries if "dispatchedBy" in each["detail"]}
    if [*dispatched] != [run["jobId"] for run in sorted(runs, key=_place(dispatched))]:
        yield "The runs are not those that the audit says were dispatched."
    for run in runs:
        begun, end = dispatched.get(run["jobId"]), ended.get(run["jobId"])
        if begun is not None and not (_began_so(run, begun) and _ended_so(run, end)):
            yield f"The run {run['jobId']} is not as the audit says."


def _place(dispatched: Mapping[str, Entry]) -> Any:
    return lambda run: dispatched.get(run["jobId"], {"seq": 0})["seq"]


def _began_so(run: Mapping[str, Any], entry: Entry) -> bool:
    return entry["by"] == _by(run) and entry["detail"]["type"] == run["type"]


def _ended_so(run: Mapping[str, Any], entry: Entry | None) -> bool:
    if entry is None:
        return run["completedAt"] is None and run["state"] in _IN_FLIGHT
    said = entry["detail"]
    return (
        entry["action"] == f"run.{run['state']}"
        and said["dispatchedBy"] == _by(run)
        and all(said.get(name) == run[name] for name in _SAID)
        and all(said.get(name) == _milliseconds(run[name]) for name in _TIMES)
    )


def _by(run: Mapping[str, Any]) -> dict[str, Any]:
    by = {"action": run["sourceAction"], "uid": run["sourceUid"], "email": run["sourceEmail"]}
    return {name: value for name, value in by.items() if value is not None}


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    return (datetime.fromisoformat(text.replace("Z", "+00:00")) - _EPOCH) // timedelta(
        milliseconds=1
    )


def _of_screenings(
    documents: Sequence[Mapping[str, Any]], entries: Sequence[Entry]
) -> Iterator[str]:
    known = {
        each["screeningId"]: each["sha256"]
        for outcome in _outcomes(entries)
        for each in outcome["screenings"]
    }
    found = {each["screeningId"]: digest(each) for each in documents}
    for name in sorted({name for name, _ in known.items() ^ found.items()}):
        how = "missing" if name not in found else "changed" if name in known else "not of the audit"
        yield f"The screening {name} is {how}."
    if len(found) != len(documents):
        yield "A screening is there twice."


def _outcomes(entries: Sequence[Entry]) -> list[Mapping[str, Any]]:
    return [each["detail"]["outcome"] for each in entries if "outcome" in each["detail"]]
