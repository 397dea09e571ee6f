"""How alike two tokens are: 1 for equal, 0 for anything under FLOOR, and nothing in between.

The floor is what makes the index possible: a pair under it adds nothing to any score, so only
the pairs above it have to be found. Every rule here is one the index can look up.
"""

from __future__ import annotations

from functools import lru_cache

from rapidfuzz.distance import OSA

#: Less alike is not alike at all.
FLOOR = 0.74
#: Two neighbours written as one ("abd al" ~ "abdal") must be nearly the same letters.
JOINED_FLOOR = 0.85
#: The same consonants in the same order, written differently: "mohammed", "muhamad".
SOUND = 0.88
#: The same of a short word, whose few consonants many others have: "jun", "jin", "jan".
SHORT_SOUND = 0.8
SHORT_LETTERS = 4
INITIAL = 0.75

SOUND_LETTERS = 3
SOUND_SKELETON = 2
#: One of two joined neighbours is at most this long: they are a particle and its name.
JOINED_PART_LETTERS = 4
JOINED_LETTERS = 4

#: Spellings of one sound in the romanisations of Arabic, Russian, Persian and Chinese names.
_SPELLINGS = (
    ("sch", "s"), ("sh", "s"), ("ch", "k"), ("kh", "k"), ("gh", "g"), ("dh", "d"), ("th", "t"),
    ("ph", "f"), ("zh", "z"), ("ts", "s"), ("tz", "s"), ("cz", "s"), ("ck", "k"), ("dj", "j"),
    ("ks", "x"), ("ou", "u"), ("oo", "u"), ("ee", "i"), ("ie", "i"), ("ei", "i"), ("ii", "i"),
    ("iy", "i"), ("yy", "i"), ("aa", "a"),
)  # fmt: skip
_LETTERS = str.maketrans({"q": "k", "c": "k", "w": "v", "y": "i", "z": "s", "x": "ks"})


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
    for spelling, sound in _SPELLINGS:
        if spelling in text:
            text = text.replace(spelling, sound)
    text = text.translate(_LETTERS)
    kept = "A" if text[:1] in "aeiou" else text[:1]
    for letter in text[1:]:
        if letter not in "aeiouh" and letter != kept[-1]:
            kept += letter
    return kept


@lru_cache(maxsize=1 << 16)
def sounds(token: str) -> str | None:
    """Return the skeleton by which the token may be found, or None if it has too little to go by.

    Numbers never match by sound, nor do tokens too short to have one.
    """
    if len(token) < SOUND_LETTERS or token.isdigit():
        return None
    found = skeleton(token)
    return found if len(found) >= SOUND_SKELETON else None


def compare(left: str, right: str) -> float:
    """Return how alike two tokens are, in [0, 1]; symmetric."""
    if left == right:
        return 1.0
    if left.isdigit() or right.isdigit():
        return 0.0
    shorter, longer = sorted((len(left), len(right)))
    if shorter == 1:
        return INITIAL if left[0] == right[0] else 0.0
    score = 0.0
    edits = edits_allowed(shorter, longer)
    if edits:
        distance = OSA.distance(left, right, score_cutoff=edits)
        if distance <= edits:
            score = 1 - distance / longer
    by_sound = SHORT_SOUND if shorter <= SHORT_LETTERS else SOUND
    if score < by_sound:
        sound = sounds(left)
        if sound is not None and sound == sounds(right):
            return by_sound
    return score


#: The same, remembered: names on lists are made of the same few thousand words.
similarity = lru_cache(maxsize=1 << 16)(compare)


def joined(tokens: tuple[str, ...], at: int) -> str | None:
    """Return this token and the next as one, or None where they are too long or too short."""
    left, right = tokens[at], tokens[at + 1]
    if min(len(left), len(right)) > JOINED_PART_LETTERS:
        return None
    both = left + right
    return both if len(both) >= JOINED_LETTERS else None
