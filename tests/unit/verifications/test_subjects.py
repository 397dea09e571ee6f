"""Entities of dialect B, as the screening engine takes them."""

from __future__ import annotations

import pytest

from app.verifications import ids
from app.verifications.findings import Answer, Checked, Hit, category_of, put_together
from app.verifications.subjects import payload


@pytest.mark.parametrize(
    ("entity", "subject"),
    [
        (
            {"type": "individual", "name": "Jane Citizen", "dateOfBirth": "1982", "country": "AUS"},
            {"full_name": "Jane Citizen", "entity_type": "individual", "birth_date": "1982"},
        ),
        (
            {"type": "individual", "firstName": "Jane", "lastName": "Citizen", "nationality": "au"},
            {"full_name": "Jane Citizen", "entity_type": "individual", "nationality": "AU"},
        ),
        (
            {"type": "trust", "name": "T", "country": "AUS", "identifiers": {"abn": ["1", "2"]}},
            {
                "full_name": "T",
                "entity_type": "organization",
                "nationality": "AU",
                "identifiers": [{"type": "abn", "value": "1"}, {"type": "abn", "value": "2"}],
            },
        ),
        ({"type": "soleTrader", "name": "J", "country": "XX9"}, {"full_name": "J"}),
        ({"name": "J"}, {"full_name": "J"}),
    ],
)
def test_an_entity_becomes_an_item_of_the_engine(entity, subject):
    assert payload(entity) == {"subject": subject}


def test_ids_are_21_characters_and_no_two_are_alike():
    made = {ids.make() for _ in range(1000)}

    assert len(made) == 1000
    assert {len(each) for each in made} == {21}
    assert all(ids.is_like_one(each) for each in made)
    assert not any(ids.is_like_one(text) for text in ("", "a b", "a\x00", "ü", "x" * 65))


def test_no_id_is_taken_for_an_option_of_a_command():
    assert all(ids.make()[0].isalnum() for _ in range(5000))


@pytest.mark.parametrize(
    ("topics", "category"),
    [
        (["pep", "sanction"], "sanctions"),
        (["debarment", "wanted"], "criminal"),
        (["rca"], "pep"),
        (["debarment"], "debarment"),
        ([], "other"),
    ],
)
def test_the_gravest_topic_is_the_category(topics, category):
    assert category_of(topics) == category


def test_hits_are_counted_by_source_and_category_also_those_that_are_not_kept():
    checked = Checked("l", "The list", "sanctions", "muster", "v1", 9)
    down = Checked("d", "Down", "pep", "yente", error_code="timeout", error_message="Too late.")
    hits = [Hit("l", "pep", "1", "A", 0.9), Hit("l", "sanctions", "2", "B", 0.95)]

    found = put_together([Answer([checked], hits, {"l": 7}), Answer([down])])

    assert (found["totalHits"], found["hasMatches"], found["isComplete"]) == (7, True, False)
    assert sum(each["hits"] for each in found["matchedSources"]) == 7
    assert {each["sourceName"] for each in found["matchedSources"]} == {"The list"}
    assert [each["status"] for each in found["sourcesChecked"]] == ["ok", "error"]
    assert found["sourcesChecked"][1]["error"] == {"code": "timeout", "message": "Too late."}


def test_hits_of_a_source_of_which_not_one_is_kept_are_counted_and_told():
    lists = [Checked("peps", "PEPs", "pep", "muster"), Checked("ofac", "OFAC", "sanctions", "m")]
    hits = [Hit("peps", "pep", str(n), "A", 0.99) for n in range(100)]

    found = put_together([Answer(lists, hits, {"peps": 120, "ofac": 3})])

    assert found["totalHits"] == 123
    assert [
        (each["source"], each["category"], each["hits"]) for each in found["matchedSources"]
    ] == [
        ("peps", "pep", 120),
        ("ofac", "sanctions", 3),
    ]
