"""Arabic names of two parts, whichever way these are joined.

"Abd al-Rahman", "Abdul Rahman", "Abdelrahman" and "Abdurrahman" are one name. It is written here
as two words, "abdul" and "rahman": what identifies is the second. "Rahmat Ullah", "Salah al-Din"
are written as one: neither part is a name by itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.screening.words import ARABIC_ARTICLES, DIVINE_NAMES, SERVANTS

SERVANT = "abdul"


_VOWELS = re.compile("[aeiouy]+|w(?=u)")
_SPELLINGS = (
    ("kh", "x"), ("gh", "g"), ("dh", "d"), ("th", "t"), ("ck", "k"), ("q", "k"), ("c", "k"),
    ("z", "s"), ("w", "v"),
)  # fmt: skip


def _bones(word: str) -> str:
    for spelling, letter in _SPELLINGS:
        word = word.replace(spelling, letter)
    word = re.sub(r"(.)\1", r"\1", word)
    return word[:1] + _VOWELS.sub("", word[1:])


_BONES = frozenset(_bones(name) for name in DIVINE_NAMES)
_JOINED = re.compile(r"abd(?:ou|oo|[aeiou])?(?:l|([rsndtz])(?=\1))?([a-z]{4,})")


_GOD = frozenset({"ullah", "ollah", "allah", "ulla", "olla", "ellah", "ullo", "alah"})
_FAITH = frozenset({"din", "deen", "dine", "eddin", "eddine", "uddin", "addin", "aldin", "udin"})


def join(tokens: Sequence[str]) -> Sequence[str]:
    """Return the words with names that end in "of God" or "of the faith" as one.

    >>> join(["rahmat", "ullah"]), join(["abd", "allah"]), join(["salah", "al", "din"])
    (['rahmatullah'], ['abdullah'], ['salahuddin'])
    """
    if _GOD.isdisjoint(tokens) and _FAITH.isdisjoint(tokens):
        return tokens
    kept = list(tokens)
    # "Ullah, Khair": the list puts last what it takes for a family name.
    if len(kept) > 1 and kept[0] in _GOD:
        kept.append(kept.pop(0))
    at = 1
    while at < len(kept):
        before = kept[at - 1]
        if kept[at] in _GOD and len(before) > 2:
            kept[at - 1 : at + 1] = ["abdullah" if before in SERVANTS else before + "ullah"]
        elif kept[at] in _FAITH:
            first = at - 2 if at > 1 and kept[at - 1] in ARABIC_ARTICLES else at - 1
            if len(kept[first]) <= 2 or kept[first] in ARABIC_ARTICLES:
                at += 1
                continue
            kept[first : at + 1] = [kept[first] + "uddin"]
            at = first + 1
        else:
            at += 1
    return kept


def part(tokens: Sequence[str]) -> Sequence[str]:
    """Return the words with every such name in two.

    >>> part(["abdurrahman"]), part(["abd", "el", "kader"]), part(["abdulov"])
    (['abdul', 'rahman'], ['abdul', 'kader'], ['abdulov'])
    """
    if not [token for token in tokens if token[0] == "a" and token.startswith(("abd", "abed"))]:
        return tokens
    kept: list[str] = []
    for at, token in enumerate(tokens):
        if token in SERVANTS and at + 1 < len(tokens):
            kept.append(SERVANT)
        elif token in ARABIC_ARTICLES and kept and kept[-1] == SERVANT and at + 1 < len(tokens):
            continue
        elif (found := _JOINED.fullmatch(token)) and _bones(found[2]) in _BONES:
            kept += [SERVANT, found[2]]
        else:
            kept.append(token)
    return kept
