"""The rules of `tokens` as arrays that compiled loops can read.

Nothing is written twice: the arrays are made from the very tables that the plain code uses. The
patterns among them may use what `_parse` knows of regular expressions, and no more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from app.screening import syllables, tokens
from app.screening.arrays import Array
from app.screening.compiled.jit import frozen
from app.screening.compiled.letters import RULES
from app.screening.hashing import hash_text, letters_to_leave_out
from app.screening.words import GIVEN_NAMES

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_LONGEST_SPAN = 4
_LONGEST_PUT = 2
_LONGEST_TOKEN = 64
#: No spelling of a syllable has more letters.
SYLLABLE_LETTERS = 6

_SQUEEZE = r"(.)\1+"
_PART = re.compile(
    r"(?P<start>\^)?(?:\(\?<=(?P<before>\[[a-z]+\]|[a-z])\))?"
    r"(?P<letters>(?:\[[a-z]+\]|[a-z])+)"
    r"(?:\(\?=(?P<after>\[[a-z]+\]|[a-z])\)|\(\?!(?P<not_after>\[[a-z]+\]|[a-z])\)|(?P<end>\$))?"
)
_LETTER = re.compile(r"\[([a-z]+)\]|([a-z])")


class Tables(NamedTuple):
    """All that the loops over words need to know."""

    #: Rules that replace letters: see `letters`.
    spellings: Array
    spelt: Array
    #: What a letter of a skeleton becomes: up to two bytes, 0 where there is no second.
    sounds: Array
    confused: Array
    #: Given names: sorted hashes, and the numbers of the names that each is a form of.
    given: Array
    given_starts: Array
    given_numbers: Array
    #: Spellings of syllables: sorted hashes, and how each is written where all are written alike.
    syllables: Array
    syllable_starts: Array
    syllable_bytes: Array
    #: How many letters a word of each length must be ready to lose: of words, and of joins.
    lose: Array
    #: How many edits two words of these lengths may differ by.
    edits: Array


@cache
def tables() -> Tables:
    given = sorted((hash_text(name), numbers) for name, numbers in GIVEN_NAMES.items())
    syllable = sorted((hash_text(spelling), put.encode()) for spelling, put in _syllables().items())
    lengths = range(_LONGEST_TOKEN)
    return Tables(
        spellings=rewriting((re.escape(find), put) for find, put in tokens.SPELLINGS),
        spelt=rewriting((rule.pattern, put) for rule, put in tokens.TABLES),
        sounds=_letters(tokens.LETTERS),
        confused=_letters(tokens.CONFUSED),
        given=frozen(np.array([hash_ for hash_, _ in given], np.uint64), np.uint64),
        given_starts=_starts([numbers for _, numbers in given]),
        given_numbers=frozen(np.array([n for _, numbers in given for n in numbers]), np.int64),
        syllables=frozen(np.array([hash_ for hash_, _ in syllable], np.uint64), np.uint64),
        syllable_starts=_starts([put for _, put in syllable]),
        syllable_bytes=frozen(
            np.frombuffer(b"".join(put for _, put in syllable), np.uint8), np.uint8
        ),
        lose=frozen(
            np.array(
                [
                    [letters_to_leave_out(length, floor) if length else 0 for length in lengths]
                    for floor in (tokens.FLOOR, tokens.JOINED_FLOOR)
                ]
            ),
            np.int64,
        ),
        edits=frozen(
            np.array(
                [
                    [tokens.edits_allowed(min(a, b), max(a, b)) if a and b else 0 for a in lengths]
                    for b in lengths
                ]
            ),
            np.int64,
        ),
    )


def _starts(runs: Sequence[Sequence[object]]) -> Array:
    return frozen(np.cumsum([0, *map(len, runs)]), np.int64)


def _letters(translation: dict[int, str]) -> Array:
    """Return what each byte becomes, in two columns."""
    found = np.zeros((128, 2), np.uint8)
    found[:, 0] = np.arange(128)
    for letter, put in translation.items():
        found[letter] = list((put.encode() + b"\0")[:2])
    return frozen(found, np.uint8)


def _syllables() -> dict[str, str]:
    """Return every spelling of a syllable, and what stands for all spellings of it.

    As the pattern of `syllables` would read it: the longest beginning that leaves a known ending.
    """
    found: dict[str, str] = {}
    for first in sorted(syllables.INITIALS, key=len, reverse=True):
        for rest in syllables.FINALS:
            spelling = first + rest
            if 1 < len(spelling) <= SYLLABLE_LETTERS:
                found.setdefault(spelling, syllables.INITIALS[first] + syllables.FINALS[rest])
    return found


def rewriting(rules: Iterable[tuple[str, str]]) -> Array:
    """Return patterns and what they put as a table of rules (`letters.RULES`)."""
    rows: list[list[int]] = []
    for pattern, put in rules:
        if pattern == _SQUEEZE:
            rows.append([1, _set(_ALPHABET), *[0] * 10, 1, 0, 0, 0])
            continue
        parts = [_alternative(each, pattern) for each in pattern.split("|")]
        begins = 0
        for part in parts:
            begins |= part[1]
        assert len(put) <= _LONGEST_PUT, f"{pattern} puts too many letters"
        needs = _set(pattern) if pattern.isalpha() else 0
        puts = [0, len(put), int.from_bytes(put.encode(), "little"), needs]
        rows += [[len(parts) - at, begins, *part, *puts] for at, part in enumerate(parts)]
    table = np.array(rows, np.uint64)
    assert table.shape[1] == RULES
    return frozen(table, np.uint64)


def _alternative(alternative: str, pattern: str) -> list[int]:
    found = _PART.fullmatch(alternative)
    if found is None:
        raise ValueError(f"{pattern!r} says more than a compiled rule can: write it more plainly")
    letters = [_set(each[0]) for each in _LETTER.finditer(found["letters"])]
    return [
        len(letters),
        *letters,
        *[0] * (_LONGEST_SPAN - len(letters)),
        *(_set(found[side] or "") for side in ("before", "after", "not_after")),
        int(found["start"] is not None),
        int(found["end"] is not None),
    ]


def _set(letters: str) -> int:
    """Return `[abc]` or `a` as bits."""
    return sum(1 << _ALPHABET.index(letter) for letter in set(letters.strip("[]")))
