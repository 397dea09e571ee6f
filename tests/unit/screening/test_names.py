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
