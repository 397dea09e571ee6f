"""From the name that is most alike, and what else is known, to a match with its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jellyfish

from app.screening.composition import NameAgreement, by_identifier, compose, total
from app.screening.explain import explain
from app.screening.features import agreeing_fields, agreements
from app.screening.model import Entry, Match, NameCalculation, Part, Subject
from app.screening.names import PreparedName

NAME, IDENTIFIER = "name", "identifier"


@dataclass(frozen=True, slots=True)
class BestName:
    """The name of an entry that is most like the query; `score` is that of the names alone.

    `query` is prepared by the rules of the entry's type; `score` has the factor of a weak alias.
    """

    score: float
    closeness: float
    text: str
    is_weak: bool
    query: PreparedName
    listed: PreparedName

    @property
    def rank(self) -> tuple[float, float, bool]:
        """Of an entry's names the one that scores most counts, and of equals the closest."""
        return self.score, self.closeness, self.same_forms

    @property
    def same_forms(self) -> bool:
        return self.query.legal_forms == self.listed.legal_forms


def make_match(
    subject: Subject,
    entry: Entry,
    best: BestName | None,
    *,
    has_identifier: bool,
    threshold: float = 0.0,
) -> Match | None:
    """Return the match with its reasons, or None where its score does not reach the threshold."""
    agreement = agreements(subject, entry)
    parts = by_identifier() if has_identifier else _parts(entry, best, agreement)
    score = round(total(parts), 6)
    # Most candidates that a threshold leaves out are left out here, before anything is explained.
    if score < threshold:
        return None
    explanations: dict[str, float] = {}
    fields: list[str] = []
    if best is not None:
        explanations["name"] = round(best.score, 4)
        explanations["spelling"] = round(best.closeness, 4)
        explanations["sound"] = round(_sound(best.query, best.listed), 4)
        fields.append("full_name")
    explanations |= agreement
    fields += agreeing_fields(agreement)
    if has_identifier:
        explanations["identifiers"] = 1.0
        fields.append("identifiers")
    return Match(
        entry=entry,
        score=score,
        match_type=IDENTIFIER if has_identifier else NAME,
        matched_name=entry.name if best is None else best.text,
        matched_fields=tuple(fields),
        explanations=explanations,
        calculation=None if best is None else _explained(entry, best),
        parts=parts,
    )


def _parts(entry: Entry, best: BestName | None, agreement: Mapping[str, float]) -> tuple[Part, ...]:
    if best is None:
        return ()
    name = NameAgreement(best.score, best.closeness, best.same_forms, best.query)
    return compose(name, entry.entity_type, agreement)


def _explained(entry: Entry, best: BestName) -> NameCalculation:
    return explain(best.query, best.listed, entry.entity_type, is_weak=best.is_weak)


def closeness(query: PreparedName, listed: PreparedName) -> float:
    """Return how closely the names are spelt, order of words included."""
    return jellyfish.jaro_winkler_similarity(" ".join(query.tokens), " ".join(listed.tokens))


def _sound(query: PreparedName, listed: PreparedName) -> float:
    """Return the share of words that sound the same in English."""
    mine = {jellyfish.metaphone(token) for token in query.tokens}
    theirs = {jellyfish.metaphone(token) for token in listed.tokens}
    return len(mine & theirs) / max(len(mine | theirs), 1)
