"""The words of a list, and those of them that are like a word of a query.

What `app.screening.vocabulary` does in numpy, in loops: `neighbours` finds exactly the listed
words for which `tokens.similarity` is not zero (of joined ones: not under JOINED_FLOOR), and how
alike they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.screening import tokens
from app.screening.arrays import Array, pack_texts
from app.screening.compiled import buckets
from app.screening.compiled.buckets import Buckets, bucket_starts
from app.screening.compiled.jit import frozen, inner, jit
from app.screening.compiled.letters import BACK, LONGEST, POWERS, distance, hash_letters, mix
from app.screening.compiled.tables import tables
from app.screening.compiled.token_keys import (
    ALIKE,
    SOUND,
    SYLLABLES,
    VARIANT,
    Keys,
    is_number,
    keys_of_many,
)

_FLOOR = tokens.FLOOR
_JOINED_FLOOR = tokens.JOINED_FLOOR
_JOINED_LETTERS = tokens.JOINED_LETTERS
_INITIAL = tokens.INITIAL
_SHORT_SOUND = tokens.SHORT_SOUND
_SHORT_LETTERS = tokens.SHORT_LETTERS
_WORDS, _JOINS = 0, 1
_MARK = np.uint64(0xFFFF)


class Listed(NamedTuple):
    """Words 0 to `words` stand in names as they are; the rest are two neighbours joined.

    Words are in alphabetical order, so that those with one first letter are a run. `edits` are
    filed by what remains of a word when letters are left out: words, and joins.
    """

    text: Array
    ends: Array
    words: int
    personal: bool
    is_number: Array
    is_syllable: Array
    #: Where the words begin that begin with each byte, and with the next.
    firsts: Array
    #: The words of one letter: which is this byte, or -1.
    letters: Array
    equal: Buckets
    keys: Buckets
    word_edits: Buckets
    join_edits: Buckets


class Neighbours(NamedTuple):
    """Of word n of those asked: numbers of listed words, from `starts[n]` on, and how alike."""

    starts: Array
    numbers: Array
    alike: Array


def build(words: Iterable[str], joins: Iterable[str], *, personal: bool) -> tuple[Listed, Array]:
    """Return the vocabulary, and the hash of each of its words."""
    word_list, join_list = sorted(words), sorted(joins)
    packed = pack_texts(word_list + join_list)
    text, ends = frozen(packed["bytes"], np.uint8), frozen(packed["ends"], np.int64)
    count = len(ends) - 1
    hashes = hashes_of_many(text, ends)
    keys = keys_of_many(word_list + join_list, text, ends, personal)
    owners = np.repeat(np.arange(count), np.diff(keys.starts))
    number, firsts, letters = _describe(text, ends, len(word_list))
    edits = [
        _file_edits(text, ends, first, last, tables().lose[which])
        for which, first, last in ((_WORDS, 0, len(word_list)), (_JOINS, len(word_list), count))
    ]
    listed = Listed(
        text=text,
        ends=ends,
        words=len(word_list),
        personal=personal,
        is_number=frozen(number, np.bool_),
        is_syllable=frozen(keys.is_syllable, np.bool_),
        firsts=frozen(firsts, np.int64),
        letters=frozen(letters, np.int64),
        equal=buckets.build(hashes, np.arange(count)),
        keys=buckets.build(keys.hashes, owners),
        word_edits=edits[_WORDS],
        join_edits=edits[_JOINS],
    )
    return listed, hashes


_TABLES = ("equal", "keys", "word_edits", "join_edits")


def arrays(listed: Listed) -> dict[str, Array]:
    """Return all that `opened` needs."""
    found = {
        "token_bytes": listed.text,
        "token_ends": listed.ends,
        "token_counts": np.array([listed.words, listed.personal], np.int64),
        "is_number": listed.is_number,
        "is_syllable": listed.is_syllable,
        "firsts": listed.firsts,
        "letters": listed.letters,
    }
    for name in _TABLES:
        its: Buckets = getattr(listed, name)
        found |= {f"{name}_{part}": array for part, array in its.arrays().items()}
    return found


def opened(found: Mapping[str, Array]) -> Listed:
    its = {
        name: buckets.opened(
            {part: found[f"{name}_{part}"] for part in buckets.PARTS},
            np.uint16 if name.endswith("edits") else np.uint64,
        )
        for name in _TABLES
    }
    return Listed(
        text=frozen(found["token_bytes"], np.uint8),
        ends=frozen(found["token_ends"], np.int64),
        words=int(found["token_counts"][0]),
        personal=bool(found["token_counts"][1]),
        is_number=frozen(found["is_number"], np.bool_),
        is_syllable=frozen(found["is_syllable"], np.bool_),
        firsts=frozen(found["firsts"], np.int64),
        letters=frozen(found["letters"], np.int64),
        **its,
    )


@jit
def hashes_of_many(text: Array, ends: Array) -> Array:
    hashes = np.empty(len(ends) - 1, np.uint64)
    for word in range(len(hashes)):
        hashes[word] = hash_letters(text, ends[word], ends[word + 1])
    return hashes


@jit
def _describe(text: Array, ends: Array, words: int) -> tuple[Array, Array, Array]:
    """Return which words are numbers, where those with each first letter begin, single letters."""
    number = np.zeros(len(ends) - 1, np.bool_)
    firsts = np.zeros(257, np.int64)
    letters = np.full(256, -1, np.int64)
    for word in range(len(ends) - 1):
        number[word] = is_number(text, ends[word], ends[word + 1])
        if word < words:
            firsts[int(text[ends[word]]) + 1] += 1
            if ends[word + 1] - ends[word] == 1:
                letters[text[ends[word]]] = word
    for letter in range(256):
        firsts[letter + 1] += firsts[letter]
    return number, firsts, letters


def _file_edits(text: Array, ends: Array, first: int, last: int, lose: Array) -> Buckets:
    """File the words `first` to `last` under what remains of them when letters are left out."""
    count = _count_remainders(ends, first, last, lose)
    shift = buckets.shift_for(count)
    hashes, owners = _remainders_of_many(text, ends, first, last, lose, count)
    order = np.argsort(hashes >> np.uint64(shift), kind="stable")
    hashes, owners = hashes[order], owners[order]
    return Buckets(
        frozen(bucket_starts(hashes, shift), np.int32),
        frozen((hashes & _MARK).astype(np.uint16), np.uint16),
        frozen(owners, np.int32),
        shift,
    )


@jit
def _count_remainders(ends: Array, first: int, last: int, lose: Array) -> int:
    count = 0
    for word in range(first, last):
        length = ends[word + 1] - ends[word]
        count += 1
        if lose[length] >= 1:
            count += length
        if lose[length] >= 2:
            count += length * (length - 1) // 2
    return count


@jit
def _remainders_of_many(
    text: Array, ends: Array, first: int, last: int, lose: Array, count: int
) -> tuple[Array, Array]:
    hashes = np.empty(count, np.uint64)
    owners = np.empty(count, np.int32)
    sums = np.empty(LONGEST + 2, np.uint64)
    at = 0
    for word in range(first, last):
        length = ends[word + 1] - ends[word]
        found = remainders(text, ends[word], length, lose[length], sums, hashes[at:])
        owners[at : at + found] = word
        at += found
    return hashes, owners


@inner
def remainders(text: Array, start: int, length: int, lose: int, sums: Array, put: Array) -> int:
    """Write the hashes of what remains when up to `lose` letters (0, 1 or 2) are left out.

    Leaving a letter out moves those behind it down by one power of the base.
    """
    sums[0] = np.uint64(0)
    for at in range(length):
        sums[at + 1] = sums[at] + np.uint64(text[start + at]) * POWERS[at]
    whole = sums[length]
    put[0] = mix(whole + np.uint64(length))
    count = 1
    if lose >= 1:
        for one in range(length):
            rest = sums[one] + (whole - sums[one + 1]) * BACK[1]
            put[count] = mix(rest + np.uint64(length - 1))
            count += 1
    if lose >= 2:
        for one in range(length):
            for two in range(one + 1, length):
                rest = (
                    sums[one]
                    + (sums[two] - sums[one + 1]) * BACK[1]
                    + (whole - sums[two + 1]) * BACK[2]
                )
                put[count] = mix(rest + np.uint64(length - 2))
                count += 1
    return count


@inner
def _equal(listed: Listed, hash_: np.uint64, first: int, last: int) -> int:
    """Return the number of the word with this hash, among those from `first` to `last`, or -1."""
    table = listed.equal
    bucket = int(hash_ >> np.uint64(table.shift))
    for at in range(table.starts[bucket], table.starts[bucket + 1]):
        number = table.numbers[at]
        if table.marks[at] == hash_ and first <= number < last:
            return number
    return -1


class Paper(NamedTuple):
    """Scratch paper, clean between two searches: one place for each listed word, and room."""

    #: The search that met the word last, and how alike the two are.
    seen: Array
    alike: Array
    #: The words met.
    found: Array
    hashes: Array
    #: From where to where their buckets go.
    places: Array
    sums: Array
    rows: Array


def paper_for(listed: Listed) -> Paper:
    count = len(listed.ends) - 1
    return Paper(
        seen=np.zeros(count, np.int64),
        alike=np.zeros(count),
        found=np.empty(count, np.int32),
        hashes=np.empty(LONGEST * LONGEST, np.uint64),
        places=np.empty((2, LONGEST * LONGEST), np.int32),
        sums=np.empty(LONGEST + 2, np.uint64),
        rows=np.empty((3, LONGEST + 2), np.int64),
    )


@inner
def _note(paper: Paper, stamp: int, number: int, value: float, count: int) -> int:
    """Note a word that is so much alike, if not more; return how many are noted."""
    if paper.seen[number] != stamp:
        paper.seen[number] = stamp
        paper.alike[number] = 0.0
        paper.found[count] = number
        count += 1
    paper.alike[number] = max(paper.alike[number], value)
    return count


@inner
def _find_by_edits(
    listed: Listed,
    table: Buckets,
    edits: Array,
    text: Array,
    start: int,
    length: int,
    remaining: int,
    floor: float,
    single: bool,
    paper: Paper,
    stamp: int,
    count: int,
) -> int:
    """Note every word of the table that differs by no more letters than it may."""
    # Buckets are far apart in memory. Without a decision on the way the processor waits for many at
    # once.
    for each in range(remaining):
        bucket = int(paper.hashes[each] >> np.uint64(table.shift))
        paper.places[0, each] = table.starts[bucket]
        paper.places[1, each] = table.starts[bucket + 1]
    for each in range(remaining):
        mark = paper.hashes[each] & _MARK
        for place in range(paper.places[0, each], paper.places[1, each]):
            number = table.numbers[place]
            if table.marks[place] != mark or paper.seen[number] == stamp:
                continue
            count = _note(paper, stamp, number, 0.0, count)
            if listed.is_number[number] or (single and listed.is_syllable[number]):
                continue
            other = listed.ends[number + 1] - listed.ends[number]
            most = edits[length, other]
            if most:
                far = distance(
                    text, start, length, listed.text, listed.ends[number], other, most, paper.rows
                )
                if far <= most:
                    value = 1 - far / max(length, other)
                    if value >= floor:
                        paper.alike[number] = value
    return count


@inner
def _find_by_keys(
    listed: Listed,
    keys: Keys,
    word: int,
    length: int,
    single: bool,
    joined: bool,
    paper: Paper,
    stamp: int,
    count: int,
) -> int:
    """Note every word that shares a key."""
    table = listed.keys
    for each in range(keys.starts[word], keys.starts[word + 1]):
        hash_, kind = keys.hashes[each], keys.kinds[each]
        bucket = int(hash_ >> np.uint64(table.shift))
        for place in range(table.starts[bucket], table.starts[bucket + 1]):
            if table.marks[place] != hash_:
                continue
            number = table.numbers[place]
            other = listed.ends[number + 1] - listed.ends[number]
            is_join = number >= listed.words
            if is_join and (joined or length < _JOINED_LETTERS):
                continue
            if joined and other < _JOINED_LETTERS:
                continue
            if single and listed.is_syllable[number] and kind != VARIANT and kind != SYLLABLES:
                continue
            value = ALIKE[kind]
            if kind == SOUND and min(length, other) <= _SHORT_LETTERS:
                value = min(value, _SHORT_SOUND)
            if value >= (_JOINED_FLOOR if joined or is_join else _FLOOR):
                count = _note(paper, stamp, number, value, count)
    return count


@inner
def _find(
    listed: Listed,
    lose: Array,
    edits: Array,
    text: Array,
    start: int,
    end: int,
    keys: Keys,
    word: int,
    joined: bool,
    paper: Paper,
    stamp: int,
) -> int:
    """Note the listed words that are like this one, and how much: return how many were met.

    Those whose likeness is 0 are not like it after all.
    """
    length = end - start
    meets_joins = not joined and length >= _JOINED_LETTERS
    count = 0
    if length == 1 and not is_number(text, start, end):
        letter = int(text[start])
        for number in range(listed.firsts[letter], listed.firsts[letter + 1]):
            count = _note(paper, stamp, number, _INITIAL, count)
    elif not is_number(text, start, end):
        single = keys.is_syllable[word]
        floor = _JOINED_FLOOR if joined else _FLOOR
        remaining = remainders(text, start, length, lose[_WORDS, length], paper.sums, paper.hashes)
        count = _find_by_edits(
            listed, listed.word_edits, edits, text, start, length, remaining, floor,
            single, paper, stamp, count,
        )  # fmt: skip
        if meets_joins:
            remaining = remainders(
                text, start, length, lose[_JOINS, length], paper.sums, paper.hashes
            )
            count = _find_by_edits(
                listed, listed.join_edits, edits, text, start, length, remaining,
                _JOINED_FLOOR, single, paper, stamp, count,
            )  # fmt: skip
        count = _find_by_keys(listed, keys, word, length, single, joined, paper, stamp, count)
        initial = listed.letters[text[start]]
        if not joined and initial >= 0 and not listed.is_number[initial]:
            count = _note(paper, stamp, initial, _INITIAL, count)
    own = hash_letters(text, start, end)
    same = _equal(listed, own, 0, listed.words)
    if same >= 0:
        count = _note(paper, stamp, same, 1.0, count)
    if meets_joins:
        same = _equal(listed, own, listed.words, len(listed.ends) - 1)
        if same >= 0:
            count = _note(paper, stamp, same, 1.0, count)
    return count


def find_neighbours(
    listed: Listed, asked: Sequence[tuple[str, bool]], paper: Paper, stamp: int
) -> tuple[Neighbours, Array, Array]:
    """Return the listed words that are like each word asked about; and those words, packed.

    With each word stands whether it is two words of a name as one; `stamp` is the number of words
    that this paper was used for.
    """
    words = [word for word, _ in asked]
    packed = pack_texts(words)
    text, ends = frozen(packed["bytes"], np.uint8), frozen(packed["ends"], np.int64)
    joined = frozen(np.array([is_join for _, is_join in asked]), np.bool_)
    its = tables()
    keys = keys_of_many(words, text, ends, listed.personal)
    starts, numbers, alike = _find_all(
        listed, its.lose, its.edits, text, ends, keys, joined, paper, stamp
    )
    return Neighbours(starts, numbers, alike), text, ends


@jit
def _find_all(
    listed: Listed,
    lose: Array,
    edits: Array,
    text: Array,
    ends: Array,
    keys: Keys,
    joined: Array,
    paper: Paper,
    stamp: int,
) -> tuple[Array, Array, Array]:
    words = len(ends) - 1
    starts = np.zeros(words + 1, np.int64)
    numbers = np.empty(64 * words + 64, np.int32)
    alike = np.empty(64 * words + 64, np.float64)
    kept = 0
    for word in range(words):
        stamp += 1
        met = _find(
            listed, lose, edits, text, ends[word], ends[word + 1], keys, word, joined[word],
            paper, stamp,
        )  # fmt: skip
        if kept + met > len(numbers):
            more_numbers = np.empty(2 * len(numbers) + met, np.int32)
            more_alike = np.empty(2 * len(numbers) + met, np.float64)
            more_numbers[:kept] = numbers[:kept]
            more_alike[:kept] = alike[:kept]
            numbers, alike = more_numbers, more_alike
        for at in range(met):
            number = paper.found[at]
            if paper.alike[number] > 0:
                numbers[kept] = number
                alike[kept] = paper.alike[number]
                kept += 1
        starts[word + 1] = kept
    return starts, numbers[:kept].copy(), alike[:kept].copy()
