"""Hashes of tokens and of what remains of them when letters are left out, many at once.

Two tokens within k edits share a remainder when at most k letters are left out of each. So the
tokens like a given one are found by looking its remainders up among those of the vocabulary;
whoever is found is compared exactly, so a clash of hashes costs time and never a wrong answer.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations

import numpy as np

from app.screening.arrays import Array
from app.screening.names import MAX_TOKEN_LETTERS
from app.screening.tokens import edits_allowed

#: Any odd number of many bits: it has an inverse modulo 2**64, which lets a letter be left out
#: of a hash without reading the letters behind it again.
BASE = 0x9E3779B97F4A7C15
#: An odd number that spreads what differs over all bits.
MIXER = 0xD6E8FEB86659FD93
_MASK = (1 << 64) - 1
_POWERS = np.array([pow(BASE, n, 1 << 64) for n in range(2 * MAX_TOKEN_LETTERS + 2)], np.uint64)
_BACK = pow(BASE, -1, 1 << 64)
_BACK_TWICE = _BACK * _BACK & _MASK


def hash_text(text: str) -> int:
    """Return a hash that is the same in every process, unlike Python's own."""
    total = 0
    for byte in reversed(text.encode()):
        total = (total * BASE + byte) & _MASK
    return _mix_one(total + len(text))


def hash_texts(texts: list[str]) -> Array:
    return np.array([hash_text(text) for text in texts], np.uint64)


@lru_cache(maxsize=256)
def letters_to_leave_out(length: int, floor: float) -> int:
    """Return how many letters a token of this length must be ready to lose to meet its likes."""
    most = 0
    for other in range(max(1, length - 2), length + 3):
        edits = edits_allowed(min(length, other), max(length, other), floor)
        # The longer of two tokens loses as many letters as there are edits, the shorter the
        # fewer by the difference.
        most = max(most, edits if other <= length else edits - (other - length))
    return most


def remainders(tokens: list[str], floor: float) -> tuple[Array, Array]:
    """Return (number of the token, hash of a remainder) for every remainder of every token."""
    by_length: dict[int, list[int]] = {}
    for number, token in enumerate(tokens):
        by_length.setdefault(len(token), []).append(number)
    owners = [np.empty(0, np.int64)]
    hashes = [np.empty(0, np.uint64)]
    for length, numbers in by_length.items():
        found = _remainders(
            [tokens[number] for number in numbers], length, letters_to_leave_out(length, floor)
        )
        owners.append(np.repeat(np.array(numbers, np.int64), found.shape[1]))
        hashes.append(found.ravel())
    return np.concatenate(owners), np.concatenate(hashes)


def _remainders(tokens: list[str], length: int, lose: int) -> Array:
    """Return, for tokens of one length, a row of hashes each: nothing, one, two letters lost."""
    letters = np.frombuffer("".join(tokens).encode(), np.uint8).reshape(len(tokens), length)
    sums = np.zeros((len(tokens), length + 1), np.uint64)
    np.cumsum(letters.astype(np.uint64) * _POWERS[:length], axis=1, out=sums[:, 1:])
    whole = sums[:, -1:]
    columns = [whole + np.uint64(length)]
    back, back_twice = np.uint64(_BACK), np.uint64(_BACK_TWICE)
    if lose >= 1:
        at = np.arange(length)
        without = sums[:, at] + (whole - sums[:, at + 1]) * back
        columns.append(without + np.uint64(length - 1))
    if lose >= 2:
        pairs = np.array(list(combinations(range(length), 2)))
        first, second = pairs[:, 0], pairs[:, 1]
        without = (
            sums[:, first]
            + (sums[:, second] - sums[:, first + 1]) * back
            + (whole - sums[:, second + 1]) * back_twice
        )
        columns.append(without + np.uint64(length - 2))
    return _mix(np.concatenate(columns, axis=1))


def _mix(hashes: Array) -> Array:
    hashes = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(MIXER)
    return hashes ^ (hashes >> np.uint64(32))


def _mix_one(value: int) -> int:
    value &= _MASK
    value = ((value ^ (value >> 32)) * MIXER) & _MASK
    return value ^ (value >> 32)
