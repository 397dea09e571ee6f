"""How a listed name turns up in a customer file: misspelt, turned round, in another script.

Each function takes a name and returns the disguise. Spellings in other scripts and languages are
typed in `spellings.json`, because no rule makes "Jewgenij Prigoschin" of "Yevgeniy Prigozhin".
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from functools import cache
from pathlib import Path

from app.sample.dice import Dice


class Variant(StrEnum):
    MISSPELT = "misspelt"
    REORDERED = "reordered"
    TRANSLITERATED = "transliterated"
    SHORTENED = "no middle name"
    RENAMED = "renamed ship"


#: A word shorter than this is another name after one edit, not the same one misspelt.
MIN_MISSPELT = 6

#: Countries whose names we list family name first: "Kim Jong Un".
FAMILY_FIRST = frozenset({"CN", "KH", "KP"})

#: Countries where a person bears two family names: "Nicolas Maduro Moros".
TWO_FAMILY_NAMES = frozenset({"CO", "MX", "NI", "VE"})

#: Words that belong to the family name behind them: "bin Ladin", "de Maduro".
PARTICLES = frozenset({"al", "bin", "de", "el"})

_VOWELS = "aeiou"
_PATRONYMIC = re.compile(r"(vich|vitch|vna|vych|ych)$")


def misspell(name: str, dice: Dice) -> str:
    """Return the name with one edit inside one of its longer words.

    The first letter stays: that is how people mistype, and how they mishear.
    """
    words = name.split()
    at = dice.pick([n for n, word in enumerate(words) if can_misspell(word)])
    word = words[at]
    while word == words[at]:
        word = _edit(words[at], dice)
    return " ".join([*words[:at], word, *words[at + 1 :]])


def can_misspell(name: str) -> bool:
    return any(len(word) >= MIN_MISSPELT and word.isalpha() for word in name.split())


def _edit(word: str, dice: Dice) -> str:
    at = 1 + dice.below(len(word) - 2)
    head, letter, after, tail = word[:at], word[at], word[at + 1], word[at + 2 :]
    edits = [
        head + after + letter + tail,
        head + letter + letter + after + tail,
        head + after + tail,
    ]
    if letter in _VOWELS:
        edits.append(head + dice.pick(_VOWELS) + after + tail)
    return dice.pick(edits)


def reorder(name: str, country: str | None) -> str:
    """Return the name as a register writes it: "PUTIN, Vladimir Vladimirovich"."""
    words = name.split()
    if country in FAMILY_FIRST:
        return f"{words[0].upper()}, {' '.join(words[1:])}"
    split = len(words)
    for _ in range(2 if country in TWO_FAMILY_NAMES and len(words) > 2 else 1):
        split -= 1
        while split > 1 and words[split - 1].lower() in PARTICLES:
            split -= 1
    return f"{' '.join(words[split:]).upper()}, {' '.join(words[:split])}"


def shorten(name: str) -> str | None:
    """Return the name without its patronymic, or None if it has none."""
    words = name.split()
    kept = [word for n, word in enumerate(words) if n == 0 or not _PATRONYMIC.search(word)]
    # A family name may look like a patronymic (Yanukovych): somebody without two names left.
    return " ".join(kept) if 2 <= len(kept) < len(words) else None


@cache
def spellings() -> dict[str, list[str]]:
    """Return, by entry id, the listed name in other scripts and other languages' letters."""
    path = Path(__file__).with_name("spellings.json")
    known: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    return known
