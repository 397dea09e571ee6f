"""What others compare two names by, tried on every name of a list: no index, no loss of theirs."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import jellyfish
from rapidfuzz import fuzz, process

from app.screening.index import Index
from app.screening.model import EntityType, Entry, Subject
from app.screening.shelf import names_of
from benchmarks import labels, lists
from benchmarks.figure import Measure

#: Finds the ids of entries that match, at the threshold that its makers recommend or start from.
Find = Callable[[str], set[str]]


@dataclass(frozen=True, slots=True)
class Matcher:
    name: str
    prepare: Callable[[Sequence[Entry]], Find]


@dataclass(frozen=True, slots=True)
class Outcome:
    speed: Measure
    recall: float
    alerted: float

    def __str__(self) -> str:
        return f"{self.speed.label}: {self.recall:.0%} found, {self.alerted:.1%} of others alerted"


def available() -> list[Matcher]:
    found = [
        Matcher("Muster", _muster),
        Matcher("jellyfish Jaro-Winkler at 0.85", _jellyfish),
        Matcher("rapidfuzz token_sort_ratio at 85", _rapidfuzz),
    ]
    if find_spec("nomenklatura") is not None:
        found.append(Matcher("nomenklatura logic-v2 at 0.7", _logic))
    return found


def measure(matcher: Matcher, entities: int) -> Outcome:
    """Time the matcher on the SDN list, and see what it finds on that of the UN."""
    rows = lists.labelled("list_level.dev.jsonl")
    dice = random.Random(5)
    listed = dice.sample([row for row in rows if row["expect"]], entities)
    others = dice.sample([row for row in rows if not row["expect"]], entities)
    find = matcher.prepare(lists.canonical("un"))
    hits = sum(row["expect"] in find(row["query"]["name"]) for row in listed)
    alerts = sum(bool(find(row["query"]["name"])) for row in others)

    find = matcher.prepare(lists.sdn())
    find("Warm Up")
    started = time.process_time()
    for row in others:
        find(row["query"]["name"])
    seconds = time.process_time() - started
    speed = Measure(matcher.name, len(others) / seconds, "/s/core")
    return Outcome(speed, hits / len(listed), alerts / len(others))


def _muster(entries: Sequence[Entry]) -> Find:
    index = Index.build(entries)

    def find(name: str) -> set[str]:
        (found,) = index.screen([Subject(name, EntityType.PERSON)])
        return {match.entry.id for match in found}

    return find


def _people(entries: Sequence[Entry]) -> list[tuple[str, str]]:
    return [
        (name, entry.id)
        for entry in entries
        if entry.entity_type is EntityType.PERSON
        for name, _ in names_of(entry)
    ]


def _jellyfish(entries: Sequence[Entry]) -> Find:
    names = [(name.lower(), number) for name, number in _people(entries)]

    def find(asked: str) -> set[str]:
        query = asked.lower()
        return {
            number
            for name, number in names
            if jellyfish.jaro_winkler_similarity(query, name) >= 0.85
        }

    return find


def _rapidfuzz(entries: Sequence[Entry]) -> Find:
    names = _people(entries)
    texts = [name.lower() for name, _ in names]

    def find(asked: str) -> set[str]:
        found = process.extract(
            asked.lower(), texts, scorer=fuzz.token_sort_ratio, score_cutoff=85, limit=None
        )
        return {names[at][1] for _, _, at in found}

    return find


def _logic(entries: Sequence[Entry]) -> Find:
    """logic-v2 has no index: it is given the fifty names that rapidfuzz ranks first, as in use."""
    score = labels.logic_v2()
    people = [entry for entry in entries if entry.entity_type is EntityType.PERSON]
    names = [(name.lower(), entry) for entry in people for name, _ in names_of(entry)]
    texts = [name for name, _ in names]

    def find(asked: str) -> set[str]:
        query = Subject(asked, EntityType.PERSON)
        ranked = process.extract(asked.lower(), texts, scorer=fuzz.token_set_ratio, limit=50)
        candidates = {names[at][1].id: names[at][1] for _, _, at in ranked}
        return {entry.id for entry in candidates.values() if score(query, entry) >= 0.7}

    return find
