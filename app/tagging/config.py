"""What a caller may ask of the tagger, read from JSON. Loads no engine: the web checks with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.errors import InvalidConfig
from app.tagging import taxonomy
from app.tagging.taxonomy import Taxonomy, WrongTaxonomy

#: The built-in tagger.
LOCAL = "local/keyphrase"

MIN_TAGS, MAX_TAGS, DEFAULT_TAGS = 3, 15, 8
MAX_PAGES, DEFAULT_PAGES = 10, 3
MAX_EXCLUSIONS = 1_000
MAX_WORDS, DEFAULT_WORDS = 5, 3

ENTITY_TYPES = ("PER", "ORG", "LOC")
RULES, SPACY = "rules", "spacy"
ENGINES = (RULES, SPACY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration that has been checked, with the defaults for all that was not said."""

    num_tags: int = DEFAULT_TAGS
    exclusion_words: tuple[str, ...] = ()
    num_pages: int = DEFAULT_PAGES
    #: An ISO 639 code, or `auto`.
    language: str = "auto"
    keyphrases: bool = True
    max_words: int = DEFAULT_WORDS
    entities: bool = True
    entity_engine: str = RULES
    entity_types: tuple[str, ...] = ENTITY_TYPES
    taxonomy: Taxonomy = field(default_factory=lambda: taxonomy.ours(f"{taxonomy.DEFAULT}@1"))
    #: Nothing but the categories of the taxonomy.
    vocabulary_only: bool = False
    model_name: str = LOCAL

    @property
    def is_local(self) -> bool:
        return self.model_name == LOCAL


#: What we know, and of objects what we know in them. A taxonomy sees to its own keys.
_KEYS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(("num_tags", "exclusion_words", "num_pages", "language"), frozenset()),
    "keyphrases": frozenset({"enabled", "max_words"}),
    "entities": frozenset({"enabled", "engine", "types"}),
    **dict.fromkeys(("taxonomy", "vocabulary_only", "model_name"), frozenset()),
}
#: Belongs to the request, and is never part of what is kept.
_IGNORED = frozenset({"api_key"})


def known(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what of a configuration has a meaning here, and the places of what has none.

    Clients send what other servers know. It is ignored, and not kept, for it may be a secret.
    """
    kept: dict[str, Any] = {}
    unknown: list[str] = []
    for key, value in given.items():
        if key in _KEYS:
            kept[key] = value
            if _KEYS[key] and isinstance(value, Mapping):
                kept[key] = {name: each for name, each in value.items() if name in _KEYS[key]}
                unknown += [f"{key}.{name}" for name in value if name not in _KEYS[key]]
        elif key not in _IGNORED:
            unknown.append(key)
    return kept, unknown


def read(given: Any, path: str = "config") -> Config:
    """Return the configuration, or raise InvalidConfig naming everything that is wrong with it.

    What is not known is ignored: `known` tells what that is.
    """
    if not isinstance(given, Mapping):
        raise InvalidConfig("config must be an object.", problems=[_problem(path, "not an object")])
    reader = _Reader(given, path)
    keyphrases = reader.part("keyphrases")
    entities = reader.part("entities")
    values: dict[str, Any] = {
        "num_tags": reader.whole("num_tags", MIN_TAGS, MAX_TAGS, DEFAULT_TAGS),
        "exclusion_words": reader.texts("exclusion_words", MAX_EXCLUSIONS),
        "num_pages": reader.whole("num_pages", 1, MAX_PAGES, DEFAULT_PAGES),
        "language": reader.language(),
        "keyphrases": keyphrases.flag("enabled", True),
        "max_words": keyphrases.whole("max_words", 1, MAX_WORDS, DEFAULT_WORDS),
        "entities": entities.flag("enabled", True),
        "entity_engine": entities.one_of("engine", ENGINES, RULES),
        "entity_types": entities.some_of("types", ENTITY_TYPES),
        "vocabulary_only": reader.flag("vocabulary_only", False),
        "model_name": reader.text("model_name", LOCAL),
    }
    if given.get("taxonomy") is not None:
        try:
            values["taxonomy"] = taxonomy.read(given["taxonomy"], f"{path}.taxonomy")
        except WrongTaxonomy as wrong:
            reader.problems.append(_problem(wrong.path, str(wrong)))
    if reader.problems:
        first = reader.problems[0]
        more = len(reader.problems) - 1
        raise InvalidConfig(
            f"{first['path']} {first['message']}" + (f" (and {more} more)" if more else "") + ".",
            problems=reader.problems,
        )
    return Config(**values)


def _problem(path: str, message: str) -> dict[str, str]:
    return {"path": path, "message": message}


class _Reader:
    """Reads one object, and notes what is wrong instead of stopping at the first."""

    def __init__(
        self, given: Mapping[str, Any], path: str, problems: list[dict[str, str]] | None = None
    ) -> None:
        self._given = given
        self._path = path
        self.problems: list[dict[str, str]] = [] if problems is None else problems

    def _wrong(self, key: str, message: str) -> None:
        self.problems.append(_problem(f"{self._path}.{key}", message))

    def part(self, key: str) -> _Reader:
        given = self._given.get(key)
        if given is None:
            given = {}
        if not isinstance(given, Mapping):
            self._wrong(key, "must be an object")
            given = {}
        return _Reader(given, f"{self._path}.{key}", self.problems)

    def whole(self, key: str, low: int, high: int, default: int) -> int:
        given = self._given.get(key)
        if given is None:
            return default
        if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
            self._wrong(key, f"must be a whole number from {low} to {high}")
            return default
        return given

    def flag(self, key: str, default: bool) -> bool:
        given = self._given.get(key)
        if given is None:
            return default
        if not isinstance(given, bool):
            self._wrong(key, "must be true or false")
            return default
        return given

    def text(self, key: str, default: str) -> str:
        given = self._given.get(key)
        if given is None:
            return default
        if not isinstance(given, str) or not 1 <= len(given) <= 200:
            self._wrong(key, "must be a text of 1 to 200 characters")
            return default
        return given

    def texts(self, key: str, limit: int) -> tuple[str, ...]:
        given = self._given.get(key)
        if given is None:
            return ()
        if (
            isinstance(given, str)
            or not isinstance(given, Sequence)
            or len(given) > limit
            or not all(isinstance(each, str) and len(each) <= 200 for each in given)
        ):
            self._wrong(key, f"must be a list of at most {limit:,} texts of up to 200 characters")
            return ()
        return tuple(each.strip() for each in given if each.strip())

    def one_of(self, key: str, words: Sequence[str], default: str) -> str:
        given = self._given.get(key)
        if given is None:
            return default
        if given not in words:
            self._wrong(key, f"must be one of {', '.join(words)}")
            return default
        return str(given)

    def some_of(self, key: str, words: Sequence[str]) -> tuple[str, ...]:
        given = self._given.get(key)
        if given is None:
            return tuple(words)
        if not isinstance(given, list | tuple) or not all(each in words for each in given):
            self._wrong(key, f"must be a list of {', '.join(words)}")
            return tuple(words)
        return tuple(word for word in words if word in given)

    def language(self) -> str:
        given = self.text("language", "auto").lower()
        if given != "auto" and not (given.isascii() and given.isalpha() and len(given) in (2, 3)):
            self._wrong("language", "must be auto or an ISO 639 code such as en")
            return "auto"
        return given
