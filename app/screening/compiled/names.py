"""All names of one entity type on a list, and those that score a threshold with a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from app.screening.arrays import Array, Texts
from app.screening.candidates import Found
from app.screening.compiled import buckets, retrieval, vocabulary
from app.screening.compiled.asked import Asked
from app.screening.compiled.filed import Filed, briefs_of, paper_for
from app.screening.compiled.flat import JOINED, Flat, Numbers, classes
from app.screening.compiled.jit import frozen, jit
from app.screening.compiled.matching import Prepared, Rules, rules_of
from app.screening.compiled.vocabulary import Listed
from app.screening.model import EntityType
from app.screening.names import PreparedName

#: How many listed words are kept as texts, about 60 bytes each.
REMEMBERED = 60_000
#: Names of a list that are put down at once.
_AT_ONCE = 1_000


class CompiledNames:
    def __init__(
        self,
        entity_type: EntityType,
        listed: Listed,
        prepared: Prepared,
        filed: Filed,
    ) -> None:
        self._listed = listed
        self._texts = Texts(listed.text, listed.ends)
        self._words: dict[int, str] = {}
        self._prepared = prepared
        self._filed = filed
        self._rules = rules_of(entity_type)
        self._reversed = rules_of(entity_type, is_reversed=True)
        self._acronyms = entity_type is EntityType.ORGANISATION
        self._asked = Asked(listed)
        self._paper = paper_for(len(listed.ends) - 1, len(prepared.weight))

    @classmethod
    def build(cls, names: Iterable[PreparedName], entity_type: EntityType) -> CompiledNames:
        flat = Flat()
        numbers = Numbers()
        coming = iter(names)
        while some := list(islice(coming, _AT_ONCE)):
            flat.add(some, numbers)
        listed, hashes = vocabulary.build(
            [word for word in numbers if not word.startswith(JOINED)],
            [word[1:] for word in numbers if word.startswith(JOINED)],
            personal=entity_type is EntityType.PERSON,
        )
        places = _in_order(numbers)
        prepared = flat.prepared(
            listed.text,
            listed.ends,
            frozen(hashes, np.uint64),
            frozen(places[np.array(flat.words, np.int64)], np.int32),
            # The last place is for "no join".
            frozen(np.append(places, -1)[np.array(flat.joins, np.int64)], np.int32),
        )
        starts, whose = _postings(
            prepared.starts, prepared.words, prepared.joins, len(listed.ends) - 1
        )
        weak_starts, weak = _only(starts, whose, prepared.strong == 0)
        single_starts, single = _only(starts, whose, prepared.strong <= 1)
        every = np.arange(len(prepared.weight))
        has_sound = prepared.run_on != 0
        has_acronym = prepared.acronyms != 0
        filed = Filed(
            starts=frozen(starts, np.int64),
            names=frozen(whose, np.int32),
            weak_starts=frozen(weak_starts, np.int64),
            weak_names=frozen(weak, np.int32),
            single_starts=frozen(single_starts, np.int64),
            single_names=frozen(single, np.int32),
            unspaced=buckets.build(prepared.unspaced, every),
            run_on=buckets.build(prepared.run_on[has_sound], every[has_sound]),
            acronyms=buckets.build(
                prepared.acronyms[has_acronym], np.repeat(every, has_acronym.sum(axis=1))
            ),
            words=listed.equal,
            word_count=listed.words,
            ends=listed.ends,
            word_weights=frozen(
                _heaviest(
                    prepared.starts, prepared.words, prepared.joins, prepared.weights, len(hashes)
                ),
                np.float64,
            ),
            units=frozen(np.stack([prepared.words, prepared.joins], axis=1).ravel(), np.int32),
            briefs=briefs_of(prepared),
        )
        return cls(entity_type, listed, prepared, filed)

    def arrays(self) -> dict[str, Array]:
        found = vocabulary.arrays(self._listed)
        for field in _OF_PREPARED:
            found[f"name_{field}"] = getattr(self._prepared, field)
        for field in _OF_FILED:
            found[f"filed_{field}"] = getattr(self._filed, field)
        for field in _BUCKETS_FILED:
            for part, each in getattr(self._filed, field).arrays().items():
                found[f"{field}_{part}"] = each
        return found

    @classmethod
    def open(cls, found: Mapping[str, Array], entity_type: EntityType) -> CompiledNames:
        listed = vocabulary.opened(found)
        prepared = Prepared(
            **{
                field: frozen(found[f"name_{field}"], dtype)
                for field, dtype in _OF_PREPARED.items()
            }
        )
        tables_filed: dict[str, Any] = {
            field: buckets.opened(
                {part: found[f"{field}_{part}"] for part in buckets.PARTS}, np.uint64
            )
            for field in _BUCKETS_FILED
        }
        arrays_filed: dict[str, Any] = {
            field: frozen(found[f"filed_{field}"], dtype) for field, dtype in _OF_FILED.items()
        }
        filed = Filed(
            words=listed.equal,
            word_count=listed.words,
            ends=listed.ends,
            briefs=briefs_of(prepared),
            **arrays_filed,
            **tables_filed,
        )
        return cls(entity_type, listed, prepared, filed)

    def words_of(
        self, number: int, prepared: Callable[[int], PreparedName]
    ) -> tuple[tuple[str, ...], frozenset[str]]:
        """Return a listed name's words, and the classes of its legal forms."""
        starts = self._prepared.starts
        words = self._prepared.words[starts.item(number) : starts.item(number + 1)].tolist()
        tokens = tuple([self._words.get(word) or self._word(word) for word in words])
        return tokens, classes(self._prepared.legal_forms.item(number))

    def _word(self, number: int) -> str:
        if len(self._words) >= REMEMBERED:
            self._words.clear()
        word = self._words[number] = self._texts[number]
        return word

    def forget(self) -> None:
        self._asked.forget()
        self._words.clear()

    def find(
        self,
        queries: Sequence[PreparedName],
        threshold: float,
        prepared: Callable[[int], PreparedName],
    ) -> Found:
        """Return every name that scores the threshold, in the order of queries and names.

        `prepared` is what plain `Names` needs, and not this.
        """
        found = self._find(queries, self._rules, threshold)
        order = np.lexsort((found.names, found.queries))
        return Found(found.queries[order], found.names[order], found.scores[order])

    def asking_for(self, queries: Sequence[PreparedName], threshold: float) -> Array:
        """Return the numbers of names that may score the threshold when they ask for a query."""
        found = self._find(queries, self._reversed, threshold)
        return np.unique(found.names)

    def _find(self, queries: Sequence[PreparedName], rules: Rules, threshold: float) -> Found:
        asked, neighbours = self._asked.understand(queries)
        return retrieval.find(
            asked,
            neighbours,
            self._prepared,
            self._filed,
            self._acronyms,
            rules,
            threshold,
            self._paper,
        )


