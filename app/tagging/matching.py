"""Finding the categories of a taxonomy in a page: all terms in one walk over the text."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.tagging.model import MAX_OFFSETS, Tag, TagType
from app.tagging.taxonomy import Category, Match, Taxonomy, Within
from app.tagging.text import Page, spelling

#: Seconds of its own that a taxonomy may take on one document: what else the machine does makes no
#: difference. The engine for patterns knows no such clock; all of them together, and one alone.
FIND_SECONDS = 2.0
PATTERNS_SECONDS = 1.0
PATTERN_SECONDS = 0.25

#: Hits that are looked at, of one category and of all, those that turn out to be excluded among
#: them: beyond, a text is noise, and only the count would grow.
MAX_HITS = 20_000
MAX_HITS_IN_ALL = 200_000

#: So many terms go by between two looks at the clock.
_GLANCE = 64

#: Characters before a hit in which a word that excludes it may stand.
_BEFORE = 40

PATTERN_TIMEOUT = "pattern_timeout"
TAXONOMY_CUT_SHORT = "taxonomy_cut_short"


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    start: int
    end: int
    term: str


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of every category that a page is of, by id, and what there is to say of them."""

    hits: Mapping[str, Sequence[Hit]]
    warnings: Sequence[Mapping[str, str]] = ()
    #: Time or room ran out before everything was looked at.
    truncated: bool = False


class _Budget:
    """What may still be looked at on one page: for how long, and how many hits."""

    def __init__(self) -> None:
        self._ends = time.thread_time() + FIND_SECONDS
        self._taken: Counter[str] = Counter()
        self._left = MAX_HITS_IN_ALL
        self.ran_out = False

    def seconds(self) -> float:
        return self._ends - time.thread_time()

    def is_over(self) -> bool:
        """Nothing more may be looked at, of any category."""
        if self._left and self.seconds() > 0:
            return False
        self.ran_out = True
        return True

    def is_late(self) -> bool:
        """There is no time left to make anything of what was found."""
        if self.seconds() > 0:
            return False
        self.ran_out = True
        return True

    def take(self, name: str) -> bool:
        """Count a hit of the category before it is looked at, or tell that it may not be."""
        if not self._left or self._taken[name] >= MAX_HITS:
            self.ran_out = True
            return False
        self._taken[name] += 1
        self._left -= 1
        return True


