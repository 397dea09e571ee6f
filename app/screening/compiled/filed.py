"""By what listed names are filed, and the scratch paper on which a query is worked out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from app.screening.arrays import Array
from app.screening.compiled.buckets import Buckets
from app.screening.compiled.jit import frozen, inner
from app.screening.compiled.matching import Pairs, Prepared, pairs_paper
from app.screening.names import MAX_TOKENS

#: What stands in `Paper.met` above the bits of the words: that the name is to be looked at, and
#: from here on the number of the query.
CHOSEN = np.uint64(1) << np.uint64(32)
STAMP = np.uint64(33)
WORDS = np.uint64(0xFFFFFFFF)

#: Of a query of so few words the upper half of `WORDS` says which of them have a word in the name
#: that is as much alike as CLOSE: most have not, and those that have not bring less.
FEW_WORDS = 16
CLOSE = 0.87

#: What stands in `Filed.briefs`: how many strong words, 2 standing for more; and above these bits
#: the weight of the name in quarters, rounded down.
STRONG_WORDS = np.uint8(3)
WEIGHT = np.uint8(2)
QUARTERS = 4
_MOST_QUARTERS = 0xFF >> WEIGHT

#: The bits of a word's number by which `Paper.sieve` knows it.
SIEVE = (1 << 14) - 1


class Filed(NamedTuple):
    """By what listed names are found: their words, and what they are as a whole."""

    #: The names with word n (joined ones too) are `names[starts[n]:starts[n + 1]]`.
    starts: Array
    names: Array
    #: The same of those names alone that have no strong word, and at most one.
    weak_starts: Array
    weak_names: Array
    single_starts: Array
    single_names: Array
    unspaced: Buckets
    run_on: Buckets
    acronyms: Buckets
    #: The words of the list, by their hashes.
    words: Buckets
    word_count: int
    #: Where each of them ends in the text of all, and the most that it weighs in any name.
    ends: Array
    word_weights: Array
    #: The words of all names, each with what it and the next make as one, or -1: `Prepared.words`
    #: and `Prepared.joins` again, because what is next to each other is read at once.
    units: Array
    #: Of each name, in one byte, what rules most of them out: a million are in the processor's
    #: cache, where the names themselves are not.
    briefs: Array


def briefs_of(prepared: Prepared) -> Array:
    """Return `Filed.briefs`."""
    weight = np.minimum(np.floor(QUARTERS * prepared.weight), _MOST_QUARTERS).astype(np.uint8)
    strong = np.minimum(prepared.strong, 2).astype(np.uint8)
    return frozen(weight << WEIGHT | strong, np.uint8)


@inner
def lightest(brief: np.uint8) -> float:
    """Return the least that a name of this brief weighs."""
    return (brief >> WEIGHT) / QUARTERS


@inner
def heaviest(brief: np.uint8) -> float:
    """Return the most that a name of this brief weighs."""
    quarters = brief >> WEIGHT
    return MAX_TOKENS if quarters == _MOST_QUARTERS else (quarters + 1) / QUARTERS


class Paper(NamedTuple):
    """Scratch paper, clean between two queries."""

    #: Where each listed word stands in the table of likenesses, or 0.
    slot_of: Array
    #: Whether any of the words has a place there whose numbers have these lowest bits. It is in the
    #: processor's nearest cache, where `slot_of` is not, and most words have none.
    sieve: Array
    #: Nothing that anybody reads: that memory was read has to leave a trace, or it is left out.
    nearer: Array
    #: Of each listed name, the words of the last query that it may have, as bits, and which query
    #: that was (`STAMP`).
    met: Array
    #: The names to look at.
    touched: Array
    #: The last query that compared the name.
    compared: Array
    #: Of each word of the query: what it can bring at the most, to a bound and with what stands
    #: for it on the list, and in how many names something like it stands.
    gain: Array
    reach: Array
    #: What it can bring together with the words of the listed name that it then covers.
    brings: Array
    #: The same, where no word of the listed name is CLOSE to it.
    brings_afar: Array
    cost: Array
    pairs: Pairs


def paper_for(words: int, names: int) -> Paper:
    return Paper(
        slot_of=np.zeros(words, np.int32),
        sieve=np.zeros(SIEVE + 1, np.bool_),
        nearer=np.zeros(1, np.int64),
        met=np.zeros(names, np.uint64),
        touched=np.empty(names, np.int32),
        compared=np.full(names, -1, np.int32),
        gain=np.zeros(MAX_TOKENS),
        reach=np.zeros(MAX_TOKENS),
        brings=np.zeros(MAX_TOKENS),
        brings_afar=np.zeros(MAX_TOKENS),
        cost=np.zeros(MAX_TOKENS, np.int64),
        pairs=pairs_paper(),
    )


@inner
def row_of(asked: Prepared, start: int, size: int, unit: int) -> int:
    """Return which word asked about a unit is: a word of the query, or two as one; -1 for none."""
    if unit < size:
        return asked.words[start + unit]
    return asked.joins[start + unit - size]


@inner
def bits_of(unit: int, size: int) -> np.uint32:
    """Return the words of the query that a unit is made of, as bits."""
    if unit < size:
        return np.uint32(1) << np.uint32(unit)
    return np.uint32(3) << np.uint32(unit - size)
