"""Whoever reads a match can do its sum again, from what is stored of it and nothing else."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kinds import kyc
from app.sample import WATCHLIST
from app.sample.people import entities
from app.screening.evaluate.labelled import read_pairs
from app.screening.explain import explain
from app.screening.index import Index
from app.screening.lists import plain
from app.screening.model import EntityType, Entry, Identifier, Subject
from app.screening.names import prepare
from app.screening.pair import compare_entry
from app.screening.scorer import score

PERSON, ORGANISATION, VESSEL = EntityType.PERSON, EntityType.ORGANISATION, EntityType.VESSEL

#: Where docs/screening.md says that the top of the scale begins.
TOP = 0.9
#: Half of the last decimal that is shown, and what the six decimals of the parts add up to.
NEAR = 0.5e-4 + 2e-5


def stored(match) -> dict:
    """Return the match as it comes back from the database."""
    return json.loads(json.dumps(kyc._shown("sample", "1", match)))


def name_by_hand(match: dict) -> float:
    told = match["calculation"]
    if "rule" in told:
        value = {"same_words": 1.0, "sounds_as_one": 0.88}[told["rule"]]
        assert "left_over" not in told
    else:
        pairs = match["matched_words"]
        above = sum(pair["similarity"] * pair["weight"] for pair in pairs)
        below = sum(pair["weight"] for pair in pairs)
        below += sum(left["cost"] for left in told.get("left_over", ()))
        value = above / below if pairs else 0.0
    assert told["words"] == pytest.approx(value, abs=1e-5)
    return value * math.prod(factor["value"] for factor in told.get("factors", ()))


def score_by_hand(match: dict) -> float:
    """Add the parts up, each of them worked out from what is said about it."""
    found = 0.0
    for part in match["calculation"]["parts"]:
        agreement = part["agreement"] or 0.0
        if part["feature"] == "identifiers" and "takes" not in part:
            assert part["agreement"] == 1
            value = 1.0
        elif part["feature"] == "name":
            value = name_by_hand(match)
            assert agreement == pytest.approx(value, abs=1e-5)
        else:
            value = -part["takes"] * (1 - agreement) * part.get("of", 1.0)
        assert part["part"] == pytest.approx(value, abs=1e-5)
        found += value
    return max(0.0, found)


def assert_tops_are_of_what_is_above(match: dict) -> None:
    """Parts that are `of` something are of what the parts before them leave above TOP."""
    parts = match["calculation"]["parts"]
    left = sum(part["part"] for part in parts if "of" not in part)
    for part in parts:
        assert part.get("of", 1.0) == pytest.approx(left - TOP if "of" in part else 1.0, abs=1e-5)
    if left <= TOP:
        assert all("of" not in part for part in parts)


def check(match) -> None:
    shown = stored(match)
    assert abs(score_by_hand(shown) - shown["confidence_score"]) <= NEAR
    assert_tops_are_of_what_is_above(shown)
    assert shown["list_name"]
    assert shown["list_version"]
    assert shown["match_data"]["id"]


_WORDS = st.one_of(
    st.text("abkhmo12", min_size=1, max_size=9),
    st.sampled_from(
        [
            *("al", "bin", "abu", "abd", "abdal", "abdul", "van", "mohammed", "muhamad", "rahman"),
            *("alrahman", "abdulrahman", "yusuf", "tariq", "oneil", "ivanovich", "bill", "william"),
            *("zedong", "tsetung", "1", "2", "12", "ltd", "co", "ooo", "gmbh", "jsc", "trading"),
            *("group", "international", "bank", "nla", "national", "liberation", "army"),
        ]
    ),
)
_NAMES = st.lists(_WORDS, min_size=1, max_size=5).map(" ".join)
_DATES = st.none() | st.sampled_from(["1970", "1971", "1970-03", "1970-03-02", "1970-02-03"])
_COUNTRIES = st.sampled_from([(), ("RU",), ("DE",), ("RU", "DE")])
_IDENTIFIERS = st.sampled_from([(), (Identifier("imo", "9187629"),)])


@st.composite
def _pairs(draw):
    names = draw(st.lists(_NAMES, min_size=1, max_size=3))
    kind = draw(st.sampled_from(EntityType))
    asked = draw(st.sampled_from(names) | _NAMES)
    words = asked.split()
    asked = " ".join(draw(st.permutations(words)))
    dates = draw(_DATES)
    entry = Entry(
        "e1", kind, names[0], aliases=tuple(names[1:2]), weak_aliases=tuple(names[2:]),
        birth_dates=(dates,) if dates else (), countries=draw(_COUNTRIES),
        identifiers=draw(_IDENTIFIERS),
    )  # fmt: skip
    subject = Subject(
        asked, draw(st.none() | st.just(kind)), draw(_DATES), draw(_COUNTRIES), draw(_IDENTIFIERS)
    )
    return subject, entry


@given(_pairs())
@settings(max_examples=400, deadline=None)
def test_the_score_of_any_pair_can_be_done_again_by_hand(pair):
    match = compare_entry(*pair)

    assert match is not None
    check(match)


@given(_NAMES, _NAMES, st.sampled_from(EntityType))
@settings(max_examples=400, deadline=None)
def test_what_is_told_of_two_names_is_what_the_scorer_says(left, right, kind):
    query, listed = prepare(left, kind), prepare(right, kind)

    told = explain(query, listed, kind)

    value = told.words * math.prod(factor.value for factor in told.factors)
    assert value == pytest.approx(score(query, listed, kind), abs=1e-9)


@pytest.fixture(scope="module")
def listed() -> list[Entry]:
    return list(plain.read([WATCHLIST]))


def test_the_scores_of_a_whole_batch_can_be_done_again_by_hand(listed):
    subjects = [kyc.read_subject(each["subject"]) for each in entities(2_000, seed=5)]
    # And every listed name, which is where the top of the scale is crowded.
    subjects += [Subject(entry.name, entry.entity_type) for entry in listed]
    index = Index.build(listed)

    found = [match for matches in index.screen(subjects, 0.6) for match in matches]

    assert len(found) > len(listed)
    assert len({match.score for match in found}) > 50
    for match in found:
        check(match)


def test_the_scores_of_real_names_can_be_done_again_by_hand(shared_data):
    folder = shared_data / "names"
    pairs = [
        pair
        for name in ("nk_entity_checks.dev.jsonl", "nk_name_bench.dev.jsonl")
        for pair in read_pairs(folder / name)
    ]
    found = [compare_entry(pair.subject, pair.entry) for pair in pairs]

    assert len(found) > 500
    for match in found:
        if match is not None:
            check(match)


def explained(query: str, name: str, kind: EntityType, **more) -> dict:
    match = compare_entry(Subject(query, kind), Entry("1", kind, name, **more))
    assert match is not None
    return stored(match)


def how(match: dict) -> dict[tuple[str, str], str]:
    return {(pair["query"], pair["listed"]): pair["how"] for pair in match["matched_words"]}


def test_the_words_that_were_paired_are_told_with_the_way_they_are_alike():
    assert how(explained("M. Abu Baker Yosef", "Muhamad Abubakar Yusuf", PERSON)) == {
        ("m", "muhamad"): "initial",
        ("abu baker", "abubakar"): "joined",
        ("yosef", "yusuf"): "variant",
    }
    assert how(explained("Petrov Takash", "Petrov Tekosh", PERSON)) == {
        ("petrov", "petrov"): "equal",
        ("takash", "tekosh"): "sound",
    }
    assert how(explained("Hardanger", "Hardanget", VESSEL)) == {
        ("hardanger", "hardanget"): "spelling"
    }


def test_a_word_without_a_partner_is_told_with_its_side_and_its_cost():
    told = explained("Karim Haddad Salem", "Karim Yusuf Haddad", PERSON)["calculation"]

    assert [(left["side"], left["word"], left["cost"]) for left in told["left_over"]] == [
        ("query", "salem", 0.15),
        ("listed", "yusuf", 0.12),
    ]
    assert [factor["factor"] for factor in told["factors"]] == ["contradiction"]


@pytest.mark.parametrize(
    ("query", "listed", "kind", "factors"),
    [
        ("John Smith", "John Miller", PERSON, ["one_strong_pair", "contradiction"]),
        ("Emma Daniels", "Emma Ltd", ORGANISATION, ["one_strong_pair"]),
        ("Maria", "Maria Gonzalez Lopez", PERSON, ["one_word_query"]),
        ("Trading Company", "Blue Trading", ORGANISATION, ["no_strong_pair"]),
        ("Sea Star 1", "Sea Star 2", VESSEL, ["numbers_differ", "craft_numbers_differ"]),
        ("Gazprom Export LLC", "Gazprom Export JSC", ORGANISATION, ["legal_forms_differ"]),
        ("Yusuf bin Tariq", "Tariq bin Yusuf", PERSON, ["father_and_son"]),
    ],
)
def test_every_factor_that_a_name_was_multiplied_by_has_a_name(query, listed, kind, factors):
    told = explained(query, listed, kind)["calculation"]

    assert set(factors) <= {factor["factor"] for factor in told["factors"]}


def test_a_weak_alias_is_a_factor_too():
    told = explained("El Capitan Rojo", "Tarek Mansour", PERSON, weak_aliases=("El Capitan Rojo",))

    assert told["calculation"]["factors"] == [{"factor": "weak_alias", "value": 0.9}]
    assert told["confidence_score"] == 0.9


def test_what_does_not_apply_is_not_stored():
    told = explained("Karim Haddad", "Karim Haddad", PERSON)["calculation"]

    assert told.keys() == {"rule", "words", "parts"}


def test_an_equal_identifier_decides_alone():
    subject = Subject("Somebody Else", identifiers=(Identifier("imo", "9187629"),))
    entry = Entry("1", VESSEL, "Snow Storm", identifiers=(Identifier("IMO", "IMO 9187629"),))

    match = compare_entry(subject, entry)

    assert match is not None
    assert stored(match)["calculation"]["parts"] == [
        {"feature": "identifiers", "agreement": 1.0, "part": 1.0}
    ]


def test_a_stored_calculation_is_small(listed):
    dice = random.Random(3)
    some = dice.sample(listed, 100)
    matches = [compare_entry(Subject(entry.name, entry.entity_type), entry) for entry in some]

    sizes = [len(json.dumps(stored(match)["calculation"])) for match in matches if match]

    assert max(sizes) < 600
