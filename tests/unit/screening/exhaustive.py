"""What an index must find, by comparing every subject with every entry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.screening.features import WEAK_ALIAS
from app.screening.match import BestName, make_match, spelt_alike
from app.screening.model import Entry, Subject
from app.screening.names import prepare
from app.screening.scorer import score
from app.screening.shelf import names_of


class Exhaustive:
    """Remembers every pair that scores at least `lowest`, so that thresholds are quick to try."""

    def __init__(self, entries: Sequence[Entry], subjects: Iterable[Subject], lowest: float):
        listed = [
            (entry, name, prepare(name, entry.entity_type), weak)
            for entry in entries
            for name, weak in names_of(entry)
        ]
        self._scores: dict[tuple[int, str], float] = {}
        for number, subject in enumerate(subjects):
            queries = {
                kind: prepare(subject.name, kind) for kind in {e.entity_type for e in entries}
            }
            best: dict[str, tuple[Entry, BestName]] = {}
            for entry, text, name, weak in listed:
                if subject.entity_type not in (None, entry.entity_type):
                    continue
                query = queries[entry.entity_type]
                found = score(query, name, entry.entity_type) * (WEAK_ALIAS if weak else 1.0)
                if found >= lowest - 1e-6:
                    new = BestName(
                        found,
                        text,
                        weak,
                        entry.entity_type,
                        query,
                        name.tokens,
                        name.legal_forms,
                        spelt_alike(query.tokens, name.tokens),
                    )
                    if entry.id not in best or new.rank > best[entry.id][1].rank:
                        best[entry.id] = entry, new
            for entry, its in best.values():
                match = make_match(subject, entry, its, has_identifier=False)
                assert match is not None
                self._scores[number, entry.id] = match.score

    def matches(self, threshold: float) -> dict[tuple[int, str], float]:
        return {key: score for key, score in self._scores.items() if score >= threshold}


def found_by(index, subjects: Sequence[Subject], threshold: float) -> dict[tuple[int, str], float]:
    """Return what the index finds, in the same shape."""
    return {
        (number, match.entry.id): match.score
        for number, matches in enumerate(index.screen(subjects, threshold))
        for match in matches
    }
