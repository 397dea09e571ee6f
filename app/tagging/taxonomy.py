"""What a taxonomy is, and the reading of one: categories with the terms that show them.

Ours are JSON files in taxonomies/, in the same form in which a caller sends one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, TypeVar

from app.tagging.text import spelling

DEFAULT = "fincrime-en"
#: Has no categories: for callers who want none.
NONE = "none"

MAX_CATEGORIES = 200
#: Of all categories, with `exclude_before` and `requires`.
MAX_TERMS = 5_000
#: Of one category.
MAX_EXCLUDING = 100
MAX_TERM_LETTERS = 200
#: Terms that have to be tried one by one.
MAX_FUZZY_TERMS = 200
MAX_PATTERNS = 50

#: Below, nearly every word is like every other.
_LOWEST_THRESHOLD = 70.0


class Match(StrEnum):
    """How the terms of a category show it."""

    ANY = "any"
    ALL = "all"
    FUZZY = "fuzzy"
    REGEX = "regex"
    #: The terms are ids of other categories.
    CATEGORIES = "categories"


class Within(StrEnum):
    """How near another category has to be that is required."""

    SENTENCE = "sentence"
    PARAGRAPH = "paragraph"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    id: str
    label: str
    terms: tuple[str, ...]
    match: Match = Match.ANY
    #: A hit right behind one of these is none: `anti` before `fraud`.
    exclude_before: tuple[str, ...] = ()
    #: A hit counts only near a hit of one of these categories.
    requires: tuple[str, ...] = ()
    within: Within = Within.SENTENCE
    #: Hits of those categories that the document needs, wherever they stand.
    requires_hits: int = 1
    #: Hits that a document needs to be of the category.
    min_hits: int = 1
    #: How alike a fuzzy term must be, in percent.
    threshold: float = 90.0


@dataclass(frozen=True, slots=True)
class Taxonomy:
    id: str
    version: int
    categories: tuple[Category, ...]

    @property
    def name(self) -> str:
        """How results cite it."""
        return f"{self.id}@{self.version}"


_Word = TypeVar("_Word", bound=StrEnum)


class WrongTaxonomy(ValueError):
    """`path` says where, the message what is wrong and what to do."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


def names() -> list[str]:
    """Return the names of our own taxonomies, as results cite them."""
    files = resources.files("app.tagging").joinpath("taxonomies").iterdir()
    return sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json"))


@cache
def ours(name: str) -> Taxonomy:
    """Return a taxonomy of our own by `id@version`, or raise KeyError."""
    if name not in names():
        raise KeyError(name)
    file = resources.files("app.tagging").joinpath("taxonomies", f"{name}.json")
    return read(json.loads(file.read_text(encoding="utf-8")), "taxonomy")


def read(given: Any, path: str) -> Taxonomy:
    """Return the taxonomy that a caller wrote or named, or raise WrongTaxonomy."""
    if isinstance(given, str):
        given = {"id": given}
    if not isinstance(given, Mapping):
        raise WrongTaxonomy(path, "must be an object with `id`, `version` and `categories`")
    _only(given, {"id", "version", "categories", "description", "language"}, path)
    name = _text(given.get("id", "custom"), f"{path}.id")
    version = given.get("version", 1)
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 10**9:
        raise WrongTaxonomy(f"{path}.version", "must be a whole number")
    if "categories" not in given:
        return _named(name, version, path)
    listed = given["categories"]
    if not isinstance(listed, Sequence) or isinstance(listed, str) or len(listed) > MAX_CATEGORIES:
        raise WrongTaxonomy(
            f"{path}.categories", f"must be a list of at most {MAX_CATEGORIES} categories"
        )
    categories = tuple(_category(each, f"{path}.categories[{n}]") for n, each in enumerate(listed))
    _check(categories, path)
    return Taxonomy(name, version, categories)


def _named(name: str, version: int, path: str) -> Taxonomy:
    if name == NONE:
        return Taxonomy(NONE, version, ())
    try:
        return ours(f"{name}@{version}")
    except KeyError:
        known = ", ".join([*names(), NONE])
        raise WrongTaxonomy(
            path, f"{name}@{version} is not known here: name one of {known}, or send `categories`"
        ) from None


_CATEGORY_KEYS = frozenset(Category.__dataclass_fields__)


