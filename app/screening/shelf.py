"""The names of one entity type, with the entries they belong to, ready to be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.screening.arrays import Array, pack_texts, text_at
from app.screening.candidates import Names
from app.screening.features import WEAK_ALIAS
from app.screening.model import EntityType, Entry
from app.screening.names import PreparedName, prepare
from app.screening.scorer import score

#: How many listed names are kept prepared, about 1 kB each.
REMEMBERED = 30_000


@dataclass(frozen=True, slots=True)
class NameFound:
    """A name of entry `entry` that is alike; `text` is as published, `score` with `is_weak`."""

    entry: int
    text: str
    prepared: PreparedName
    score: float
    is_weak: bool


class Shelf:
    def __init__(self, entity_type: EntityType, arrays: Mapping[str, Array], names: Names) -> None:
        self.entity_type = entity_type
        self.names = names
        self._arrays = arrays
        self._entries = arrays["entries"]
        self._weak = arrays["weak"]
        self._remembered: dict[int, PreparedName] = {}

    @classmethod
    def build(cls, entity_type: EntityType, entries: Sequence[tuple[int, Entry]]) -> Shelf:
        """Put up the names of numbered entries."""
        listed = [
            (number, name, weak) for number, entry in entries for name, weak in names_of(entry)
        ]
        texts = pack_texts([name for _, name, _ in listed])
        arrays = {
            "entries": np.array([number for number, _, _ in listed], np.int32),
            "weak": np.array([weak for _, _, weak in listed], bool),
            "text_bytes": texts["bytes"],
            "text_ends": texts["ends"],
        }
        return cls(entity_type, arrays, Names.build([name for _, name, _ in listed], entity_type))

    def arrays(self) -> dict[str, Array]:
        return {**self._arrays, **self.names.arrays()}

    @classmethod
    def open(cls, entity_type: EntityType, arrays: Mapping[str, Array]) -> Shelf:
        return cls(entity_type, arrays, Names.open(arrays, entity_type))

    def find(self, query: PreparedName, threshold: float) -> Iterator[NameFound]:
        """Yield every name that scores the threshold, in the order of the list."""
        for number in self.names.reaching(query, threshold).tolist():
            listed = self._prepared(number)
            found = score(query, listed, self.entity_type)
            if self._weak[number]:
                found *= WEAK_ALIAS
            if round(found, 6) >= threshold:
                yield NameFound(
                    int(self._entries[number]),
                    self._text(number),
                    listed,
                    found,
                    bool(self._weak[number]),
                )

    def _prepared(self, number: int) -> PreparedName:
        found = self._remembered.get(number)
        if found is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            found = prepare(self._text(number), self.entity_type)
            self._remembered[number] = found
        return found

    def _text(self, number: int) -> str:
        return text_at(self._arrays["text_bytes"], self._arrays["text_ends"], number)


def names_of(entry: Entry) -> list[tuple[str, bool]]:
    """Return each name of the entry once, and whether it is a weak alias."""
    names = dict.fromkeys(entry.weak_aliases, True)
    names.update(dict.fromkeys((entry.name, *entry.aliases), False))
    return list(names.items())
