"""Peers on labelled pairs: what a whole-string measure, or another matcher, says of the same two.

Each is a function of a query and an entry that returns a score in [0, 1].
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import jellyfish
from rapidfuzz import fuzz

from app.screening.evaluate.labelled import LabelledPair
from app.screening.evaluate.measure import Asked, Figures, measure
from app.screening.model import EntityType, Entry, Subject
from app.screening.names import fold
from app.screening.shelf import names_of

Scorer = Callable[[Subject, Entry], float]

#: Thresholds that a peer may choose its best one from.
_THRESHOLDS = [number / 100 for number in range(50, 101)]

_SCHEMATA = {
    EntityType.PERSON: "Person",
    EntityType.ORGANISATION: "Company",
    EntityType.VESSEL: "Vessel",
    EntityType.AIRCRAFT: "Airplane",
}


def jaro_winkler(subject: Subject, entry: Entry) -> float:
    """jellyfish's Jaro-Winkler over the whole name, in Latin letters and lower case."""
    return _best(subject, entry, jellyfish.jaro_winkler_similarity)


def token_sort_ratio(subject: Subject, entry: Entry) -> float:
    """rapidfuzz's ratio of the names with their words in alphabetical order."""
    return _best(subject, entry, lambda left, right: fuzz.token_sort_ratio(left, right) / 100)


def _best(subject: Subject, entry: Entry, compare: Callable[[str, str], float]) -> float:
    query = fold(subject.name or "")
    return max((compare(query, fold(name)) for name, _ in names_of(entry)), default=0.0)


def logic_v2() -> Scorer:
    """nomenklatura's logic-v2 as it is configured, or ImportError where it is not installed."""
    from followthemoney import model
    from nomenklatura.matching import get_algorithm

    algorithm = get_algorithm("logic-v2")
    if algorithm is None:
        raise ImportError("this nomenklatura has no logic-v2")
    config = algorithm.default_config()
    numbers = itertools.count()

    def proxy(side: Subject | Entry, kind: EntityType, names: dict[str, list[str]]):
        found = model.make_entity(_SCHEMATA[kind])
        # It remembers what it read by id.
        found.id = f"side-{next(numbers)}"
        dates = [side.birth_date] if isinstance(side, Subject) else side.birth_dates
        values = {
            **names,
            "birthDate": [date for date in dates if date],
            "country": [country.lower() for country in side.countries],
        }
        for each in side.identifiers:
            values.setdefault(each.type, []).append(each.value)
        for name, its in values.items():
            if name in found.schema.properties:
                found.add(name, its)
        return found

    def score(subject: Subject, entry: Entry) -> float:
        kind = subject.entity_type or entry.entity_type
        query = proxy(subject, kind, {"name": [subject.name] if subject.name else []})
        names = {"name": [entry.name], "alias": [*entry.aliases]}
        listed = proxy(entry, entry.entity_type, {**names, "weakAlias": [*entry.weak_aliases]})
        return float(algorithm.compare(query, listed, config).score)

    return score


def score_pairs(pairs: Sequence[LabelledPair], scorer: Scorer) -> list[Asked]:
    asked = []
    for pair in pairs:
        found = scorer(pair.subject, pair.entry)
        asked.append(Asked(found) if pair.is_match else Asked(None, (found,)))
    return asked


def at_best(asked: Sequence[Asked], most_alerted: float | None) -> Figures:
    """Return the figures at the threshold that flatters them most.

    By F1; or by recall, where only so many of the pairs that are none may alert.
    """
    all_figures = [measure(asked, threshold) for threshold in _THRESHOLDS]
    if most_alerted is None:
        return max(all_figures, key=lambda figures: figures.f1 or 0.0)
    allowed = [each for each in all_figures if (each.negatives_alerted or 0.0) <= most_alerted]
    return max(allowed or all_figures[-1:], key=lambda figures: figures.recall or 0.0)
