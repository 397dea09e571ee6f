"""Which words of a query need not be looked up, and which names cannot reach the threshold.

The reasons stand in `app.screening.candidates`. The bounds are those, and some more in front that
cost less to work out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.screening.arrays import Array
from app.screening.candidates import SLACK
from app.screening.compiled.filed import (
    CLOSE,
    FEW_WORDS,
    SIEVE,
    STRONG_WORDS,
    WORDS,
    Filed,
    Paper,
    bits_of,
    lightest,
    row_of,
)
from app.screening.compiled.jit import inner
from app.screening.compiled.matching import Prepared, Rules
from app.screening.compiled.vocabulary import Neighbours
from app.screening.names import ACRONYM_LETTERS, MAX_TOKENS, STRONG
from app.screening.scorer import ACRONYM, SHORT_ACRONYM

_SLACK = SLACK

#: Noting a name is so much cheaper than looking at it: names are far apart in memory.
_WORTH_SKIPPING = 10


@inner
def weigh(
    asked: Prepared,
    query: int,
    neighbours: Neighbours,
    filed: Filed,
    threshold: float,
    rules: Rules,
    paper: Paper,
) -> np.uint32:
    """Write what each word of the query can bring, and in how many names something like it stands.

    Return the words that can be one of a strong pair, as bits: heavy enough beside a word of the
    list, or one with a neighbour on either side.
    """
    start = asked.starts[query]
    size = asked.starts[query + 1] - start
    capable = np.uint32(0)
    for at in range(size):
        paper.gain[at] = 0.0
        paper.reach[at] = 0.0
        paper.brings[at] = 0.0
        paper.brings_afar[at] = 0.0
        paper.cost[at] = 0
        if (asked.weights[start + at] + 1) / 2 >= STRONG:
            capable |= np.uint32(1) << np.uint32(at)
    for unit in range(2 * size):
        row = row_of(asked, start, size, unit)
        if row < 0 or neighbours.starts[row] == neighbours.starts[row + 1]:
            continue
        best = afar = 0.0
        names = 0
        joins = unit >= size
        for at in range(neighbours.starts[row], neighbours.starts[row + 1]):
            word = neighbours.numbers[at]
            alike = neighbours.alike[at]
            best = max(best, alike)
            if alike < CLOSE:
                afar = max(afar, alike)
            names += filed.starts[word + 1] - filed.starts[word]
            joins |= word >= filed.word_count
        if joins:
            capable |= bits_of(unit, size)
        # A pair covers at most two words of the listed name, none heavier than 1, and those are
        # no longer left over. Two only if one of its sides is two words as one.
        most = 2 if joins else 1
        listed = max(0.0, best / 2 - threshold / 2)
        covered = most * (listed + threshold * rules.listed_leftover)
        covered_afar = most * (
            max(0.0, afar / 2 - threshold / 2) + threshold * rules.listed_leftover
        )
        first = unit if unit < size else unit - size
        for at in range(first, first + (1 if unit < size else 2)):
            weight = asked.weights[start + at]
            gain = weight * (best / 2 + threshold * (rules.query_leftover - 0.5))
            paper.gain[at] = max(paper.gain[at], gain)
            paper.reach[at] = max(paper.reach[at], gain + 2 * listed)
            paper.brings[at] = max(paper.brings[at], gain + covered)
            if afar > 0:
                gain = weight * (afar / 2 + threshold * (rules.query_leftover - 0.5))
                paper.brings_afar[at] = max(paper.brings_afar[at], gain + covered_afar)
            paper.cost[at] += names
    return capable


@inner
def too_little(
    asked: Prepared, query: int, threshold: float, rules: Rules, paper: Paper
) -> np.uint32:
    """Return the commonest words that even together cannot bring what is needed, as bits."""
    size = asked.starts[query + 1] - asked.starts[query]
    needed = threshold * rules.query_leftover * asked.weight[query] - _SLACK
    skipped = np.uint32(0)
    tried = np.uint32(0)
    spent = 0.0
    for _ in range(size):
        dearest = _dearest(paper.cost, size, ~tried)
        tried |= np.uint32(1) << np.uint32(dearest)
        if spent + paper.reach[dearest] < needed:
            spent += paper.reach[dearest]
            skipped |= np.uint32(1) << np.uint32(dearest)
    return skipped


@inner
def all_but_one(asked: Prepared, query: int, capable: np.uint32, paper: Paper) -> np.uint32:
    """Return words of which a name cannot have two strong pairs, as bits.

    Those that can be in none, and of the others the commonest.
    """
    size = asked.starts[query + 1] - asked.starts[query]
    every = ~(~np.uint32(0) << np.uint32(size)) if size < MAX_TOKENS else ~np.uint32(0)
    dearest = _dearest(paper.cost, size, capable)
    if dearest < 0:
        return every
    return (every & ~capable) | (np.uint32(1) << np.uint32(dearest))


@inner
def _dearest(cost: Array, size: int, among: np.uint32) -> int:
    dearest = -1
    for at in range(size):
        if (among >> np.uint32(at)) & np.uint32(1) and (dearest < 0 or cost[at] > cost[dearest]):
            dearest = at
    return dearest


@inner
def is_worth(cost: Array, size: int, skipped: np.uint32, every: int) -> bool:
    """Say whether skipping these words saves more than having to look at the names costs."""
    left_out = cost_of(cost, size, skipped)
    return left_out > _WORTH_SKIPPING * (every - left_out)


@inner
def cost_of(cost: Array, size: int, bits: np.uint32) -> int:
    total = 0
    for at in range(size):
        if (bits >> np.uint32(at)) & np.uint32(1):
            total += cost[at]
    return total


class Asks(NamedTuple):
    """What a name must bring to be worth a look, for one query.

    `two` says that one strong pair is not enough, where the listed name has `fewest` strong words
    or more (`scorer.strength_factor`), and `capable` words of the query can be in one. `needed` is
    for the words of the query, `leftover` for each weight of the listed name.
    """

    needed: float
    leftover: float
    two: bool
    fewest: int
    mine: int
    capable: np.uint32


@inner
def asks_of(
    asked: Prepared,
    query: int,
    threshold: float,
    rules: Rules,
    two: bool,
    fewest: int,
    capable: np.uint32,
) -> Asks:
    needed = threshold * rules.query_leftover * asked.weight[query] - _SLACK
    leftover = threshold * rules.listed_leftover
    return Asks(needed, leftover, two, fewest, asked.strong[query], capable)


@inner
def _asks_for_two(asks: Asks, brief: np.uint8) -> bool:
    theirs = brief & STRONG_WORDS
    return bool(asks.two and theirs >= asks.fewest and (theirs >= 2 or asks.mine >= 2))


@inner
def narrow_by_notes(
    size: int, filed: Filed, asks: Asks, skipped: np.uint32, paper: Paper, met: int
) -> int:
    """Keep the names of which was noted that enough of them is like the query; return how many.

    As if every word of the query were as much alike to what stands for it here as it is to
    anything on the list, or anything that is not CLOSE. Without a look at the name itself, which is
    far away in memory. Words that were `skipped` may be there or not.
    """
    touched = paper.touched
    few = (np.uint32(1) << np.uint32(FEW_WORDS)) - np.uint32(1)
    count = 0
    for each in range(met):
        name = touched[each]
        brief = filed.briefs[name]
        has = np.uint32(paper.met[name] & WORDS)
        close = ~np.uint32(0)
        if size <= FEW_WORDS:
            close = has >> np.uint32(FEW_WORDS) | skipped
            has &= few
        has |= skipped
        maybe = has & asks.capable
        if _asks_for_two(asks, brief) and not maybe & (maybe - np.uint32(1)):
            continue
        brought = 0.0
        for at in range(size):
            if (has & close) >> np.uint32(at) & np.uint32(1):
                brought += paper.brings[at]
            elif has >> np.uint32(at) & np.uint32(1):
                brought += paper.brings_afar[at]
        if brought >= asks.needed + asks.leftover * lightest(brief):
            touched[count] = name
            count += 1
    return count


@inner
def bring_near(starts: Array, filed: Filed, paper: Paper, count: int) -> None:
    """Have the words of names in the processor's cache, which are far apart in memory.

    Read without a decision on the way, it waits for many at once.
    """
    nearer = 0
    for each in range(count):
        nearer ^= starts[paper.touched[each]]
    for each in range(count):
        nearer ^= filed.units[2 * starts[paper.touched[each]]]
    paper.nearer[0] = nearer


@inner
def narrow_by_words(
    size: int,
    starts: Array,
    filed: Filed,
    asks: Asks,
    least: float,
    most: Array,
    bits: Array,
    paper: Paper,
    met: int,
) -> int:
    """Keep the names whose words are enough; return how many those are.

    As if every word of the query were as much alike to what stands for it here as to anything on
    the list; a word of the name brings what it is alike above `least`.
    """
    touched, units = paper.touched, filed.units
    count = 0
    for each in range(met):
        name = touched[each]
        brief = filed.briefs[name]
        found = np.uint32(0)
        reached = 0.0
        for at in range(2 * starts[name], 2 * starts[name + 1]):
            unit = units[at]
            if unit < 0 or not paper.sieve[unit & SIEVE]:
                continue
            slot = paper.slot_of[unit]
            if slot:
                found |= bits[slot]
                reached += filed.word_weights[unit] * max(0.0, most[slot] / 2 - least)
        matched = np.uint32(0)
        for at in range(size):
            if (found >> np.uint32(at)) & np.uint32(1):
                reached += paper.gain[at]
                matched += (asks.capable >> np.uint32(at)) & np.uint32(1)
        if reached < asks.needed + asks.leftover * lightest(brief):
            continue
        if _asks_for_two(asks, brief) and matched < 2:
            continue
        touched[count] = name
        count += 1
    return count


@inner
def may_stand_for(length: int, weight: float, left: float, threshold: float) -> bool:
    """Say whether the first letters of a whole name, a word of so many, may be enough for it.

    The two are a pair that weighs no more than `weight` and leaves nothing of the whole name to be
    paired, so it is the only one; the other words beside the short one cost no less than `left`.
    The more a pair weighs the higher is the score. Without that pair the words alone decide.
    """
    alike = SHORT_ACRONYM if length == ACRONYM_LETTERS else ACRONYM
    return alike * weight >= (threshold - 2 * _SLACK) * (weight + left)


@inner
def is_bounded(
    asked: Prepared,
    query: int,
    listed: Prepared,
    name: int,
    alike: Array,
    threshold: float,
    rules: Rules,
    slot_of: Array,
    best: Array,
) -> bool:
    """Say whether the bound of `candidates` on this very pair is under the threshold."""
    start, first = asked.starts[query], listed.starts[name]
    size = asked.starts[query + 1] - start
    width = 2 * size
    for at in range(size):
        best[at] = 0.0
    listed_side = 0.0
    for place in range(2 * (listed.starts[name + 1] - first)):
        single = place % 2 == 0
        at = first + place // 2
        word = listed.words[at] if single else listed.joins[at]
        if word < 0 or slot_of[word] == 0:
            continue
        row = slot_of[word] * width
        most = 0.0
        for unit in range(width):
            value = alike[row + unit]
            if value > 0:
                most = max(most, value)
                if unit < size:
                    best[unit] = max(best[unit], value)
                else:
                    best[unit - size] = max(best[unit - size], value)
                    best[unit - size + 1] = max(best[unit - size + 1], value)
        weight = listed.weights[at] if single else listed.weights[at] + listed.weights[at + 1]
        listed_side += weight * max(0.0, most / 2 - threshold * (0.5 - rules.listed_leftover))
    query_side = 0.0
    for at in range(size):
        if best[at] > 0:
            gain = best[at] / 2 + threshold * (rules.query_leftover - 0.5)
            query_side += asked.weights[start + at] * max(0.0, gain)
    needed = threshold * (
        rules.query_leftover * asked.weight[query] + rules.listed_leftover * listed.weight[name]
    )
    return query_side + listed_side < needed - _SLACK
