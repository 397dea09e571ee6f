"""Greek pairs of letters that are one sound, which a letter-by-letter transliteration misses."""

from __future__ import annotations

import re
import unicodedata

_PAIRS = (
    (re.compile("ου"), "u"), (re.compile(r"\bμπ"), "b"), (re.compile(r"\bντ"), "d"),
    (re.compile("γγ"), "ng"), (re.compile("γκ"), "g"), (re.compile("γχ"), "nch"),
    (re.compile("αυ(?=[θκξπσςτφχψ])"), "af"), (re.compile("αυ"), "av"),
    (re.compile("ευ(?=[θκξπσςτφχψ])"), "ef"), (re.compile("ευ"), "ev"), (re.compile("[εο]ι"), "i"),
    (re.compile("χ"), "h"),
)  # fmt: skip
_MARKS = re.compile("[\u0300\u0301\u0308\u0342\u0345]")


def romanise(text: str) -> str:
    """Replace the pairs; leave the rest, single letters too, as it is but in lower case.

    >>> romanise("Παπαδοπούλου").isascii(), "u" in romanise("Παπαδοπούλου")
    (False, True)
    """
    text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text.lower())))
    for pair, letters in _PAIRS:
        text = pair.sub(letters, text)
    return text
