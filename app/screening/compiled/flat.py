"""Prepared names as numbers, one after the other: those of a list, and those asked about."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache
from itertools import chain

import numpy as np

from app.screening.arrays import Array, pack_texts
from app.screening.compiled import vocabulary
from app.screening.compiled.jit import frozen
from app.screening.compiled.matching import MOST_ACRONYMS, Prepared, whole_hashes
from app.screening.compiled.tables import tables
from app.screening.names import MAX_TOKEN_LETTERS, MAX_TOKENS, PreparedName
from app.screening.tokens import JOINED_LETTERS, JOINED_PART_LETTERS
from app.screening.words import LEGAL_FORMS

_LEGAL_BITS = {form: 1 << at for at, form in enumerate(sorted(set(LEGAL_FORMS.values())))}

_NO_ACRONYMS = ("",) * MOST_ACRONYMS


#: Stands before what two neighbours make as one: another word than one that is written so.
JOINED = "+"


class Numbers(dict[str, int]):
    """Numbers words as they are asked for."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


class Flat:
    """Prepared names, one after the other, as numbers."""

    def __init__(self) -> None:
        self.counts = array("i")
        self.words = array("i")
        self.joins = array("i")
        self.weights = array("d")
        self.lengths = array("i")
        self.numbers = array("b")
        self.weight = array("d")
        self.strong = array("i")
        self.legal_forms = array("Q")
        self.father_at = array("b")
        self.acronyms: list[str] = []

    def add(self, names: Sequence[PreparedName], numbers: Numbers) -> None:
        """Add names; words that have no number yet get the next ones."""
        tokens = list(chain.from_iterable([name.tokens for name in names]))
        counts = [len(name.tokens) for name in names]
        lengths = list(map(len, tokens))
        # The loops have room for so much, and do not look.
        if max(counts, default=0) > MAX_TOKENS or max(lengths, default=0) > MAX_TOKEN_LETTERS:
            raise ValueError("a prepared name has more or longer words than a name may have")
        self.words.extend(map(numbers.__getitem__, tokens))
        self.joins.frombytes(_joins(tokens, lengths, counts, numbers).tobytes())
        self.weights.extend(chain.from_iterable([name.weights for name in names]))
        self.lengths.extend(lengths)
        self.numbers.extend(chain.from_iterable([_told_apart(name) for name in names]))
        self.counts.extend(counts)
        self.weight.extend([name.weight for name in names])
        self.strong.extend([name.strong for name in names])
        self.legal_forms.extend([_bits(name.legal_forms) for name in names])
        self.father_at.extend([-1 if name.father_at is None else name.father_at for name in names])
        self.acronyms += chain.from_iterable(
            [name.acronyms + _NO_ACRONYMS[len(name.acronyms) :] for name in names]
        )

    def prepared(
        self, text: Array, ends: Array, hashes: Array, words: Array, joins: Array
    ) -> Prepared:
        starts = frozen(np.append(0, np.cumsum(self.counts, dtype=np.int64)), np.int64)
        unspaced, bag, run_on = whole_hashes(tables(), text, ends, starts, words, hashes)
        return Prepared(
            starts=starts,
            words=words,
            joins=joins,
            weights=frozen(np.array(self.weights), np.float64),
            lengths=frozen(np.array(self.lengths), np.int32),
            hashes=hashes,
            numbers=frozen(np.array(self.numbers, np.bool_), np.bool_),
            weight=frozen(np.array(self.weight), np.float64),
            strong=frozen(np.array(self.strong), np.int32),
            legal_forms=frozen(np.array(self.legal_forms), np.uint64),
            father_at=frozen(np.array(self.father_at), np.int8),
            unspaced=frozen(unspaced, np.uint64),
            bag=frozen(bag, np.uint64),
            run_on=frozen(run_on, np.uint64),
            acronyms=frozen(_hashes(self.acronyms).reshape(-1, MOST_ACRONYMS), np.uint64),
        )


def _joins(
    tokens: Sequence[str], lengths: Sequence[int], counts: Sequence[int], numbers: Numbers
) -> Array:
    """Return the number of what each token and the next make as one, or -1 (`tokens.joins`)."""
    found = np.full(len(tokens), -1, np.int32)
    length = np.array(lengths, np.int32)
    left, right = length[:-1], length[1:]
    makes = (np.minimum(left, right) <= JOINED_PART_LETTERS) & (left + right >= JOINED_LETTERS)
    # The last token of a name has no next; a name without tokens has no last.
    last = np.cumsum(counts, dtype=np.int64) - 1
    makes[last[(last >= 0) & (last < len(makes))]] = False
    places = np.flatnonzero(makes)
    found[places] = [numbers[JOINED + tokens[at] + tokens[at + 1]] for at in places.tolist()]
    return found


def _told_apart(name: PreparedName) -> Sequence[int]:
    """Return, for each token, whether it is one of the numbers of the name."""
    if not name.numbers:
        return bytes(len(name.tokens))
    return [token in name.numbers for token in name.tokens]


def _hashes(texts: list[str]) -> Array:
    """Return a hash of each, 0 where there is no text."""
    if not any(texts):
        return np.zeros(len(texts), np.uint64)
    packed = pack_texts(texts)
    ends = packed["ends"]
    found = vocabulary.hashes_of_many(frozen(packed["bytes"], np.uint8), frozen(ends, np.int64))
    found[np.diff(ends) == 0] = 0
    return found


@cache
def _bits(legal_forms: frozenset[str]) -> int:
    return sum(_LEGAL_BITS[form] for form in legal_forms)


@cache
def classes(bits: int) -> frozenset[str]:
    """Return legal forms from their bits."""
    return frozenset(form for form, bit in _LEGAL_BITS.items() if bits & bit)
