"""What a text on the wire may be: durations."""

from __future__ import annotations

import pytest

from schemas.texts import read_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT24H", 86_400),
        ("PT90M", 5_400),
        ("PT0.5S", 0.5),
        ("P1D", 86_400),
        ("P2W", 14 * 86_400),
        ("P1DT1H1M1S", 90_061),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "24H", "P1Y", "P1M", "PT-1H", "PT1H ", "PT1H\n", "PT" + "9" * 60 + "S"],
)
def test_what_is_no_duration_is_not_guessed(text):
    assert read_duration(text) is None
