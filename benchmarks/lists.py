"""Real lists and names for benchmarks, from the folder that holds other people's data.

None of them is in the project: MUSTER_SHARED_DATA names the folder, or it is ../shared/data.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from app.screening.lists import plain
from app.screening.model import EntityType, Entry, Subject
from app.screening.names import fold
from benchmarks.figure import Skipped
from benchmarks.stage import ROOT

PERSON, ORGANISATION = EntityType.PERSON, EntityType.ORGANISATION
_CANONICAL = ("sdn", "un", "os", "eu", "us_congress")


def folder() -> Path:
    """Return the folder, or raise Skipped where there is none."""
    found = Path(os.environ.get("MUSTER_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not (found / "watchlists").is_dir():
        raise Skipped(
            "the real lists are not here: name their folder in MUSTER_SHARED_DATA,"
            " or put it at ../shared/data"
        )
    return found


def canonical(name: str) -> list[Entry]:
    path = folder() / "watchlists" / "canonical" / f"canonical_{name}.jsonl"
    return list(plain.read([path])) if path.exists() else []


def sdn() -> list[Entry]:
    return canonical("sdn")


def many(names: int) -> list[Entry]:
    """Return the SDN list and people and companies who do not exist, so many names in all.

    Their words are those of real lists, one in five with another letter: a vocabulary that grows
    with the list, as it does in real ones.
    """
    entries = sdn()
    dice = random.Random(7)
    words: dict[EntityType, list[str]] = {PERSON: [], ORGANISATION: []}
    lengths: dict[EntityType, list[int]] = {PERSON: [], ORGANISATION: []}
    for entry in (entry for name in _CANONICAL for entry in canonical(name)):
        kind = PERSON if entry.entity_type is PERSON else ORGANISATION
        for name in (entry.name, *entry.aliases):
            split = fold(name).split()
            words[kind] += split
            lengths[kind].append(min(len(split), 9))
    count = sum(1 + len(entry.aliases) + len(entry.weak_aliases) for entry in entries)
    while count < names:
        kind = PERSON if dice.random() < 0.55 else ORGANISATION
        drawn = [_word(words[kind], dice) for _ in range(dice.choice(lengths[kind]) or 1)]
        entries.append(Entry(f"many-{count}", kind, " ".join(drawn)))
        count += 1
    return entries


def _word(words: list[str], dice: random.Random) -> str:
    word = dice.choice(words)
    if len(word) > 4 and dice.random() < 0.2:
        at = dice.randrange(len(word))
        return word[:at] + dice.choice("aeioulnrstmkhdbg") + word[at + 1 :]
    return word


def labelled(name: str) -> list[dict[str, Any]]:
    lines = (folder() / "names" / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@cache
def _ordinary() -> list[Subject]:
    rows = labelled("list_level.dev.jsonl")
    return [Subject(row["query"]["name"], PERSON) for row in rows if row["expect"] is None]


def ordinary(count: int) -> list[Subject]:
    """Return people who are on no list."""
    return list(_some(_ordinary(), random.Random(9), count))


def mixed(count: int) -> list[Subject]:
    """Return ordinary people, and names of people and companies that are listed: half and half."""
    dice = random.Random(3)
    listed = [
        Subject(row["query"]["name"], EntityType(row["query"]["type"]))
        for row in labelled("ofac_alias.dev.jsonl")
    ]
    chosen = list(_some(_ordinary(), dice, count - count // 2)) + list(
        _some(listed, dice, count // 2)
    )
    dice.shuffle(chosen)
    return chosen


def strangers(count: int) -> list[Subject]:
    """Return made-up people, to warm up with: words that nobody else asks about."""
    dice = random.Random(11)
    return [
        Subject(" ".join("".join(dice.choices("qxzjkv", k=7)) for _ in range(2)), PERSON)
        for _ in range(count)
    ]


def _some(subjects: list[Subject], dice: random.Random, count: int) -> Iterator[Subject]:
    """Yield so many, each at most once as long as there are enough."""
    while count > 0:
        taken = dice.sample(subjects, min(count, len(subjects)))
        yield from taken
        count -= len(taken)
