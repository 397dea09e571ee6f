"""What a birth date, a country and an identifier do to a score."""

from __future__ import annotations

import pytest

from app.screening.features import agreements, dates_agree, plain_identifier
from app.screening.model import EntityType, Entry, Subject


def test_what_one_side_does_not_know_is_no_reason_for_anything():
    entry = Entry("1", EntityType.PERSON, "Karim Haddad", countries=("LB",))

    assert agreements(Subject("Karim Haddad", birth_date="1970"), entry) == {}


def test_the_best_of_several_birth_dates_counts():
    entry = Entry("1", EntityType.PERSON, "K. Haddad", birth_dates=("1950-01-01", "1970"))

    assert agreements(Subject("K. Haddad", birth_date="1970-05-05"), entry) == {"birth_date": 1.0}


@pytest.mark.parametrize(
    ("left", "right", "least", "most"),
    [
        ("1970", "1970-03-02", 1.0, 1.0),
        ("1970-03", "1970-03-02", 1.0, 1.0),
        ("1970-03-02", "1970-02-03", 0.7, 0.95),
        ("1970-03-02", "1970-03-12", 0.4, 0.9),
        ("1970", "1971", 0.3, 0.9),
        ("1970-03-02", "1985-11-20", 0.0, 0.0),
    ],
)
def test_dates_agree_as_far_as_both_are_known(left, right, least, most):
    assert least <= dates_agree(left, right) <= most
    assert dates_agree(left, right) == dates_agree(right, left)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("AB-123 456", "AB123456"),
        ("IMO 9187629", "9187629"),
        ("imo9187629", "9187629"),
        ("DEUTDEFFXXX", "DEUTDEFF"),
        ("12-34", None),
        ("-----", None),
        ("№", None),
    ],
)
def test_identifiers_are_compared_without_their_punctuation(value, plain):
    assert plain_identifier(value) == plain
