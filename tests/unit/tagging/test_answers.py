"""The tags of a remote model, held against the text: whole words, and at a bounded cost."""

from __future__ import annotations

import json

import pytest

from app.tagging import answers
from app.tagging.model import MAX_CHARS, Document
from app.tagging.text import Page
from app.tagging.words import words_of


def read(document, *tags):
    given = [{"tag": tag, "evidence": evidence} for tag, evidence in tags]
    message = {"content": json.dumps({"tags": given})}
    raw = json.dumps({"choices": [{"message": message}]}).encode()
    found = answers.read(raw, Page(document), words_of("en"), "model:x", len(given))
    return {tag.tag: tag for tag in found}


def surfaces(text, phrase, title=""):
    document = Document(text, title)
    (tag,) = read(document, (phrase, "")).values()
    fields = {"text": text, "title": title}
    return [fields[each.field][each.start : each.end] for each in tag.offsets]


@pytest.mark.parametrize(
    ("text", "phrase", "expected"),
    [
        ("The bank, a Bank.", "bank", ["bank", "Bank"]),
        ("The banks embank.", "bank", []),
        ("money  laundering, money\u00a0\n laundering", "Money laundering", 2),
        ("money, laundering", "money laundering", []),
        ("money" + " " * 50 + "laundering", "money laundering", 1),
        ("O’Neil’s firm", "O'Neil's", ["O’Neil’s"]),
        ("the (“so-called”) bank", "“so-called”", ["“so-called”"]),
        ("a a a a a", "a a", ["a a", "a a"]),
        ("snake_case", "snake", []),
        ("C++ and C", "C++", ["C++"]),
        ("bank", "bank " * 19 + "bank", []),
        ("", "bank", []),
    ],
)
def test_a_phrase_stands_where_its_whole_words_do(text, phrase, expected):
    found = surfaces(text, phrase)

    assert found == expected or len(found) == expected


def test_a_phrase_stands_in_the_title_or_in_the_text():
    assert surfaces("wire fraud", "wire fraud", title="Wire fraud") == ["Wire fraud", "wire fraud"]
    assert surfaces("fraud", "wire fraud", title="Wire") == []


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", ["a ", "a", "a-", "- "], ids=repr)
def test_quotes_that_nearly_stand_at_every_word_take_bounded_time(unit):
    text = (unit * MAX_CHARS)[: MAX_CHARS - 2] + " b"
    most = 1_900 // len(unit)
    quotes = [unit * (most - n) + "b" + unit * n for n in range(100)]

    found = read(Document(text), *((f"b{n}", quote) for n, quote in enumerate(quotes)))

    assert len(found) == 100
