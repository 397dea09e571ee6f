"""Keyphrases by statistics of the one text: no model, no corpus.

Candidates are the runs of words between stop words and punctuation; of a run that is too long, its
end, where English and most other languages here put what the phrase is about. A candidate scores
by how often it comes (in stems), how long it is, how often its words come, and how early it stands.
The figures below were chosen on two collections of labelled texts; benchmarks/tagging.py measures
them beside others.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.tagging.text import Page
from app.tagging.words import DATES, MAX_LETTERS, Words

#: What a candidate of one, two, three and more words is worth.
_LENGTH = (1.0, 1.8, 2.0, 2.0, 2.0)
#: How much the frequency of its words counts beside its own.
_WORDS_EXPONENT = 0.8
#: How steeply the worth falls from the beginning of the text to its end.
_POSITION = 4.0
#: A word within longer runs is a candidate too: not in an abstract, wholly in a long article.
_ALONE = 0.8
_ALONE_FROM, _ALONE_OVER = 200, 400
#: In a short text a single word is seldom a keyphrase.
_SHORT_WORDS, _SHORT_SINGLE = 150, 0.6
#: English phrases that are verbs more often than names of things: they end in a participle, or
#: begin with one.
_ENDS_IN_ED, _BEGINS_WITH_ING = 0.5, 0.7
#: A phrase is left out where a longer or shorter one that holds it, or that it holds, says it all.
_COVERED, _COVERS = 1.0, 3.0
#: Words of a run; longer ones are tables and lists, not phrases.
_RUN = 40
#: Fewest and most characters of a phrase; marks between its words may be any number.
_LETTERS = (3, 200)

#: Where every noun has a capital letter, it tells no name.
_CAPITAL_NOUNS = frozenset({"de", "lb"})

_BREAK = re.compile(
    r"[.,;:!?()\[\]{}\"“”«»|/\\<>•–—\t、。，；：！？…]|\n\s{0,8}\n|--|\s['’‘]|['’]\s"
)


@dataclass(slots=True)
class Keyphrase:
    """A phrase: where it stands, its worth, and the stems of its words."""

    stems: tuple[str, ...]
    weight: float = 0.0
    score: float = 0.0
    places: list[tuple[int, int]] = field(default_factory=list)
    #: Of its first word, counted from the beginning of the text.
    number: int = 0


class _Word(NamedTuple):
    stem: str
    start: int
    end: int
    number: int


def find(page: Page, words: Words, *, max_words: int, limit: int) -> list[Keyphrase]:
    """Return the best phrases of at most so many words, best first."""
    runs = _runs(page, words)
    often = Counter([word.stem for run in runs for word in run])
    total = max(1, page.word_count)
    alone = _ALONE * min(1.0, max(0.0, (total - _ALONE_FROM) / _ALONE_OVER))

    found: dict[tuple[str, ...], Keyphrase] = {}
    for run in runs:
        if len(run) > _RUN:
            continue
        for part, weight in _candidates(run, max_words, alone):
            first = part[0]
            # A word alone is the most frequent by far.
            stems = (first.stem,) if len(part) == 1 else tuple([word.stem for word in part])
            phrase = found.get(stems)
            if phrase is None:
                phrase = found[stems] = Keyphrase(stems, number=first.number)
            phrase.weight += weight
            phrase.places.append((first.start, part[-1].end))

    kept = []
    is_english = words.language == "en"
    for stems, phrase in found.items():
        start, end = phrase.places[0]
        if not _LETTERS[0] <= end - start <= _LETTERS[1]:
            continue
        single = len(stems) == 1
        frequency = often[stems[0]] if single else sum([often[s] for s in stems]) / len(stems)
        position = math.log2(2 + _POSITION * phrase.number / total)
        phrase.score = (
            phrase.weight
            * _LENGTH[min(len(stems), len(_LENGTH)) - 1]
            * frequency**_WORDS_EXPONENT
            / position
        )
        if is_english and not single:
            phrase.score *= _verbal(page.full[start:end].lower())
        if single and total < _SHORT_WORDS:
            phrase.score *= _SHORT_SINGLE
        kept.append(phrase)
    kept.sort(key=lambda phrase: (-phrase.score, phrase.places[0]))
    return _distinct(kept, limit)


def _verbal(surface: str) -> float:
    parts = surface.split()
    factor = _ENDS_IN_ED if parts[-1].endswith("ed") else 1.0
    return factor * _BEGINS_WITH_ING if parts[0].endswith("ing") else factor


def _runs(page: Page, words: Words) -> list[list[_Word]]:
    runs: list[list[_Word]] = []
    run: list[_Word] = []
    before, was_small = 0, False
    names_apart = words.language not in _CAPITAL_NOUNS
    text, stop, stem = page.full, words.stop, words.stem
    for number, match in enumerate(page.words, start=1):
        start, end = match.span()
        surface = match.group()
        first = surface[0]
        if run:
            gap = text[before:start]
            # A name begins behind words that are none: `the banker Jane Miller`.
            begins_name = names_apart and was_small and first.isupper()
            if begins_name or (gap != " " and _BREAK.search(gap)):
                runs.append(run)
                run = []
        before, was_small = end, first.islower()
        word = surface.lower()
        if word.endswith(("'s", "’s")):
            word, end = word[:-2], end - 2
        if word in stop or word in DATES or _is_dull(word):
            if run:
                runs.append(run)
                run = []
        else:
            run.append(_Word(stem(word), start, end, number))
    if run:
        runs.append(run)
    return runs


def _is_dull(word: str) -> bool:
    return not 2 <= len(word) <= MAX_LETTERS or not (word.isalpha() or any(map(str.isalpha, word)))


def _candidates(
    run: Sequence[_Word], max_words: int, alone: float
) -> list[tuple[Sequence[_Word], float]]:
    if max_words == 1 or len(run) == 1:
        return [((word,), 1.0) for word in run]
    parts: list[tuple[Sequence[_Word], float]] = [(run[-max_words:], 1.0)]
    if alone:
        parts += [((word,), alone) for word in run]
    return parts


def _distinct(ranked: Sequence[Keyphrase], limit: int) -> list[Keyphrase]:
    kept: list[Keyphrase] = []
    # Only phrases that share a word can hold one another.
    by_stem: dict[str, list[Keyphrase]] = defaultdict(list)
    for phrase in ranked:
        if any(_is_told(phrase, other) for other in by_stem[phrase.stems[0]]) or any(
            _is_told(phrase, other)
            for stem in phrase.stems[1:]
            for other in by_stem[stem]
            if len(other.stems) < len(phrase.stems)
        ):
            continue
        kept.append(phrase)
        for stem in set(phrase.stems):
            by_stem[stem].append(phrase)
        if len(kept) == limit:
            break
    return kept


def _is_told(phrase: Keyphrase, better: Keyphrase) -> bool:
    if len(phrase.stems) < len(better.stems):
        return _holds(better.stems, phrase.stems) and phrase.weight <= better.weight * _COVERED
    return (
        len(phrase.stems) > len(better.stems)
        and _holds(phrase.stems, better.stems)
        and phrase.weight * _COVERS < better.weight
    )


def _holds(long: tuple[str, ...], short: tuple[str, ...]) -> bool:
    size = len(short)
    return any(long[i : i + size] == short for i in range(len(long) - size + 1))
