"""The whole tagger: exact offsets, the same tags every time, and what the configuration does."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tagging import config, matching
from app.tagging.engine import Tagger
from app.tagging.model import MAX_CHARS, Document, Language, Tag, TagType
from app.tagging.text import fold

ARTICLE = (
    "Former banker Jane Miller was arrested in Lisbon on Monday and charged with wire fraud."
    " Prosecutors allege that Miller laundered the proceeds through shell companies in Panama"
    " for the property developer Harbour View Holdings Ltd. The property developer denied it."
    " Miller pleaded guilty to money laundering and was sentenced to four years in prison."
)


@cache
def tagger(text: str = "{}") -> Tagger:
    return Tagger(config.read(json.loads(text)))


def tags(document, **options):
    return tagger(json.dumps(options)).tag(document).tags


def surfaces(document: Document, tag: Tag) -> list[str]:
    fields = {"title": document.title, "text": document.text}
    return [fields[offset.field][offset.start : offset.end] for offset in tag.offsets]


def names(found, kind=None):
    return [tag.tag for tag in found if kind in (None, tag.type)]


#: Scraps from which texts are made that look like ours, and some that look like nothing.
scraps = st.sampled_from(
    [
        *ARTICLE.split(),
        *(
            "money laundering",
            "MONEY\u00a0LAUNDERING",
            "fraud's",
            "İstanbul",
            "ﬁne",
            "ß",
            "Σίσυφος",
        ),
        *(
            "naïve",
            "e\u0301",
            "𝔘nicode",
            "👩‍👩‍👧",
            "中文洗钱",
            "\u202eabc",
            "\n\n",
            "\n",
            "\t",
            ".",
        ),
        *("“Fraud”", "ﷺ", "Łódź", "D'Souza", "O’Neil’s", "A.B.C.", "S.A.", "--", "…"),
    ]
)
texts = st.lists(st.one_of(scraps, st.text(max_size=6)), max_size=60).map(" ".join)


@settings(max_examples=300, deadline=None)
@given(text=texts, title=st.one_of(st.just(""), texts))
def test_every_offset_is_the_place_where_the_tag_stands(text, title):
    document = Document(text, title)
    for tag in tags(document, num_tags=15, keyphrases={"max_words": 4}):
        found = surfaces(document, tag)
        assert found
        assert all(found)
        assert len(found) == min(tag.count, 20)
        if tag.type is TagType.ENTITY:
            # A surname alone stands for the full name.
            assert all(tag.tag.endswith(surface) for surface in found)
        if tag.type is TagType.KEYPHRASE:
            assert fold(" ".join(found[0].split())) == fold(tag.tag)
        if tag.type is TagType.CATEGORY:
            assert len({fold(surface) for surface in found} - _terms()) == 0


@cache
def _terms():
    return {fold(term) for each in config.Config().taxonomy.categories for term in each.terms}


@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_the_same_text_has_the_same_tags(text):
    assert tagger().tag(Document(text)) == Tagger(config.read({})).tag(Document(text))


def test_tags_do_not_depend_on_the_seed_of_pythons_hashes():
    program = (
        "import json, sys; from app.tagging.engine import Tagger; from app.tagging import config;"
        "from app.tagging.model import Document;"
        "print(json.dumps(Tagger(config.read({'num_tags': 15})).tag("
        "Document(sys.stdin.read())).to_json()))"
    )
    shown = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=ARTICLE * 3,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(shown) == 1


def test_an_article_has_categories_people_organisations_and_phrases():
    found = tags(Document(ARTICLE, title="Developer's banker jailed"), num_tags=15)

    assert {"Money laundering", "Fraud", "Enforcement action", "Adverse media"} <= set(
        names(found, TagType.CATEGORY)
    )
    entities = {tag.tag: tag.label for tag in found if tag.type is TagType.ENTITY}
    assert entities["Jane Miller"] == "PER"
    assert entities["Harbour View Holdings Ltd."] == "ORG"
    assert "property developer" in names(found, TagType.KEYPHRASE)
    assert all(0 < tag.score <= 1 for tag in found)


def test_a_name_counts_for_its_full_form():
    (person,) = (t for t in tags(Document(ARTICLE), num_tags=15) if t.tag == "Jane Miller")

    assert surfaces(Document(ARTICLE), person) == ["Jane Miller", "Miller", "Miller"]


def test_there_are_never_more_tags_than_asked_for_and_categories_go_first():
    found = tagger('{"num_tags": 3}').tag(Document(ARTICLE))

    assert [tag.type for tag in found.tags] == [TagType.CATEGORY] * 3
    assert set(found.omitted).isdisjoint(names(found.tags))
    assert found.to_json()["omitted_categories"] == list(found.omitted) != []


@pytest.mark.parametrize("word", ["developers", "Property", "PROPERTY DEVELOPER"])
def test_an_excluded_word_is_in_no_tag_in_any_of_its_forms(word):
    found = tags(Document(ARTICLE), num_tags=15, exclusion_words=[word])

    assert "property developer" not in names(found)
    assert "Fraud" in names(found)


def test_a_category_can_be_excluded_by_its_label():
    assert "Fraud" not in names(tags(Document(ARTICLE), exclusion_words=["fraud"]))


def test_vocabulary_only_leaves_nothing_but_categories():
    found = tags(Document(ARTICLE), num_tags=15, vocabulary_only=True)

    assert {tag.type for tag in found} == {TagType.CATEGORY}


@pytest.mark.parametrize(
    "name",
    [
        "A" + "b" * 100_000,
        " ".join("A" + "b" * 5_000 for _ in range(6)) + " Ltd",
        "Jane " + "A" + "-b" * 5_000,
        "money " + "@" * 5_000 + " laundering",
    ],
    ids=range(4),
)
def test_no_tag_is_longer_than_anybody_would_read(name):
    found = tags(Document(f"The court heard {name} said. " * 3), num_tags=15)

    assert all(len(tag.tag) <= 200 for tag in found)


def test_a_long_name_is_a_tag_all_the_same():
    name = "Consolidated International Petrochemical Transportation Enterprises Ltd"

    assert name in names(tags(Document(f"He owned {name} then."), num_tags=15, language="en"))


def test_parts_can_be_switched_off():
    options = {"taxonomy": "none", "num_tags": 15}
    phrases = tags(Document(ARTICLE), entities={"enabled": False}, **options)
    people = tags(
        Document(ARTICLE), keyphrases={"enabled": False}, entities={"types": ["PER"]}, **options
    )

    assert {tag.type for tag in phrases} == {TagType.KEYPHRASE}
    assert names(people) == ["Jane Miller"]


def test_a_language_that_is_said_is_not_guessed():
    found = tagger('{"language": "de"}').tag(Document(ARTICLE))

    assert found.language == Language("de", 1.0)


def test_chinese_has_categories_and_no_keyphrases_made_of_half_sentences():
    taxonomy = {"categories": [{"id": "ml", "terms": ["洗钱"]}]}
    text = "法院判定该银行参与洗钱活动，并处以巨额罚款。该银行表示将提出上诉。"
    found = tags(Document(text), taxonomy=taxonomy)

    assert names(found) == ["ml"]
    assert surfaces(Document(text), found[0]) == ["洗钱"]


@pytest.mark.parametrize("text", ["", " \n\t ", "…", "\u200b", "1 2 3 4"])
def test_a_text_without_words_has_no_tags(text):
    assert tags(Document(text)) == []


def test_what_is_too_long_is_cut_and_says_so():
    text = "word " * (MAX_CHARS // 5) + "fraud"

    found = tagger().tag(Document(text))

    assert found.to_json()["truncated"] is True
    assert "Fraud" not in names(found.tags)
    assert "truncated" not in tagger().tag(Document(ARTICLE)).to_json()


def test_the_result_cites_engine_and_taxonomy():
    shown = tagger().tag(Document(ARTICLE)).to_json()

    assert (shown["model"], shown["taxonomy"]) == ("local/keyphrase@1", "fincrime-en@1")
    assert shown["language"]["code"] == "en"


HOSTILE = {
    "one letter": "a" * 1_000_000,
    "one line": "lorem-ipsum.dolor " * 55_000,
    "one word repeated": "fraud " * 200_000,
    "one pair repeated": "Fraud arrested " * 70_000,
    "different words": " ".join(f"w{n}x" for n in range(200_000)),
    "different names": " ".join(f"Ab{n} Cd{n}." for n in range(100_000)),
    "one name": "Aaaa " * 200_000,
    "initials": "A. " * 300_000,
    "joined names": "A of " * 200_000,
    "line ends": "\n" * 1_000_000,
    "spaces": ". " + " " * 1_000_000,
    "quotes": '."' * 500_000,
    "open brackets": "(" * 1_000_000,
    "joined word": "x.y-" * 250_000,
    "letters that grow": "İ" * 1_000_000,
    "marks": "e\u0301" * 500_000,
    "emoji": "👩‍👩‍👧" * 100_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_text_ends(text):
    found = tagger('{"num_tags": 15}').tag(Document(text, title=text[:5_000]))

    assert found.truncated
    json.dumps(found.to_json())


def test_a_taxonomy_that_takes_too_long_is_cut_short_and_the_result_says_so(monkeypatch):
    monkeypatch.setattr(matching, "FIND_SECONDS", 0.0)

    shown = tagger().tag(Document(ARTICLE)).to_json()

    assert shown["truncated"] is True
    assert [each["code"] for each in shown["warnings"]] == [matching.TAXONOMY_CUT_SHORT]
    assert shown["tags"], "the rest of the engine does its work"


def test_a_pattern_that_never_ends_is_left_out_and_said(monkeypatch):
    monkeypatch.setattr(matching, "PATTERN_SECONDS", 0.05)
    taxonomy = {
        "categories": [
            {"id": "bomb", "match": "regex", "terms": [r"(a+)+$", r"(?:x+x+)+y"]},
            {"id": "fraud", "match": "regex", "terms": [r"fr[ao]ud\w*"]},
        ]
    }
    text = "a" * 5_000 + "! frauds " + "x" * 5_000

    found = Tagger(config.read({"taxonomy": taxonomy})).tag(Document(text))

    assert names(found.tags, TagType.CATEGORY) == ["fraud"]
    assert {each["code"] for each in found.warnings} == {matching.PATTERN_TIMEOUT}
    assert {each["category"] for each in found.warnings} == {"bomb"}
