"""The words of queries, remembered with what is like them on the list."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from app.screening.arrays import Array
from app.screening.compiled import vocabulary
from app.screening.compiled.flat import JOINED, Flat, Numbers
from app.screening.compiled.jit import frozen
from app.screening.compiled.matching import Prepared
from app.screening.compiled.vocabulary import Listed, Neighbours
from app.screening.names import PreparedName

#: How many words of queries are remembered, and how many listed words that are like them: 12 bytes
#: each, so about 50 MB at the most.
REMEMBERED, REMEMBERED_LIKES = 60_000, 4_000_000


class Asked:
    """The words of queries, remembered with what is like them on the list."""

    def __init__(self, listed: Listed) -> None:
        self._listed = listed
        self._paper = vocabulary.paper_for(listed)
        self._searches = 0
        self.forget()

    def forget(self) -> None:
        self._rows = Numbers()
        self._text = np.empty(1 << 16, np.uint8)
        self._ends = np.zeros(1 << 12, np.int64)
        self._hashes = np.empty(1 << 12, np.uint64)
        self._starts = np.zeros(1 << 12, np.int64)
        self._numbers = np.empty(1 << 16, np.int32)
        self._alike = np.empty(1 << 16, np.float64)

    def understand(self, queries: Sequence[PreparedName]) -> tuple[Prepared, Neighbours]:
        if len(self._rows) > REMEMBERED or self._starts[len(self._rows)] > REMEMBERED_LIKES:
            self.forget()
        rows = self._rows
        known = len(rows)
        flat = Flat()
        flat.add(queries, rows)
        if len(rows) > known:
            new = list(islice(rows, known, None))
            self._learn([(word.lstrip(JOINED), word.startswith(JOINED)) for word in new], known)
        count = len(rows)
        prepared = flat.prepared(
            frozen(self._text[: self._ends[count]], np.uint8),
            frozen(self._ends[: count + 1], np.int64),
            frozen(self._hashes[:count], np.uint64),
            frozen(np.array(flat.words, np.int32), np.int32),
            frozen(np.array(flat.joins, np.int32), np.int32),
        )
        last = self._starts[count]
        return prepared, Neighbours(
            frozen(self._starts[: count + 1], np.int64),
            frozen(self._numbers[:last], np.int32),
            frozen(self._alike[:last], np.float64),
        )

    def _learn(self, new: list[tuple[str, bool]], known: int) -> None:
        found, text, ends = vocabulary.find_neighbours(
            self._listed, new, self._paper, self._searches
        )
        self._searches += len(new)
        count = known + len(new)
        first = self._starts[known]
        self._text = _put(self._text, self._ends[known], text)
        self._ends = _put(self._ends, known + 1, self._ends[known] + ends[1:])
        self._hashes = _put(self._hashes, known, vocabulary.hashes_of_many(text, ends))
        self._numbers = _put(self._numbers, first, found.numbers)
        self._alike = _put(self._alike, first, found.alike)
        self._starts = _put(self._starts, known + 1, first + found.starts[1:])
        assert len(self._rows) == count


def _put(into: Array, at: int, some: Array) -> Array:
    """Write `some` into an array that grows, and return the array."""
    end = int(at) + len(some)
    if end > len(into):
        longer = np.empty(max(end, 2 * len(into)), into.dtype)
        longer[: int(at)] = into[: int(at)]
        into = longer
    into[int(at) : end] = some
    return into