def _category(given: Any, path: str) -> Category:
    if not isinstance(given, Mapping):
        raise WrongTaxonomy(path, "must be an object with `id` and `terms`")
    _only(given, _CATEGORY_KEYS, path)
    name = _text(given.get("id"), f"{path}.id")
    match = _word(Match, given.get("match", Match.ANY), f"{path}.match")
    spelt = spelling if match in (Match.ANY, Match.ALL, Match.FUZZY) else str
    excluding = _distinct(
        _texts(given.get("exclude_before", ()), f"{path}.exclude_before"), spelling
    )
    if len(excluding) > MAX_EXCLUDING:
        raise WrongTaxonomy(
            f"{path}.exclude_before", f"must be a list of at most {MAX_EXCLUDING} texts"
        )
    return Category(
        id=name,
        label=_text(given.get("label", name), f"{path}.label"),
        terms=_distinct(_texts(given.get("terms"), f"{path}.terms", at_least=1), spelt),
        match=match,
        exclude_before=excluding,
        requires=_distinct(_texts(given.get("requires", ()), f"{path}.requires"), str),
        within=_word(Within, given.get("within", Within.SENTENCE), f"{path}.within"),
        requires_hits=int(
            _number(given.get("requires_hits", 1), 1, 1_000, f"{path}.requires_hits")
        ),
        min_hits=int(_number(given.get("min_hits", 1), 1, 1_000, f"{path}.min_hits")),
        threshold=_number(given.get("threshold", 90), _LOWEST_THRESHOLD, 100, f"{path}.threshold"),
    )


def _check(categories: Sequence[Category], path: str) -> None:
    """Raise WrongTaxonomy for what no single category shows."""
    known: dict[str, Category] = {}
    for category in categories:
        known.setdefault(category.id, category)
    counts, others = dict.fromkeys(Match, 0), 0
    for n, category in enumerate(categories):
        here = f"{path}.categories[{n}]"
        if known[category.id] is not category:
            raise WrongTaxonomy(f"{here}.id", f"{category.id!r} stands twice")
        counts[category.match] += len(category.terms)
        others += len(category.exclude_before) + len(category.requires)
        references = {"requires": category.requires}
        if category.match is Match.CATEGORIES:
            references["terms"] = category.terms
        for key, ids in references.items():
            for other in ids:
                if other not in known or known[other].match is Match.CATEGORIES:
                    raise WrongTaxonomy(
                        f"{here}.{key}",
                        f"{other!r} is not the id of a category that has terms of its own",
                    )
        if category.match is Match.REGEX:
            _check_patterns(category, here)
    for match, limit in (
        (None, MAX_TERMS),
        (Match.FUZZY, MAX_FUZZY_TERMS),
        (Match.REGEX, MAX_PATTERNS),
    ):
        count = sum(counts.values()) + others if match is None else counts[match]
        if count > limit:
            kind = f"{match} terms" if match else "terms, exclude_before and requires among them"
            raise WrongTaxonomy(f"{path}.categories", f"has {count:,} {kind}, of {limit:,} allowed")


def _check_patterns(category: Category, path: str) -> None:
    try:
        import regex
    except ImportError:
        # The web may run without the engine; the worker then refuses the pattern.
        return
    for n, pattern in enumerate(category.terms):
        try:
            regex.compile(pattern)
        except regex.error as error:
            raise WrongTaxonomy(f"{path}.terms[{n}]", f"is no pattern: {error}") from None


def _only(given: Mapping[str, Any], allowed: frozenset[str] | set[str], path: str) -> None:
    if unknown := sorted(map(str, set(given) - allowed)):
        raise WrongTaxonomy(
            f"{path}.{unknown[0][:40]}", f"is not known; there are {', '.join(sorted(allowed))}"
        )


def _text(given: Any, path: str) -> str:
    if not isinstance(given, str) or not given.strip() or len(given) > MAX_TERM_LETTERS:
        raise WrongTaxonomy(path, f"must be a text of 1 to {MAX_TERM_LETTERS} characters")
    return given.strip()


def _texts(given: Any, path: str, at_least: int = 0) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) < at_least:
        raise WrongTaxonomy(path, "must be a list of texts")
    return tuple(_text(each, f"{path}[{n}]") for n, each in enumerate(given))


def _distinct(texts: Sequence[str], spelt: Callable[[str], str]) -> tuple[str, ...]:
    """Return the texts without those that are spelt like one before them."""
    first: dict[str, str] = {}
    for text in texts:
        first.setdefault(spelt(text), text)
    return tuple(first.values())


def _number(given: Any, low: float, high: float, path: str) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float) or not low <= given <= high:
        raise WrongTaxonomy(path, f"must be a number from {low:g} to {high:g}")
    return given


def _word(words: type[_Word], given: Any, path: str) -> _Word:
    try:
        return words(given)
    except ValueError:
        raise WrongTaxonomy(path, f"must be one of {', '.join(words)}") from None
