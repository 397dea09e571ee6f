"""The same promises on names that people really have, where the shared data is at hand."""

from __future__ import annotations

import json
import random

import pytest

from app.screening.index import Index
from app.screening.lists import plain
from app.screening.model import EntityType, Entry, Subject
from app.screening.scorer import name_score
from tests.unit.screening.exhaustive import Exhaustive, found_by

ENTRIES, QUERIES = 2_500, 50


@pytest.fixture(scope="module")
def entries(shared_data) -> list[Entry]:
    folder = shared_data / "watchlists" / "canonical"
    found = [
        entry
        for name in ("sdn", "un", "os")
        for entry in plain.read([folder / f"canonical_{name}.jsonl"])
    ]
    return random.Random(5).sample(found, ENTRIES)


def rows(shared_data, name: str) -> list[dict]:
    with (shared_data / "names" / name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def misspelt(name: str, dice: random.Random) -> str:
    at = dice.randrange(len(name))
    letter = dice.choice("aeinrst ")
    return name[:at] + dice.choice(["", letter, letter + name[at]]) + name[at + 1 :]


def test_the_index_misses_nobody_on_real_lists(shared_data, entries):
    dice = random.Random(11)
    asked = dice.sample(rows(shared_data, "ofac_alias.dev.jsonl"), QUERIES // 2)
    subjects = [
        Subject(
            row["query"]["name"], EntityType(row["query"]["type"]), row["query"].get("birth_date")
        )
        for row in asked
    ]
    subjects += [
        Subject(misspelt(entry.name, dice), entry.entity_type)
        for entry in dice.sample(entries, QUERIES // 2)
    ]

    exhaustive = Exhaustive(entries, subjects, lowest=0.7)

    assert len(exhaustive.matches(0.7)) >= QUERIES / 2
    for compiled in (False, True):
        index = Index.build(entries, compiled=compiled)
        for threshold in (0.7, 0.85):
            assert found_by(index, subjects, threshold) == exhaustive.matches(threshold)


def test_mutated_names_find_their_originals_and_strangers_do_not(shared_data):
    pairs = rows(shared_data, "yente_un_treated_pairs.dev.jsonl")
    score = [
        name_score(row["query"]["name"], row["listed"]["name"], EntityType(row["query"]["type"]))
        for row in pairs
    ]
    strangers = [
        name_score(row["query"]["name"], other["listed"]["name"], EntityType(row["query"]["type"]))
        for row, other in zip(pairs, pairs[7:] + pairs[:7], strict=True)
    ]

    assert sum(each >= 0.7 for each in score) >= 0.995 * len(pairs)
    assert sum(each >= 0.7 for each in strangers) <= 0.01 * len(pairs)


def test_the_un_list_finds_its_people_and_lets_ordinary_people_pass(shared_data):
    listed = list(plain.read([shared_data / "watchlists" / "canonical" / "canonical_un.jsonl"]))
    index = Index.build(listed)
    asked = rows(shared_data, "list_level.dev.jsonl")
    on_it = [row for row in asked if row["expect"]]
    ordinary = random.Random(3).sample([row for row in asked if not row["expect"]], 1_500)

    found = index.screen([_subject(row) for row in on_it])
    alerts = index.screen([_subject(row) for row in ordinary])

    hits = [
        row["expect"] in {match.entry.id for match in matches}
        for row, matches in zip(on_it, found, strict=True)
    ]
    assert sum(hits) >= 0.98 * len(on_it)
    assert sum(bool(matches) for matches in alerts) <= 0.005 * len(ordinary)


def _subject(row: dict) -> Subject:
    asked = row["query"]
    return Subject(asked["name"], EntityType.PERSON, asked.get("birth_date"))
