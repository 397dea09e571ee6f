"""Reading a JSON body: strictly, and in words where it goes wrong."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.body import parse
from app.errors import MalformedJson

values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(values)
def test_every_json_value_is_read_as_it_was_written(value):
    assert parse(json.dumps(value).encode()) == value


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(), st.text('[]{}:,"\\u0d8e1.-+ntf \t\n').map(str.encode)))
def test_any_bytes_are_a_value_or_malformed_json(raw):
    with suppress(MalformedJson):
        parse(raw)


def refused(raw: bytes) -> str:
    with pytest.raises(MalformedJson) as caught:
        parse(raw)
    return str(caught.value)


def test_the_place_of_the_mistake_is_told():
    assert refused(b'{\n  "a": 1,\n}').endswith("at line 3, column 1.")
    assert refused(b'["\xff"]') == "The body is not UTF-8 at byte 2."


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_that_python_takes_for_numbers_are_not_json(word):
    assert refused(f'{{"a": [{word}]}}'.encode()) == f"{word} is not a JSON value."


def test_a_key_stands_once_in_an_object():
    assert refused(b'{"a": {"b": 1, "c": 2, "b": 3}}') == (
        "The key 'b' stands more than once in one object."
    )
    assert parse(b'[{"a": 1}, {"a": 2}]') == [{"a": 1}, {"a": 2}]


def test_a_key_that_stands_twice_is_shown_shortened_and_printable():
    key = "\\ud800" + "x" * 1_000

    message = refused(f'{{"{key}": 1, "{key}": 2}}'.encode())

    assert message.isascii()
    assert len(message) < 120


def test_a_key_twice_among_very_many_is_found_at_once():
    names = [f'"k{n}":1' for n in range(100_000)]

    began = time.monotonic()
    refused(b"{" + ",".join([*names, names[-1]]).encode() + b"}")

    # Each compared with each, it would be minutes.
    assert time.monotonic() - began < 15


def test_depth_and_digits_beyond_what_can_be_read_are_refused():
    assert refused(b"[" * 200_000) == "The body is nested too deeply."
    assert refused(b"9" * 10_000) == "The body holds a number that is too long."
