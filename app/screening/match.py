"""From the name that is most alike, and what else is known, to a match with its reasons."""

from __future__ import annotations

from dataclasses import dataclass

import jellyfish

from app.screening.features import IDENTIFIER_SCORE, adjust, agreeing_fields, agreements
from app.screening.model import Entry, Match, Subject
from app.screening.names import PreparedName
from app.screening.scorer import explain

NAME, IDENTIFIER = "name", "identifier"


@dataclass(frozen=True, slots=True)
class BestName:
    """The name of an entry that is most like the query; `score` is that of the names alone.

    `query` is prepared by the rules of the entry's type.
    """

    score: float
    closeness: float
    text: str
    is_weak: bool
    query: PreparedName
    listed: PreparedName

    @property
    def rank(self) -> tuple[float, float]:
        return self.score, self.closeness


def make_match(
    subject: Subject, entry: Entry, best: BestName | None, *, has_identifier: bool
) -> Match:
    """Return the match; whether its score reaches a threshold is for the caller to see."""
    agreement = agreements(subject, entry)
    explanations: dict[str, float] = {}
    fields: list[str] = []
    score = 0.0
    if best is not None:
        score = adjust(best.score, agreement)
        explanations["name"] = round(best.score, 4)
        explanations["spelling"] = round(best.closeness, 4)
        explanations["sound"] = round(_sound(best.query, best.listed), 4)
        fields.append("full_name")
    explanations |= agreement
    fields += agreeing_fields(agreement)
    if has_identifier:
        score = IDENTIFIER_SCORE
        explanations["identifiers"] = 1.0
        fields.append("identifiers")
    return Match(
        entry=entry,
        score=round(score, 6),
        match_type=IDENTIFIER if has_identifier else NAME,
        matched_name=entry.name if best is None else best.text,
        matched_fields=tuple(fields),
        explanations=explanations,
        tokens=() if best is None else explain(best.query, best.listed),
    )


def closeness(query: PreparedName, listed: PreparedName) -> float:
    """Return how closely the names are spelt, order of words included."""
    return jellyfish.jaro_winkler_similarity(" ".join(query.tokens), " ".join(listed.tokens))


def _sound(query: PreparedName, listed: PreparedName) -> float:
    """Return the share of words that sound the same in English."""
    mine = {jellyfish.metaphone(token) for token in query.tokens}
    theirs = {jellyfish.metaphone(token) for token in listed.tokens}
    return len(mine & theirs) / max(len(mine | theirs), 1)
