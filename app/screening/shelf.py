"""The names of one entity type, with the entries they belong to, ready to be compared."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.screening.arrays import Array, TextPacker, Texts
from app.screening.candidates import Names
from app.screening.features import WEAK_ALIAS
from app.screening.match import BestName, spelt_alike
from app.screening.model import EntityType, Entry
from app.screening.names import PreparedName, prepare

if TYPE_CHECKING:
    from app.screening.compiled.names import CompiledNames

#: By so much a score may be under a threshold that it reaches when it is rounded to six decimals.
ROUNDING = 1e-6
#: How many listed names are kept prepared, about 1 kB each.
REMEMBERED = 30_000


class NameFound(NamedTuple):
    """Name `number`, of entry `entry`, scores the threshold; `score` has that of a weak alias."""

    query: int
    entry: int
    number: int
    score: float


class Shelf:
    """Names are numbered in the order of the list; an entry's own stand together."""

    def __init__(
        self, entity_type: EntityType, arrays: Mapping[str, Array], names: Names | CompiledNames
    ) -> None:
        self.entity_type = entity_type
        self._names = names
        self._arrays = arrays
        self._texts = Texts(arrays["text_bytes"], arrays["text_ends"])
        self._entries = arrays["entries"]
        self._weak = arrays["weak"]
        self._remembered: dict[int, PreparedName] = {}

    @classmethod
    def build(
        cls,
        entity_type: EntityType,
        entries: Iterator[tuple[int, Entry]],
        *,
        compiled: bool,
        each: Callable[[], None] = lambda: None,
    ) -> Shelf:
        """Put up the names of numbered entries, calling `each` after every entry."""
        numbers = array("i")
        weak = array("b")
        texts = TextPacker()

        # One after the other: all of a long list, prepared, would fill the memory.
        def prepared() -> Iterator[PreparedName]:
            for number, entry in entries:
                for name, is_weak in names_of(entry):
                    numbers.append(number)
                    weak.append(is_weak)
                    texts.add(name)
                    yield prepare(name, entity_type)
                each()

        names: Names | CompiledNames
        if compiled:
            from app.screening.compiled.warm import ensure

            names = ensure().build(prepared(), entity_type)
        else:
            names = Names.build(prepared(), entity_type)
        packed = texts.packed()
        arrays = {
            "entries": np.array(numbers, np.int32),
            "weak": np.array(weak, bool),
            "text_bytes": packed["bytes"],
            "text_ends": packed["ends"],
        }
        return cls(entity_type, arrays, names)

    def arrays(self) -> dict[str, Array]:
        return {**self._arrays, **self._names.arrays()}

    @classmethod
    def open(cls, entity_type: EntityType, arrays: Mapping[str, Array], *, compiled: bool) -> Shelf:
        names: Names | CompiledNames
        if compiled:
            from app.screening.compiled.warm import ensure

            names = ensure().open(arrays, entity_type)
        else:
            names = Names.open(arrays, entity_type)
        return cls(entity_type, arrays, names)

    def find(self, queries: Sequence[PreparedName], threshold: float) -> Iterator[NameFound]:
        """Yield every name that scores the threshold, in the order of the queries and the list."""
        # Scores are rounded before they are compared: one may be a little under the threshold.
        found = self._names.find(queries, threshold - ROUNDING, self._prepared)
        scores = np.where(self._weak[found.names], found.scores * WEAK_ALIAS, found.scores)
        for name in map(
            NameFound,
            found.queries.tolist(),
            self._entries[found.names].tolist(),
            found.names.tolist(),
            scores.tolist(),
        ):
            if round(name.score, 6) >= threshold:
                yield name

    def asking_for(self, queries: Sequence[PreparedName], threshold: float) -> set[int]:
        """Return the entries with a name that may score the threshold when it asks for a query."""
        numbers = self._names.asking_for(queries, threshold - ROUNDING)
        return set(self._entries[numbers].tolist())

    def best_name(self, found: NameFound, query: PreparedName) -> BestName:
        """Return what a match has to know of a name that was found."""
        words, legal_forms = self._names.words_of(found.number, self._prepared)
        return BestName(
            found.score,
            self.text(found.number),
            self._weak.item(found.number),
            self.entity_type,
            query,
            words,
            legal_forms,
            spelt_alike(query.tokens, words),
        )

    def forget(self) -> None:
        self._names.forget()
        self._remembered.clear()

    def _prepared(self, number: int) -> PreparedName:
        found = self._remembered.get(number)
        if found is None:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            found = prepare(self.text(number), self.entity_type)
            self._remembered[number] = found
        return found

    def text(self, number: int) -> str:
        return self._texts[number]


def names_of(entry: Entry) -> list[tuple[str, bool]]:
    """Return each name of the entry once, and whether it is a weak alias."""
    names = dict.fromkeys(entry.weak_aliases, True)
    names.update(dict.fromkeys((entry.name, *entry.aliases), False))
    return list(names.items())
