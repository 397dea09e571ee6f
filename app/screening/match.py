"""From the name that is most alike, and what else is known, to a match with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import jellyfish
from msgspec import Struct

from app.screening.composition import NameAgreement, by_identifier, compose, total
from app.screening.explain import explain
from app.screening.features import agreeing_fields, agreements
from app.screening.model import EntityType, Entry, NameCalculation, Part, Subject
from app.screening.names import PreparedName, prepare

NAME, IDENTIFIER = "name", "identifier"

#: To which scores of names are compared with each other: sums made in another way differ below.
DECIMALS = 9


class BestName(Struct, frozen=True, gc=False):
    """The name of an entry that is most like the query; `score` is that of the names alone.

    `query` is prepared by the rules of `kind`, and so are `words` and `legal_forms` of the listed
    name, which `text` has as published. `score` has the factor of a weak alias; `closeness` says
    how closely the names are spelt (`spelt_alike`).
    """

    score: float
    text: str
    is_weak: bool
    kind: EntityType
    query: PreparedName
    words: tuple[str, ...]
    legal_forms: frozenset[str]
    closeness: float

    @property
    def rank(self) -> tuple[float, float, bool]:
        """Of an entry's names the one that scores most counts, and of equals the closest."""
        return round(self.score, DECIMALS), self.closeness, self.same_forms

    @property
    def sound(self) -> float:
        """The share of words that sound the same in English."""
        mine = {jellyfish.metaphone(token) for token in self.query.tokens}
        theirs = {jellyfish.metaphone(token) for token in self.words}
        return len(mine & theirs) / max(len(mine | theirs), 1)

    @property
    def same_forms(self) -> bool:
        return self.query.legal_forms == self.legal_forms

    def explain(self) -> NameCalculation:
        return explain(self.query, prepare(self.text, self.kind), self.kind, is_weak=self.is_weak)


class Match(Struct, frozen=True, gc=False):
    """An entry whose score reached the threshold, with the reasons.

    `best` is None where no name was compared; `parts` add up to the score; `agreement` says how
    well each feature agrees that both sides know something about, in [0, 1]. What takes time to
    tell is told when it is asked for.
    """

    entry: Entry
    score: float
    best: BestName | None
    has_identifier: bool
    agreement: Mapping[str, float]
    parts: tuple[Part, ...]

    @property
    def match_type(self) -> str:
        return IDENTIFIER if self.has_identifier else NAME

    @property
    def matched_name(self) -> str:
        return self.entry.name if self.best is None else self.best.text

    @property
    def matched_fields(self) -> tuple[str, ...]:
        return (
            *(() if self.best is None else ("full_name",)),
            *agreeing_fields(self.agreement),
            *(("identifiers",) if self.has_identifier else ()),
        )

    @property
    def explanations(self) -> dict[str, float]:
        """How well name, spelling and sound agree, and each feature, in [0, 1]."""
        told: dict[str, float] = {}
        if self.best is not None:
            told["name"] = round(self.best.score, 4)
            told["spelling"] = round(self.best.closeness, 4)
            told["sound"] = round(self.best.sound, 4)
        told |= self.agreement
        if self.has_identifier:
            told["identifiers"] = 1.0
        return told

    def calculation(self) -> NameCalculation | None:
        """Say how the score of the name comes about, from words and factors."""
        return None if self.best is None else self.best.explain()


def make_match(
    subject: Subject,
    entry: Entry,
    best: BestName | None,
    *,
    has_identifier: bool,
    threshold: float = 0.0,
) -> Match | None:
    """Return the match, or None where its score does not reach the threshold."""
    agreement = agreements(subject, entry)
    parts = by_identifier() if has_identifier else _parts(entry, best, agreement)
    score = round(total(parts), 6)
    if score < threshold:
        return None
    return Match(entry, score, best, has_identifier, agreement, parts)


def _parts(entry: Entry, best: BestName | None, agreement: Mapping[str, float]) -> tuple[Part, ...]:
    if best is None:
        return ()
    name = NameAgreement(best.score, best.closeness, best.same_forms, best.query)
    return compose(name, entry.entity_type, agreement)


def spelt_alike(query: tuple[str, ...], words: tuple[str, ...]) -> float:
    """Return how closely two names are spelt, order of words included, in [0, 1]."""
    if query == words and query:
        # What it comes to anyway: most of whom are found at all are written so.
        return 1.0
    return jellyfish.jaro_winkler_similarity(" ".join(query), " ".join(words))


def most_alike(names: Iterable[BestName]) -> BestName | None:
    """Return the name that counts: of equals the first."""
    every = list(names)
    if len(every) < 2:
        return every[0] if every else None
    return max(every, key=lambda name: name.rank)
