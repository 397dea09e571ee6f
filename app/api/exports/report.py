"""What a report of a job says, entity by entity, whatever it is written as."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.api.kyc_render import stamp
from app.jobs.model import Job

#: Fields of a subject, and what a report calls them.
_FIELDS = {
    "full_name": "",
    "birth_date": "born",
    "nationality": "of",
    "entity_type": "",
    "document_id": "document",
    "imo_number": "IMO",
    "call_sign": "call sign",
    "wallet_address": "wallet",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One match of an entity, in words."""

    list_name: str
    list_version: str
    score: float
    matched_name: str
    entry: str
    details: str
    is_suppressed: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One entity, what became of it, and its matches."""

    number: int
    entity_id: str
    subject: str
    outcome: str
    is_match: bool
    matches: Sequence[Found]
    not_shown: int = 0


def facts(job: Job) -> list[tuple[str, str]]:
    """Return what is to be known of the whole job, as (name, value)."""
    lists = ", ".join(
        f"{name} ({each['version']})" for name, each in sorted(job.options["lists"].items())
    )
    assert job.finished_at is not None, "only finished jobs are reported"
    return [
        ("Job", job.external_id),
        ("Submitted", stamp(job.created_at)),
        ("Finished", stamp(job.finished_at)),
        ("Submitted by", job.created_by),
        ("Entities", f"{job.total:,}"),
        ("Screened", f"{job.succeeded:,}"),
        ("Failed", f"{job.failed:,}"),
        ("Matches", f"{job.matches:,}"),
        ("Threshold", f"{float(job.options['threshold']):g}"),
        ("Lists in force", lists or "none"),
        *((f"Note: {each['code']}", each["message"]) for each in job.warnings),
    ]


def lines(pages: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[Line]:
    """Yield one line for each item, which stands there with its payload and its result."""
    for page in pages:
        for row in page:
            yield _line(row)


def _line(row: Mapping[str, Any]) -> Line:
    payload = row["payload"] if isinstance(row["payload"], dict) else json.loads(row["payload"])
    detail = json.loads(row["result"]) if row["result"] is not None else None
    matches = [] if detail is None else [_found(match) for match in detail["matches"]]
    if detail is None:
        outcome = f"failed: {row['error_message']}"
    elif detail["is_match"]:
        count = detail["match_count"]
        outcome = f"{count:,} match{'' if count == 1 else 'es'}"
    else:
        outcome = "clear"
    shown = sum(not match.is_suppressed for match in matches)
    return Line(
        row["position"] + 1,
        row["ref"] or "",
        describe(payload.get("subject") or {}),
        outcome,
        bool(detail and detail["is_match"]),
        matches,
        0 if detail is None else detail["match_count"] - shown,
    )


def describe(subject: Mapping[str, Any]) -> str:
    """Return who was asked about, in one line."""
    parts = [
        f"{word} {subject[field]}".strip() for field, word in _FIELDS.items() if subject.get(field)
    ]
    parts += [f"{each['type']} {each['value']}" for each in subject.get("identifiers") or ()]
    return ", ".join(parts)


def _found(match: Mapping[str, Any]) -> Found:
    data = match["match_data"]
    about = [
        data["entity_type"],
        data["birth_date"] and f"born {data['birth_date']}",
        data["nationality"] and f"of {data['nationality']}",
        data["programs"] and f"programs {', '.join(data['programs'])}",
        f"by {', '.join(match['matched_fields'])}",
    ]
    return Found(
        match["list_name"],
        match["list_version"],
        match["confidence_score"],
        match["matched_name"],
        f"{data['name']} [{data['id']}]",
        "; ".join(each for each in about if each),
        bool(match.get("suppressed")),
    )
