"""Which names are alike, and how much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.screening.model import EntityType
from app.screening.scorer import name_score
from app.screening.tokens import FLOOR, compare, edits_allowed, similarity

PERSON, ORGANISATION, VESSEL = EntityType.PERSON, EntityType.ORGANISATION, EntityType.VESSEL


@pytest.mark.parametrize(
    ("query", "listed", "kind"),
    [
        ("Mohammed al Rahman", "MUHAMMAD AL-RAHMAN", PERSON),
        ("abdul karim nasser", "Abdulkarim Nasser", PERSON),
        ("Osama bin Laden", "Osama Laden", PERSON),
        ("خالد منصور", "Khaled Mansour", PERSON),
        ("Dmitrii Sokolov", "Dmitry Sokolov", PERSON),
        ("Siemens-AG", "Siemens A.G.", ORGANISATION),
        ("Gazprom Export OOO", "Gazprom Export LLC", ORGANISATION),
        ("Blue Harbour Co Ltd", "BLUE-HARBOUR CO., LTD.", ORGANISATION),
        ("Sea Star 3", "MV SEA STAR 3", VESSEL),
        ("Lesya Mykolayivna Hnatiuk", "Lesya Nikolaevna Hnatyuk", PERSON),
        ("Abderrahmane Nasser", "Nasser, Abd-al-Rahman", PERSON),
        (
            "Zarya Research Institute JSC",
            "AO Nauchno-issledovatelskii institut Zarya",
            ORGANISATION,
        ),
        ("WBCD", "West Bay Cargo Depot", ORGANISATION),
    ],
)
def test_names_of_one_subject_score_above_the_default_threshold(query, listed, kind):
    assert name_score(query, listed, kind) >= 0.85


@pytest.mark.parametrize(
    ("query", "listed", "kind"),
    [
        ("Emma Daniels", "EMMA LLC", ORGANISATION),
        ("John Smith", "John Miller", PERSON),
        ("Bank of Valletta", "Bank of Moscow", ORGANISATION),
        ("Snow Storm 1", "Snow Storm 2", VESSEL),
        ("Trading Company", "General Trading Company", ORGANISATION),
        ("Fund 2005", "Fund 2006", ORGANISATION),
        ("Maria", "Maria Gonzalez Lopez", PERSON),
        ("Au Chi Kwong", "Au Kwong Sonny Peter", PERSON),
        ("志偉 陳", "CHEN, Zhi", PERSON),
        ("Blue Harbour Bank Denmark", "Blue Harbour Bank Sweden", ORGANISATION),
        ("Industrial Technology Group", "Technology Industry Trading Company", ORGANISATION),
    ],
)
def test_names_of_two_subjects_score_below_it(query, listed, kind):
    assert name_score(query, listed, kind) < 0.85


def test_a_word_too_many_in_the_query_costs_more_than_one_in_the_list():
    short, long = "Karim Haddad", "Karim Yusuf Haddad"

    assert name_score(short, long, PERSON) > name_score(long, short, PERSON)


_TOKENS = st.text("abcdefghi12", min_size=1, max_size=12)
_NAMES = st.lists(_TOKENS, min_size=1, max_size=5).map(" ".join)


@given(_TOKENS, _TOKENS)
def test_token_similarity_is_symmetric_and_zero_under_the_floor(left, right):
    found = similarity(left, right)

    assert found == compare(right, left)
    assert found == 0.0 or FLOOR <= found <= 1.0


@given(_NAMES, _NAMES, st.sampled_from(EntityType))
def test_a_score_is_between_0_and_1_and_a_name_is_like_itself(left, right, kind):
    assert 0.0 <= name_score(left, right, kind) <= 1.0
    assert name_score(left, left, kind) == 1.0


@given(st.integers(1, 24), st.integers(0, 4))
def test_edits_are_allowed_only_where_they_leave_the_floor(shorter, more):
    edits = edits_allowed(shorter, shorter + more)

    assert edits == 0 or 1 - edits / (shorter + more) >= FLOOR
