"""Every entry that may be the subject, found without comparing the subject with each.

An index is built once per list version, kept as flat arrays in a folder, and opened by every
worker process of a machine, which then share its memory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from itertools import chain, groupby
from operator import itemgetter
from pathlib import Path

import msgspec
import numpy as np

from app.screening import arrays as folders
from app.screening.arrays import Array, Damaged, TextPacker, Texts
from app.screening.candidates import SLACK
from app.screening.compiled import cache
from app.screening.features import WEAK_ALIAS, plain_identifiers
from app.screening.hashing import hash_text, hash_texts
from app.screening.lookup import Lookup
from app.screening.match import DECIMALS, BestName, Match, make_match, most_alike
from app.screening.model import ENGINE_VERSION, EntityType, Entry, Subject
from app.screening.names import PreparedName, prepare
from app.screening.shelf import NameFound, Shelf, names_of

log = logging.getLogger(__name__)

#: Called with how many of how many entries are filed.
Progress = Callable[[int, int], None]

#: From so many entries on an index is compared by compiled loops. Below, plain ones are fast
#: enough, and a process need not load a compiler for them.
COMPILED_FROM = 2_000

COMPOSITE, NAME, IDENTIFIER = "composite", "name", "identifier"
SEARCH_TYPES = (COMPOSITE, NAME, IDENTIFIER)

_QUERY_AND_ENTRY = itemgetter(NameFound._fields.index("query"), NameFound._fields.index("entry"))
_decode = msgspec.json.Decoder(Entry).decode


@dataclass(frozen=True, slots=True)
class Without:
    """Look as if the entry did not bear this name: how well would its others do alone?"""

    entry_id: str
    name: str


class Index:
    """The entries of one list version: numbered, with a shelf of names for each entity type."""

    def __init__(
        self,
        entries: Mapping[str, Array],
        identifiers: Lookup,
        shelves: Iterable[Shelf],
        *,
        compiled: bool,
    ) -> None:
        self.is_compiled = compiled
        self._entries = entries
        self._texts = Texts(entries["bytes"], entries["ends"])
        self._identifiers = identifiers
        self._shelves = {shelf.entity_type: shelf for shelf in shelves}
        # A shelf has scratch paper, which two threads of one process cannot share.
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Forget the words of earlier queries, which are remembered with what is like them."""
        for shelf in self._shelves.values():
            shelf.forget()

    def __len__(self) -> int:
        return len(self._entries["ends"]) - 1

    @classmethod
    def build(
        cls,
        entries: Sequence[Entry],
        progress: Progress | None = None,
        *,
        compiled: bool | None = None,
    ) -> Index:
        """Build the index of these entries; `compiled` says how, where it is not to be chosen."""
        if compiled is None:
            compiled = len(entries) >= COMPILED_FROM and _loads_compiler()
        texts = TextPacker()
        values: list[tuple[str, int]] = []
        for number, entry in enumerate(entries):
            texts.add(msgspec.json.encode(entry).decode())
            values += [(value, number) for value in sorted(plain_identifiers(entry))]
        identifiers = Lookup.build(
            hash_texts([value for value, _ in values]),
            np.array([number for _, number in values], np.int64),
        )
        counting = _Counting(len(entries), progress)
        shelves = []
        for entity_type in EntityType:
            its = ((n, e) for n, e in enumerate(entries) if e.entity_type is entity_type)
            first = next(its, None)
            if first is not None:
                shelves.append(
                    Shelf.build(
                        entity_type, chain([first], its), compiled=compiled, each=counting.one_more
                    )
                )
        return cls(texts.packed(), identifiers, shelves, compiled=compiled)

    def save(self, folder: Path) -> None:
        arrays = {f"entry_{name}": array for name, array in self._entries.items()}
        arrays |= {f"id_{name}": array for name, array in self._identifiers.arrays().items()}
        for entity_type, shelf in self._shelves.items():
            arrays |= {f"{entity_type}_{name}": array for name, array in shelf.arrays().items()}
        facts = {
            "engine": ENGINE_VERSION,
            "shelves": [*self._shelves],
            "compiled": self.is_compiled,
        }
        folders.save(folder, arrays, facts)

    @classmethod
    def open(cls, folder: Path) -> Index:
        """Open what `save` wrote, or raise Damaged."""
        arrays, facts = folders.open_folder(folder)
        if facts.get("engine") != ENGINE_VERSION:
            raise Damaged("the index was written by another engine version")
        compiled = bool(facts.get("compiled"))
        if compiled and not _loads_compiler():
            raise Damaged("the index is for compiled loops, and numba does not run here")
        try:
            identifiers = _under("id", arrays)
            return cls(
                _under("entry", arrays),
                Lookup(identifiers["keys"], identifiers["starts"], identifiers["numbers"]),
                [
                    Shelf.open(EntityType(name), _under(name, arrays), compiled=compiled)
                    for name in facts["shelves"]
                ],
                compiled=compiled,
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
            by_name = self._by_name(asked, threshold, without or [None] * len(subjects))
            return [
                self._screen(subject, names, threshold, search_type)
                for subject, names in zip(subjects, by_name, strict=True)
            ]

    def asking_for(self, entries: Sequence[Entry], threshold: float) -> set[int]:
        """Return the numbers of whom this index holds that may match one of these entries.

        The other way round: here are those who ask, and `entries` are what a list says. Nobody is
        missed whom `screen` would find on a list of these entries; who is found must be screened.
        """
        found: set[int] = set()
        with self._lock:
            for entity_type, shelf in self._shelves.items():
                names = {
                    is_weak: dict.fromkeys(
                        name
                        for entry in entries
                        if entry.entity_type is entity_type
                        for name, weak in names_of(entry)
                        if weak is is_weak
                    )
                    for is_weak in (False, True)
                }
                for is_weak, its in names.items():
                    lowest = threshold / WEAK_ALIAS if is_weak else threshold
                    if its and lowest <= 1 + SLACK:
                        found |= shelf.asking_for([prepare(n, entity_type) for n in its], lowest)
        for entry in entries:
            for value in plain_identifiers(entry):
                found.update(self._identifiers.find_one(hash_text(value)).tolist())
        return found

    def _queries(self, subject: Subject, search_type: str) -> _Queries:
        """Return the subject's name by the rules of each type it is compared with."""
        if not subject.name or search_type == IDENTIFIER:
            return {}
        kinds = self._shelves if subject.entity_type is None else {subject.entity_type}
        return {kind: prepare(subject.name, kind) for kind in kinds}

    def _screen(
        self,
        subject: Subject,
        by_name: Mapping[int, BestName],
        threshold: float,
        search_type: str,
    ) -> list[Match]:
        by_identifier = self._by_identifier(subject) if search_type != NAME else {}
        if not by_name and not by_identifier:
            return []
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
        self,
        asked: Sequence[_Queries],
        threshold: float,
        without: Sequence[Without | None],
    ) -> list[dict[int, BestName]]:
        """Return, for each query, of each entry with a name that is alike the most alike."""
        found: list[dict[int, BestName]] = [{} for _ in asked]
        for entity_type, shelf in self._shelves.items():
            whose = [at for at, queries in enumerate(asked) if entity_type in queries]
            queries = [asked[at][entity_type] for at in whose]
            for (query, entry), names in groupby(shelf.find(queries, threshold), _QUERY_AND_ENTRY):
                at = whose[query]
                best = self._most_alike(shelf, names, queries[query], without[at])
                if best is not None:
                    found[at][entry] = best
        return found

    def _most_alike(
        self,
        shelf: Shelf,
        names: Iterable[NameFound],
        query: PreparedName,
        left_out: Without | None,
    ) -> BestName | None:
        """Return, of the names of one entry, the one that counts."""
        its = [
            name
            for name in names
            if not (left_out and self._is_left_out(name.entry, shelf.text(name.number), left_out))
        ]
        if len(its) > 1:
            # Only those that score most are worth reading: no other can count.
            values = [round(name.score, DECIMALS) for name in its]
            most = max(values)
            its = [name for name, value in zip(its, values, strict=True) if value == most]
        return most_alike(shelf.best_name(name, query) for name in its)

    def _is_left_out(self, number: int, name: str, left_out: Without) -> bool:
        return name == left_out.name and self._entry(number).id == left_out.entry_id

    def _entry(self, number: int) -> Entry:
        return _decode(self._texts.encoded(number))


_Queries = Mapping[EntityType, PreparedName]


def can_compile() -> bool:
    """Say whether there is a compiler for the loops of long lists: not for every Python, yet."""
    return find_spec("numba") is not None and not cache.is_unusable()


def _loads_compiler() -> bool:
    """Load the compiler, or note that it does not run, as beside a numpy that it does not know.

    Long lists are then screened by plain loops, several times slower, instead of not at all.
    """
    if not can_compile():
        return False
    try:
        import_module("app.screening.compiled.jit")
    except (ImportError, AttributeError, SystemError) as error:
        log.error("compiler.unusable", extra={"reason": type(error).__name__})
        cache.mark_unusable()
        return False
    return True


class _Counting:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total = total
        self._progress = progress
        self._done = 0
        if progress:
            progress(0, total)

    def one_more(self) -> None:
        self._done += 1
        if self._progress and (self._done % 1000 == 0 or self._done == self._total):
            self._progress(self._done, self._total)


def _under(prefix: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    start = f"{prefix}_"
    return {name[len(start) :]: each for name, each in arrays.items() if name.startswith(start)}
