"""Prepared names as numbers, one after the other: those of a list, and those asked about."""

from __future__ import annotations

from array import array
from functools import cache

import numpy as np

from app.screening.arrays import Array, pack_texts
from app.screening.compiled import vocabulary
from app.screening.compiled.jit import frozen
from app.screening.compiled.matching import MOST_ACRONYMS, Prepared, whole_hashes
from app.screening.compiled.tables import tables
from app.screening.names import MAX_TOKEN_LETTERS, MAX_TOKENS, PreparedName
from app.screening.tokens import joins
from app.screening.words import LEGAL_FORMS

_LEGAL_BITS = {form: 1 << at for at, form in enumerate(sorted(set(LEGAL_FORMS.values())))}


_NO_ACRONYMS = [""] * MOST_ACRONYMS


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
        self.starts = array("q", [0])
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

    def add(self, name: PreparedName, numbers: Numbers) -> None:
        """Add a name; words that have no number yet get the next one."""
        tokens = name.tokens
        # The loops have room for so much, and do not look.
        if len(tokens) > MAX_TOKENS or max(map(len, tokens), default=0) > MAX_TOKEN_LETTERS:
            raise ValueError("a prepared name has more or longer words than a name may have")
        self.words.extend(map(numbers.__getitem__, tokens))
        self.joins.extend(
            [-1 if both is None else numbers[JOINED + both] for both in joins(tokens)]
        )
        self.weights.extend(name.weights)
        self.lengths.extend(map(len, tokens))
        apart = name.numbers
        self.numbers.extend([token in apart for token in tokens] if apart else bytes(len(tokens)))
        self.starts.append(len(self.words))
        self.weight.append(name.weight)
        self.strong.append(name.strong)
        self.legal_forms.append(_bits(name.legal_forms))
        self.father_at.append(-1 if name.father_at is None else name.father_at)
        self.acronyms += name.acronyms
        self.acronyms += _NO_ACRONYMS[len(name.acronyms) :]

    def prepared(
        self, text: Array, ends: Array, hashes: Array, words: Array, joins: Array
    ) -> Prepared:
        starts = frozen(np.array(self.starts), np.int64)
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


def _hashes(texts: list[str]) -> Array:
    """Return a hash of each, 0 where there is no text."""
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
