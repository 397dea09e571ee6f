"""A hash table of three flat arrays that can be mapped from disk: hashes with numbers.

What is filed under hash h stands in bucket `h >> shift`: from `starts[bucket]` up to the start of
the next one. `marks` holds the lowest bits of each hash, so that what shares a bucket by accident
is rarely looked at; with 64 of them a hash is told from every other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from app.screening.arrays import Array
from app.screening.compiled.jit import frozen, jit


class Buckets(NamedTuple):
    starts: Array
    marks: Array
    numbers: Array
    shift: int

    def arrays(self) -> dict[str, Array]:
        return {
            "starts": self.starts,
            "marks": self.marks,
            "numbers": self.numbers,
            "shift": np.array([self.shift], np.int64),
        }


PARTS = ("starts", "marks", "numbers", "shift")


def build(hashes: Array, numbers: Array) -> Buckets:
    """File each number under its hash, whole: equal marks are equal hashes."""
    shift = shift_for(len(hashes))
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    starts = bucket_starts(hashes, shift)
    return Buckets(
        frozen(starts, np.int32),
        frozen(hashes, np.uint64),
        frozen(numbers[order], np.int32),
        shift,
    )


def opened(arrays: Mapping[str, Array], marks: type[np.generic]) -> Buckets:
    """Return the table from arrays such as `arrays()` gives."""
    return Buckets(
        frozen(arrays["starts"], np.int32),
        frozen(arrays["marks"], marks),
        frozen(arrays["numbers"], np.int32),
        int(arrays["shift"][0]),
    )


def shift_for(count: int) -> int:
    """Return by how much a hash is shifted where so many are filed: one bucket for each, or two."""
    return 64 - min(28, max(4, count.bit_length()))


@jit
def bucket_starts(ordered: Array, shift: int) -> Array:
    """Return where each bucket starts, of hashes in ascending order."""
    buckets = 1 << (64 - shift)
    starts = np.zeros(buckets + 1, np.int32)
    for at in range(len(ordered)):
        starts[int(ordered[at] >> np.uint64(shift)) + 1] += 1
    for bucket in range(buckets):
        starts[bucket + 1] += starts[bucket]
    return starts
