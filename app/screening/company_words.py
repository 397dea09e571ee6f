"""One way of writing for what companies, ships and institutions write in many.

"Battalion Fifty 2" is "battalion 52", "Trust II" is "trust 2", "Aktiengesellshaft" is meant to be
"aktiengesellschaft", "Islamic Republic of Iran" is "iran". Word lists: `words.json`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from rapidfuzz.distance import OSA

from app.screening.words import (
    LEGAL_VOCABULARY,
    LEGAL_WORDS,
    NUMBER_WORDS,
    PHRASE_WORDS,
    PHRASES,
    ROMAN_NUMERALS,
    translate,
)

#: A long word of a legal form may be misspelt by one edit, a very long one by two.
_ONE_EDIT_LETTERS, _TWO_EDIT_LETTERS = 6, 12

_TENS = frozenset(str(ten) for ten in range(20, 100, 10))
_UNITS = frozenset("123456789")
_SAYS_NUMBER = NUMBER_WORDS.keys() | ROMAN_NUMERALS.keys()
#: The long words of legal forms, by their first letter.
_MEANT = {
    letter: tuple(word for word in LEGAL_WORDS if word[0] == letter)
    for letter in {word[0] for word in LEGAL_WORDS}
}
_ORDINAL = re.compile("([0-9]+)(?:st|nd|rd|th)")


def unify(words: Sequence[str]) -> list[str]:
    """Return the words of a company's name with languages, phrases, numbers and slips made one."""
    return _phrases(_numbers([_in_english(word) for word in words]))


def numbers_in_digits(words: Sequence[str]) -> list[str]:
    """Return the words of a ship's name, its numbers in digits."""
    return _numbers(words)


@lru_cache(maxsize=1 << 16)
def _in_english(word: str) -> str:
    return translate(legal_word(word))


def legal_word(word: str) -> str:
    """Return the word of a legal form that this one must be meant to be, or itself.

    >>> legal_word("aktiengesellshaft"), legal_word("companion")
    ('aktiengesellschaft', 'companion')
    """
    if len(word) < _ONE_EDIT_LETTERS or word in LEGAL_VOCABULARY or translate(word) != word:
        return word
    for meant in _MEANT.get(word[0], ()):
        edits = 2 if min(len(word), len(meant)) >= _TWO_EDIT_LETTERS else 1
        if (
            abs(len(word) - len(meant)) <= edits
            and OSA.distance(word, meant, score_cutoff=edits) <= edits
        ):
            return meant
    return word


def _numbers(words: Sequence[str]) -> list[str]:
    if _SAYS_NUMBER.isdisjoint(words) and not any(word[0].isdigit() for word in words):
        return [*words]
    kept: list[str] = []
    for at, word in enumerate(words):
        if word[0].isdigit() and (ordinal := _ORDINAL.fullmatch(word)):
            word = ordinal[1]
        # What stands first is a name: "Six Flags", "Vi Group".
        number = NUMBER_WORDS.get(word) or (ROMAN_NUMERALS.get(word) if at else None) or word
        if kept and number in _UNITS and kept[-1] in _TENS and words[at - 1] != kept[-1]:
            kept[-1] = str(int(kept[-1]) + int(number))
        else:
            kept.append(number)
    return kept


def _phrases(words: list[str]) -> list[str]:
    if PHRASE_WORDS.keys().isdisjoint(words):
        return words
    kept: list[str] = []
    at = 0
    while at < len(words):
        longest = min(PHRASE_WORDS.get(words[at], 0), len(words) - at)
        for length in range(longest, 0, -1):
            phrase = PHRASES.get(tuple(words[at : at + length]))
            if phrase is not None:
                kept += phrase
                at += length
                break
        else:
            kept.append(words[at])
            at += 1
    return kept
