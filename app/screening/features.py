"""What is known beside the name, and what it does to the score.

A feature is a claim about a subject and an entry. It answers how well they agree in [0, 1], or
None where one of the two sides is silent. Disagreement takes from the score of the name, agreement
adds nothing: two people of one birthday are no likelier to have one name. That is also why the
index may look at names alone. Only an identifier decides by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from app.screening.model import Entry, Subject

#: An equal passport, tax, registration or IMO number is the same subject, whatever the name.
IDENTIFIER_SCORE = 1.0
#: A nickname that the publisher calls weak must be met nearly letter by letter to count.
WEAK_ALIAS = 0.9

#: Shorter numbers are equal by accident.
IDENTIFIER_LETTERS = 5
_NOT_IN_IDENTIFIERS = re.compile(r"[^A-Z0-9]+")
#: A bank's BIC, which may be written with the branch that stands for none.
_HEAD_OFFICE = re.compile(r"([A-Z]{6}[A-Z0-9]{2})XXX")
_NOTHING: frozenset[str] = frozenset()
_LABEL = re.compile(r"^IMO(?:NO|NUMBER)?(?=\d{7}$)")


@dataclass(frozen=True, slots=True)
class Feature:
    """`field` names it in `matched_fields`, `name` in the explanations."""

    name: str
    field: str
    agreement: Callable[[Subject, Entry], float | None]
    takes: float
    agrees_from: float


def birth_date_agrees(subject: Subject, entry: Entry) -> float | None:
    """The subject was born on one of the days, or in one of the years, that the list gives."""
    if subject.birth_date is None or not entry.birth_dates:
        return None
    return max(dates_agree(subject.birth_date, date) for date in entry.birth_dates)


def country_agrees(subject: Subject, entry: Entry) -> float | None:
    """The subject and the entry have a country in common."""
    if not subject.countries or not entry.countries:
        return None
    return float(any(country in entry.countries for country in subject.countries))


#: Read as a sentence: another birth date takes up to 0.25 from the score, another country 0.1.
FEATURES = (
    Feature("birth_date", "birth_date", birth_date_agrees, takes=0.25, agrees_from=0.75),
    Feature("nationality", "nationality", country_agrees, takes=0.1, agrees_from=1.0),
)

#: How well two dates agree that are not the same, by what sets them apart.
SAME_YEAR_ONLY = 0.3
ONE_PART_DIFFERS = 0.5
DAY_AND_MONTH_SWAPPED = 0.9
YEAR_SLIPPED = 0.75
NEXT_YEAR = 0.5


def dates_agree(left: str, right: str) -> float:
    """Compare two dates as far as both are known: YYYY, YYYY-MM or YYYY-MM-DD.

    >>> dates_agree("1970", "1970-03-02"), dates_agree("1970-03-02", "1970-02-03")
    (1.0, 0.9)
    """
    mine, theirs = left.split("-"), right.split("-")
    known = min(len(mine), len(theirs))
    if mine[:known] == theirs[:known]:
        return 1.0
    if mine[0] != theirs[0]:
        return _years_agree(mine, theirs)
    if known == 3 and mine[1:] == theirs[:0:-1]:
        return DAY_AND_MONTH_SWAPPED
    if known == 3 and (mine[1] == theirs[1] or mine[2] == theirs[2]):
        return ONE_PART_DIFFERS
    return SAME_YEAR_ONLY


def _years_agree(mine: list[str], theirs: list[str]) -> float:
    next_to = abs(int(mine[0]) - int(theirs[0])) == 1
    if len(mine) == len(theirs) == 3:
        # A slip of the pen in the year, the rest being right.
        slip = next_to or sum(a != b for a, b in zip(mine[0], theirs[0], strict=False)) == 1
        return YEAR_SLIPPED if slip and mine[1:] == theirs[1:] else 0.0
    # Years alone are often estimates.
    return NEXT_YEAR if next_to and 1 in (len(mine), len(theirs)) else 0.0


def plain_identifier(value: str) -> str | None:
    """Return what is compared of an identifier, or None if it is too short to decide anything.

    >>> plain_identifier("IMO 9187629") == plain_identifier("9187629")
    True
    """
    plain = _LABEL.sub("", _NOT_IN_IDENTIFIERS.sub("", value.upper()))
    if head_office := _HEAD_OFFICE.fullmatch(plain):
        plain = head_office[1]
    return plain if len(plain) >= IDENTIFIER_LETTERS else None


def plain_identifiers(subject: Subject | Entry) -> frozenset[str]:
    if not subject.identifiers:
        return _NOTHING
    values = [plain_identifier(each.value) for each in subject.identifiers]
    return frozenset([value for value in values if value is not None])


def agreements(subject: Subject, entry: Entry) -> dict[str, float]:
    """Return how well each feature agrees, for those that both sides know something about."""
    return {
        feature.name: agreement
        for feature in FEATURES
        if (agreement := feature.agreement(subject, entry)) is not None
    }


def agreeing_fields(agreement: Mapping[str, float]) -> Iterable[str]:
    return (f.field for f in FEATURES if agreement.get(f.name, 0.0) >= f.agrees_from)