class Matcher:
    """The terms of one taxonomy, ready to be looked for. Made once, used for many pages."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        import ahocorasick
        import regex

        self._taxonomy = taxonomy
        by_term: dict[str, list[str]] = defaultdict(list)
        self._patterns: list[tuple[str, Any]] = []
        self._fuzzy: dict[int, list[tuple[Category, str]]] = defaultdict(list)
        self._wanted: dict[str, frozenset[str]] = {}
        for category in taxonomy.categories:
            spelt = dict.fromkeys(map(spelling, category.terms))
            if category.match in (Match.ANY, Match.ALL):
                for term in spelt:
                    by_term[term].append(category.id)
            elif category.match is Match.REGEX:
                self._patterns += [
                    (category.id, regex.compile(term, regex.IGNORECASE | regex.MULTILINE))
                    for term in category.terms
                ]
            elif category.match is Match.FUZZY:
                for term in spelt:
                    self._fuzzy[len(term.split())].append((category, term))
            if category.match is Match.ALL:
                self._wanted[category.id] = frozenset(spelt)
        self._automaton = ahocorasick.Automaton()
        for term, ids in by_term.items():
            self._automaton.add_word(term, (term, tuple(ids)))
        if by_term:
            self._automaton.make_automaton()
        self._has_terms = bool(by_term)
        self._excluding = {
            category.id: _Endings(map(spelling, category.exclude_before))
            for category in taxonomy.categories
            if category.exclude_before
        }

    def find(self, page: Page) -> Found:
        """Return the hits of every category that the page is of, as far as time and room go."""
        hits: dict[str, list[Hit]] = defaultdict(list)
        warnings: list[Mapping[str, str]] = []
        budget = _Budget()
        self._find_terms(page, hits, budget)
        self._find_patterns(page, hits, budget, warnings)
        self._find_fuzzy(page, hits, budget)
        kept = self._counting(page, hits, budget)
        if budget.ran_out:
            message = (
                "The taxonomy has too many hits in this document, or takes too long on it: not all"
                " of them were looked at."
            )
            warnings.append({"code": TAXONOMY_CUT_SHORT, "message": message})
        return Found(kept, warnings, budget.ran_out)

    def _find_terms(self, page: Page, hits: dict[str, list[Hit]], budget: _Budget) -> None:
        if not self._has_terms:
            return
        text = page.folded
        for seen, (last, (term, ids)) in enumerate(self._automaton.iter(text)):
            # Also of those that do not stand alone: terms within terms make many of a short text.
            if seen % _GLANCE == 0 and budget.is_over():
                return
            start, end = last + 1 - len(term), last + 1
            if not _stands_alone(text, start, end):
                continue
            for name in ids:
                if budget.take(name) and not self._is_excluded(name, page, start):
                    hits[name].append(Hit(start, end, term))

    def _find_patterns(
        self,
        page: Page,
        hits: dict[str, list[Hit]],
        budget: _Budget,
        warnings: list[Mapping[str, str]],
    ) -> None:
        deadline = time.monotonic() + PATTERNS_SECONDS
        for name, pattern in self._patterns:
            left = min(PATTERN_SECONDS, deadline - time.monotonic(), budget.seconds())
            # All of a pattern's hits or none: what it found until then would depend on the clock.
            found: list[Hit] = []
            try:
                for start, end in _places(pattern, page, left):
                    if start == end:
                        continue
                    if not budget.take(name):
                        break
                    if not self._is_excluded(name, page, start):
                        found.append(Hit(start, end, pattern.pattern))
            except TimeoutError:
                message = "A pattern took too long on this document and was left out."
                warnings.append({"code": PATTERN_TIMEOUT, "category": name, "message": message})
                continue
            hits[name] += found

    def _find_fuzzy(self, page: Page, hits: dict[str, list[Hit]], budget: _Budget) -> None:
        if not self._fuzzy:
            return
        from rapidfuzz import fuzz, process

        for size, terms in sorted(self._fuzzy.items()):
            if budget.is_over():
                return
            windows = _windows(page, size, max(_longest_alike(*each) for each in terms))
            choices = list(windows)
            for category, term in terms:
                if budget.is_over():
                    return
                alike = process.extract(
                    term, choices, scorer=fuzz.ratio, score_cutoff=category.threshold, limit=None
                )
                for start, end in (place for choice, _, _ in alike for place in windows[choice]):
                    if not budget.take(category.id):
                        break
                    if not self._is_excluded(category.id, page, start):
                        hits[category.id].append(Hit(start, end, term))

    def _counting(
        self, page: Page, hits: Mapping[str, list[Hit]], budget: _Budget
    ) -> dict[str, list[Hit]]:
        """Return the hits that make the page one of a category, of each that it is of."""
        found = {name: _longest(each) for name, each in hits.items()}
        near = _Near(page, found)
        kept = {}
        for category in self._taxonomy.categories:
            is_group = category.match is Match.CATEGORIES
            # Of the others none takes longer than counting.
            if (is_group or category.requires) and budget.is_late():
                continue
            counting = found.get(category.id, [])
            if is_group:
                counting = _longest(hit for name in category.terms for hit in found.get(name, ()))
            elif wanted := self._wanted.get(category.id):
                counting = (
                    counting if wanted <= {hit.term for hit in hits.get(category.id, ())} else []
                )
            if category.requires:
                counting = near.those(counting, category)
            if counting and len(counting) >= category.min_hits:
                kept[category.id] = counting
        return kept

    def _is_excluded(self, name: str, page: Page, start: int) -> bool:
        endings = self._excluding.get(name)
        if endings is None:
            return False
        # What the title ends in is not before what the text begins with.
        first = max(page.begins(start), start - _BEFORE)
        return endings.end(page.folded[first:start].rstrip(" -"))


class _Endings:
    """Words, asked whether a text ends in one: by their lengths, however many they are."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(word for word in words if len(word) <= _BEFORE)
        self._lengths = sorted({len(word) for word in self._words})

    def end(self, text: str) -> bool:
        return any(
            text[-length:] in self._words and not text[:-length][-1:].isalnum()
            for length in self._lengths
        )


