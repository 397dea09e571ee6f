"""Chinese and Korean names in Latin letters: one syllable, several spellings.

"Zedong" and "Tse-tung", "Jong" and "Jung" differ in more letters than a slip of the pen would,
and "Chol" and "Chul" in fewer than two other people might. So a word that is made of one to three
such syllables and nothing else has a key, which is the same in every usual romanisation: pinyin
and Wade-Giles for Chinese; the Revised, McCune-Reischauer and passport spellings for Korean.
"""

from __future__ import annotations

import re
from functools import lru_cache

#: Longest first: what a syllable may begin with -> what stands for all spellings of it. Wade-Giles
#: without its apostrophes cannot tell p from b, and Korean spelling does not either.
INITIALS = {
    "zh": "j", "ch": "j", "ts": "j", "tz": "j", "tc": "j", "hs": "s", "sh": "s", "kk": "g",
    "tt": "d", "pp": "b", "ss": "s", "jj": "j", "kh": "g", "th": "d", "ph": "b", "hw": "hw",
    "b": "b", "p": "b", "d": "d", "t": "d", "g": "g", "k": "g", "j": "j", "q": "j", "z": "j",
    "c": "j", "x": "s", "s": "s", "m": "m", "n": "n", "l": "l", "r": "r", "f": "f", "h": "h",
    "w": "w", "y": "y", "": "",
}  # fmt: skip
#: What it may end with. Vowels that romanisations confuse are one.
FINALS = {
    "iang": "iang", "yang": "iang", "iong": "ong", "yong": "ong", "yeong": "yong", "young": "yong",
    "uang": "uang", "wang": "uang", "ang": "ang", "eng": "eng", "ing": "ing", "ong": "ong",
    "ung": "ong", "eong": "ong", "oong": "ong", "eung": "ong", "yung": "yong", "aeng": "eng",
    "ian": "ian", "ien": "ian", "uan": "uan", "wan": "uan", "yan": "ian", "yen": "ian", "an": "an",
    "en": "en", "in": "in", "un": "un", "eun": "un", "oon": "un", "uen": "un", "on": "on",
    "eon": "on", "yeon": "yon", "youn": "yon", "yon": "yon", "yun": "yon", "yoon": "yon",
    "ai": "ai", "ae": "e", "ei": "ei", "ao": "ao", "ou": "ou", "ow": "ou", "iao": "iao",
    "iu": "iu", "iou": "iu", "ie": "ie", "ieh": "ie", "ia": "ia", "ya": "ia", "ua": "ua",
    "uo": "o", "ui": "ui", "uei": "ui", "wei": "ui", "ue": "ue", "ueh": "ue", "uai": "uai",
    "a": "a", "ah": "a", "o": "o", "e": "e", "eh": "e", "eo": "o", "i": "i", "ih": "i", "ee": "i",
    "u": "u", "oo": "u", "eu": "u", "woo": "u", "er": "er", "erh": "er", "yo": "yo", "yeo": "yo",
    "ye": "ye", "yu": "u", "ok": "ok", "uk": "ok", "eok": "ok", "ook": "uk", "yok": "yok",
    "yeok": "yok", "yuk": "yok", "ak": "ak", "ik": "ik", "ek": "ek", "aek": "ek", "al": "al",
    "il": "il", "ol": "ol", "ul": "ol", "eol": "ol", "yol": "yol", "yeol": "yol", "yul": "yol",
    "eul": "ol", "am": "am", "im": "im", "om": "om", "eom": "om", "um": "um", "eum": "um",
    "yom": "yom", "yeom": "yom", "ap": "ap", "ip": "ip", "op": "op", "eop": "op", "up": "op",
    "yop": "yop", "yeop": "yop", "at": "at", "ot": "ot", "wa": "ua", "weon": "won", "won": "won",
    "wol": "wol", "hwan": "huan", "wong": "ong",
}  # fmt: skip

_SPELLING = re.compile(
    "({})({})".format(
        "|".join(sorted(INITIALS, key=len, reverse=True)),
        "|".join(sorted(FINALS, key=len, reverse=True)),
    )
)
_MOST = 3
#: Shorter words ("ali", "ben") are made of such syllables by accident too often.
_LEAST_LETTERS = 2


@lru_cache(maxsize=1 << 16)
def syllable_key(word: str) -> str | None:
    """Return what all romanisations of the word share, or None if it is not made of syllables.

    >>> syllable_key("zedong") == syllable_key("tsetung")
    True
    >>> syllable_key("putin") is None
    False
    >>> syllable_key("vladimir") is None
    True
    """
    if len(word) < _LEAST_LETTERS or word.isdigit():
        return None
    parsed = _parse(word, _MOST)
    return None if parsed is None else "-".join(parsed)


def is_syllable(word: str) -> bool:
    """Say whether the word is a single such syllable.

    >>> is_syllable("jian"), is_syllable("zedong")
    (True, False)
    """
    key = syllable_key(word)
    return key is not None and "-" not in key


def _parse(word: str, most: int) -> tuple[str, ...] | None:
    """Split into at most so many syllables, each as long as it can be, as few as it can be."""
    if not word:
        return ()
    if not most:
        return None
    for length in range(min(6, len(word)), 0, -1):
        found = _SPELLING.fullmatch(word, 0, length)
        # A syllable of one letter is an initial, not a reading.
        if found and length > 1:
            rest = _parse(word[length:], most - 1)
            if rest is not None:
                return (INITIALS[found[1]] + FINALS[found[2]], *rest)
    return None
