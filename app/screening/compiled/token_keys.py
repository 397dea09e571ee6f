"""The keys of a word, as `tokens.keys` gives them: hashes of the same texts, in the same order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.screening import patronymics, tokens
from app.screening.arrays import Array
from app.screening.compiled.jit import frozen, inner, jit
from app.screening.compiled.letters import ROOM, hash_letters, rewrite
from app.screening.compiled.tables import SYLLABLE_LETTERS, Tables, tables

#: Kinds of keys, in the order in which they are filed, and how alike those that share one are.
SPELT, SOUND, VARIANT, SYLLABLES, LOOSE = range(5)
ALIKE = np.array([tokens.SPELT, tokens.SOUND, tokens.VARIANT, tokens.SYLLABLES, tokens.LOOSE])

#: More keys than any word has: one of each kind, and the given names that it may be a form of.
MOST_KEYS = 128

_SPELT_KEY, _SOUND_KEY, _VARIANT_KEY, _SYLLABLE_KEY, _LOOSE_KEY = (
    ord(key)
    for key in (
        tokens.SPELT_KEY,
        tokens.SOUND_KEY,
        tokens.VARIANT_KEY,
        tokens.SYLLABLE_KEY,
        tokens.LOOSE_KEY,
    )
)
_SHORT_LETTERS = tokens.SHORT_LETTERS
_SPELT_LETTERS = tokens.SPELT_LETTERS
_SOUND_LETTERS = tokens.SOUND_LETTERS
_SOUND_SKELETON = tokens.SOUND_SKELETON
_LOOSE_LETTERS = tokens.LOOSE_LETTERS
_LOOSE_SKELETON = tokens.LOOSE_SKELETON
_A, _E, _H, _I, _O, _U, _Y, _BIG_A, _P, _DASH = (ord(letter) for letter in "aehiouyAp-")
PLUS = ord("+")
_MOST_SYLLABLES = 3


@inner
def is_number(text: Array, start: int, end: int) -> bool:
    for at in range(start, end):  # noqa: SIM110  # all() would be a generator, which is not compiled
        if text[at] > 57:
            return False
    return True


@inner
def _is_vowel(letter: int) -> bool:
    return letter in (_A, _E, _I, _O, _U)


@inner
def _has_vowel(text: Array, start: int, end: int) -> bool:
    for at in range(start, end):  # noqa: SIM110  # as above
        if _is_vowel(text[at]) or text[at] == _Y:
            return True
    return False


@inner
def ends_as_women_do(text: Array, start: int, end: int) -> bool:
    last = text[end - 1]
    if last == _H and end - start > 1:
        last = text[end - 2]
    return last in (_A, _E)


@inner
def skeleton(tables: Tables, text: Array, start: int, end: int, put: Array, spare: Array) -> int:
    """Write the skeleton of the word (`tokens.skeleton`) into `put` and return its length."""
    length = end - start
    for at in range(length):
        put[at] = text[start + at]
    length = rewrite(tables.spellings, put, length, spare)
    grown = 0
    for at in range(length):
        spare[grown] = tables.sounds[put[at], 0]
        grown += 1
        second = tables.sounds[put[at], 1]
        if second:
            spare[grown] = second
            grown += 1
    put[0] = _BIG_A if _is_vowel(spare[0]) else spare[0]
    kept = 1
    for at in range(1, grown):
        letter = spare[at]
        if not (_is_vowel(letter) or letter == _H or letter == spare[at - 1]):
            put[kept] = letter
            kept += 1
    return kept


@inner
def _place(sorted_hashes: Array, wanted: np.uint64) -> int:
    at = np.searchsorted(sorted_hashes, wanted)
    if at < len(sorted_hashes) and sorted_hashes[at] == wanted:
        return int(at)
    return -1


@inner
def syllables(tables: Tables, text: Array, start: int, end: int, put: Array, found: Array) -> int:
    """Write what all romanisations of the word share into `put`; return how many syllables it has.

    0 if it is not made of syllables. `found` is scratch paper: two rows of four numbers.
    """
    length = end - start
    if length < 2 or length > _MOST_SYLLABLES * SYLLABLE_LETTERS or is_number(text, start, end):
        return 0
    # Depth first, the longest syllable first: found[0] holds the lengths tried, found[1] places.
    depth = 0
    at = start
    found[0, 0] = min(SYLLABLE_LETTERS, length) + 1
    while depth >= 0:
        found[0, depth] -= 1
        tried = found[0, depth]
        if tried < 2:
            depth -= 1
            if depth >= 0:
                at -= found[0, depth]
            continue
        place = _place(tables.syllables, hash_letters(text, at, at + tried))
        if place < 0:
            continue
        found[1, depth] = place
        if at + tried == end:
            return depth + 1
        if depth + 1 < _MOST_SYLLABLES:
            at += tried
            depth += 1
            found[0, depth] = min(SYLLABLE_LETTERS, end - at) + 1
    return 0


@inner
def _write_syllables(tables: Tables, count: int, found: Array, put: Array, at: int) -> int:
    for each in range(count):
        if each:
            put[at] = _DASH
            at += 1
        place = found[1, each]
        for byte in range(tables.syllable_starts[place], tables.syllable_starts[place + 1]):
            put[at] = tables.syllable_bytes[byte]
            at += 1
    return at


@inner
def _write_number(number: int, put: Array, at: int) -> int:
    digits = 1
    while 10**digits <= number:
        digits += 1
    for place in range(digits):
        put[at + digits - 1 - place] = 48 + number % 10
        number //= 10
    return at + digits


@inner
def word_keys(
    tables: Tables,
    text: Array,
    start: int,
    end: int,
    personal: bool,
    fathers: Array,
    hashes: Array,
    kinds: Array,
    paper: Array,
    found: Array,
) -> tuple[int, bool]:
    """Write the hash and the kind of every key of the word.

    Return how many there are, and whether the word is a single syllable of a Chinese or Korean
    name: that only counts where names are `personal`. `paper` and `found` are `scratch_paper`.
    """
    length = end - start
    number = is_number(text, start, end)
    put, bare, spare = paper[0], paper[1], paper[2]
    count = 0
    single = False

    if length >= _SPELT_LETTERS and not number:
        for at in range(length):
            put[1 + at] = text[start + at]
        spelt = length
        if length > _SPELT_LETTERS:
            spelt = rewrite(tables.spelt, put[1:], length, spare)
        if spelt >= _SPELT_LETTERS:
            put[0] = _SPELT_KEY
            hashes[count], kinds[count] = hash_letters(put, 0, 1 + spelt), SPELT
            count += 1

    heard = 0
    feminine = False
    if length >= _SOUND_LETTERS and not number:
        heard = skeleton(tables, text, start, end, bare, spare)
        feminine = ends_as_women_do(text, start, end)
        if heard >= _SOUND_SKELETON and (
            personal or length > _SHORT_LETTERS or _has_vowel(text, start, end)
        ):
            put[0] = _SOUND_KEY
            last = 1
            for at in range(heard):
                put[last] = bare[at]
                last += 1
            if feminine:
                put[last] = PLUS
                last += 1
            hashes[count], kinds[count] = hash_letters(put, 0, last), SOUND
            count += 1

    if personal:
        place = _place(tables.given, hash_letters(text, start, end))
        if place >= 0:
            put[0] = _VARIANT_KEY
            for each in range(tables.given_starts[place], tables.given_starts[place + 1]):
                last = _write_number(tables.given_numbers[each], put, 1)
                hashes[count], kinds[count] = hash_letters(put, 0, last), VARIANT
                count += 1
        put[0], put[1] = _VARIANT_KEY, _P
        for each in range(len(fathers)):
            last = _write_number(fathers[each], put, 2)
            hashes[count], kinds[count] = hash_letters(put, 0, last), VARIANT
            count += 1
        many = syllables(tables, text, start, end, put, found)
        if many:
            single = many == 1
            put[0] = _SYLLABLE_KEY
            last = _write_syllables(tables, many, found, put, 1)
            hashes[count], kinds[count] = hash_letters(put, 0, last), SYLLABLES
            count += 1

    if length >= _LOOSE_LETTERS and not number:
        put[0] = _LOOSE_KEY
        last = 1
        for at in range(heard):
            letter = tables.confused[bare[at], 0]
            if last == 1 or letter != put[last - 1]:
                put[last] = letter
                last += 1
        if last - 1 >= _LOOSE_SKELETON:
            if feminine:
                put[last] = PLUS
                last += 1
            hashes[count], kinds[count] = hash_letters(put, 0, last), LOOSE
            count += 1
    return count, single


@jit
def scratch_paper() -> tuple[Array, Array]:
    """Return what `word_keys` writes on, to be used again and again."""
    return np.empty((3, ROOM), np.uint8), np.empty((2, _MOST_SYLLABLES + 1), np.int64)


class Keys(NamedTuple):
    """The keys of packed words: those of word n from `starts[n]` on."""

    starts: Array
    hashes: Array
    kinds: Array
    is_syllable: Array


def keys_of_many(words: Sequence[str], text: Array, ends: Array, personal: bool) -> Keys:
    """Return the keys of words; `text` and `ends` are the same words, packed."""
    fathers: list[int] = []
    starts = [0]
    for word in words:
        # A pattern finds these, and few words look like it.
        if personal:
            fathers += patronymics.fathers(word)
        starts.append(len(fathers))
    its = frozen(np.array(fathers, np.int64), np.int64), frozen(np.array(starts), np.int64)
    return Keys(*_keys_of_many(tables(), text, ends, personal, *its))


@jit
def _keys_of_many(
    tables: Tables,
    text: Array,
    ends: Array,
    personal: bool,
    fathers: Array,
    father_starts: Array,
) -> tuple[Array, Array, Array, Array]:
    words = len(ends) - 1
    starts = np.zeros(words + 1, np.int64)
    hashes = np.empty(4 * words + MOST_KEYS, np.uint64)
    kinds = np.empty(4 * words + MOST_KEYS, np.uint8)
    single = np.zeros(words, np.bool_)
    paper, found = scratch_paper()
    count = 0
    for word in range(words):
        if count + MOST_KEYS > len(hashes):
            more_hashes = np.empty(2 * len(hashes), np.uint64)
            more_kinds = np.empty(2 * len(hashes), np.uint8)
            more_hashes[:count] = hashes[:count]
            more_kinds[:count] = kinds[:count]
            hashes, kinds = more_hashes, more_kinds
        its, single[word] = word_keys(
            tables,
            text,
            ends[word],
            ends[word + 1],
            personal,
            fathers[father_starts[word] : father_starts[word + 1]],
            hashes[count:],
            kinds[count:],
            paper,
            found,
        )
        count += its
        starts[word + 1] = count
    return starts, hashes[:count], kinds[:count], single
