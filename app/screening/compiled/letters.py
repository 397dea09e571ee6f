"""Small ASCII words as bytes: hashes, replacements, edit distance."""

from __future__ import annotations

import numpy as np

from app.screening.arrays import Array
from app.screening.compiled.jit import inner
from app.screening.hashing import BASE, MIXER

_BASE = np.uint64(BASE)
_MIXER = np.uint64(MIXER)
_HALF = np.uint64(32)

#: Powers of the base of hashes, and of its inverse, which moves letters down.
POWERS = np.array([pow(BASE, at, 1 << 64) for at in range(64)], np.uint64)
BACK = np.array([pow(BASE, -at, 1 << 64) for at in range(3)], np.uint64)

#: Room for a word while rules lengthen it, or for several words written as one.
ROOM = 64

#: Longest word compared letter by letter: two joined words of a name.
LONGEST = 60


#: The columns of a table of rules that replace letters, one after the other, as `re.sub` does. A
#: row is an alternative of a rule: which letters may stand where, as sets of bits (`SYMBOL`).
RULES = 16
(
    _ALTERNATIVES,  # of this rule, from this row on
    _BEGINS,  # what any of them can begin with
    _LENGTH,
    _LETTERS,
    _BEFORE,
    _AFTER,
    _NOT_AFTER,
    _AT_START,
    _AT_END,
    _SQUEEZES,  # the rule makes one of a run of equal letters
    _PUT_LENGTH,
    _PUT,
    _NEEDS,  # letters without which the rule finds nothing
) = (0, 1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 14, 15)

#: The bit of each letter and digit.
SYMBOL = np.zeros(128, np.uint64)
for _at, _letter in enumerate("abcdefghijklmnopqrstuvwxyz0123456789"):
    SYMBOL[ord(_letter)] = 1 << _at


@inner
def mix(value: np.uint64) -> np.uint64:
    value = (value ^ (value >> _HALF)) * _MIXER
    return value ^ (value >> _HALF)


@inner
def hash_letters(text: Array, start: int, end: int) -> np.uint64:
    """Return what `hashing.hash_text` returns for these bytes."""
    total = np.uint64(0)
    for at in range(end - 1, start - 1, -1):
        total = total * _BASE + np.uint64(text[at])
    return mix(total + np.uint64(end - start))


@inner
def _fits(rules: Array, row: int, text: Array, at: int, length: int) -> bool:
    span = int(rules[row, _LENGTH])
    end = at + span
    if end > length or (rules[row, _AT_START] and at > 0) or (rules[row, _AT_END] and end < length):
        return False
    for place in range(span):
        if not (rules[row, _LETTERS + place] & SYMBOL[text[at + place]]):
            return False
    if rules[row, _BEFORE] and (at == 0 or not (rules[row, _BEFORE] & SYMBOL[text[at - 1]])):
        return False
    if end == length:
        return not rules[row, _AFTER]
    follows = SYMBOL[text[end]]
    if rules[row, _AFTER] and not (rules[row, _AFTER] & follows):
        return False
    return not (rules[row, _NOT_AFTER] & follows)


@inner
def _squeeze(text: Array, length: int, spare: Array) -> int:
    """Write one of each run of equal letters; return how many, or -1 where there is no run."""
    kept = 0
    for at in range(length):
        if at == 0 or text[at] != text[at - 1]:
            spare[kept] = text[at]
            kept += 1
    return kept if kept < length else -1


@inner
def _replace(rules: Array, first: int, text: Array, length: int, spare: Array) -> int:
    """Write what the rule makes of the text; return how long it is, or -1 for no change."""
    kept = 0
    at = 0
    done = 0
    begins = rules[first, _BEGINS]
    last = first + int(rules[first, _ALTERNATIVES])
    while at < length:
        found = -1
        if begins & SYMBOL[text[at]]:
            for row in range(first, last):
                if _fits(rules, row, text, at, length):
                    found = row
                    break
        if found < 0:
            at += 1
        else:
            for place in range(done, at):
                spare[kept] = text[place]
                kept += 1
            for place in range(int(rules[first, _PUT_LENGTH])):
                spare[kept] = (rules[first, _PUT] >> np.uint64(8 * place)) & np.uint64(255)
                kept += 1
            at += int(rules[found, _LENGTH])
            done = at
    if done == 0:
        return -1
    for place in range(done, length):
        spare[kept] = text[place]
        kept += 1
    return kept


@inner
def _letters_of(text: Array, length: int) -> np.uint64:
    present = np.uint64(0)
    for at in range(length):
        present |= SYMBOL[text[at]]
    return present


@inner
def rewrite(rules: Array, text: Array, length: int, spare: Array) -> int:
    """Apply every rule to the first `length` letters of `text`, in place; return the new length.

    `spare` is scratch paper of the same size.
    """
    present = _letters_of(text, length)
    row = 0
    while row < len(rules):
        needs = rules[row, _NEEDS]
        if rules[row, _BEGINS] & present and needs & present == needs:
            if rules[row, _SQUEEZES]:
                kept = _squeeze(text, length, spare)
            else:
                kept = _replace(rules, row, text, length, spare)
            if kept >= 0:
                for at in range(kept):
                    text[at] = spare[at]
                length = kept
                present = _letters_of(text, length)
        row += int(rules[row, _ALTERNATIVES])
    return length


@inner
def distance(
    left: Array,
    left_at: int,
    left_length: int,
    right: Array,
    right_at: int,
    right_length: int,
    most: int,
    rows: Array,
) -> int:
    """Return the optimal string alignment distance, or `most + 1` if it is more than `most`.

    `rows` is scratch paper: three rows of LONGEST + 2 numbers. Only cells near the diagonal can
    hold a distance that counts.
    """
    if abs(left_length - right_length) > most:
        return most + 1
    beyond = most + 1
    for column in range(min(right_length, most) + 1):
        rows[0, column] = column
    if most < right_length:
        rows[0, most + 1] = beyond
    for row in range(1, left_length + 1):
        now, last, before = row % 3, (row + 2) % 3, (row + 1) % 3
        low, high = max(1, row - most), min(right_length, row + most)
        rows[now, low - 1] = row if low == 1 else beyond
        for column in range(low, high + 1):
            same = left[left_at + row - 1] == right[right_at + column - 1]
            value = rows[last, column - 1] + (0 if same else 1)
            value = min(value, rows[last, column] + 1, rows[now, column - 1] + 1)
            if (
                row > 1
                and column > 1
                and left[left_at + row - 1] == right[right_at + column - 2]
                and left[left_at + row - 2] == right[right_at + column - 1]
            ):
                value = min(value, rows[before, column - 2] + 1)
            rows[now, column] = value
        if high < right_length:
            rows[now, high + 1] = beyond
    return min(rows[left_length % 3, right_length], beyond)
