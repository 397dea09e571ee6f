"""A name as written becomes words that can be compared."""

from __future__ import annotations

import pytest

from app.screening.model import EntityType
from app.screening.names import (
    MAX_TOKEN_LETTERS,
    MAX_TOKENS,
    ORDINARY,
    PARTICLE,
    fold,
    prepare,
)

PERSON, ORGANISATION, VESSEL = EntityType.PERSON, EntityType.ORGANISATION, EntityType.VESSEL


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("  José  da-Silva ", "jose da silva"),
        ("O’Neil & Söhne", "oneil and sohne"),
        ("A.B.C. Trading", "abc trading"),
        ("Владимир Путин", "vladimir putin"),
        ("张三", "zhang san"),
        ("محمود", "mhmud"),
        ("Ｆｕｌｌ　Ｗｉｄｔｈ", "full width"),
        ("🙂 --- ", ""),
        ("\u0000\u202e", ""),
    ],
)
def test_a_name_in_any_script_becomes_lower_case_ascii_words(written, folded):
    assert fold(written) == folded


def test_titles_are_dropped_and_particles_weigh_little():
    name = prepare("Sheikh Osama bin Laden", PERSON)

    assert name.tokens == ("osama", "bin", "laden")
    assert name.weights == (ORDINARY, PARTICLE, ORDINARY)


def test_a_name_of_titles_only_is_kept():
    assert prepare("Mullah", PERSON).tokens == ("mullah",)


@pytest.mark.parametrize("written", ["Gazprom OOO", "OOO Gazprom", "Gazprom LLC", "Gazprom GmbH"])
def test_legal_forms_of_one_class_are_the_same_form(written):
    name = prepare(written, ORGANISATION)

    assert name.tokens == ("gazprom",)
    assert name.legal_forms == {"LLC"}


def test_a_legal_form_is_one_only_behind_a_name():
    assert prepare("AS Roma", ORGANISATION).tokens == ("as", "roma")
    assert prepare("Company", ORGANISATION).tokens == ("company",)


def test_what_a_ship_is_driven_by_is_no_part_of_its_name():
    assert prepare("M/V Sea Star 3", VESSEL).tokens[-3:] == ("sea", "star", "3")
    assert prepare("MV Sea Star 3", VESSEL).numbers == {"3"}


def test_what_is_too_long_to_be_a_name_is_cut():
    name = prepare(" ".join(["x" * 100] * 100), PERSON)

    assert len(name.tokens) <= MAX_TOKENS
    assert {len(token) for token in name.tokens} == {MAX_TOKEN_LETTERS}


def test_a_word_counts_twice_at_the_most():
    """Somebody who says "al" a hundred times wants to know what it costs us."""
    prepared = prepare("Boutros Boutros-Ghali " + "al " * 100, EntityType.PERSON)

    assert prepared.tokens == ("boutros", "boutros", "ghali", "al", "al")


@pytest.mark.parametrize(
    "written", ["Abd al-Rahman Nasser", "Abdurrahman Nasser", "Abdul Rahman Nasser"]
)
def test_the_servant_of_god_is_one_name_however_it_is_joined(written):
    assert prepare(written, PERSON).tokens == ("abdul", "rahman", "nasser")


def test_a_name_that_only_begins_like_one_is_left_as_it_is():
    assert prepare("Abdulov", PERSON).tokens == ("abdulov",)


@pytest.mark.parametrize(
    ("written", "tokens"),
    [
        ("Rahmat Ullah", ("rahmatullah",)),
        ("ULLAH, Rahmat", ("rahmatullah",)),
        ("Salah al-Din", ("salahuddin",)),
        ("Din Muhammad", ("din", "muhammad")),
    ],
)
def test_what_is_no_name_by_itself_is_written_with_the_other_half(written, tokens):
    assert prepare(written, PERSON).tokens == tokens


def test_a_title_that_is_a_name_too_is_kept_where_nothing_else_would_be_left():
    assert prepare("Said Khan", PERSON).tokens == ("said", "khan")
    assert prepare("Haji Karim Khan", PERSON).tokens == ("karim", "khan")
    assert prepare("Abdul Hafiz Khan", PERSON).tokens == ("abdul", "hafiz", "khan")


def test_a_given_name_that_a_space_sets_apart_is_one_word():
    assert fold("志偉 陳") == "zhiwei chen"
    assert fold("志偉陳") == "zhi wei chen"


@pytest.mark.parametrize(
    "written",
    ["Nauchno-tekhnicheskii tsentr Zarya", "Nauchnogo tekhnicheskogo centra Zarya", "NTTS Zarya"],
)
def test_company_words_are_one_in_every_ending_and_transliteration(written):
    assert prepare(written, ORGANISATION).tokens == ("ntts", "zarya")


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("Obshchestvo s ogranichennoi otvetstvennostiu Zarya", "LLC"),
        ("Obschestva s ogranichennoyu otvetstvennostju Zarya", "LLC"),
        ("Otkrytoye aktsionernoye obshchestvo Zarya", "JSC"),
        ("Cong ty TNHH Zarya", "LLC"),
    ],
)
def test_a_legal_form_is_known_in_every_ending_and_transliteration(written, form):
    name = prepare(written, ORGANISATION)

    assert (name.tokens, name.legal_forms) == (("zarya",), {form})
