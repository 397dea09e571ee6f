"""The fast reader is the schema, only faster: same yes and no, and the same value."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from schemas.kyc import ENTITY_TYPES, SEARCH_TYPES, EntitySchema
from schemas.kyc_fast import read_entities

SCHEMA = EntitySchema()

#: What the caller of the fast reader has made sure of: no NUL, no half of a surrogate pair.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
names = st.one_of(texts, st.sampled_from(["Ada Lovelace", "李小龍", "x" * 500]))
lengths = st.sampled_from([0, 1, 2, 99, 100, 101, 127, 128, 129, 499, 500, 501])
long_texts = st.builds(lambda char, length: char * length, st.sampled_from("xЖ😀 \n"), lengths)
junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    long_texts,
    st.sampled_from(["", " ", "\u2003", "1985-02-29", "1984-02-29", "0000", "1985-1", "1985-12"]),
    st.sampled_from(["1985\n", "US\n", "US", "us", "Us", "U", "USA", "Ü1", "ofac\n", "OFAC", "-a"]),
    st.lists(st.one_of(st.none(), texts, st.integers()), max_size=3),
    st.dictionaries(texts, texts, max_size=2),
)
dates = st.dates().map(str).flatmap(lambda day: st.sampled_from([day, day[:7], day[:4]]))
labels = st.text("abcdefghij -", min_size=1, max_size=20)
numbers = st.text("0123456789ABC", min_size=1, max_size=20)
list_names = st.from_regex(r"\A[a-z0-9][a-z0-9_.-]{0,10}\Z")
identifiers = st.fixed_dictionaries({"type": labels, "value": numbers})

SUBJECT = {
    "full_name": names.filter(str.strip),
    "document_id": numbers,
    "document_type": labels,
    "nationality": st.sampled_from(["US", "uy", "Gb"]),
    "birth_date": dates,
    "entity_type": st.sampled_from(ENTITY_TYPES),
    "identifiers": st.lists(identifiers, max_size=3),
    "wallet_address": numbers,
    "imo_number": numbers,
    "call_sign": labels,
}
ENTITY = {
    "entity_id": numbers,
    "lists": st.lists(list_names, min_size=1, max_size=3),
    "list_name": list_names,
    "search_type": st.sampled_from(SEARCH_TYPES),
}
subjects = st.fixed_dictionaries({}, optional=SUBJECT)
entities = st.fixed_dictionaries({"subject": subjects}, optional=ENTITY)

#: One field of a good entity, or of one of its identifiers, goes wrong, or an unknown one appears.
keys = st.one_of(st.sampled_from([*SUBJECT, *ENTITY, "subject", "type", "value", "more"]), texts)


@st.composite
def spoiled(draw: st.DrawFn) -> Any:
    entity = draw(entities)
    key, value = draw(keys), draw(st.one_of(junk, st.lists(identifiers, max_size=3)))
    places = [entity, entity["subject"], *entity["subject"].get("identifiers", ())]
    place = draw(st.sampled_from(places))
    if draw(st.booleans()):
        place[key] = value
    else:
        place.pop(key, None)
    return entity


def by_schema(raw: Any) -> dict[str, Any] | None:
    try:
        return SCHEMA.load(raw)
    except ValidationError:
        return None


def by_fast_reader(raw: Any) -> dict[str, Any] | None:
    read = read_entities([raw])
    return None if read is None else msgspec.json.decode(msgspec.json.encode(read[0]))


@settings(max_examples=400, deadline=None)
@given(st.one_of(entities, spoiled(), spoiled(), spoiled(), junk))
@example({"subject": {"full_name": "A"}, "lists": ["a", "a"], "list_name": "b"})
@example({"subject": {"full_name": "A"}, "lists": None, "list_name": "b"})
@example({"subject": {"full_name": "A", "identifiers": [{"type": "a", "value": "1"}] * 50}})
@example({"subject": {"full_name": "A", "identifiers": [{"type": "a", "value": "1"}] * 51}})
@example({"subject": {"full_name": "A", "identifiers": [None]}})
@example({"subject": {"full_name": None, "identifiers": []}})
@example({"subject": {"full_name": "A", "identifiers": []}})
@example({"subject": {"full_name": "A"}, "lists": ["a"] * 50})
@example({"subject": {"full_name": "A"}, "lists": ["a"] * 51})
@example({"subject": {"full_name": "A"}, "lists": ["a" * 64]})
@example({"subject": {"full_name": "A"}, "lists": ["a" * 65]})
@example({"subject": {"full_name": "A"}, "lists": [""]})
@example({"subject": {"full_name": "A", "birth_date": "0000"}})
@example({"subject": {"full_name": "A", "birth_date": "9999-12-31"}})
@example({"subject": {"full_name": "A", "birth_date": "1985-00"}})
@example({"subject": {"full_name": "A", "birth_date": "１９８５"}})
@example({"subject": {"full_name": "\x1f"}})
@example({"subject": {"full_name": "\x85"}})
@example({"subject": {"full_name": "\u200b"}})
def test_fast_reader_and_schema_agree_on_every_entity(raw):
    expected = by_schema(raw)
    event("accepted" if expected is not None else "refused")

    assert by_fast_reader(raw) == expected


def test_one_wrong_entity_makes_the_fast_reader_refuse_them_all():
    good = {"subject": {"full_name": "Ada"}}

    assert read_entities([good, {"subject": {}}, good]) is None
    assert len(read_entities([good] * 3)) == 3


def test_deep_nesting_in_an_unknown_field_is_no_reason_to_fail():
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep]

    assert read_entities([{"subject": {"full_name": "Ada"}, "more": deep}]) is not None
