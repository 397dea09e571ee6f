"""The score of two names: the definition that everything faster must equal.

Words are paired one to one, best pairs first. The score is the weighted mean similarity of the
pairs; words left over on the query's side count heavily against it, on the list's side lightly
(lists give full names, clients often short ones). Then a few factors take away from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from app.screening.model import EntityType
from app.screening.names import ACRONYM_LETTERS, INITIAL, STRONG, PreparedName, prepare
from app.screening.tokens import (
    JOINED_FLOOR,
    JOINED_LETTERS,
    JOINED_LONGER,
    ending,
    joined,
    similarity,
    skeleton,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What disagreement costs in names of one entity type. All are shares of a score."""

    #: A word of the query that the listed name lacks, beside 1.0 for one that it has.
    query_leftover: float
    #: A word of the listed name that the query lacks.
    listed_leftover: float
    #: Kept where each name has two words that identify and only one is shared.
    one_strong_pair: float
    #: The same, where the query is only one word: it may be the name that the list leads with.
    one_word_query: float
    #: Taken when each name has a word that identifies and has no partner: "Hasan al-Rawi" and
    #: "Hasan al-Tikriti" contradict each other, "Hasan" and "Hasan al-Rawi" do not.
    contradiction: float
    #: Kept where all rests on one word, and that is not the same word.
    one_word_unequal: float


RULES: Mapping[EntityType, Rules] = {
    EntityType.PERSON: Rules(
        query_leftover=0.15, listed_leftover=0.12, one_strong_pair=0.62, one_word_query=0.88,
        contradiction=0.3, one_word_unequal=1.0,
    ),
    EntityType.ORGANISATION: Rules(
        query_leftover=0.28, listed_leftover=0.42, one_strong_pair=0.62, one_word_query=0.81,
        contradiction=0.15, one_word_unequal=0.96,
    ),
    EntityType.VESSEL: Rules(
        query_leftover=0.8, listed_leftover=0.2, one_strong_pair=0.62, one_word_query=0.81,
        contradiction=0.15, one_word_unequal=0.9,
    ),
    EntityType.AIRCRAFT: Rules(
        query_leftover=0.8, listed_leftover=0.2, one_strong_pair=0.62, one_word_query=0.81,
        contradiction=0.15, one_word_unequal=0.9,
    ),
}  # fmt: skip


def reversed_rules(rules: Rules) -> Rules:
    """Return the rules for whoever looks for the names that would find a listed one.

    The sides change places, and with them what a word that is left over costs.
    """
    return replace(
        rules, query_leftover=rules.listed_leftover, listed_leftover=rules.query_leftover
    )


#: "Snow Storm 1" is not "Snow Storm 2".
NUMBERS_DIFFER = 0.7
LEGAL_FORMS_DIFFER = 0.84
#: Neither name has a word that identifies, and they are not the same words.
NOTHING_STRONG = 0.9
#: "Yusuf bin Tariq" is not "Tariq bin Yusuf".
FATHER_AND_SON = 0.6
#: Names that sound the same from end to end, wherever their spaces are.
RUN_ON = 0.88
RUN_ON_SKELETON = 7
#: "NLA" for "National Liberation Army", and where only three letters say so.
ACRONYM = 0.86
SHORT_ACRONYM = 0.845

CRAFT = frozenset({EntityType.VESSEL, EntityType.AIRCRAFT})


@dataclass(frozen=True, slots=True)
class Pair:
    """Words `query_at` of the query stand for words `listed_at` of the listed name."""

    similarity: float
    query_at: tuple[int, ...]
    listed_at: tuple[int, ...]
    weight: float
    is_acronym: bool = False


def name_score(query: str, listed: str, entity_type: EntityType) -> float:
    """Return how alike two names as written are, in [0, 1]."""
    return score(prepare(query, entity_type), prepare(listed, entity_type), entity_type)


def score(query: PreparedName, listed: PreparedName, entity_type: EntityType) -> float:
    """Return how alike two prepared names are, in [0, 1]. A name of no words is like nothing."""
    if not query.tokens or not listed.tokens:
        return 0.0
    if same_words(query, listed):
        words = 1.0
    else:
        words = _pairs_score(query, listed, RULES[entity_type])
        if words < RUN_ON and sounds_as_one(query, listed):
            words = RUN_ON
    return words * _factor(query, listed, entity_type)


def sounds_as_one(query: PreparedName, listed: PreparedName) -> bool:
    """Say whether the names sound the same when written without spaces."""
    sound = run_on(query.unspaced)
    return sound is not None and sound == run_on(listed.unspaced)


@lru_cache(maxsize=1 << 16)
def run_on(unspaced: str) -> str | None:
    """Return what a whole name sounds like, or None if it is too short to be told by that."""
    found = skeleton(unspaced)
    return found + ending(unspaced) if len(found) >= RUN_ON_SKELETON else None


def same_words(query: PreparedName, listed: PreparedName) -> bool:
    """Say whether the names differ only in the order of words, or in their spacing."""
    return query.unspaced == listed.unspaced or sorted(query.tokens) == sorted(listed.tokens)


