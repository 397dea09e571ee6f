"""What the scorer says when it is tried on every name of a list: slow, plain, and the definition.

The index must find exactly this, faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.kinds.kyc import DEFAULT_THRESHOLD, _subject
from app.screening.features import (
    IDENTIFIER_SCORE,
    WEAK_ALIAS,
    adjust,
    agreements,
    plain_identifiers,
)
from app.screening.model import Entry, Subject
from app.screening.names import PreparedName, prepare
from app.screening.scorer import score
from app.screening.shelf import names_of


class Scorer:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [(entry, _prepared(entry)) for entry in entries]

    def screen(self, fields: Mapping[str, Any]) -> dict[str, float]:
        """Return the score of every entry that reaches the threshold, as the API rounds it."""
        subject = _subject(fields)
        found = {}
        for entry, names in self._entries:
            value = round(_score(subject, entry, names), 6)
            if value >= DEFAULT_THRESHOLD:
                found[entry.id] = round(value, 4)
        return found


def _prepared(entry: Entry) -> list[tuple[PreparedName, float]]:
    """Return each name of the entry, and what a score with it is worth."""
    return [
        (prepare(name, entry.entity_type), WEAK_ALIAS if is_weak else 1.0)
        for name, is_weak in names_of(entry)
    ]


def _score(subject: Subject, entry: Entry, names: Sequence[tuple[PreparedName, float]]) -> float:
    if not plain_identifiers(subject).isdisjoint(plain_identifiers(entry)):
        return IDENTIFIER_SCORE
    if not subject.name or subject.entity_type not in (None, entry.entity_type):
        return 0.0
    query = prepare(subject.name, entry.entity_type)
    best = max(score(query, name, entry.entity_type) * worth for name, worth in names)
    return adjust(best, agreements(subject, entry))
