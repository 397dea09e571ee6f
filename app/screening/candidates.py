"""The names of one entity type on a list, and those among them that can reach a threshold.

Nothing is missed, and this is why. Let a pair of the best pairing have similarity v and cover
the weights a of the query's words and b of the listed name's. With A and B the weights of all
the words of either side, `scorer` says

    score <= sum(v (a + b) / 2) / (sum((a + b) / 2) + QL (A - sum(a)) + LL (B - sum(b)))

where QL and LL are what left-over words cost. So a score >= T needs, multiplied out,

    sum(a (v/2 + T (QL - 1/2))) + sum(b (v/2 - T (1/2 - LL)))  >=  T (QL A + LL B)

The left side is a sum over words. Giving every word, of either side, the best similarity that it
has with any word of the other can only make it larger: names for which even that is too little
are out. The rest are scored by the scorer itself.

The sum does not care which side asks. So with QL and LL exchanged the same index finds, for a name
of a list, the names that would find it (`asking_for`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from app.screening.arrays import Array, spread
from app.screening.hashing import hash_text, hash_texts
from app.screening.lookup import Lookup
from app.screening.model import EntityType
from app.screening.names import PreparedName, is_acronym_like
from app.screening.scorer import RULES, Rules, reversed_rules, run_on, score
from app.screening.tokens import joined
from app.screening.vocabulary import Neighbours, Vocabulary

#: Sums of floating-point numbers in another order differ by less.
SLACK = 1e-6


def units(name: PreparedName) -> list[tuple[str, int, int]]:
    """Return (text, first word, number of words) for every word, and every two that may be one."""
    singles = [(token, at, 1) for at, token in enumerate(name.tokens)]
    doubles = [
        (both, at, 2)
        for at in range(len(name.tokens) - 1)
        if (both := joined(name.tokens, at)) is not None
    ]
    return singles + doubles


def whole_keys(name: PreparedName) -> list[str]:
    """Return what a listed name is found by as a whole, whatever the bound on its words says."""
    keys = [f"={name.unspaced}"]
    sound = run_on(name.unspaced)
    if sound is not None:
        keys.append(f"~{sound}")
    keys += [f"a{acronym}" for acronym in name.acronyms]
    if name.takes_acronyms:
        keys += [f"w{token}" for token in name.tokens if is_acronym_like(token)]
    return keys


def whole_questions(name: PreparedName) -> list[str]:
    """Return the keys of listed names that a query must be compared with."""
    keys = [f"={name.unspaced}"]
    sound = run_on(name.unspaced)
    if sound is not None:
        keys.append(f"~{sound}")
    if name.takes_acronyms:
        keys += [f"a{token}" for token in name.tokens if is_acronym_like(token)]
    return keys + [f"w{acronym}" for acronym in name.acronyms]


class Found(NamedTuple):
    """Query `queries[n]` and listed name `names[n]` have score `scores[n]`; both are numbered."""

    queries: Array
    names: Array
    scores: Array


class Names:
    """Every name of one entity type; numbered, because everything here is an array."""

    def __init__(
        self, vocabulary: Vocabulary, arrays: Mapping[str, Array], entity_type: EntityType
    ) -> None:
        self.vocabulary = vocabulary
        self._entity_type = entity_type
        self._rules = RULES[entity_type]
        self._reversed = reversed_rules(self._rules)
        self._arrays = arrays
        self._unit_starts = arrays["unit_starts"]
        self._unit_tokens = arrays["unit_tokens"]
        self._unit_weights = arrays["unit_weights"]
        self._name_starts = arrays["name_starts"]
        self._names = arrays["names"]
        self._weights = arrays["weights"]
        self._strong = arrays["strong"]
        self._whole = Lookup(arrays["whole_keys"], arrays["whole_starts"], arrays["whole_numbers"])
        # Scratch paper, clean between two queries: the row of a token's similarities, and which
        # names were met.
        self._row_of = np.zeros(len(vocabulary.tokens), np.int32)
        self._met = np.zeros(len(self._weights), bool)

    @classmethod
    def build(cls, names: Iterable[PreparedName], entity_type: EntityType) -> Names:
        prepared = list(names)
        split = [units(name) for name in prepared]
        vocabulary = Vocabulary.build(
            {text for name in split for text, _, span in name if span == 1},
            {text for name in split for text, _, span in name if span == 2},
            personal=entity_type is EntityType.PERSON,
        )
        numbers = {(text, 1): n for n, text in enumerate(vocabulary.tokens[: vocabulary.words])}
        for number, text in enumerate(vocabulary.tokens[vocabulary.words :]):
            numbers[text, 2] = vocabulary.words + number

        unit_tokens = np.array(
            [numbers[text, span] for name in split for text, _, span in name], np.int32
        )
        unit_weights = np.array(
            [
                sum(name.weights[at : at + span])
                for name, its in zip(prepared, split, strict=True)
                for _, at, span in its
            ]
        )
        counts = np.array([len(name) for name in split], np.int64)
        owners = np.repeat(np.arange(len(prepared), dtype=np.int32), counts)
        inverted = Lookup.build(unit_tokens.astype(np.uint64), owners)
        filed = [(key, number) for number, name in enumerate(prepared) for key in whole_keys(name)]
        whole = Lookup.build(
            hash_texts([key for key, _ in filed]),
            np.array([number for _, number in filed], np.int64),
        )
        arrays: dict[str, Array] = {
            "unit_starts": np.append(0, np.cumsum(counts)).astype(np.int64),
            "unit_tokens": unit_tokens,
            "unit_weights": unit_weights,
            # Every token stands in some name, so the keys are the token numbers themselves.
            "name_starts": inverted.starts,
            "names": inverted.numbers,
            "weights": np.array([name.weight for name in prepared], float),
            "strong": np.array([name.strong for name in prepared], np.int32),
            **{f"whole_{part}": array for part, array in whole.arrays().items()},
        }
        return cls(vocabulary, arrays, entity_type)

    def arrays(self) -> dict[str, Array]:
        return {**self._arrays, **self.vocabulary.arrays()}

    @classmethod
    def open(cls, arrays: Mapping[str, Array], entity_type: EntityType) -> Names:
        return cls(Vocabulary.open(arrays), arrays, entity_type)

    def forget(self) -> None:
        self.vocabulary.forget()

    def find(
        self,
        queries: Sequence[PreparedName],
        threshold: float,
        prepared: Callable[[int], PreparedName],
    ) -> Found:
        """Return every name that scores the threshold, in the order of queries and names.

        `prepared` returns a listed name, made ready to be compared.
        """
        # The words of all are looked up together, which costs far less than one by one.
        self.vocabulary.learn(
            (text, span == 2) for query in queries for text, _, span in units(query)
        )
        found = [
            (at, number, value)
            for at, query in enumerate(queries)
            for number in self.reaching(query, threshold).tolist()
            if (value := score(query, prepared(number), self._entity_type)) >= threshold - SLACK
        ]
        whose, numbers, values = zip(*found, strict=True) if found else ((), (), ())
        return Found(np.array(whose, np.int32), np.array(numbers, np.int32), np.array(values))

    def words_of(
        self, number: int, prepared: Callable[[int], PreparedName]
    ) -> tuple[tuple[str, ...], frozenset[str]]:
        """Return a listed name's words, and the classes of its legal forms."""
        name = prepared(number)
        return name.tokens, name.legal_forms

    def asking_for(self, queries: Sequence[PreparedName], threshold: float) -> Array:
        """Return the numbers of names that may score the threshold when they ask for a query."""
        self.vocabulary.learn(
            (text, span == 2) for query in queries for text, _, span in units(query)
        )
        found = [self.reaching(query, threshold, self._reversed) for query in queries]
        return np.unique(np.concatenate([np.empty(0, np.int64), *found]))

    def reaching(self, query: PreparedName, threshold: float, rules: Rules | None = None) -> Array:
        """Return the numbers of names that may score the threshold or more, ascending.

        With reversed `rules`, of those that may do so when it is they who ask.
        """
        if not query.tokens:
            return np.empty(0, np.int64)
        found = self._reaching_by_words(query, threshold, rules or self._rules)
        whole = [self._whole.find_one(hash_text(key)) for key in whole_questions(query)]
        return np.unique(np.concatenate([found, *whole]))

    def _reaching_by_words(self, query: PreparedName, threshold: float, rules: Rules) -> Array:
        nothing = np.empty(0, np.int64)
        asked = [
            (self.vocabulary.neighbours(text, joined=span == 2), at, span)
            for text, at, span in units(query)
        ]
        asked = [each for each in asked if len(each[0].numbers)]
        if not asked:
            return nothing
        walked = self._worth_walking(query, threshold, rules, asked)
        if not walked:
            return nothing

        known = np.concatenate([neighbours.numbers for neighbours, _, _ in asked])
        self._row_of[known] = np.arange(1, len(known) + 1)
        try:
            met = self._names_with(walked)
            return self._bounded(query, threshold, rules, asked, met, len(known) + 1)
        finally:
            self._row_of[known] = 0

    def _worth_walking(
        self,
        query: PreparedName,
        threshold: float,
        rules: Rules,
        asked: list[tuple[Neighbours, int, int]],
    ) -> list[Neighbours]:
        """Return the neighbours of all words but the commonest that cannot do it alone.

        A name that shares only those has at most the sum of what each can bring.
        """
        size = len(query.tokens)
        reach = [0.0] * size
        cost = [0] * size
        for neighbours, at, span in asked:
            best = float(neighbours.similarities.max())
            # A pair covers at most two words of the listed name, none heavier than 1, and those
            # are no longer left over.
            listed = 2 * max(0.0, best / 2 - threshold / 2)
            names = self._count_names(neighbours)
            for each in range(at, at + span):
                gain = query.weights[each] * (best / 2 + threshold * (rules.query_leftover - 0.5))
                reach[each] = max(reach[each], gain + listed)
                cost[each] += names
        needed = threshold * rules.query_leftover * query.weight - SLACK
        skipped: set[int] = set()
        spent = 0.0
        for each in sorted(range(size), key=lambda at: -cost[at]):
            if spent + reach[each] < needed:
                spent += reach[each]
                skipped.add(each)
        return [
            neighbours
            for neighbours, at, span in asked
            if not skipped.issuperset(range(at, at + span))
        ]

    def _count_names(self, neighbours: Neighbours) -> int:
        starts = self._name_starts
        return int((starts[neighbours.numbers + 1] - starts[neighbours.numbers]).sum())

    def _names_with(self, walked: list[Neighbours]) -> Array:
        tokens = np.concatenate([neighbours.numbers for neighbours in walked])
        starts = self._name_starts[tokens]
        at = spread(starts, self._name_starts[tokens + 1] - starts)
        self._met[self._names[at]] = True
        met = np.flatnonzero(self._met)
        self._met[met] = False
        return met

    def _bounded(
        self,
        query: PreparedName,
        threshold: float,
        rules: Rules,
        asked: list[tuple[Neighbours, int, int]],
        met: Array,
        rows: int,
    ) -> Array:
        """Return those of the names met whose bound reaches the threshold."""
        # One row per known token, one column per word of the query: the best similarity.
        alike = np.zeros((rows, len(query.tokens)))
        for neighbours, at, span in asked:
            its_rows = self._row_of[neighbours.numbers]
            for each in range(at, at + span):
                alike[its_rows, each] = np.maximum(alike[its_rows, each], neighbours.similarities)
        weights = np.array(query.weights)
        # A pair that would bring less than nothing need not be made.
        gains = np.where(
            alike > 0,
            weights * np.maximum(0, alike / 2 + threshold * (rules.query_leftover - 0.5)),
            0,
        )
        listed_gain = np.maximum(
            0, alike.max(axis=1) / 2 - threshold * (0.5 - rules.listed_leftover)
        )

        starts = self._unit_starts[met]
        counts = self._unit_starts[met + 1] - starts
        places = spread(starts, counts)
        its_rows = self._row_of[self._unit_tokens[places]]
        hits = np.flatnonzero(its_rows)
        owners = np.repeat(np.arange(len(met)), counts)[hits]
        its_rows = its_rows[hits]
        # Every name met has a hit, so each has a run of its own.
        runs = np.flatnonzero(np.diff(owners, prepend=-1))
        query_side = np.maximum.reduceat(gains[its_rows], runs, axis=0)
        listed_side = np.add.reduceat(
            listed_gain[its_rows] * self._unit_weights[places[hits]], runs
        )

        needed = threshold * (
            rules.query_leftover * query.weight + rules.listed_leftover * self._weights[met]
        )
        enough = query_side.sum(axis=1) + listed_side >= needed - SLACK
        paired = np.maximum.reduceat(alike[its_rows] > 0, runs, axis=0).sum(axis=1)
        enough &= self._may_be_strong(query, threshold, rules, met, paired)
        return met[enough]

    def _may_be_strong(
        self, query: PreparedName, threshold: float, rules: Rules, met: Array, paired: Array
    ) -> Array:
        """Leave out names that share one word where the scorer asks for two (`strength_factor`)."""
        if query.strong == 0:
            return np.ones(len(met), bool)
        strong = self._strong[met]
        # The rule for one word is about the side that asks.
        asking = strong if rules is self._reversed else query.strong
        kept = np.where(asking == 1, rules.one_word_query, rules.one_strong_pair)
        asks_for_two = (strong >= 1) & ((strong >= 2) | (query.strong >= 2))
        return ~asks_for_two | (paired >= 2) | (kept >= threshold - SLACK)