def _pairs_score(query: PreparedName, listed: PreparedName, rules: Rules) -> float:
    paired = pairs(query, listed)
    weight = sum(pair.weight for pair in paired)
    if not weight:
        return 0.0
    agreement = sum(pair.similarity * pair.weight for pair in paired)
    query_left = _left_over(query, {at for pair in paired for at in pair.query_at})
    listed_left = _left_over(listed, {at for pair in paired for at in pair.listed_at})
    left = rules.query_leftover * sum(query_left) + rules.listed_leftover * sum(listed_left)
    found = agreement / (weight + left)
    strong = [pair for pair in paired if pair.weight >= STRONG]
    # An acronym stands for all of its words.
    count = sum(2 if pair.is_acronym else 1 for pair in strong)
    found *= strength_factor(query.strong, listed.strong, count, rules)
    if max(query_left, default=0) >= INITIAL and max(listed_left, default=0) >= INITIAL:
        found *= 1 - rules.contradiction
    if count == 1 and strong[0].similarity < 1.0:
        found *= rules.one_word_unequal
    return found


def _left_over(name: PreparedName, paired: set[int]) -> list[float]:
    """Return the weights of the words without a partner."""
    return [weight for at, weight in enumerate(name.weights) if at not in paired]


def strength_factor(
    query_strong: int, listed_strong: int, strong_pairs: int, rules: Rules
) -> float:
    """Return what the score keeps when too few of the words that identify were paired."""
    if query_strong == listed_strong == 0:
        # "Industrial Technology Group", "Organization for Technological Industry".
        return NOTHING_STRONG
    if strong_pairs >= 2:
        return 1.0
    if strong_pairs == 0:
        # "Trading Company" shares with "Foreign Trading Company" what many companies share.
        return rules.one_strong_pair
    if min(query_strong, listed_strong) == 0:
        return 1.0
    if query_strong < 2 and listed_strong < 2:
        return 1.0
    if strong_pairs == 1 and query_strong == 1:
        return rules.one_word_query
    return rules.one_strong_pair


def _factor(query: PreparedName, listed: PreparedName, entity_type: EntityType) -> float:
    factor = 1.0
    if query.numbers and listed.numbers and not query.numbers & listed.numbers:
        factor *= NUMBERS_DIFFER
    if entity_type in CRAFT and query.numbers != listed.numbers:
        factor *= NUMBERS_DIFFER
    if query.legal_forms and listed.legal_forms and not query.legal_forms & listed.legal_forms:
        factor *= LEGAL_FORMS_DIFFER
    if query.father_at is not None and listed.father_at is not None:
        son, father = query.tokens[0], query.tokens[query.father_at]
        listed_son, listed_father = listed.tokens[0], listed.tokens[listed.father_at]
        if son != listed_son and son == listed_father and father == listed_son:
            factor *= FATHER_AND_SON
    return factor


def pairs(query: PreparedName, listed: PreparedName) -> list[Pair]:
    """Pair the words one to one, the heaviest agreement first."""
    found = sorted(
        _possible_pairs(query, listed), key=lambda pair: pair.similarity * pair.weight, reverse=True
    )
    query_used: set[int] = set()
    listed_used: set[int] = set()
    kept = []
    for pair in found:
        if query_used.isdisjoint(pair.query_at) and listed_used.isdisjoint(pair.listed_at):
            query_used.update(pair.query_at)
            listed_used.update(pair.listed_at)
            kept.append(pair)
    return kept


def _possible_pairs(query: PreparedName, listed: PreparedName) -> Iterator[Pair]:
    personal = query.personal
    for i, left in enumerate(query.tokens):
        for j, right in enumerate(listed.tokens):
            alike = similarity(left, right, personal)
            if alike:
                yield Pair(alike, (i,), (j,), (query.weights[i] + listed.weights[j]) / 2)
    for i, j, alike in _joined_pairs(query.tokens, listed.tokens, personal):
        weight = query.weights[i] + query.weights[i + 1] + listed.weights[j]
        yield Pair(alike, (i, i + 1), (j,), weight / 2)
    yield from _acronym_pairs(query, listed)
    for j, i, alike in _joined_pairs(listed.tokens, query.tokens, personal):
        weight = query.weights[i] + listed.weights[j] + listed.weights[j + 1]
        yield Pair(alike, (i,), (j, j + 1), weight / 2)


def _acronym_pairs(query: PreparedName, listed: PreparedName) -> Iterator[Pair]:
    """Find words that are what the first letters of the whole other name spell."""
    if listed.acronyms:
        every = tuple(range(len(listed.tokens)))
        for at, word in enumerate(query.tokens):
            if word in listed.acronyms:
                weight = (query.weights[at] + listed.weight) / 2
                yield Pair(_acronym(word), (at,), every, weight, is_acronym=True)
    if query.acronyms:
        every = tuple(range(len(query.tokens)))
        for at, word in enumerate(listed.tokens):
            if word in query.acronyms:
                weight = (query.weight + listed.weights[at]) / 2
                yield Pair(_acronym(word), every, (at,), weight, is_acronym=True)


def _acronym(word: str) -> float:
    return SHORT_ACRONYM if len(word) == ACRONYM_LETTERS else ACRONYM


def _joined_pairs(
    split: tuple[str, ...], whole: tuple[str, ...], personal: bool
) -> Iterator[tuple[int, int, float]]:
    """Find two neighbours in `split` that are written as one word in `whole`."""
    for at in range(len(split) - 1):
        both = joined(split, at)
        if both is None:
            continue
        for other, word in enumerate(whole):
            if len(word) >= JOINED_LETTERS and abs(len(word) - len(both)) <= JOINED_LONGER:
                alike = similarity(both, word, personal)
                # An initial before a name is no part of it: "A. Khan" is not "Akhan".
                needed = 1.0 if 1 in (len(split[at]), len(split[at + 1])) else JOINED_FLOOR
                if alike >= needed:
                    yield at, other, alike
