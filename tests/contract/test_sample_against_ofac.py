"""Every fact of the bundled watchlist is held against OFAC's real list.

The real list is not part of the project; where it is absent these tests skip.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.sample import listed

TYPES = {
    "individual": "person",
    "-0-": "organisation",
    "vessel": "vessel",
    "aircraft": "aircraft",
}


@pytest.fixture(scope="module")
def ofac(shared_data: Path) -> dict[str, dict]:
    """Return the published list by uid, with birth dates and weak aliases where they are known."""
    lists = shared_data / "watchlists"
    published = json.loads((lists / "ofac" / "sdn_names_20260711.json").read_text("utf-8"))
    rows = {row["uid"]: row for row in published["entries"]}
    with (lists / "canonical" / "canonical_sdn.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            known = json.loads(line)
            uid = known["id"].removeprefix("ofac-")
            rows[uid] |= {"dob": known["dob"], "weak": known["weak"]}
    return rows


def _uid(entry: dict) -> str:
    return entry["id"].removeprefix("ofac-")


def _words(name: str) -> list[str]:
    """Return the words of a name whatever their case, order, apostrophes and hyphens."""
    words = re.findall(r"\w+", re.sub(r"['’]", "", name.casefold()))
    return sorted(word for word in words if word != "dr")


@pytest.mark.parametrize("entry", listed(), ids=lambda entry: entry["id"])
def test_an_entry_states_what_the_list_states(ofac, entry):
    assert _uid(entry) in ofac, "the list has no such uid"
    row = ofac[_uid(entry)]

    assert TYPES[row["type"]] == entry["type"]
    assert _words(entry["name"]) == _words(row["name"])
    aliases = [_words(alias) for alias in row["aliases"]]
    for alias in entry.get("aliases", ()):
        assert _words(alias) in aliases, alias
    for alias in entry.get("weak_aliases", ()):
        assert _words(alias) in [_words(weak) for weak in row["weak"]], alias
    for program in entry["programs"]:
        assert program in row["program"].split("] ["), program


@pytest.mark.parametrize(
    "entry", [e for e in listed() if "birth_dates" in e], ids=lambda entry: entry["id"]
)
def test_a_birth_date_agrees_with_the_list_where_the_list_has_one(ofac, entry):
    known = ofac[_uid(entry)].get("dob")
    if not known:
        return

    for date in entry["birth_dates"]:
        assert any(date.startswith(each) or each.startswith(date) for each in known), known


def test_imo_numbers_are_the_ones_on_the_list(shared_data: Path):
    rows = (shared_data / "watchlists" / "ofac" / "sdn_20230121.csv").read_text("utf-8")
    remarks = {line.split(",", 1)[0]: line for line in rows.splitlines()}

    for entry in listed():
        for identifier in entry.get("identifiers", ()):
            assert f"IMO {identifier['value']}" in remarks[_uid(entry)], entry["id"]


def test_the_sample_is_a_choice_and_not_a_copy(ofac):
    """Of a row with a long list of aliases, only a few well-known ones are taken."""
    for entry in listed():
        known = ofac[_uid(entry)]["aliases"]

        assert len(entry.get("aliases", ())) <= 4
        assert len(known) <= 3 or len(entry.get("aliases", ())) < len(known), entry["id"]
