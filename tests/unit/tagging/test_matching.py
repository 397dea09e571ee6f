"""Categories: whole words, what excludes and requires, patterns, and terms that are misspelt."""

from __future__ import annotations

import pytest

from app.tagging import taxonomy
from app.tagging.matching import Matcher
from app.tagging.model import Document
from app.tagging.text import Page


def find(text, *categories, title=""):
    given = {"id": "test", "categories": list(categories)}
    page = Page(Document(text, title))
    hits, _ = Matcher(taxonomy.read(given, "taxonomy")).find(page)
    return {name: [page.full[h.start : h.end] for h in each] for name, each in hits.items()}


def fraud(**more):
    return {"id": "fraud", "terms": ["fraud", "wire fraud"], **more}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fraud!", ["Fraud"]),
        ("a wire fraud case", ["wire fraud"]),
        ("a WIRE\nFRAUD", ["WIRE\nFRAUD"]),
        ("fraud, fraud", ["fraud", "fraud"]),
        ("fraud-prone", ["fraud"]),
        ("defraud, frauds, fraud2", None),
        ("the firm’s fraud’s end", ["fraud"]),
    ],
)
def test_terms_are_whole_words_and_the_longest_wins(text, expected):
    assert find(text, fraud()).get("fraud") == expected


@pytest.mark.parametrize("text", ["anti-fraud", "anti fraud", "Anti‑Fraud unit", "ANTI  FRAUD"])
def test_a_word_before_a_term_excludes_it(text):
    assert find(text, fraud(exclude_before=["anti"])) == {}


def test_only_a_whole_word_excludes():
    assert find("Ferranti fraud", fraud(exclude_before=["anti"])) == {"fraud": ["fraud"]}


@pytest.mark.parametrize(
    ("within", "text", "counts"),
    [
        ("sentence", "He was arrested for fraud.", True),
        ("sentence", "It was fraud. He was arrested.", False),
        ("paragraph", "It was fraud. He was arrested.", True),
        ("paragraph", "It was fraud.\n\nHe was arrested.", False),
        ("document", "It was fraud.\n\nHe was arrested.", True),
        ("document", "It was fraud.", False),
    ],
)
def test_a_category_may_require_another_one_nearby(within, text, counts):
    found = find(
        text, fraud(requires=["stage"], within=within), {"id": "stage", "terms": ["arrested"]}
    )

    assert ("fraud" in found) is counts


def test_how_many_hits_of_the_required_there_must_be_is_counted_in_the_document():
    text = "He was arrested for fraud. {} again."
    stage = {"id": "stage", "terms": ["arrested"]}
    wanting = fraud(requires=["stage"], requires_hits=2)

    assert "fraud" not in find(text.format("Released"), wanting, stage)
    assert "fraud" in find(text.format("Arrested"), wanting, stage)


def test_a_category_may_be_made_of_others():
    adverse = {
        "id": "adverse",
        "match": "categories",
        "terms": ["fraud", "bribes"],
        "requires": ["stage"],
    }
    others = (fraud(), {"id": "bribes", "terms": ["bribe"]}, {"id": "stage", "terms": ["jailed"]})

    found = find("Jailed for fraud and a bribe. Fraud is bad.", adverse, *others)

    assert found["adverse"] == ["fraud", "bribe"]
    assert found["fraud"] == ["fraud", "Fraud"]


def test_enough_hits_make_a_category():
    assert find("fraud", fraud(min_hits=2)) == {}
    assert len(find("fraud and fraud", fraud(min_hits=2))["fraud"]) == 2


def test_all_terms_may_have_to_be_there():
    both = {"id": "both", "match": "all", "terms": ["bank", "bank fine"]}

    assert find("a bank", both) == {}
    assert find("a bank fine, says the bank", both)["both"] == ["bank fine", "bank"]


@pytest.mark.parametrize("text", ["Gazprombank", "Gazprombnak", "gasprombank"])
def test_fuzzy_terms_forgive_slips(text):
    bank = {"id": "bank", "match": "fuzzy", "terms": ["Gazprombank"], "threshold": 85}

    assert find(f"paid by {text} in May", bank) == {"bank": [text]}


def test_fuzzy_terms_do_not_forgive_everything():
    terms = ["Gazprombank", "Vnesheconombank of Russia"]
    bank = {"id": "bank", "match": "fuzzy", "terms": terms, "threshold": 85}

    assert find("paid by Gasfront in May", bank) == {}
    assert find("the Vneshekonombank of Russia", bank) == {"bank": ["Vneshekonombank of Russia"]}


def test_patterns_find_what_they_say():
    imo = {"id": "imo", "match": "regex", "terms": [r"\bIMO\s?\d{7}\b"]}

    assert find("ships IMO 1234567, imo7654321", imo) == {"imo": ["IMO 1234567", "imo7654321"]}


def test_no_term_reaches_from_the_title_into_the_text():
    assert find("fraud", {"id": "x", "terms": ["wire fraud"]}, title="wire") == {}


def test_scripts_without_spaces_need_no_end_of_a_word():
    found = find(
        "ผู้ต้องหาฟอกเงินแล้ว 은행이 돈세탁을 했다", {"id": "ml", "terms": ["ฟอกเงิน", "돈세탁"]}
    )

    assert found == {"ml": ["ฟอกเงิน", "돈세탁"]}
