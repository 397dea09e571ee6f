"""Batches for `POST /kyc/jobs`: ordinary people, companies and ships, and a few listed ones.

The demo shows what is found among them and the benchmarks measure with them, so the same seed
gives the same batch on every machine and every Python. Nobody in it is a real person, except
those planted from the bundled watchlist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count as count_from
from itertools import cycle
from pathlib import Path
from typing import Any

from app.sample import listed
from app.sample.dice import Dice
from app.sample.variants import Variant, can_misspell, misspell, reorder, shorten, spellings

Entity = dict[str, Any]
Subject = dict[str, str]

#: What an ordinary batch is made of; the rest are ships.
PEOPLE_SHARE = 0.86
COMPANY_SHARE = 0.12

#: How many have a second given name.
SECOND_NAME_SHARE = 0.15

#: The variants come in turn, so that a small batch shows every one of them.
_TURNS = (
    Variant.MISSPELT,
    Variant.REORDERED,
    Variant.TRANSLITERATED,
    Variant.SHORTENED,
    Variant.MISSPELT,
    Variant.REORDERED,
    Variant.TRANSLITERATED,
    Variant.RENAMED,
)

_API_TYPES = {"person": "individual", "organisation": "company", "vessel": "vessel"}


@dataclass(frozen=True, slots=True)
class Planted:
    """A listed one in disguise."""

    entry_id: str
    listed_name: str
    variant: Variant


@dataclass(frozen=True, slots=True)
class Batch:
    """Entities as the API takes them, and which of them are whom, by entity id."""

    entities: list[Entity]
    planted: Mapping[str, Planted]


def entities(count: int, seed: int = 7, listed_share: float = 0.03) -> list[Entity]:
    return batch(count, seed, listed_share).entities


def expected(count: int, seed: int = 7, listed_share: float = 0.03) -> dict[str, str]:
    """Return entity id to entry id for the listed ones among `entities` of the same arguments."""
    planted = batch(count, seed, listed_share).planted
    return {entity_id: each.entry_id for entity_id, each in planted.items()}


def batch(count: int, seed: int = 7, listed_share: float = 0.03) -> Batch:
    """Make `count` entities of which no two have the same name."""
    dice = Dice(seed)
    places = set(dice.shuffled(range(count))[: round(count * listed_share)])
    seen: set[str] = set()
    disguises = _disguises(dice, seen)
    made: list[Entity] = []
    planted: dict[str, Planted] = {}
    for place in range(count):
        entity_id = f"demo-{place + 1:05}"
        if place in places:
            subject, planted[entity_id] = next(disguises)
        else:
            subject = _ordinary(dice, seen)
        made.append({"entity_id": entity_id, "subject": subject})
    return Batch(made, planted)


# -- ordinary ones -------------------------------------------------------------------------------


def _ordinary(dice: Dice, seen: set[str]) -> Subject:
    if dice.chance(PEOPLE_SHARE):
        return _person(dice, seen)
    if dice.chance(COMPANY_SHARE / (1 - PEOPLE_SHARE)):
        return _company(dice, seen)
    return {"full_name": _unseen(seen, lambda more: _ship(dice, more)), "entity_type": "vessel"}


def _person(dice: Dice, seen: set[str]) -> Subject:
    culture = dice.pick(_names()["cultures"])

    def name(more: int) -> str:
        second = not culture["family_first"] and dice.chance(SECOND_NAME_SHARE)
        given = " ".join(dice.pick(culture["given"]) for _ in range(1 + second + more))
        family = dice.pick(culture["family"])
        return f"{family} {given}" if culture["family_first"] else f"{given} {family}"

    return {
        "full_name": _unseen(seen, name),
        "nationality": dice.pick(culture["countries"]),
        "birth_date": f"{1945 + dice.below(61)}-{1 + dice.below(12):02}-{1 + dice.below(28):02}",
        "entity_type": "individual",
    }


def _company(dice: Dice, seen: set[str]) -> Subject:
    parts = _names()["companies"]
    form, country = dice.pick(parts["forms"])

    def name(more: int) -> str:
        stems = " ".join(dice.pick(parts["stems"]) for _ in range(1 + more))
        return f"{stems} {dice.pick(parts['trades'])} {form}"

    return {
        "full_name": _unseen(seen, name),
        "nationality": country,
        "entity_type": "company",
    }


def _ship(dice: Dice, more: int) -> str:
    parts = _names()["vessels"]
    name = f"{dice.pick(parts['first'])} {dice.pick(parts['second'])}"
    return f"{name} {more + 1}" if more else name


def _unseen(seen: set[str], name: Callable[[int], str]) -> str:
    """Return a new name that is on no list, growing longer while the short ones are taken."""
    for attempt in count_from():
        made = name(attempt // 4)
        if made not in seen and _words(made) not in _listed_words():
            seen.add(made)
            return made
    raise AssertionError("names only end when integers do")


@cache
def _names() -> dict[str, Any]:
    path = Path(__file__).with_name("names.json")
    parts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return parts


@cache
def _listed_words() -> frozenset[frozenset[str]]:
    names = (name for entry in listed() for name in (entry["name"], *entry.get("aliases", ())))
    return frozenset(map(_words, names))


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", name.casefold()))


# -- listed ones ---------------------------------------------------------------------------------


def _disguises(dice: Dice, seen: set[str]) -> Iterator[tuple[Subject, Planted]]:
    """Yield listed ones in disguise for as long as anybody asks.

    All but the misspelt come from decks that run out; then the misspelt take their turns.
    """
    decks = _decks(dice)
    misspellable = [each for each in listed() if _is_named(each) and can_misspell(each["name"])]
    for turn in cycle(_TURNS):
        variant = turn if decks.get(turn) else Variant.MISSPELT
        if variant is Variant.MISSPELT:
            entry = dice.pick(misspellable)
            name = misspell(entry["name"], dice)
        else:
            entry, disguise = decks[variant].pop()
            name = disguise or _unseen(seen, lambda more: _ship(dice, more))
        if variant is not Variant.RENAMED and name in seen:
            continue
        seen.add(name)
        yield _subject(entry, name, variant), Planted(entry["id"], entry["name"], variant)


def _decks(dice: Dice) -> dict[Variant, list[tuple[Entity, str | None]]]:
    """Lay out, shuffled, every disguise there is one of; None stands for any ship's name."""
    decks: dict[Variant, list[tuple[Entity, str | None]]] = {
        Variant.REORDERED: [],
        Variant.TRANSLITERATED: [],
        Variant.SHORTENED: [],
        Variant.RENAMED: [],
    }
    for entry in listed():
        name = entry["name"]
        if entry["type"] == "person":
            if " " in name:
                country = next(iter(entry.get("countries", ())), None)
                decks[Variant.REORDERED].append((entry, reorder(name, country)))
            if short := shorten(name):
                decks[Variant.SHORTENED].append((entry, short))
            for spelling in spellings().get(entry["id"], ()):
                decks[Variant.TRANSLITERATED].append((entry, spelling))
        elif "identifiers" in entry:
            decks[Variant.RENAMED].append((entry, None))
    return {variant: dice.shuffled(deck) for variant, deck in decks.items()}


def _is_named(entry: Entity) -> bool:
    """Say whether people would type its name from memory; ships have numbers for that."""
    return entry["type"] in {"person", "organisation"}


def _subject(entry: Entity, name: str, variant: Variant) -> Subject:
    subject = {"full_name": name, "entity_type": _API_TYPES[entry["type"]]}
    if variant is Variant.RENAMED:
        # A ship that changes its name keeps its number: that is what the number is for.
        subject["imo_number"] = entry["identifiers"][0]["value"]
        return subject
    for field, known in (("nationality", "countries"), ("birth_date", "birth_dates")):
        if entry.get(known):
            subject[field] = entry[known][0]
    return subject
