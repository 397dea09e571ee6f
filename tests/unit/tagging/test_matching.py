"""Categories: whole words, what excludes and requires, patterns, and terms that are misspelt."""

from __future__ import annotations

import pytest

from app.tagging import matching, taxonomy
from app.tagging.matching import Matcher
from app.tagging.model import Document
from app.tagging.text import Page


def find(text, *categories, title=""):
    given = {"id": "test", "categories": list(categories)}
    page = Page(Document(text, title))
    hits = Matcher(taxonomy.read(given, "taxonomy")).find(page).hits
    return {name: [page.full[h.start : h.end] for h in each] for name, each in hits.items()}


def found(text, *categories):
    return Matcher(taxonomy.read({"categories": list(categories)}, "taxonomy")).find(
        Page(Document(text))
    )


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


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ({"match": "fuzzy", "threshold": 80, "terms": ["wire frauds"]}, []),
        ({"match": "regex", "terms": [r"wire\s+fraud"]}, []),
        ({"match": "regex", "terms": [r"wire\s*"]}, [("title", "wire")]),
        ({"match": "regex", "terms": [r"(^|\s)fraud"]}, [("text", "fraud")]),
        ({"match": "regex", "terms": [r"\s+"]}, [("title", " "), ("text", " ")]),
        ({"match": "regex", "terms": [r"\A\w+|\w+\Z"]}, ["a", "wire", "fraud", "case"]),
        ({"match": "regex", "terms": [r"(?s).+"]}, ["a wire", "fraud case"]),
        ({"terms": ["fraud"], "exclude_before": ["wire"]}, [("text", "fraud")]),
    ],
    ids=range(8),
)
def test_a_hit_is_in_the_title_or_in_the_text_and_knows_of_no_other(category, expected):
    fields = {"title": "a wire", "text": "fraud case"}
    test = taxonomy.read({"categories": [{"id": "x", **category}]}, "taxonomy")
    page = Page(Document(**fields))
    found = matching.tags(page, test, Matcher(test).find(page).hits)

    places = [
        (each.field, fields[each.field][each.start : each.end])
        for tag in found
        for each in tag.offsets
    ]
    assert expected in (places, [surface for _, surface in places])


def test_scripts_without_spaces_need_no_end_of_a_word():
    found = find(
        "ผู้ต้องหาฟอกเงินแล้ว 은행이 돈세탁을 했다", {"id": "ml", "terms": ["ฟอกเงิน", "돈세탁"]}
    )

    assert found == {"ml": ["ฟอกเงิน", "돈세탁"]}


# What a taxonomy may cost: its size is bounded, and so are the hits and the time of one document.


def nested(count):
    return [" ".join("b" * size) for size in range(1, count + 1)]


LOREM = "lorem ipsum dolor " * 11_000
NEAR = [
    f"lorem ipsum{first}{second}" for first in "abcdefghij" for second in "abcdefghijklmnopqrst"
]

HOSTILE = {
    "fuzzy, one term": ([fraud(match="fuzzy", threshold=70, terms=["lorem ipsum"] * 200)], LOREM),
    "fuzzy, terms alike": ([fraud(match="fuzzy", threshold=70, terms=NEAR)], LOREM),
    "fuzzy, a category each": (
        [{"id": term, "match": "fuzzy", "threshold": 70, "terms": [term]} for term in NEAR],
        LOREM,
    ),
    "fuzzy, of all sizes": (
        [fraud(match="fuzzy", threshold=70, terms=nested(100) + [f"{b} c" for b in nested(99)])],
        "a b " * 50_000,
    ),
    "terms in terms, all excluded": (
        [{"id": f"a{n}", "terms": nested(90), "exclude_before": ["b"]} for n in range(50)],
        "b " * 100_000,
    ),
    "terms in terms, of one word": (
        [{"id": f"a{n}", "terms": ["b" * size for size in range(1, 201)]} for n in range(20)],
        "b" * 200_000,
    ),
    "many times required": (
        [fraud(requires=["b"] * 5_000), {"id": "b", "terms": ["fraud"]}],
        "fraud " * 30_000,
    ),
    "all required by all": (
        [
            {"id": str(n), "terms": ["b"], "requires": [str((n + k) % 200) for k in range(23)]}
            for n in range(200)
        ],
        "b. " * 60_000,
    ),
    "groups of all": (
        [{"id": str(n), "terms": ["b"]} for n in range(48)]
        + [
            {"id": f"g{n}", "match": "categories", "terms": [str(k) for k in range(48)]}
            for n in range(100)
        ],
        "b " * 100_000,
    ),
    "patterns that are everywhere": (
        [
            fraud(
                match="regex",
                terms=[r"\w", "x*", r"\b", "(?=.)", *(f"b{{{n}}}" for n in range(40))],
            )
        ],
        "b " * 100_000,
    ),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize(("categories", "text"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_taxonomy_ends_and_keeps_no_more_than_so_many_hits(categories, text):
    result = found(text, *categories)

    plain = [name for name in result.hits if not name.startswith("g")]
    assert sum(len(result.hits[name]) for name in plain) <= matching.MAX_HITS_IN_ALL
    assert all(len(result.hits[name]) <= matching.MAX_HITS for name in plain)


@pytest.mark.parametrize(
    ("category", "text"),
    [
        (fraud(exclude_before=["anti"]), "anti-fraud, "),
        (fraud(match="all", terms=["fraud", "wire"], exclude_before=["anti"]), "anti-fraud, "),
        (fraud(match="regex", terms=["fraud"], exclude_before=["anti"]), "anti-fraud, "),
        (fraud(match="fuzzy", terms=["fraud"], exclude_before=["anti"]), "anti fraud, "),
    ],
    ids=["any", "all", "regex", "fuzzy"],
)
def test_hits_that_are_excluded_are_looked_at_too_and_only_so_many_are(monkeypatch, category, text):
    monkeypatch.setattr(matching, "MAX_HITS", 10)

    enough = found(text * 8 + "wire fraud", category)
    too_many = found(text * 10 + "wire fraud", category)

    assert ("fraud" in enough.hits, enough.truncated) == (True, False)
    assert ("fraud" in too_many.hits, too_many.truncated) == (False, True)


def test_all_categories_together_have_only_so_many_hits(monkeypatch):
    monkeypatch.setattr(matching, "MAX_HITS_IN_ALL", 10)
    categories = [{"id": str(n), "terms": ["fraud"]} for n in range(4)]

    result = found("fraud, " * 5, *categories)

    assert sum(map(len, result.hits.values())) == 10
    assert result.truncated


@pytest.mark.parametrize("match", ["any", "fuzzy", "regex"])
def test_a_taxonomy_whose_time_is_up_says_so(monkeypatch, match):
    monkeypatch.setattr(matching, "FIND_SECONDS", 0.0)

    result = found("wire fraud", fraud(match=match, requires=["b"]), {"id": "b", "terms": ["wire"]})

    assert result.truncated
    assert result.warnings[-1]["code"] == matching.TAXONOMY_CUT_SHORT


def test_an_ordinary_document_is_not_cut_short():
    result = found("wire fraud " * 100, fraud(exclude_before=["anti"]))

    assert (result.truncated, result.warnings) == (False, [])
    assert len(result.hits["fraud"]) == 100
