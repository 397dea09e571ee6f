"""The score of a query and a listed name: `scorer.score`, operation by operation.

Sums are made in the same order as there, so that the results are the same to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.screening import scorer, tokens
from app.screening.arrays import Array
from app.screening.compiled.jit import inner, jit
from app.screening.compiled.letters import POWERS, mix
from app.screening.compiled.tables import Tables
from app.screening.compiled.token_keys import PLUS, ends_as_women_do, skeleton
from app.screening.model import EntityType
from app.screening.names import ACRONYM_LETTERS, INITIAL, MAX_TOKEN_LETTERS, MAX_TOKENS, STRONG

_STRONG = STRONG
_INITIAL = INITIAL
_ACRONYM_LETTERS = ACRONYM_LETTERS
_JOINED_FLOOR = tokens.JOINED_FLOOR
_JOINED_LONGER = tokens.JOINED_LONGER
_NUMBERS_DIFFER = scorer.NUMBERS_DIFFER
_LEGAL_FORMS_DIFFER = scorer.LEGAL_FORMS_DIFFER
_FATHER_AND_SON = scorer.FATHER_AND_SON
_NOTHING_STRONG = scorer.NOTHING_STRONG
_RUN_ON = scorer.RUN_ON
_RUN_ON_SKELETON = scorer.RUN_ON_SKELETON
_ACRONYM = scorer.ACRONYM
_SHORT_ACRONYM = scorer.SHORT_ACRONYM

#: What a name's first letters may spell: with and without its legal form, and in English.
MOST_ACRONYMS = 3

#: Words of a name; every one with every one, twice over, and what stands for whole names.
_MOST_PAIRS = 3 * MAX_TOKENS * MAX_TOKENS + 2 * MAX_TOKENS
_NONE = np.uint64(0)


class Rules(NamedTuple):
    """`scorer.Rules` of one entity type, and whether it is a vessel or an aircraft."""

    query_leftover: float
    listed_leftover: float
    one_strong_pair: float
    one_word_query: float
    contradiction: float
    one_word_unequal: float
    is_craft: bool
    #: The names asked about are those of the list, and the listed ones those that would ask.
    is_reversed: bool


def rules_of(entity_type: EntityType, *, is_reversed: bool = False) -> Rules:
    rules = scorer.RULES[entity_type]
    if is_reversed:
        rules = scorer.reversed_rules(rules)
    return Rules(
        rules.query_leftover,
        rules.listed_leftover,
        rules.one_strong_pair,
        rules.one_word_query,
        rules.contradiction,
        rules.one_word_unequal,
        entity_type in scorer.CRAFT,
        is_reversed,
    )


class Prepared(NamedTuple):
    """Many prepared names: the words of name n are those from `starts[n]` on.

    `words` numbers them, in the vocabulary of the list or among the words asked about; `joins`
    numbers what a word and the next make as one, or is -1.
    """

    starts: Array
    words: Array
    joins: Array
    weights: Array
    lengths: Array
    hashes: Array
    #: Which of the words are numbers, or set names apart as numbers do.
    numbers: Array
    #: Of each name: the weight of all words, how many are strong, classes of legal forms as bits.
    weight: Array
    strong: Array
    legal_forms: Array
    #: Where the father's name stands, or -1.
    father_at: Array
    #: Hashes of the words without spaces, of the words whatever their order, of the sound of all.
    unspaced: Array
    bag: Array
    run_on: Array
    #: Hashes of what its first letters spell, 0 where there are fewer.
    acronyms: Array


class Pairs(NamedTuple):
    """Scratch paper for the pairs of words of two names."""

    slots: Array
    value: Array
    alike: Array
    weight: Array
    mine: Array
    theirs: Array
    is_acronym: Array


def pairs_paper() -> Pairs:
    return Pairs(
        np.zeros((2, MAX_TOKENS), np.int64),
        np.zeros(_MOST_PAIRS),
        np.zeros(_MOST_PAIRS),
        np.zeros(_MOST_PAIRS),
        np.zeros(_MOST_PAIRS, np.uint64),
        np.zeros(_MOST_PAIRS, np.uint64),
        np.zeros(_MOST_PAIRS, np.bool_),
    )


@jit
def whole_hashes(
    tables: Tables, text: Array, ends: Array, starts: Array, words: Array, hashes: Array
) -> tuple[Array, Array, Array]:
    """Return hashes of each name without spaces, of its words in any order, and of its sound.

    A name whose sound is too short to tell it by has 0.
    """
    count = len(starts) - 1
    unspaced = np.zeros(count, np.uint64)
    bag = np.zeros(count, np.uint64)
    run_on = np.zeros(count, np.uint64)
    room = 2 * MAX_TOKENS * MAX_TOKEN_LETTERS
    letters = np.empty(room, np.uint8)
    put = np.empty(room, np.uint8)
    spare = np.empty(room, np.uint8)
    for name in range(count):
        length = 0
        total = _NONE
        for at in range(starts[name], starts[name + 1]):
            word = words[at]
            total += mix(hashes[word])
            for byte in range(ends[word], ends[word + 1]):
                letters[length] = text[byte]
                length += 1
        if length == 0:
            continue
        bag[name] = mix(total)
        unspaced[name] = _hash(letters, length)
        heard = skeleton(tables, letters, 0, length, put, spare)
        if heard >= _RUN_ON_SKELETON:
            if ends_as_women_do(letters, 0, length):
                put[heard] = PLUS
                heard += 1
            run_on[name] = _hash(put, heard)
    return unspaced, bag, run_on


@inner
def _hash(text: Array, length: int) -> np.uint64:
    total = _NONE
    for at in range(length - 1, -1, -1):
        total = total * POWERS[1] + np.uint64(text[at])
    return mix(total + np.uint64(length))


@inner
def _bits(at: int, span: int) -> np.uint64:
    return ((np.uint64(1) << np.uint64(span)) - np.uint64(1)) << np.uint64(at)


@inner
def _add(
    pairs: Pairs,
    count: int,
    alike: float,
    weight: float,
    mine: np.uint64,
    theirs: np.uint64,
    acronym: bool,
) -> int:
    pairs.alike[count] = alike
    pairs.weight[count] = weight
    pairs.value[count] = alike * weight
    pairs.mine[count] = mine
    pairs.theirs[count] = theirs
    pairs.is_acronym[count] = acronym
    return count + 1


@inner
def _needed(lengths: Array, at: int) -> float:
    """Return how alike a word must be to this one and the next as one."""
    return 1.0 if lengths[at] == 1 or lengths[at + 1] == 1 else _JOINED_FLOOR


@inner
def _possible_pairs(
    asked: Prepared,
    query: int,
    listed: Prepared,
    name: int,
    alike: Array,
    width: int,
    pairs: Pairs,
) -> int:
    """Write the pairs of words that are alike, in the order of `scorer._possible_pairs`."""
    mine, theirs = asked.starts[query], listed.starts[name]
    size, other = asked.starts[query + 1] - mine, listed.starts[name + 1] - theirs
    count = 0
    for i in range(size):
        for j in range(other):
            slot = pairs.slots[0, j]
            if slot and alike[slot * width + i] > 0:
                weight = (asked.weights[mine + i] + listed.weights[theirs + j]) / 2
                found = alike[slot * width + i]
                count = _add(pairs, count, found, weight, _bits(i, 1), _bits(j, 1), False)
    for i in range(size - 1):
        if asked.joins[mine + i] >= 0:
            needed = _needed(asked.lengths, mine + i)
            both = asked.weights[mine + i] + asked.weights[mine + i + 1]
            length = asked.lengths[mine + i] + asked.lengths[mine + i + 1]
            for j in range(other):
                slot = pairs.slots[0, j]
                if abs(listed.lengths[theirs + j] - length) > _JOINED_LONGER:
                    continue
                if slot and alike[slot * width + size + i] >= needed:
                    weight = (both + listed.weights[theirs + j]) / 2
                    found = alike[slot * width + size + i]
                    count = _add(pairs, count, found, weight, _bits(i, 2), _bits(j, 1), False)
    if listed.acronyms[name, 0]:
        count = _acronym_pairs(asked, query, listed, name, pairs, count, False)
    if asked.acronyms[query, 0]:
        count = _acronym_pairs(listed, name, asked, query, pairs, count, True)
    for j in range(other - 1):
        slot = pairs.slots[1, j]
        if slot:
            needed = _needed(listed.lengths, theirs + j)
            length = listed.lengths[theirs + j] + listed.lengths[theirs + j + 1]
            for i in range(size):
                found = alike[slot * width + i]
                if found >= needed and abs(asked.lengths[mine + i] - length) <= _JOINED_LONGER:
                    weight = asked.weights[mine + i] + listed.weights[theirs + j]
                    weight = (weight + listed.weights[theirs + j + 1]) / 2
                    count = _add(pairs, count, found, weight, _bits(i, 1), _bits(j, 2), False)
    return count


@inner
def _acronym_pairs(
    short: Prepared, one: int, long: Prepared, other: int, pairs: Pairs, count: int, turned: bool
) -> int:
    """Find words of `short` that are what the first letters of the whole other name spell."""
    every = _bits(0, long.starts[other + 1] - long.starts[other])
    for at in range(short.starts[one], short.starts[one + 1]):
        hash_ = short.hashes[short.words[at]]
        spelt = False
        for which in range(MOST_ACRONYMS):
            spelt |= hash_ == long.acronyms[other, which]
        if spelt:
            alike = _SHORT_ACRONYM if short.lengths[at] == _ACRONYM_LETTERS else _ACRONYM
            word = _bits(at - short.starts[one], 1)
            if turned:
                weight = (long.weight[other] + short.weights[at]) / 2
                count = _add(pairs, count, alike, weight, every, word, True)
            else:
                weight = (short.weights[at] + long.weight[other]) / 2
                count = _add(pairs, count, alike, weight, word, every, True)
    return count


@inner
def _strength(query_strong: int, listed_strong: int, strong_pairs: int, rules: Rules) -> float:
    """`scorer.strength_factor`."""
    if query_strong == 0 and listed_strong == 0:
        return _NOTHING_STRONG
    if strong_pairs >= 2:
        return 1.0
    if strong_pairs == 0:
        return rules.one_strong_pair
    if min(query_strong, listed_strong) == 0:
        return 1.0
    if query_strong < 2 and listed_strong < 2:
        return 1.0
    if query_strong == 1:
        return rules.one_word_query
    return rules.one_strong_pair


@inner
def _left_over(weights: Array, start: int, end: int, paired: np.uint64) -> tuple[float, float]:
    """Return the sum of the weights of the words without a partner, and the heaviest."""
    total = 0.0
    heaviest = 0.0
    for at in range(start, end):
        if not (paired >> np.uint64(at - start)) & np.uint64(1):
            total += weights[at]
            heaviest = max(heaviest, weights[at])
    return total, heaviest


@inner
def _pairs_score(
    asked: Prepared,
    query: int,
    listed: Prepared,
    name: int,
    alike: Array,
    width: int,
    rules: Rules,
    pairs: Pairs,
) -> float:
    """`scorer._pairs_score`."""
    count = _possible_pairs(asked, query, listed, name, alike, width, pairs)
    mine, theirs = _NONE, _NONE
    weight = agreement = 0.0
    strong_words = 0
    strong_alike = 1.0
    while True:
        best = -1
        for at in range(count):
            # The first of equals, as a stable sort would have it.
            if pairs.value[at] > 0 and (best < 0 or pairs.value[at] > pairs.value[best]):
                best = at
        if best < 0:
            break
        pairs.value[best] = 0.0
        if (mine & pairs.mine[best]) or (theirs & pairs.theirs[best]):
            continue
        mine |= pairs.mine[best]
        theirs |= pairs.theirs[best]
        weight += pairs.weight[best]
        agreement += pairs.alike[best] * pairs.weight[best]
        if pairs.weight[best] >= _STRONG:
            strong_words += 2 if pairs.is_acronym[best] else 1
            strong_alike = pairs.alike[best]
    if weight == 0.0:
        return 0.0
    query_left, query_heaviest = _left_over(
        asked.weights, asked.starts[query], asked.starts[query + 1], mine
    )
    listed_left, listed_heaviest = _left_over(
        listed.weights, listed.starts[name], listed.starts[name + 1], theirs
    )
    left = rules.query_leftover * query_left + rules.listed_leftover * listed_left
    found = agreement / (weight + left)
    found *= _strength(asked.strong[query], listed.strong[name], strong_words, rules)
    if query_heaviest >= _INITIAL and listed_heaviest >= _INITIAL:
        found *= 1 - rules.contradiction
    if strong_words == 1 and strong_alike < 1.0:
        found *= rules.one_word_unequal
    return found


@inner
def _count_numbers(numbers: Array, start: int, end: int) -> int:
    count = 0
    for at in range(start, end):
        if numbers[at]:
            count += 1
    return count


@inner
def _has(words: Array, hashes: Array, start: int, end: int, hash_: np.uint64) -> bool:
    for at in range(start, end):  # noqa: SIM110  # as above
        if hashes[words[at]] == hash_:
            return True
    return False


@inner
def _shared_numbers(
    words: Array,
    numbers: Array,
    hashes: Array,
    start: int,
    end: int,
    others: Array,
    other_hashes: Array,
    other_start: int,
    other_end: int,
) -> int:
    """Return how many words of a name are numbers that the other name has too."""
    count = 0
    for at in range(start, end):
        if numbers[at] and _has(others, other_hashes, other_start, other_end, hashes[words[at]]):
            count += 1
    return count


@inner
def _numbers_factor(asked: Prepared, query: int, listed: Prepared, name: int, craft: bool) -> float:
    mine, mine_end = asked.starts[query], asked.starts[query + 1]
    theirs, theirs_end = listed.starts[name], listed.starts[name + 1]
    my_count = _count_numbers(asked.numbers, mine, mine_end)
    their_count = _count_numbers(listed.numbers, theirs, theirs_end)
    if not my_count and not their_count:
        return 1.0
    shared = _shared_numbers(
        asked.words, asked.numbers, asked.hashes, mine, mine_end,
        listed.words, listed.hashes, theirs, theirs_end,
    )  # fmt: skip
    factor = 1.0
    if my_count and their_count and not shared:
        factor *= _NUMBERS_DIFFER
    if craft:
        met = _shared_numbers(
            listed.words, listed.numbers, listed.hashes, theirs, theirs_end,
            asked.words, asked.hashes, mine, mine_end,
        )  # fmt: skip
        if shared != my_count or met != their_count:
            factor *= _NUMBERS_DIFFER
    return factor


@inner
def _factor(asked: Prepared, query: int, listed: Prepared, name: int, rules: Rules) -> float:
    """`scorer._factor`."""
    factor = _numbers_factor(asked, query, listed, name, rules.is_craft)
    my_forms, their_forms = asked.legal_forms[query], listed.legal_forms[name]
    if my_forms and their_forms and not (my_forms & their_forms):
        factor *= _LEGAL_FORMS_DIFFER
    if asked.father_at[query] >= 0 and listed.father_at[name] >= 0:
        start, other = asked.starts[query], listed.starts[name]
        son = asked.hashes[asked.words[start]]
        father = asked.hashes[asked.words[start + asked.father_at[query]]]
        listed_son = listed.hashes[listed.words[other]]
        listed_father = listed.hashes[listed.words[other + listed.father_at[name]]]
        if son != listed_son and son == listed_father and father == listed_son:
            factor *= _FATHER_AND_SON
    return factor


@inner
def score(
    asked: Prepared,
    query: int,
    listed: Prepared,
    name: int,
    slot_of: Array,
    alike: Array,
    width: int,
    rules: Rules,
    pairs: Pairs,
) -> float:
    """Return how alike the two names are, in [0, 1].

    `alike[slot_of[word] * width + at]` says how alike a listed word is to word `at` of the query,
    and `width / 2` further on, to that and the next as one.
    """
    start = listed.starts[name]
    size = listed.starts[name + 1] - start
    if size == 0 or asked.starts[query] == asked.starts[query + 1]:
        return 0.0
    if asked.unspaced[query] == listed.unspaced[name] or asked.bag[query] == listed.bag[name]:
        words = 1.0
    else:
        for at in range(size):
            pairs.slots[0, at] = slot_of[listed.words[start + at]]
            join = listed.joins[start + at]
            pairs.slots[1, at] = slot_of[join] if join >= 0 else 0
        words = _pairs_score(asked, query, listed, name, alike, width, rules, pairs)
        same = asked.run_on[query] != _NONE and asked.run_on[query] == listed.run_on[name]
        if words < _RUN_ON and same:
            words = _RUN_ON
    return words * _factor(asked, query, listed, name, rules)
