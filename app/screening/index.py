"""Every entry that may be the subject, found without comparing the subject with each.

An index is built once per list version, kept as flat arrays in a folder, and opened by every
worker process of a machine, which then share its memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import jellyfish
import msgspec
import numpy as np

from app.screening import arrays as folders
from app.screening.arrays import Array, Damaged, pack_texts, text_at
from app.screening.features import (
    IDENTIFIER_SCORE,
    adjust,
    agreeing_fields,
    agreements,
    plain_identifiers,
)
from app.screening.hashing import hash_text, hash_texts
from app.screening.lookup import Lookup
from app.screening.model import ENGINE_VERSION, EntityType, Entry, Match, Subject
from app.screening.names import PreparedName, prepare
from app.screening.scorer import explain
from app.screening.shelf import NameFound, Shelf

#: Called with how many of how many steps are done.
Progress = Callable[[int, int], None]

COMPOSITE, NAME, IDENTIFIER = "composite", "name", "identifier"
SEARCH_TYPES = (COMPOSITE, NAME, IDENTIFIER)

_decode = msgspec.json.Decoder(Entry).decode


class Index:
    """The entries of one list version: numbered, with a shelf of names for each entity type."""

    def __init__(
        self, entries: Mapping[str, Array], identifiers: Lookup, shelves: Iterable[Shelf]
    ) -> None:
        self._entries = entries
        self._identifiers = identifiers
        self._shelves = {shelf.entity_type: shelf for shelf in shelves}
        # A shelf has scratch paper, which two threads of one process cannot share.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries["ends"]) - 1

    @classmethod
    def build(cls, entries: Sequence[Entry], progress: Progress | None = None) -> Index:
        texts = pack_texts([msgspec.json.encode(entry).decode() for entry in entries])
        values = [
            (value, number)
            for number, entry in enumerate(entries)
            for value in sorted(plain_identifiers(entry))
        ]
        identifiers = Lookup.build(
            hash_texts([value for value, _ in values]),
            np.array([number for _, number in values], np.int64),
        )
        shelves = []
        for step, entity_type in enumerate(EntityType):
            if progress:
                progress(step, len(EntityType))
            its = [(n, e) for n, e in enumerate(entries) if e.entity_type is entity_type]
            if its:
                shelves.append(Shelf.build(entity_type, its))
        if progress:
            progress(len(EntityType), len(EntityType))
        return cls(texts, identifiers, shelves)

    def save(self, folder: Path) -> None:
        arrays = {f"entry_{name}": array for name, array in self._entries.items()}
        arrays |= {f"id_{name}": array for name, array in self._identifiers.arrays().items()}
        for entity_type, shelf in self._shelves.items():
            arrays |= {f"{entity_type}_{name}": array for name, array in shelf.arrays().items()}
        facts = {"engine": ENGINE_VERSION, "shelves": [*self._shelves]}
        folders.save(folder, arrays, facts)

    @classmethod
    def open(cls, folder: Path) -> Index:
        """Open what `save` wrote, or raise Damaged."""
        arrays, facts = folders.open_folder(folder)
        if facts.get("engine") != ENGINE_VERSION:
            raise Damaged("the index was written by another engine version")
        try:
            identifiers = _under("id", arrays)
            return cls(
                _under("entry", arrays),
                Lookup(identifiers["keys"], identifiers["starts"], identifiers["numbers"]),
                [Shelf.open(EntityType(name), _under(name, arrays)) for name in facts["shelves"]],
            )
        except (KeyError, ValueError) as error:
            raise Damaged("the index folder lacks a file") from error

    def screen(
        self, subjects: Sequence[Subject], threshold: float = 0.85, search_type: str = COMPOSITE
    ) -> list[list[Match]]:
        """Return, for each subject, every entry whose score reaches the threshold, best first.

        Entries of one score are in the order of how closely the name is spelt, then of their id.
        """
        if search_type not in SEARCH_TYPES:
            raise ValueError(f"search_type is one of {', '.join(SEARCH_TYPES)}")
        asked = [self._queries(subject, search_type) for subject in subjects]
        with self._lock:
            for entity_type, shelf in self._shelves.items():
                shelf.names.learn(each[entity_type] for each in asked if entity_type in each)
            return [
                self._screen(subject, queries, threshold, search_type)
                for subject, queries in zip(subjects, asked, strict=True)
            ]

    def _queries(self, subject: Subject, search_type: str) -> _Queries:
        """Return the subject's name by the rules of each type it is compared with."""
        if not subject.name or search_type == IDENTIFIER:
            return {}
        kinds = self._shelves if subject.entity_type is None else {subject.entity_type}
        return {kind: prepare(subject.name, kind) for kind in kinds}

    def _screen(
        self, subject: Subject, queries: _Queries, threshold: float, search_type: str
    ) -> list[Match]:
        by_identifier = self._by_identifier(subject) if search_type != NAME else {}
        by_name = self._by_name(queries, threshold)
        ranked = []
        for number in by_identifier.keys() | by_name.keys():
            entry = by_identifier.get(number) or self._entry(number)
            match, closeness = _match(
                subject, entry, by_name.get(number), has_identifier=number in by_identifier
            )
            if match.score >= threshold:
                ranked.append((-match.score, -closeness, entry.id, match))
        return [match for *_, match in sorted(ranked, key=lambda each: each[:3])]

    def _by_identifier(self, subject: Subject) -> dict[int, Entry]:
        """Return the entries that share an identifier, whatever it is called on either side."""
        found = {}
        for value in plain_identifiers(subject):
            for number in self._identifiers.find_one(hash_text(value)).tolist():
                entry = self._entry(number)
                if value in plain_identifiers(entry):
                    found[number] = entry
        return found

    def _by_name(self, queries: _Queries, threshold: float) -> dict[int, _Best]:
        """Return, of each entry with a name that is alike, the name that is most alike."""
        found: dict[int, _Best] = {}
        for entity_type, shelf in self._shelves.items():
            query = queries.get(entity_type)
            if query is None:
                continue
            for name in shelf.find(query, threshold):
                best = (name.score, _closeness(query, name.prepared), name, query)
                if name.entry not in found or best[:2] > found[name.entry][:2]:
                    found[name.entry] = best
        return found

    def _entry(self, number: int) -> Entry:
        return _decode(text_at(self._entries["bytes"], self._entries["ends"], number))


