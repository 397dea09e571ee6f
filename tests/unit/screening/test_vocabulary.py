"""Tokens that are alike are found without comparing each with each."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from app.screening.arrays import spread
from app.screening.hashing import hash_text, remainders
from app.screening.lookup import Lookup
from app.screening.tokens import FLOOR, JOINED_FLOOR, JOINED_LETTERS, compare
from app.screening.vocabulary import Vocabulary

import numpy as np  # isort: skip

_TOKENS = st.text("abehk1", min_size=1, max_size=11)
_LONG = st.text("abehk", min_size=JOINED_LETTERS, max_size=13)


@given(
    st.sets(_TOKENS, max_size=60),
    st.sets(_LONG, max_size=30),
    st.lists(_TOKENS, max_size=15),
    st.lists(_LONG, max_size=8),
)
@settings(max_examples=80, deadline=None)
def test_the_neighbours_of_a_token_are_those_that_comparing_with_all_finds(
    words, joins, singles, doubles
):
    vocabulary = Vocabulary.build(words, joins)
    asked = [(token, False) for token in singles] + [(token, True) for token in doubles]
    vocabulary.learn(asked)

    for token, joined in asked:
        found = vocabulary.neighbours(token, joined=joined)
        told = dict(zip(found.numbers.tolist(), found.similarities.tolist(), strict=True))
        assert told == _by_comparing(vocabulary, token, joined)


def _by_comparing(vocabulary: Vocabulary, token: str, joined: bool) -> dict[int, float]:
    """The rules of `scorer`: joins meet words only, nearly equal ones, none too short."""
    expected = {}
    for number, other in enumerate(vocabulary.tokens):
        is_join = number >= vocabulary.words
        if joined and is_join:
            continue
        if (joined or is_join) and min(len(token), len(other)) < JOINED_LETTERS:
            continue
        alike = compare(token, other)
        if alike >= (JOINED_FLOOR if joined or is_join else FLOOR):
            expected[number] = alike
    return expected


@given(st.text("abc", min_size=8, max_size=14))
def test_a_remainder_hashes_like_the_text_that_remains(token):
    _, hashes = remainders([token], FLOOR)

    kept = {token}
    kept |= {token[:i] + token[i + 1 :] for i in range(len(token))}
    kept |= {text[:i] + text[i + 1 :] for text in list(kept - {token}) for i in range(len(text))}
    assert {hash_text(text) for text in kept} == set(hashes.tolist())


def test_a_lookup_files_a_number_under_a_hash_once():
    lookup = Lookup.build(np.array([7, 3, 7, 7], np.uint64), np.array([1, 2, 1, 0]))

    at, numbers = lookup.find(np.array([3, 4, 7], np.uint64))

    assert list(zip(at.tolist(), numbers.tolist(), strict=True)) == [(0, 2), (2, 0), (2, 1)]
    assert lookup.find_one(7).tolist() == [0, 1]
    assert lookup.find_one(4).tolist() == []


def test_runs_are_spread_one_after_the_other():
    assert spread(np.array([5, 20, 9]), np.array([2, 0, 1])).tolist() == [5, 6, 9]
