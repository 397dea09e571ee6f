"""What the scorer says when it is tried on every name of a list: slow, plain, and the definition.

The index must find exactly this, faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.kinds.kyc import DEFAULT_THRESHOLD, read_subject
from app.screening.features import plain_identifiers
from app.screening.match import Match, make_match
from app.screening.model import Entry, Subject
from app.screening.names import prepare
from app.screening.pair import Listed, best_of, prepared_names


class Scorer:
    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = [(entry, prepared_names(entry)) for entry in entries]

    def screen(self, fields: Mapping[str, Any]) -> dict[str, float]:
        """Return the score of every entry that reaches the threshold, as the API rounds it."""
        return self.compare(read_subject(fields))

    def compare(self, subject: Subject) -> dict[str, float]:
        found = {}
        for entry, names in self._entries:
            match = _match(subject, entry, names)
            if match is not None:
                found[entry.id] = round(match.score, 4)
        return found


def _match(subject: Subject, entry: Entry, names: Sequence[Listed]) -> Match | None:
    same = not plain_identifiers(subject).isdisjoint(plain_identifiers(entry))
    best = None
    if subject.name and subject.entity_type in (None, entry.entity_type):
        best = best_of(prepare(subject.name, entry.entity_type), names, entry.entity_type)
    return make_match(subject, entry, best, has_identifier=same, threshold=DEFAULT_THRESHOLD)