class _Near:
    """Where on the page categories were found, by sentence or paragraph: counted out once."""

    def __init__(self, page: Page, found: Mapping[str, Sequence[Hit]]) -> None:
        self._page = page
        self._found = found
        self._regions: dict[tuple[str, Within], set[int]] = {}

    def those(self, hits: Sequence[Hit], category: Category) -> list[Hit]:
        """Return the hits near those that the category requires, or none if these are too few."""
        count = sum(len(self._found.get(name, ())) for name in category.requires)
        if count < category.requires_hits:
            return []
        within = category.within
        near = set().union(*(self._of(name, within) for name in category.requires))
        return [hit for hit in hits if _region(self._page, within, hit.start) in near]

    def _of(self, name: str, within: Within) -> set[int]:
        if (name, within) not in self._regions:
            self._regions[name, within] = {
                _region(self._page, within, hit.start) for hit in self._found.get(name, ())
            }
        return self._regions[name, within]


def tags(page: Page, taxonomy: Taxonomy, found: Mapping[str, Sequence[Hit]]) -> list[Tag]:
    """Return a tag for each category found, best first."""
    made = []
    for category in taxonomy.categories:
        hits = found.get(category.id)
        if not hits:
            continue
        # Often, and early: a headline and its first lines say what an article is about.
        score = 1 - math.exp(-0.5 * len(hits))
        early = page.share(hits[0].start) < 0.2 or hits[0].start < 400
        made.append(
            Tag(
                tag=category.label,
                type=TagType.CATEGORY,
                label=category.id,
                score=min(0.99, score * (1.2 if early else 0.9)),
                source=f"taxonomy:{taxonomy.name}",
                count=len(hits),
                offsets=[page.locate(hit.start, hit.end) for hit in hits[:MAX_OFFSETS]],
            )
        )
    made.sort(key=lambda tag: (-tag.score, tag.tag))
    return made


def _stands_alone(text: str, start: int, end: int) -> bool:
    """No word goes on at either end, where words are written apart."""
    before = start > 0 and text[start - 1].isalnum() and _is_spaced(text[start])
    after = end < len(text) and text[end].isalnum() and _is_spaced(text[end - 1])
    return not before and not after


def _is_spaced(letter: str) -> bool:
    """The script sets spaces between words: not Thai, Lao, Burmese, Khmer, Chinese, Japanese.

    Nor Korean, for our purpose: its particles are written onto the word.
    """
    code = ord(letter)
    return not (
        0x0E00 <= code <= 0x0EFF
        or 0x1000 <= code <= 0x109F
        or 0x1780 <= code <= 0x17FF
        or 0x2E80 <= code <= 0x9FFF
        or 0xAC00 <= code <= 0xD7AF
        or 0xF900 <= code <= 0xFAFF
        or code >= 0x20000
    )


def _longest(hits: Iterable[Hit]) -> list[Hit]:
    """Return the hits in order, without those that overlap a longer one before them."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end, hit.term)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept


def _places(pattern: Any, page: Page, seconds: float) -> Iterator[tuple[int, int]]:
    """Yield where the pattern stands in the title and in the text, or raise TimeoutError.

    Each is looked through by itself: a pattern may be of anything, the end of the title too.
    """
    ends = time.monotonic() + seconds
    for begins, field in page.fields:
        left = ends - time.monotonic()
        if left <= 0:
            raise TimeoutError
        for match in pattern.finditer(field, timeout=left):
            yield begins + match.start(), begins + match.end()


def _windows(page: Page, size: int, longest: int) -> dict[str, list[tuple[int, int]]]:
    """Return where each run of so many words stands, in one field and of so many characters."""
    spans = [match.span() for match in page.words]
    windows: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for (start, _), (_, end) in zip(spans, spans[size - 1 :], strict=False):
        if end - start <= longest and not page.crosses(start, end):
            windows[page.folded[start:end]].append((start, end))
    return windows


def _longest_alike(category: Category, term: str) -> int:
    """Return the characters of the longest text that can be so like the term.

    The ratio is of twice the letters in common to the letters of both.
    """
    return int(len(term) * (200 / category.threshold - 1)) + 1


def _region(page: Page, within: Within, position: int) -> int:
    if within is Within.SENTENCE:
        return page.sentence(position)
    return page.paragraph(position) if within is Within.PARAGRAPH else 0
