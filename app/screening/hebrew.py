"""Hebrew script to Latin letters, the way names are usually written in passports.

Like Arabic it leaves short vowels out, and writes one letter for a consonant and a long vowel.
"""

from __future__ import annotations

import re

_LETTERS = str.maketrans(
    {
        "א": "a", "ב": "b", "ג": "g", "ד": "d", "ה": "h", "ו": "v", "ז": "z", "ח": "h", "ט": "t",
        "י": "y", "כ": "k", "ך": "kh", "ל": "l", "מ": "m", "ם": "m", "נ": "n", "ן": "n", "ס": "s",
        "ע": "a", "פ": "p", "ף": "f", "צ": "ts", "ץ": "ts", "ק": "k", "ר": "r", "ש": "sh",
        "ת": "t",
    }
)  # fmt: skip
_WORD = re.compile("[\u05d0-\u05ea]+")
_POINTS = re.compile("[\u0591-\u05c7]")


def romanise(text: str) -> str:
    """Replace every word in Hebrew script; leave the rest as it is.

    >>> romanise("דוד כהן"), romanise("שרה")
    ('dvd khn', 'shra')
    """
    return _WORD.sub(lambda found: _word(found[0]), _POINTS.sub("", text))


def _word(word: str) -> str:
    if len(word) > 4 and word.endswith("יהו"):
        return _word(word[:-3]) + "yahu"
    first, rest = word[0], word[1:]
    # At the end of a word he is a vowel, and so are vav and yod between consonants.
    end = "a" if rest.endswith("ה") else ""
    rest = rest[: len(rest) - len(end)]
    inside = re.sub("ו(?=.)", "o", rest[1:]) if len(rest) > 1 else ""
    rest = rest[:1] + inside.replace("י", "i")
    return (first + rest).translate(_LETTERS) + end
