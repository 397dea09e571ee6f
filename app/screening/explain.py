"""How the score of two names came about, word by word, so that a person can do the sum again.

This says in words what `scorer` says in numbers, and is asked only about names that matched. Its
sum is the scorer's: tests/unit/screening/test_explanations.py holds the one against the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.screening.features import WEAK_ALIAS
from app.screening.model import EntityType, Factor, LeftOver, NameCalculation, TokenPair
from app.screening.names import INITIAL, STRONG, PreparedName
from app.screening.scorer import (
    FATHER_AND_SON,
    LEGAL_FORMS_DIFFER,
    NUMBERS_DIFFER,
    RULES,
    RUN_ON,
    Pair,
    Rules,
    pairs,
    same_words,
    sounds_as_one,
    strength_factor,
)
from app.screening.tokens import (
    LOOSE_KEY,
    SOUND_KEY,
    SPELT_KEY,
    SYLLABLE_KEY,
    VARIANT_KEY,
    shared_key,
    spelling,
)

QUERY, LISTED = "query", "listed"
SAME_WORDS, SOUNDS_AS_ONE = "same_words", "sounds_as_one"

_CRAFT = frozenset({EntityType.VESSEL, EntityType.AIRCRAFT})

#: What a key that two words share is called in explanations.
_HOW = {
    SPELT_KEY: "transliteration",
    SOUND_KEY: "sound",
    LOOSE_KEY: "sound",
    VARIANT_KEY: "variant",
    SYLLABLE_KEY: "syllables",
}


def explain(
    query: PreparedName, listed: PreparedName, entity_type: EntityType, *, is_weak: bool = False
) -> NameCalculation:
    """Return how the score of two names comes about; `is_weak` is the listed one."""
    paired = sorted(pairs(query, listed), key=lambda pair: pair.query_at)
    told = tuple(_told(pair, query, listed) for pair in paired)
    of_names = tuple(_of_names(query, listed, entity_type, is_weak))
    if query.tokens and listed.tokens and same_words(query, listed):
        return NameCalculation(1.0, SAME_WORDS, told, factors=of_names)

    rules = RULES[entity_type]
    left_over = (
        *_left_over(query, {at for pair in paired for at in pair.query_at}, QUERY, rules),
        *_left_over(listed, {at for pair in paired for at in pair.listed_at}, LISTED, rules),
    )
    of_words = tuple(_of_words(query, listed, paired, left_over, rules))
    weight = sum(pair.weight for pair in paired)
    agreement = sum(pair.similarity * pair.weight for pair in paired)
    words = agreement / (weight + sum(left.cost for left in left_over)) if weight else 0.0
    if product(words, of_words) < RUN_ON and sounds_as_one(query, listed):
        return NameCalculation(RUN_ON, SOUNDS_AS_ONE, told, factors=of_names)
    return NameCalculation(words, None, told, left_over, of_words + of_names)


def product(words: float, factors: tuple[Factor, ...]) -> float:
    for factor in factors:
        words *= factor.value
    return words


def _left_over(name: PreparedName, paired: set[int], side: str, rules: Rules) -> Iterator[LeftOver]:
    share = rules.query_leftover if side == QUERY else rules.listed_leftover
    for at, (word, weight) in enumerate(zip(name.tokens, name.weights, strict=True)):
        if at not in paired:
            yield LeftOver(side, word, weight, share * weight)


def _of_words(
    query: PreparedName,
    listed: PreparedName,
    paired: list[Pair],
    left_over: tuple[LeftOver, ...],
    rules: Rules,
) -> Iterator[Factor]:
    """Name what the scorer multiplies the mean of the words by."""
    strong = [pair for pair in paired if pair.weight >= STRONG]
    count = sum(2 if pair.is_acronym else 1 for pair in strong)
    kept = strength_factor(query.strong, listed.strong, count, rules)
    if kept < 1:
        yield Factor(_too_few(query, listed, count), kept)
    heavy = {left.side for left in left_over if left.weight >= INITIAL}
    if len(heavy) == 2:
        yield Factor("contradiction", 1 - rules.contradiction)
    if count == 1 and strong[0].similarity < 1 and rules.one_word_unequal < 1:
        yield Factor("one_word_unequal", rules.one_word_unequal)


def _too_few(query: PreparedName, listed: PreparedName, strong_pairs: int) -> str:
    if query.strong == listed.strong == 0:
        return "nothing_strong"
    if strong_pairs == 0:
        return "no_strong_pair"
    return "one_word_query" if query.strong == 1 else "one_strong_pair"


def _of_names(
    query: PreparedName, listed: PreparedName, entity_type: EntityType, is_weak: bool
) -> Iterator[Factor]:
    """Name what the scorer multiplies the score of the words by."""
    if query.numbers and listed.numbers and not query.numbers & listed.numbers:
        yield Factor("numbers_differ", NUMBERS_DIFFER)
    if entity_type in _CRAFT and query.numbers != listed.numbers:
        yield Factor("craft_numbers_differ", NUMBERS_DIFFER)
    if query.legal_forms and listed.legal_forms and not query.legal_forms & listed.legal_forms:
        yield Factor("legal_forms_differ", LEGAL_FORMS_DIFFER)
    if _is_father_for_son(query, listed):
        yield Factor("father_and_son", FATHER_AND_SON)
    if is_weak:
        yield Factor("weak_alias", WEAK_ALIAS)


def _is_father_for_son(query: PreparedName, listed: PreparedName) -> bool:
    if query.father_at is None or listed.father_at is None:
        return False
    son, father = query.tokens[0], query.tokens[query.father_at]
    swapped = listed.tokens[listed.father_at], listed.tokens[0]
    return son != father and (son, father) == swapped


def _told(pair: Pair, query: PreparedName, listed: PreparedName) -> TokenPair:
    left = " ".join(query.tokens[at] for at in pair.query_at)
    right = " ".join(listed.tokens[at] for at in pair.listed_at)
    how = _how(pair, left, right, query.personal)
    return TokenPair(left, right, how, pair.similarity, pair.weight)


def _how(pair: Pair, left: str, right: str, personal: bool) -> str:
    if pair.is_acronym:
        return "acronym"
    if len(pair.query_at) != len(pair.listed_at):
        return "joined"
    if left == right:
        return "equal"
    if 1 in (len(left), len(right)):
        return "initial"
    shared = shared_key(left, right, personal)
    if shared is not None and shared[1] > spelling(left, right):
        return _HOW[shared[0]]
    return "spelling"