_Queries = Mapping[EntityType, PreparedName]

#: Score, closeness, the listed name and the query by the rules of the entry's type.
_Best = tuple[float, float, NameFound, PreparedName]


def _match(
    subject: Subject, entry: Entry, best: _Best | None, *, has_identifier: bool
) -> tuple[Match, float]:
    """Return the match and how closely the name is spelt, by which equals are ranked."""
    agreement = agreements(subject, entry)
    explanations: dict[str, float] = {}
    fields: list[str] = []
    score = closeness = 0.0
    if best is not None:
        name_score, closeness, name, query = best
        score = adjust(name_score, agreement)
        explanations["name"] = round(name_score, 4)
        explanations["spelling"] = round(closeness, 4)
        explanations["sound"] = round(_sound(query, name.prepared), 4)
        fields.append("full_name")
    explanations |= agreement
    fields += agreeing_fields(agreement)
    if has_identifier:
        score = IDENTIFIER_SCORE
        explanations["identifiers"] = 1.0
        fields.append("identifiers")
    match = Match(
        entry=entry,
        score=round(score, 6),
        match_type=IDENTIFIER if has_identifier else NAME,
        matched_name=entry.name if best is None else best[2].text,
        matched_fields=tuple(fields),
        explanations=explanations,
        tokens=() if best is None else explain(best[3], best[2].prepared),
    )
    return match, closeness


def _closeness(query: PreparedName, listed: PreparedName) -> float:
    """Return how closely the names are spelt, order of words included."""
    return jellyfish.jaro_winkler_similarity(" ".join(query.tokens), " ".join(listed.tokens))


def _sound(query: PreparedName, listed: PreparedName) -> float:
    """Return the share of words that sound the same in English."""
    mine = {jellyfish.metaphone(token) for token in query.tokens}
    theirs = {jellyfish.metaphone(token) for token in listed.tokens}
    return len(mine & theirs) / max(len(mine | theirs), 1)


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    start = f"{prefix}_"
    return {name[len(start) :]: each for name, each in arrays.items() if name.startswith(start)}
