"""A dictionary from hash to numbers, as three flat arrays that can be mapped from disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.screening.arrays import Array, spread


@dataclass(frozen=True, slots=True)
class Lookup:
    """The numbers filed under hash `keys[i]` are `numbers[starts[i]:starts[i + 1]]`."""

    keys: Array
    starts: Array
    numbers: Array

    @classmethod
    def build(cls, hashes: Array, numbers: Array) -> Lookup:
        """File each number under its hash; the same number under the same hash once."""
        order = np.lexsort((numbers, hashes))
        hashes, numbers = hashes[order], numbers[order]
        if len(hashes):
            new = np.ones(len(hashes), bool)
            new[1:] = (hashes[1:] != hashes[:-1]) | (numbers[1:] != numbers[:-1])
            hashes, numbers = hashes[new], numbers[new]
        keys, starts = np.unique(hashes, return_index=True)
        return cls(
            keys.astype(np.uint64),
            np.append(starts, len(hashes)).astype(np.int64),
            numbers.astype(np.int32),
        )

    def find(self, hashes: Array) -> tuple[Array, Array]:
        """Return (position in `hashes`, number) for every number filed under one of them."""
        if not len(self.keys) or not len(hashes):
            return np.empty(0, np.int64), np.empty(0, np.int32)
        at = np.searchsorted(self.keys, hashes)
        at[at == len(self.keys)] = 0
        hit = np.flatnonzero(self.keys[at] == hashes)
        at = at[hit]
        starts = self.starts[at]
        counts = self.starts[at + 1] - starts
        return np.repeat(hit, counts), self.numbers[spread(starts, counts)]

    def find_one(self, hash_: int) -> Array:
        """Return the numbers filed under one hash."""
        at = int(np.searchsorted(self.keys, np.uint64(hash_)))
        if at == len(self.keys) or int(self.keys[at]) != hash_:
            return self.numbers[:0]
        return self.numbers[self.starts[at] : self.starts[at + 1]]

    def arrays(self) -> dict[str, Array]:
        return {"keys": self.keys, "starts": self.starts, "numbers": self.numbers}
