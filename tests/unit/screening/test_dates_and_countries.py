"""The words of lists for dates and countries."""

from __future__ import annotations

import pytest

from app.screening.countries import country_code, country_codes
from app.screening.dates import parse_dates, parse_moment


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1965", ("1965",)),
        ("1965-03", ("1965-03",)),
        ("1965-3-7", ("1965-03-07",)),
        ("22 Aug 1978", ("1978-08-22",)),
        ("Aug 1978", ("1978-08",)),
        ("7 September 1960.", ("1960-09-07",)),
        ("11.8.1960", ("1960-08-11",)),
        ("circa 1965", ("1965",)),
        ("approximately Aug 1978", ("1978-08",)),
        ("1965 to 1968", ("1965", "1966", "1967", "1968")),
        ("Between 1980 and 1982", ("1980", "1981", "1982")),
        ("Aug 1977 to Aug 1979", ("1977", "1978", "1979")),
        ("1900 to 1990", ()),
        ("30 Feb 1970", ("1970",)),
        ("unknown", ()),
        ("", ()),
        ("12", ()),
    ],
)
def test_a_birth_date_is_read_as_exactly_as_it_is_known(written, read):
    assert parse_dates(written) == read


def test_a_moment_without_a_zone_is_taken_as_utc():
    assert parse_moment("2026-02-27T00:00:09").isoformat() == "2026-02-27T00:00:09+00:00"
    assert parse_moment("yesterday") is None


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("SY", "SY"),
        ("sy", "SY"),
        ("Syrian Arab Republic", "SY"),
        ("Syrian", "SY"),
        ("Korea, North", "KP"),
        ("Democratic Republic of the Congo", "CD"),
        ("Côte d’Ivoire", "CI"),
        ("The Gambia", "GM"),
        ("Atlantis", "Atlantis"),
    ],
)
def test_a_country_is_known_by_its_many_names(words, code):
    assert country_code(words) == code


def test_each_country_is_told_once():
    assert country_codes(["Iran", "IR", " ", "Iranian", "Iraq"]) == ("IR", "IQ")
