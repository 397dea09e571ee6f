"""Finding the categories of a taxonomy in a page: all terms in one walk over the text."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.tagging.model import MAX_OFFSETS, Tag, TagType
from app.tagging.taxonomy import Category, Match, Taxonomy, Within
from app.tagging.text import Page, fold

#: Seconds that all patterns of a taxonomy may take on one document, and one pattern alone.
PATTERNS_SECONDS = 1.0
PATTERN_SECONDS = 0.25

#: Hits of one term list that are looked at: beyond, a text is noise, and only the count would grow.
MAX_HITS = 20_000

#: Characters before a hit in which a word that excludes it may stand.
_BEFORE = 40

PATTERN_TIMEOUT = "pattern_timeout"


@dataclass(frozen=True, slots=True, order=True)
class Hit:
    start: int
    end: int
    term: str


class Matcher:
    """The terms of one taxonomy, ready to be looked for. Made once, used for many pages."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        import ahocorasick
        import regex

        self._taxonomy = taxonomy
        by_term: dict[str, list[str]] = defaultdict(list)
        self._patterns: list[tuple[str, Any]] = []
        self._fuzzy: list[tuple[Category, str]] = []
        for category in taxonomy.categories:
            for term in category.terms:
                if category.match in (Match.ANY, Match.ALL):
                    by_term[fold(" ".join(term.split()))].append(category.id)
                elif category.match is Match.REGEX:
                    self._patterns.append(
                        (category.id, regex.compile(term, regex.IGNORECASE | regex.MULTILINE))
                    )
                elif category.match is Match.FUZZY:
                    self._fuzzy.append((category, fold(" ".join(term.split()))))
        self._automaton = ahocorasick.Automaton()
        for term, ids in by_term.items():
            self._automaton.add_word(term, (term, tuple(ids)))
        if by_term:
            self._automaton.make_automaton()
        self._has_terms = bool(by_term)
        self._excluding = {
            category.id: tuple(fold(" ".join(word.split())) for word in category.exclude_before)
            for category in taxonomy.categories
        }

    def find(self, page: Page) -> tuple[dict[str, list[Hit]], list[Mapping[str, str]]]:
        """Return the hits of every category that the page is of, by id, and warnings."""
        hits: dict[str, list[Hit]] = defaultdict(list)
        warnings: list[Mapping[str, str]] = []
        self._find_terms(page, hits)
        self._find_patterns(page, hits, warnings)
        self._find_fuzzy(page, hits)
        terms = {name: {hit.term for hit in each} for name, each in hits.items()}
        found = {name: _longest(each) for name, each in hits.items()}
        for category in self._taxonomy.categories:
            if category.match is Match.CATEGORIES:
                together = (hit for name in category.terms for hit in found.get(name, ()))
                found[category.id] = _longest(together)
        kept = {
            category.id: kept
            for category in self._taxonomy.categories
            if (kept := _counting(category, found, terms, page))
        }
        return kept, warnings

    def _find_terms(self, page: Page, hits: dict[str, list[Hit]]) -> None:
        if not self._has_terms:
            return
        text = page.folded
        for last, (term, ids) in self._automaton.iter(text):
            start, end = last + 1 - len(term), last + 1
            if not _stands_alone(text, start, end):
                continue
            for name in ids:
                if len(hits[name]) < MAX_HITS and not self._is_excluded(name, text, start):
                    hits[name].append(Hit(start, end, term))

    def _find_patterns(
        self, page: Page, hits: dict[str, list[Hit]], warnings: list[Mapping[str, str]]
    ) -> None:
        deadline = time.monotonic() + PATTERNS_SECONDS
        for name, pattern in self._patterns:
            left = min(PATTERN_SECONDS, deadline - time.monotonic())
            # All of a pattern's hits or none: what it found until then would depend on the clock.
            found: list[Hit] = []
            try:
                if left <= 0:
                    raise TimeoutError
                for match in pattern.finditer(page.full, timeout=left):
                    start, end = match.span()
                    if start < end and not self._is_excluded(name, page.folded, start):
                        found.append(Hit(start, end, pattern.pattern))
                    if len(found) == MAX_HITS:
                        break
            except TimeoutError:
                message = "A pattern took too long on this document and was left out."
                warnings.append({"code": PATTERN_TIMEOUT, "category": name, "message": message})
                continue
            hits[name] += found

    def _find_fuzzy(self, page: Page, hits: dict[str, list[Hit]]) -> None:
        if not self._fuzzy:
            return
        from rapidfuzz import fuzz, process

        words = [match.span() for match in page.words]
        for size in sorted({len(term.split()) for _, term in self._fuzzy}):
            windows: dict[str, list[tuple[int, int]]] = defaultdict(list)
            for at in range(len(words) - size + 1):
                start, end = words[at][0], words[at + size - 1][1]
                windows[page.folded[start:end]].append((start, end))
            choices = list(windows)
            for category, term in self._fuzzy:
                if len(term.split()) != size:
                    continue
                for choice, _, _ in process.extract(
                    term,
                    choices,
                    scorer=fuzz.ratio,
                    score_cutoff=category.threshold,
                    limit=None,
                ):
                    hits[category.id] += [
                        Hit(start, end, term)
                        for start, end in windows[choice]
                        if not self._is_excluded(category.id, page.folded, start)
                    ]

    def _is_excluded(self, name: str, text: str, start: int) -> bool:
        words = self._excluding[name]
        if not words:
            return False
        before = text[max(0, start - _BEFORE) : start].rstrip(" -")
        return any(
            before.endswith(word) and not before[: -len(word)][-1:].isalnum() for word in words
        )


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


def _counting(
    category: Category,
    found: Mapping[str, list[Hit]],
    terms: Mapping[str, set[str]],
    page: Page,
) -> list[Hit]:
    """Return the hits that make the page one of the category, or none."""
    hits = found.get(category.id, [])
    if category.match is Match.ALL:
        wanted = {fold(" ".join(term.split())) for term in category.terms}
        if not wanted <= terms.get(category.id, set()):
            return []
    if category.requires:
        required = [hit for name in category.requires for hit in found.get(name, ())]
        if len(required) < category.requires_hits:
            return []
        near = {_region(page, category.within, hit.start) for hit in required}
        hits = [hit for hit in hits if _region(page, category.within, hit.start) in near]
    return hits if len(hits) >= category.min_hits else []


def _region(page: Page, within: Within, position: int) -> int:
    if within is Within.SENTENCE:
        return page.sentence(position)
    return page.paragraph(position) if within is Within.PARAGRAPH else 0
