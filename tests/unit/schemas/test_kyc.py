"""What dialect A takes, and what it says of the rest."""

from __future__ import annotations

import pytest
from marshmallow import ValidationError

from app.api.kyc_entities import flatten
from schemas import texts
from schemas.kyc import EntitySchema, JobOptionsSchema, RetrySchema, TokenSchema

ENTITY = EntitySchema()


def load(subject, **more):
    return ENTITY.load({"subject": subject, **more})


def problems(schema, raw) -> dict:
    with pytest.raises(ValidationError) as caught:
        schema.load(raw)
    return caught.value.messages


@pytest.mark.parametrize(
    "subject",
    [
        {"full_name": "Ada"},
        {"document_id": "12345678"},
        {"wallet_address": "bc1q"},
        {"imo_number": "9187629"},
        {"identifiers": [{"type": "Passport", "value": "X1"}]},
    ],
)
def test_any_one_identifying_field_is_enough(subject):
    assert load(subject) == {"subject": subject}


def test_the_example_of_the_contract_is_taken_as_it_stands():
    entity = {
        "entity_id": "e1",
        "subject": {"full_name": "John Doe", "nationality": "US", "birth_date": "1985-03-15"},
        "lists": ["ofac", "un"],
        "search_type": "composite",
    }

    assert ENTITY.load(entity) == entity


def test_null_says_the_same_as_leaving_the_field_out():
    assert load({"full_name": "Ada", "birth_date": None}, entity_id=None, lists=None) == load(
        {"full_name": "Ada"}
    )


def test_unknown_fields_are_left_out():
    assert load({"full_name": "Ada", "x": 1}, y=2) == {"subject": {"full_name": "Ada"}}


def test_one_list_may_be_named_the_short_way():
    assert load({"full_name": "Ada"}, list_name="ofac")["lists"] == ["ofac"]
    assert load({"full_name": "Ada"}, list_name="ofac", lists=["un"])["lists"] == ["un"]


def test_a_subject_that_names_nobody_is_told_what_would():
    messages = problems(ENTITY, {"subject": {"birth_date": "1985"}})

    assert messages == {
        "subject": {
            "_schema": [
                "one of full_name, document_id, wallet_address, identifiers, imo_number is required"
            ]
        }
    }


@pytest.mark.parametrize("date", ["1985", "1985-03", "1985-03-15", "1984-02-29", "0001-01-01"])
def test_a_date_may_be_partial(date):
    assert texts.is_partial_date(date)


@pytest.mark.parametrize(
    "date",
    [
        *("", "85", "1985-3", "1985-02-29", "1985-13", "1985-00", "0000", "1985-03-15T00"),
        *("1985\n", "١٩٨٥", "+985", "1985-03-", "1985/03", "15-03-1985", " 1985"),
    ],
)
def test_what_is_on_no_calendar_is_no_date(date):
    assert not texts.is_partial_date(date)


@pytest.mark.parametrize(  # by name: pytest cannot show half a pair
    "text",
    [chr(0), "a" + chr(0), chr(0xD800), chr(0xDFFF), "a" + chr(0xD83D)],
    ids=["NUL", "NUL at the end", "first", "last", "half at the end"],
)
def test_a_nul_and_half_a_surrogate_pair_cannot_be_stored(text):
    assert not texts.is_storable(text)
    assert problems(ENTITY, {"subject": {"full_name": text}})["subject"]["full_name"]


@pytest.mark.parametrize("text", ["", "😀", "\x01", "\uffff", "\u202e"])
def test_every_other_text_can_be_stored(text):
    assert texts.is_storable(text)


@pytest.mark.parametrize("threshold", [0.5, 1, 0.85, None])
def test_a_threshold_is_a_number_from_a_half_to_1(threshold):
    JobOptionsSchema().load({"threshold": threshold})


@pytest.mark.parametrize(
    "threshold", [-0.01, 0, 0.49, 1.01, "0.5", True, [], float("nan"), float("inf"), 10**400]
)
def test_anything_else_is_no_threshold(threshold):
    assert problems(JobOptionsSchema(), {"threshold": threshold}).keys() == {"threshold"}


def test_labels_are_texts_by_name():
    assert JobOptionsSchema().load({"labels": {"customer": "acme"}}) == {
        "labels": {"customer": "acme"}
    }
    for labels in ([], {"a": 1}, {"a": None}, {"": "a"}, {"a": "\x00"}, {"a" * 101: "a"}):
        assert problems(JobOptionsSchema(), {"labels": labels}).keys() == {"labels"}


def test_what_to_retry_is_one_of_three_words():
    assert RetrySchema().load({}) == {}
    assert RetrySchema().load({"items": "failed"}) == {"items": "failed"}
    assert problems(RetrySchema(), {"items": "all"}).keys() == {"items"}


def test_a_password_never_stands_in_a_message():
    messages = problems(TokenSchema(), {"password": "hunter2" * 200})

    assert "hunter2" not in str(messages)


@pytest.mark.parametrize(
    ("entity", "path", "limit"),
    [
        ({"subject": {"full_name": "A", "identifiers": [1] * 10_000}}, "subject.identifiers", 50),
        ({"subject": {"full_name": "A"}, "lists": [1] * 10_000}, "lists", 50),
    ],
)
def test_a_list_that_is_too_long_is_told_once_and_not_for_each_element(entity, path, limit):
    """A message for each of a million elements took minutes and all the memory."""
    found = list(flatten(problems(EntitySchema(), entity)))

    assert [where for where, _ in found] == [path]
    assert str(limit) in found[0][1]


def test_too_many_labels_are_told_once():
    labels = {f"label {n}": 1 for n in range(10_000)}

    assert list(flatten(problems(JobOptionsSchema(), {"labels": labels}))) == [
        ("labels", "may hold at most 50")
    ]
