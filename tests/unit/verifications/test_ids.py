"""Ids that clients put into paths and commands."""

from __future__ import annotations

import re

from app.verifications import ids


def test_an_id_is_one_of_nanoids_and_no_command_takes_it_for_an_option():
    made = {ids.make() for _ in range(5_000)}

    assert len(made) == 5_000
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{20}", each) for each in made)
    assert {each[1:].find("-") >= 0 for each in made} == {True, False}
