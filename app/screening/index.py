"""Every entry that may be the subject, found without comparing the subject with each.

An index is built once per list version, kept as flat arrays in a folder, and opened by every
worker process of a machine, which then share its memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from app.screening import arrays as folders
from app.screening.arrays import Array, Damaged, pack_texts, text_at
from app.screening.features import plain_identifiers
from app.screening.hashing import hash_text, hash_texts
from app.screening.lookup import Lookup
from app.screening.match import BestName, closeness, make_match
from app.screening.model import ENGINE_VERSION, EntityType, Entry, Match, Subject
from app.screening.names import PreparedName, prepare
from app.screening.shelf import Shelf

#: Called with how many of how many steps are done.
Progress = Callable[[int, int], None]

COMPOSITE, NAME, IDENTIFIER = "composite", "name", "identifier"
SEARCH_TYPES = (COMPOSITE, NAME, IDENTIFIER)

_decode = msgspec.json.Decoder(Entry).decode


@dataclass(frozen=True, slots=True)
class Without:
    """Look as if the entry did not bear this name: how well would its others do alone?"""

    entry_id: str
    name: str


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
        self,
        subjects: Sequence[Subject],
        threshold: float = 0.85,
        search_type: str = COMPOSITE,
        *,
        without: Sequence[Without | None] | None = None,
    ) -> list[list[Match]]:
        """Return, for each subject, every entry whose score reaches the threshold, best first.

        Entries of one score are in the order of how closely the name is spelt, then of their id.
        `without` names, for each subject, a listed name that is not looked at.
        """
        if search_type not in SEARCH_TYPES:
            raise ValueError(f"search_type is one of {', '.join(SEARCH_TYPES)}")
        asked = [self._queries(subject, search_type) for subject in subjects]
        with self._lock:
            for entity_type, shelf in self._shelves.items():
                shelf.names.learn(each[entity_type] for each in asked if entity_type in each)
            return [
                self._screen(subject, queries, threshold, search_type, left_out)
                for subject, queries, left_out in zip(
                    subjects, asked, without or [None] * len(subjects), strict=True
                )
            ]

    def _queries(self, subject: Subject, search_type: str) -> _Queries:
        """Return the subject's name by the rules of each type it is compared with."""
        if not subject.name or search_type == IDENTIFIER:
            return {}
        kinds = self._shelves if subject.entity_type is None else {subject.entity_type}
        return {kind: prepare(subject.name, kind) for kind in kinds}

    def _screen(
        self,
        subject: Subject,
        queries: _Queries,
        threshold: float,
        search_type: str,
        left_out: Without | None,
    ) -> list[Match]:
        by_identifier = self._by_identifier(subject) if search_type != NAME else {}
        by_name = self._by_name(queries, threshold, left_out)
        ranked = []
        for number in by_identifier.keys() | by_name.keys():
            entry = by_identifier.get(number) or self._entry(number)
            best = by_name.get(number)
            same = number in by_identifier
            match = make_match(subject, entry, best, has_identifier=same, threshold=threshold)
            if match is not None:
                spelt = best.closeness if best else 0.0
                ranked.append((-match.score, -spelt, entry.id, match))
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

    def _by_name(
        self, queries: _Queries, threshold: float, left_out: Without | None
    ) -> dict[int, BestName]:
        """Return, of each entry with a name that is alike, the name that is most alike."""
        found: dict[int, BestName] = {}
        for entity_type, shelf in self._shelves.items():
            query = queries.get(entity_type)
            if query is None:
                continue
            for name in shelf.find(query, threshold):
                if left_out and self._is_left_out(name.entry, name.text, left_out):
                    continue
                spelt = closeness(query, name.prepared)
                best = BestName(name.score, spelt, name.text, name.is_weak, query, name.prepared)
                if name.entry not in found or best.rank > found[name.entry].rank:
                    found[name.entry] = best
        return found

    def _is_left_out(self, number: int, name: str, left_out: Without) -> bool:
        return name == left_out.name and self._entry(number).id == left_out.entry_id

    def _entry(self, number: int) -> Entry:
        return _decode(text_at(self._entries["bytes"], self._entries["ends"], number))


_Queries = Mapping[EntityType, PreparedName]


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    start = f"{prefix}_"
    return {name[len(start) :]: each for name, each in arrays.items() if name.startswith(start)}
