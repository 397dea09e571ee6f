"""The rules by which hits become a risk. docs/verifications.md says them in words.

    subject's points  = the points of its worst hit, by category and strength; of a stakeholder,
                        nine tenths of them
    score             = the greater of what `inputRisk` says and of the worst subject's points,
                        plus 5 for every further subject with a hit, 10 at the most; never over 100
    description       = Low below 30, Medium below 60, High below 80, Critical from there on

Where a source did not answer, the risk is provisional, and never falls below what it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Changes whenever the same hits could make another risk; kept with every risk.
RULES = "1"

#: Before the first run has completed.
UNDEFINED: Mapping[str, Any] = {"description": "Undefined"}

#: What the client itself thinks of the entity.
INPUT: Mapping[str, float] = {"unknown": 0.0, "low": 0.0, "medium": 30.0, "high": 60.0}

#: By category: points of a strong hit, and of any other.
POINTS: Mapping[str, tuple[float, float]] = {
    "sanctions": (100.0, 80.0),
    "criminal": (70.0, 50.0),
    "pep": (55.0, 40.0),
}
#: Of every other category: debarment, export_control, regulatory, adverse_media, internal, ...
OTHER = (40.0, 25.0)

#: The score from which a hit is strong.
STRONG = 0.95

OF_A_STAKEHOLDER = 0.9
FURTHER, FURTHER_AT_MOST = 5.0, 10.0

#: A hit of which no more is known than that there is one.
_UNKNOWN: Sequence[Mapping[str, Any]] = ({"id": None, "score": None},)

LEVELS: Sequence[tuple[float, str]] = (
    (80.0, "Critical"),
    (60.0, "High"),
    (30.0, "Medium"),
    (0.0, "Low"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """The findings of one subject; without a `stakeholder_id`, of the entity itself."""

    stakeholder_id: str | None
    findings: Mapping[str, Any]


def of_subject(found: Found) -> dict[str, Any]:
    """Return {"points", "reason"} of one subject; the reason is its worst hit, or None."""
    worst: dict[str, Any] | None = None
    for source in found.findings["matchedSources"]:
        strong, weak = POINTS.get(source["category"], OTHER)
        # A source of which hits are known and none is kept has at least a weak one.
        for record in source["records"] or _UNKNOWN:
            points = strong if (record["score"] or 0.0) >= STRONG else weak
            if found.stakeholder_id is not None:
                points *= OF_A_STAKEHOLDER
            if worst is None or points > worst["points"]:
                worst = {
                    "stakeholderId": found.stakeholder_id,
                    "category": source["category"],
                    "source": source["source"],
                    "recordId": record["id"],
                    "score": record["score"],
                    "points": round(points, 1),
                }
    return {"points": worst["points"] if worst else 0.0, "reason": worst}


def assess(
    subjects: Sequence[Found], *, input_risk: str, before: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the risk of a verification: what `idvRisk` shows. `before` is what it was."""
    assessed = [of_subject(found) for found in subjects]
    reasons = [each["reason"] for each in assessed if each["reason"] is not None]
    reasons.sort(key=lambda reason: -reason["points"])
    base = INPUT.get(input_risk, 0.0)
    score = max([base, *(each["points"] for each in assessed)])
    score += min(FURTHER_AT_MOST, FURTHER * max(0, len(reasons) - 1))
    is_provisional = not all(found.findings["isComplete"] for found in subjects)
    if is_provisional:
        score = max(score, float(before.get("score", 0.0)))
    score = round(min(100.0, score), 1)
    return {
        "description": next(word for least, word in LEVELS if score >= least),
        "score": score,
        "inputRisk": input_risk,
        "isProvisional": is_provisional,
        "reasons": reasons,
        "rules": RULES,
    }