_OF_PREPARED: Mapping[str, type[np.generic]] = {
    "starts": np.int64,
    "words": np.int32,
    "joins": np.int32,
    "weights": np.float64,
    "lengths": np.int32,
    "numbers": np.bool_,
    "hashes": np.uint64,
    "weight": np.float64,
    "strong": np.int32,
    "legal_forms": np.uint64,
    "father_at": np.int8,
    "unspaced": np.uint64,
    "bag": np.uint64,
    "run_on": np.uint64,
    "acronyms": np.uint64,
}
_OF_FILED: Mapping[str, type[np.generic]] = {
    "starts": np.int64,
    "names": np.int32,
    "weak_starts": np.int64,
    "weak_names": np.int32,
    "single_starts": np.int64,
    "single_names": np.int32,
    "word_weights": np.float64,
    "units": np.int32,
}
_BUCKETS_FILED = ("unspaced", "run_on", "acronyms")


def _only(starts: Array, names: Array, wanted: Array) -> tuple[Array, Array]:
    """Return which names each word stands in, of those that are wanted."""
    kept = wanted[names]
    before = np.append(0, np.cumsum(kept))
    return before[starts], names[kept]


def _in_order(numbers: Mapping[str, int]) -> Array:
    """Return where the vocabulary has each numbered word: words in order, then joins in order."""
    places = np.empty(len(numbers), np.int64)
    in_order = sorted(numbers, key=lambda word: (word.startswith(JOINED), word))
    for place, word in enumerate(in_order):
        places[numbers[word]] = place
    return places


@jit
def _postings(starts: Array, words: Array, joins: Array, count: int) -> tuple[Array, Array]:
    """Return which names each word stands in, every name once."""
    last = np.full(count, -1, np.int32)
    ends = np.zeros(count + 1, np.int64)
    for name in range(len(starts) - 1):
        for at in range(starts[name], starts[name + 1]):
            for word in (words[at], joins[at]):
                if word >= 0 and last[word] != name:
                    last[word] = name
                    ends[word + 1] += 1
    for word in range(count):
        ends[word + 1] += ends[word]
    numbers = np.empty(ends[count], np.int32)
    places = ends[:count].copy()
    last[:] = -1
    for name in range(len(starts) - 1):
        for at in range(starts[name], starts[name + 1]):
            for word in (words[at], joins[at]):
                if word >= 0 and last[word] != name:
                    last[word] = name
                    numbers[places[word]] = name
                    places[word] += 1
    return ends, numbers


@jit
def _heaviest(starts: Array, words: Array, joins: Array, weights: Array, count: int) -> Array:
    """Return the most that each word weighs in any name, and each two words as one."""
    found = np.zeros(count)
    for name in range(len(starts) - 1):
        for at in range(starts[name], starts[name + 1]):
            found[words[at]] = max(found[words[at]], weights[at])
            if joins[at] >= 0:
                both = weights[at] + weights[at + 1]
                found[joins[at]] = max(found[joins[at]], both)
    return found
