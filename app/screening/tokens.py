"""How alike two tokens are: 1 for equal, 0 for anything under FLOOR, and nothing in between.

The floor is what makes the index possible: a pair under it adds nothing to any score, so only
the pairs above it have to be found. Every rule here is one the index can look up.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from rapidfuzz.distance import OSA

from app.screening.patronymics import fathers
from app.screening.syllables import is_syllable, syllable_key
from app.screening.words import GIVEN_NAMES

#: Less alike is not alike at all.
FLOOR = 0.74
#: Two neighbours written as one ("abd al" ~ "abdal") must be nearly the same letters.
JOINED_FLOOR = 0.85
#: The same letters but for those that every table of transliteration writes its own way:
#: "Tretyakov", "Tretiakov"; "Yermakov", "Ermakov"; "Osama", "Usamah".
SPELT = 0.95
#: The same consonants in the same order, written differently: "mohammed", "muhamad".
SOUND = 0.88
#: The same of a short word, whose few consonants many others have: "jun", "jin", "jan".
SHORT_SOUND = 0.8
SHORT_LETTERS = 4
INITIAL = 0.75
#: Forms of one given name: "Bill" and "William", "Sergey" and "Serhiy".
VARIANT = 0.9
#: Romanisations of the same Chinese or Korean syllables: "Zedong" and "Tsetung".
SYLLABLES = 0.86
#: The same consonants when those that scripts confuse are taken for one: "Holovin", "Golovin".
LOOSE = 0.78
BEST_KEY = max(SPELT, SOUND, VARIANT, SYLLABLES, LOOSE)

#: The first letter of a key says what it is.
SPELT_KEY, SOUND_KEY, VARIANT_KEY, SYLLABLE_KEY, LOOSE_KEY = "wsnyl"

#: What still counts between two syllables.
_SYLLABLE_KEYS = frozenset({VARIANT_KEY, SYLLABLE_KEY})

LOOSE_LETTERS = 5
LOOSE_SKELETON = 3

SOUND_LETTERS = 3
SOUND_SKELETON = 2
#: One of two joined neighbours is at most this long: they are a particle and its name.
JOINED_PART_LETTERS = 4
JOINED_LETTERS = 4
#: By so many letters the two together may be longer or shorter than the one: "Chi Kwong" sounds
#: like "Kwong", and is not it.
JOINED_LONGER = 1

#: Spellings of one sound in the romanisations of Arabic, Russian, Persian and Chinese names.
SPELLINGS = (
    ("sch", "s"), ("sh", "s"), ("ch", "k"), ("kh", "k"), ("gh", "g"), ("dh", "d"), ("th", "t"),
    ("ph", "f"), ("zh", "z"), ("ts", "s"), ("tz", "s"), ("cz", "s"), ("ck", "k"), ("dj", "j"),
    ("ks", "x"), ("ou", "u"), ("oo", "u"), ("ee", "i"), ("ie", "i"), ("ei", "i"), ("ii", "i"),
    ("iy", "i"), ("yy", "i"), ("aa", "a"),
)  # fmt: skip
_VOWEL = re.compile("[aeiouy]")
_FEMININE = re.compile("[ae]h?$")
LETTERS = str.maketrans({"q": "k", "c": "k", "w": "v", "y": "i", "z": "s", "x": "ks"})


def edits_allowed(shorter: int, longer: int, floor: float = FLOOR) -> int:
    """Return how many edits two tokens of these lengths may differ by and still be alike."""
    budget = 0 if shorter <= 2 else 1 if shorter <= 5 else 2
    while budget and 1 - budget / longer < floor:
        budget -= 1
    return budget if longer - shorter <= budget else 0


def skeleton(token: str) -> str:
    """Return the consonants that survive transliteration; a leading vowel counts as one.

    >>> skeleton("mohammed") == skeleton("muhamad")
    True
    """
    text = token
    for spelling, sound in SPELLINGS:
        if spelling in text:
            text = text.replace(spelling, sound)
    text = text.translate(LETTERS)
    kept = "A" if text[:1] in "aeiou" else text[:1]
    before = text[:1]
    for letter in text[1:]:
        # "Hassan" is "Hasan"; "Kikwong" is not "Kwong".
        if letter not in "aeiouh" and letter != before:
            kept += letter
        before = letter
    return kept


@lru_cache(maxsize=1 << 16)
def sounds(token: str) -> str | None:
    """Return the skeleton by which the token may be found, or None if it has too little to go by.

    Numbers never match by sound, nor do tokens too short to have one.
    """
    if len(token) < SOUND_LETTERS or token.isdigit():
        return None
    found = skeleton(token)
    return found + ending(token) if len(found) >= SOUND_SKELETON else None


def ending(token: str) -> str:
    """Return a mark where the token ends as women's names do: "Salma" is not heard as "Salim"."""
    return "+" if _FEMININE.search(token) else ""


#: What tables of transliteration write differently, in the order in which it is made one.
TABLES = tuple(
    (re.compile(pattern), letters)
    for pattern, letters in (
        ("[ao]u$", "ov"), ("^[yj]e", "e"), ("ie", "e"), ("sch", "sh"), ("tch", "ch"),
        ("dzh|dj", "j"), ("ck|q|c(?!h)", "k"), ("ph", "f"), ("gh", "g"), ("dh", "d"), ("th", "t"),
        ("kh", "h"), ("w", "v"), ("x", "ks"), ("ou|oo", "u"), ("ee", "i"), ("o", "u"),
        ("[yj](?=[aeiu])|(?<=[aeiu])[yj]|[yj]$", "i"), ("y", "i"), ("ie", "e"),
        ("ts|tz", "z"), ("(.)\\1+", "\\1"), ("(?<=[aeiu])h$", ""),
    )
)  # fmt: skip
SPELT_LETTERS = 2


