"""Compiled loops say what the plain code says: of words, of their keys, of their likeness."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.screening import tokens
from app.screening.arrays import pack_texts
from app.screening.compiled import cache, tables, vocabulary
from app.screening.compiled.jit import frozen
from app.screening.compiled.token_keys import ALIKE, keys_of_many
from app.screening.hashing import hash_text
from app.screening.syllables import is_syllable
from app.screening.vocabulary import Vocabulary
from app.screening.words import GIVEN_NAMES

_LETTERS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=24)
#: What rules are about: pairs of letters that tables write differently, syllables, given names.
_PIECES = st.lists(
    st.sampled_from(
        [
            *("sch", "tch", "kh", "zh", "ts", "tz", "ck", "c", "q", "x", "ph", "yu", "ia", "ie"),
            *("ou", "oo", "ee", "iy", "ov", "au", "h", "ah", "eh", "je", "ye", "w", "dj", "dzh"),
            *("chang", "xi", "jong", "un", "kim", "yang", "hsueh", "al", "ham", "med", "rr", "ss"),
        ]
    ),
    min_size=1,
    max_size=6,
).map(lambda pieces: "".join(pieces)[:24])
_TOKENS = (
    _LETTERS
    | _PIECES
    | st.sampled_from(sorted(GIVEN_NAMES))
    | st.sampled_from(["ivanovich", "mykolayovych", "petrovna", "npp", "nayk", "kikwong", "kwong"])
    | st.text("ab0123456789", min_size=1, max_size=6)
)


def packed(words: list[str]) -> tuple[np.ndarray, np.ndarray]:
    arrays = pack_texts(words)
    return frozen(arrays["bytes"], np.uint8), frozen(arrays["ends"], np.int64)


@given(st.lists(_TOKENS, min_size=1, max_size=30), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_word_has_the_keys_that_the_plain_rules_give_it(words, personal):
    starts, hashes, kinds, single = keys_of_many(words, *packed(words), personal)

    for at, word in enumerate(words):
        found = [
            (int(hashes[key]), float(ALIKE[kinds[key]])) for key in range(*starts[at : at + 2])
        ]
        assert found == [(hash_text(key), how) for key, how in tokens.keys(word, personal)]
        assert not personal or single[at] == is_syllable(word)


@given(
    st.sets(_TOKENS, min_size=1, max_size=40),
    st.sets(_TOKENS.filter(lambda token: len(token) >= tokens.JOINED_LETTERS), max_size=10),
    st.lists(st.tuples(_TOKENS, st.booleans()), max_size=20),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_a_word_has_the_neighbours_that_plain_comparing_gives_it(words, joins, asked, personal):
    asked += [(word, False) for word in sorted(words)[:5]]
    asked += [(word[1:] or "x", False) for word in sorted(words)[:5]]
    asked = [(word, join and len(word) >= tokens.JOINED_LETTERS) for word, join in asked]
    plain = Vocabulary.build(words, joins, personal=personal)
    listed, _ = vocabulary.build(words, joins, personal=personal)

    found, _, _ = vocabulary.find_neighbours(listed, asked, vocabulary.paper_for(listed), 0)

    for at, (word, join) in enumerate(asked):
        expected = plain.neighbours(word, joined=join)
        here = slice(*found.starts[at : at + 2])
        assert dict(zip(found.numbers[here].tolist(), found.alike[here].tolist(), strict=True)) == (
            dict(zip(expected.numbers.tolist(), expected.similarities.tolist(), strict=True))
        )


def test_a_pattern_that_says_too_much_is_refused_and_not_misread():
    for pattern in ("a+", "(ab)", "a{2}", "[^a]b", "ab.c"):
        with pytest.raises(ValueError, match="more plainly"):
            tables.rewriting([(pattern, "x")])


def test_where_loops_are_kept_changes_with_the_sources_and_not_by_itself():
    program = "from app.screening.compiled import cache; print(cache.folder())"
    again = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert again.stdout.strip() == str(cache.folder())
    assert cache.is_ready()
