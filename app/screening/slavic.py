"""Company words of Russian, Ukrainian and Belarusian, in any case and any transliteration.

"Nauchno", "nauchnyy", "nauchnogo" and "nautschnoi" are one word in four endings and two tables of
letters. So words are compared by what is left when both are taken off.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from importlib import resources

#: What tables of transliteration write differently, in the order in which it is made one.
_TABLES = tuple(
    (re.compile(pattern), letters)
    for pattern, letters in (
        ("tsch", "q"), ("shch|sch|sh", "s"), ("kh", "h"), ("zh", "z"), ("tch|ch", "q"),
        ("ts|tz|cz", "c"), ("x", "ks"), ("w", "v"), ("ph", "f"), ("[yij]+(?=[aeou])", ""),
        ("[yij]+", "i"), ("(.)\\1+", "\\1"),
    )
)  # fmt: skip
_ENDING = re.compile("(?:[aeo]go|o[mv][uo]|[ia]mi|[iao]h|[eioau]m|[oeu]i|oe|[oe]v|[aeiou])$")
#: Shorter words, and what is left of them, are too often something else.
_LETTERS, _STEM_LETTERS = 6, 4


def _stem(word: str) -> str:
    for pattern, letters in _TABLES:
        word = pattern.sub(letters, word)
    return _ENDING.sub("", word)


_MEANINGS: dict[str, str] = {
    _stem(word): english
    for english, words in json.loads(
        resources.files("app.screening").joinpath("slavic_words.json").read_text("utf-8")
    ).items()
    for word in words
    if len(_stem(word)) >= _STEM_LETTERS
}


@lru_cache(maxsize=1 << 16)
def in_english(word: str) -> str | None:
    """Return the English word for a Slavic company word, or None if it is none that we know.

    >>> in_english("nauchnogo"), in_english("nautschnyi"), in_english("konstruktorskoye")
    ('science', 'science', 'design')
    """
    return _MEANINGS.get(_stem(word)) if len(word) >= _LETTERS else None