@lru_cache(maxsize=1 << 16)
def spelt(token: str) -> str | None:
    """Return the token as one table would write it, or None if it is too short to say.

    >>> spelt("yermakov") == spelt("ermakov"), spelt("salim") == spelt("salem")
    (True, False)
    """
    if len(token) < SPELT_LETTERS or token.isdigit():
        return None
    text = token
    # A word of two letters has none to spare, and is only met by what shrinks to it.
    for pattern, letters in TABLES if len(token) > SPELT_LETTERS else ():
        text = pattern.sub(letters, text)
    return text if len(text) >= SPELT_LETTERS else None


#: Consonants that one script writes for the other, or one tongue says for the other: Ukrainian h
#: for Russian g, Arabic b for p and j for g, Spanish j for h, v for w and f.
CONFUSED = str.maketrans({"p": "b", "t": "d", "g": "k", "j": "k", "h": "k", "x": "k", "f": "v"})


@lru_cache(maxsize=1 << 16)
def loose_sound(token: str) -> str | None:
    """Return the skeleton with confused consonants as one, or None if too little is left of it."""
    if len(token) < LOOSE_LETTERS or token.isdigit():
        return None
    kept = ""
    for letter in skeleton(token).translate(CONFUSED):
        if letter != kept[-1:]:
            kept += letter
    return kept + ending(token) if len(kept) >= LOOSE_SKELETON else None


@lru_cache(maxsize=1 << 16)
def keys(token: str, personal: bool) -> tuple[tuple[str, float], ...]:
    """Return what makes the token like others: each key, and how alike those that share it are.

    This is what an index files a token under. `personal` adds what only people's names have:
    forms of one given name, romanisations of one Chinese or Korean syllable.
    """
    found = []
    by_table = spelt(token)
    if by_table is not None:
        found.append((f"{SPELT_KEY}{by_table}", SPELT))
    sound = sounds(token)
    # A company's "npp" is an abbreviation, and no other is like it.
    is_abbreviation = not personal and len(token) <= SHORT_LETTERS and not _VOWEL.search(token)
    if sound is not None and not is_abbreviation:
        found.append((f"{SOUND_KEY}{sound}", SOUND))
    if personal:
        found += [(f"{VARIANT_KEY}{number}", VARIANT) for number in GIVEN_NAMES.get(token, ())]
        found += [(f"{VARIANT_KEY}p{number}", VARIANT) for number in fathers(token)]
        syllables = syllable_key(token)
        if syllables is not None:
            found.append((f"{SYLLABLE_KEY}{syllables}", SYLLABLES))
    loose = loose_sound(token)
    if loose is not None:
        found.append((f"{LOOSE_KEY}{loose}", LOOSE))
    return tuple(found)


def shared_key(left: str, right: str, personal: bool) -> tuple[str, float] | None:
    """Return the first letter of the best key that both tokens have, and how alike that makes them.

    Keys come best first but for short tokens, whose few consonants many others share.
    """
    theirs = dict(keys(right, personal))
    if not theirs:
        return None
    short = min(len(left), len(right)) <= SHORT_LETTERS
    best: tuple[str, float] | None = None
    syllables = personal and is_syllable(left) and is_syllable(right)
    for key, alike in keys(left, personal):
        if key in theirs and not (syllables and key[0] not in _SYLLABLE_KEYS):
            value = min(alike, SHORT_SOUND) if short and key[0] == SOUND_KEY else alike
            if best is None or value > best[1]:
                best = key[0], value
    return best


def compare(left: str, right: str, personal: bool = False) -> float:
    """Return how alike two tokens are, in [0, 1]; symmetric."""
    if left == right:
        return 1.0
    if left.isdigit() or right.isdigit():
        return 0.0
    if 1 in (len(left), len(right)):
        return INITIAL if left[0] == right[0] else 0.0
    # Another letter makes another syllable, and another name: "Jian" is no slip for "Jiang".
    syllables = personal and is_syllable(left) and is_syllable(right)
    score = 0.0 if syllables else spelling(left, right)
    if score < BEST_KEY:
        shared = shared_key(left, right, personal)
        if shared is not None:
            score = max(score, shared[1])
    return score


def spelling(left: str, right: str) -> float:
    """Return how alike two tokens are by their letters alone: 0 beyond the edits allowed."""
    shorter, longer = sorted((len(left), len(right)))
    edits = edits_allowed(shorter, longer)
    if edits:
        distance = OSA.distance(left, right, score_cutoff=edits)
        if distance <= edits:
            return float(1 - distance / longer)
    return 0.0


#: The same, remembered: names on lists are made of the same few thousand words.
similarity = lru_cache(maxsize=1 << 17)(compare)


def joins(tokens: tuple[str, ...]) -> list[str | None]:
    """Return what each token and the next make as one, or None; the last has no next."""
    found: list[str | None] = [
        left + right
        if (len(left) <= JOINED_PART_LETTERS or len(right) <= JOINED_PART_LETTERS)
        and len(left) + len(right) >= JOINED_LETTERS
        else None
        for left, right in pairwise(tokens)
    ]
    found.append(None)
    return found[: len(tokens)]


def joined(tokens: tuple[str, ...], at: int) -> str | None:
    """Return this token and the next as one, or None where they are too long or too short."""
    return joins(tokens[at : at + 2])[0]
