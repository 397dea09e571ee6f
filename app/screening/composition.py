"""From the score of two names, and what else is known, to the score of the match.

A score is a sum of parts, and every part is an agreement in [0, 1] that somebody can look up:

    part = -takes * (1 - agreement) * of

First what disagrees is taken off the score of the name. Then, so that those who review exact names
see the best first, what is not known or not the same to the letter takes a little from the top of
the scale: `of` what is left above TOP. Nothing at or below TOP changes by that, and so no decision
at a threshold there. Only where everything agrees is the score 1.0. An equal identifier decides
alone.

No part adds to the score of the name. That is why an index may look for candidates by names alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import mul

from msgspec import Struct

from app.screening.features import FEATURES, IDENTIFIER_SCORE
from app.screening.model import EntityType, Part
from app.screening.names import PreparedName

#: Where the top of the scale begins.
TOP = 0.9
#: Less than anybody is shown of a score: what 1.0 - 0.1 may have above 0.9.
_SLACK = 1e-6

#: Taken from what the score has above TOP by another spelling or order of words, and by a legal
#: form that only one of the names has.
SPELLING_TAKES = 0.15
LEGAL_FORM_TAKES = 0.02

#: Likewise by what one of the sides does not know...
BIRTH_DATE_UNKNOWN_TAKES = 0.08
NATIONALITY_UNKNOWN_TAKES = 0.04
#: ...for companies, vessels and aircraft by there being no identifier that is equal,
IDENTIFIER_UNKNOWN_TAKES = 0.08
#: ...and, as long as that is not known, by a name that many may bear.
DISTINCTIVE_TAKES = 0.06
#: A name of so many letters, each counted by the weight of its word, is as distinctive as can be:
#: "Li Wei" has 5, four rare words have more than these.
DISTINCTIVE_LETTERS = 24

NAME, IDENTIFIERS = "name", "identifiers"
SPELLING, LEGAL_FORM, DISTINCTIVE = "spelling", "legal_form", "distinctive"
BIRTH_DATE, NATIONALITY = "birth_date", "nationality"

#: What would tell two subjects of one name apart.
_TELLING = {
    EntityType.PERSON: (BIRTH_DATE, BIRTH_DATE_UNKNOWN_TAKES),
    EntityType.ORGANISATION: (IDENTIFIERS, IDENTIFIER_UNKNOWN_TAKES),
    EntityType.VESSEL: (IDENTIFIERS, IDENTIFIER_UNKNOWN_TAKES),
    EntityType.AIRCRAFT: (IDENTIFIERS, IDENTIFIER_UNKNOWN_TAKES),
}


class NameAgreement(Struct, frozen=True, gc=False):
    """How well two names agree: `score` as words, `closeness` as they are spelt."""

    score: float
    closeness: float
    same_forms: bool
    query: PreparedName


def compose(
    name: NameAgreement, kind: EntityType, agreement: Mapping[str, float]
) -> tuple[Part, ...]:
    """Return what the name does to the score, and everything that is known or should be."""
    parts = [Part(NAME, name.score, name.score)]
    for feature in FEATURES:
        if feature.name in agreement:
            parts.append(_taken(feature.name, agreement[feature.name], feature.takes))
    above = total(parts) - TOP
    if above > _SLACK:
        parts += _from_the_top(name, kind, agreement, above)
    return tuple(parts)


def _from_the_top(
    name: NameAgreement, kind: EntityType, agreement: Mapping[str, float], above: float
) -> Iterator[Part]:
    if name.closeness < 1:
        yield _taken(SPELLING, name.closeness, SPELLING_TAKES, above)
    if not name.same_forms:
        yield _taken(LEGAL_FORM, 0.0, LEGAL_FORM_TAKES, above)
    telling, takes = _TELLING[kind]
    if telling not in agreement:
        yield _taken(telling, None, takes, above)
        distinct = distinctiveness(name.query)
        if distinct < 1:
            yield _taken(DISTINCTIVE, distinct, DISTINCTIVE_TAKES, above)
    if NATIONALITY not in agreement:
        yield _taken(NATIONALITY, None, NATIONALITY_UNKNOWN_TAKES, above)


def by_identifier() -> tuple[Part, ...]:
    """Return the parts of a match whose identifier is equal: nothing else counts."""
    return (Part(IDENTIFIERS, 1.0, IDENTIFIER_SCORE),)


def total(parts: Sequence[Part]) -> float:
    """Return the score that the parts add up to; it is never below 0."""
    return max(0.0, sum([each.part for each in parts]))


def distinctiveness(name: PreparedName) -> float:
    """Return how little a name can be somebody else's too, in [0, 1], by its length and weights."""
    letters = sum(map(mul, name.weights, map(len, name.tokens)))
    return min(1.0, letters / DISTINCTIVE_LETTERS)


def _taken(feature: str, agreement: float | None, takes: float, of: float = 1.0) -> Part:
    return Part(feature, agreement, -takes * (1 - (agreement or 0.0)) * of, takes, of)
