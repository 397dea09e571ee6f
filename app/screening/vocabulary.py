"""Every token of a list, and the way from a token of the query to the listed ones like it.

A token is found without comparing with each: by what remains of it when letters are left out, by
its keys (how it sounds, which given name it is a form of), by its first letter. `neighbours`
returns exactly the tokens for which `tokens.similarity` is not zero (for joined ones: not under
JOINED_FLOOR), no more and no fewer.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from app.screening.arrays import Array, pack_texts, unpack_texts
from app.screening.hashing import hash_texts, remainders
from app.screening.lookup import Lookup
from app.screening.tokens import (
    FLOOR,
    INITIAL,
    JOINED_FLOOR,
    JOINED_LETTERS,
    compare,
    keys,
)

#: How many words of queries are remembered with their neighbours, about 20 MB.
REMEMBERED = 30_000


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Numbers of listed tokens, ascending, and how alike each is to the token asked about."""

    numbers: Array
    similarities: Array


class Vocabulary:
    """Tokens 0 to `words` stand in names as they are; the rest are two neighbours joined.

    Words are in alphabetical order, so that those with one first letter are a run.
    """

    def __init__(
        self, words: list[str], joins: list[str], arrays: Mapping[str, Array], *, personal: bool
    ) -> None:
        self.personal = personal
        self.tokens = words + joins
        self.words = len(words)
        self._arrays = arrays
        self._lengths = arrays["lengths"]
        self._word_edits = _lookup(arrays, "word_edits")
        self._join_edits = _lookup(arrays, "join_edits")
        self._keys = _lookup(arrays, "keys")
        self._remembered: dict[tuple[str, bool], Neighbours] = {}

    @classmethod
    def build(
        cls, words: Iterable[str], joins: Iterable[str], *, personal: bool = False
    ) -> Vocabulary:
        word_list, join_list = sorted(words), sorted(joins)
        tokens = word_list + join_list
        arrays = {"lengths": np.array([len(token) for token in tokens], np.int32)}
        for name, lookup in (
            ("word_edits", _edits_lookup(word_list, 0, FLOOR)),
            ("join_edits", _edits_lookup(join_list, len(word_list), JOINED_FLOOR)),
            ("keys", _keys_lookup(tokens, personal)),
        ):
            arrays.update({f"{name}_{part}": array for part, array in lookup.arrays().items()})
        return cls(word_list, join_list, arrays, personal=personal)

    def arrays(self) -> dict[str, Array]:
        """Return all that `open` needs."""
        texts = pack_texts(self.tokens)
        return {
            **self._arrays,
            "token_bytes": texts["bytes"],
            "token_ends": texts["ends"],
            "word_count": np.array([self.words, self.personal], np.int64),
        }

    @classmethod
    def open(cls, arrays: Mapping[str, Array]) -> Vocabulary:
        tokens = unpack_texts(arrays["token_bytes"], arrays["token_ends"])
        words = int(arrays["word_count"][0])
        personal = bool(arrays["word_count"][1])
        return cls(tokens[:words], tokens[words:], arrays, personal=personal)

    def number_of(self, token: str, *, join: bool = False) -> int | None:
        low, high = (self.words, len(self.tokens)) if join else (0, self.words)
        at = bisect_left(self.tokens, token, low, high)
        return at if at < high and self.tokens[at] == token else None

    def neighbours(self, token: str, *, joined: bool) -> Neighbours:
        """Return the listed tokens like this one; `joined` says that it is two of the query's."""
        found = self._remembered.get((token, joined))
        if found is None:
            self.learn([(token, joined)])
            found = self._remembered[token, joined]
        return found

    def forget(self) -> None:
        self._remembered.clear()

    def learn(self, asked: Iterable[tuple[str, bool]]) -> None:
        """Find the neighbours of many tokens together, which costs far less than one by one."""
        unknown = [each for each in dict.fromkeys(asked) if each not in self._remembered]
        if len(self._remembered) + len(unknown) > REMEMBERED:
            self._remembered.clear()
        long = [each for each in unknown if len(each[0]) > 1 and not each[0].isdigit()]
        for each in set(unknown) - set(long):
            self._remembered[each] = self._neighbours_of_short(*each)
        if long:
            self._remembered.update(zip(long, self._neighbours_of_long(long), strict=True))

    def _neighbours_of_short(self, token: str, joined: bool) -> Neighbours:
        """Numbers equal themselves or nothing; a letter stands for every word it begins."""
        if token.isdigit():
            return self._only_equal(token, joined)
        low = bisect_left(self.tokens, token, 0, self.words)
        high = bisect_left(self.tokens, token + "\x7f", low, self.words)
        alike = np.full(high - low, INITIAL)
        if high > low and self.tokens[low] == token:
            alike[0] = 1.0
        return Neighbours(np.arange(low, high), alike)

    def _only_equal(self, token: str, joined: bool) -> Neighbours:
        numbers = [self.number_of(token)]
        if not joined and len(token) >= JOINED_LETTERS:
            numbers.append(self.number_of(token, join=True))
        known = [number for number in numbers if number is not None]
        return Neighbours(np.array(known, np.int64), np.ones(len(known)))

    def _neighbours_of_long(self, asked: list[tuple[str, bool]]) -> list[Neighbours]:
        tokens = [token for token, _ in asked]
        joined = np.array([is_joined for _, is_joined in asked])
        # Joins are compared with words only, and so are words too short to be a join.
        meets_joins = ~joined & (np.array([len(token) for token in tokens]) >= JOINED_LETTERS)
        rows, numbers = self._candidates(tokens, joined, meets_joins)
        two = zip(rows.tolist(), numbers.tolist(), strict=True)
        alike = np.array(
            [compare(tokens[row], self.tokens[number], self.personal) for row, number in two], float
        )
        lowest = np.where(joined[rows] | (numbers >= self.words), JOINED_FLOOR, FLOOR)
        kept = alike >= lowest
        rows, numbers, alike = rows[kept], numbers[kept], alike[kept]
        ends = np.searchsorted(rows, np.arange(len(asked) + 1)).tolist()
        return [
            Neighbours(numbers[start:end].copy(), alike[start:end].copy())
            for start, end in itertools.pairwise(ends)
        ]

    def _candidates(
        self, tokens: list[str], joined: Array, meets_joins: Array
    ) -> tuple[Array, Array]:
        """Return (token asked, listed token) for every two worth comparing, in order, once."""
        owners, hashes = remainders(tokens, FLOOR)
        at, words = self._word_edits.find(hashes)
        rows = [owners[at]]
        numbers = [words.astype(np.int64)]

        owners, hashes = remainders(tokens, JOINED_FLOOR)
        at, joins = self._join_edits.find(hashes)
        rows.append(owners[at])
        numbers.append(joins.astype(np.int64))

        filed = [
            (row, key) for row, token in enumerate(tokens) for key, _ in keys(token, self.personal)
        ]
        owners = np.array([row for row, _ in filed], np.int64)
        at, alike = self._keys.find(hash_texts([key for _, key in filed]))
        rows.append(owners[at])
        numbers.append(alike.astype(np.int64))

        initials = [
            (row, number)
            for row, token in enumerate(tokens)
            if not joined[row] and (number := self.number_of(token[0])) is not None
        ]
        rows.append(np.array([row for row, _ in initials], np.int64))
        numbers.append(np.array([number for _, number in initials], np.int64))

        all_rows, all_numbers = np.concatenate(rows), np.concatenate(numbers)
        allowed = (all_numbers < self.words) | meets_joins[all_rows]
        short = joined[all_rows] & (self._lengths[all_numbers] < JOINED_LETTERS)
        two = (all_rows * len(self.tokens) + all_numbers)[allowed & ~short]
        two = np.unique(two)
        return two // len(self.tokens), two % len(self.tokens)


def _lookup(arrays: Mapping[str, Array], name: str) -> Lookup:
    return Lookup(arrays[f"{name}_keys"], arrays[f"{name}_starts"], arrays[f"{name}_numbers"])


def _edits_lookup(tokens: list[str], first_number: int, floor: float) -> Lookup:
    owners, hashes = remainders(tokens, floor)
    return Lookup.build(hashes, owners + first_number)


def _keys_lookup(tokens: list[str], personal: bool) -> Lookup:
    filed = [
        (number, key) for number, token in enumerate(tokens) for key, _ in keys(token, personal)
    ]
    hashes = hash_texts([key for _, key in filed])
    return Lookup.build(hashes, np.array([number for number, _ in filed], np.int64))
