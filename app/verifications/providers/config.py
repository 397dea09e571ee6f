"""MUSTER_SCREENING_PROVIDERS: who is asked beside the built-in engine.

    {"opensanctions": {"kind": "yente", "base_url": "https://api.opensanctions.org",
                       "dataset": "sanctions", "key_env": "OPENSANCTIONS_KEY"},
     "register":      {"kind": "http", "url": "https://screening.intern/check",
                       "category": "criminal", "hits": "data.found", "score_scale": 100}}

The addresses are the operator's: no request can add one, and no answer leads to another.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from app.errors import Misconfigured
from app.providers.settings import NAME, check_keys, read_key, read_object, split_url
from app.verifications.providers import words

_VARIABLE = "MUSTER_SCREENING_PROVIDERS"

#: The engine of this server; its sources are the lists that are loaded.
BUILT_IN = "muster"

_WORD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
_PATH = re.compile(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{1,60}){0,9}")
_COMMON = frozenset(
    {
        *("kind", "title", "category", "key_env", "key_file", "key_header", "key_scheme"),
        *("seconds", "tries", "threshold"),
    }
)
_KEYS: Mapping[str, frozenset[str]] = {
    "yente": _COMMON | {"base_url", "dataset", "algorithm", "limit"},
    "http": _COMMON | {"url", "hits", "version", "fields", "score_scale"},
}

#: What may be taken from a hit of a generic endpoint, and where it stands unless said otherwise.
FIELDS: Mapping[str, str] = {
    "id": "id",
    "name": "name",
    "score": "score",
    "aliases": "aliases",
    "dateOfBirth": "dateOfBirth",
    "category": "category",
    "url": "url",
}


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One provider as configured. Its key is shown nowhere, not even in tracebacks."""

    name: str
    kind: str
    url: str
    title: str
    category: str
    key: str = field(default="", repr=False)
    key_header: str = "authorization"
    key_scheme: str = ""
    #: For one try, and how many there are at the most.
    seconds: float = 5.0
    tries: int = 3
    #: The score from which a hit counts, in [0, 1].
    threshold: float = 0.7
    dataset: str = "default"
    algorithm: str = ""
    #: Hits of one subject at the most.
    limit: int = 50
    #: Where in the answer of a generic endpoint the hits and the version of its data stand.
    hits: str = "hits"
    version: str = "version"
    fields: tuple[tuple[str, str], ...] = tuple(FIELDS.items())
    score_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Named:
    """A provider as its results name it."""

    name: str
    title: str
    category: str
    kind: str


@dataclass(frozen=True, slots=True)
class Broken:
    """One that cannot be asked, and why: for the operator, and for nobody who looks at results."""

    named: Named
    problem: str


#: In the place of those that the setting does not even name.
_UNREADABLE = Named("providers", "The configured providers", "other", "unknown")


@lru_cache(maxsize=8)
def read(text: str) -> tuple[ProviderConfig, ...]:
    """Return the providers in their order, or raise Misconfigured with what is wrong and where.

    `text` is the JSON, or the path of a file that holds it.
    """
    given = _object(text.strip())
    return tuple(_provider(name, each) for name, each in given.items() if name != BUILT_IN)


def read_each(text: str) -> tuple[list[ProviderConfig], list[Broken]]:
    """Return the providers that can be asked, and what is wrong with those that cannot.

    One that is set up wrongly must not keep the others from being asked.
    """
    with suppress(Misconfigured):
        return list(read(text)), []
    good: list[ProviderConfig] = []
    broken: list[Broken] = []
    try:
        given = _object(text.strip())
    except Misconfigured as error:
        return good, [Broken(_UNREADABLE, str(error))]
    for name, each in given.items():
        if name == BUILT_IN:
            continue
        try:
            good.append(_provider(name, each))
        except Misconfigured as error:
            broken.append(Broken(_named(name, each), str(error)))
    return good, broken


def named(text: str) -> list[Named]:
    """Return who is configured, without reading keys, which only workers need have."""
    try:
        given = _object(text.strip())
    except Misconfigured:
        # The worker says what is wrong.
        return [_UNREADABLE]
    return [_named(name, each) for name, each in given.items() if name != BUILT_IN]


def uses_built_in(text: str) -> bool:
    """Say whether the built-in engine is asked: unless `"muster": false` stands there."""
    try:
        return _object(text.strip()).get(BUILT_IN, True) is not False
    except Misconfigured:
        return True


def apart(name: str, lists: Container[str]) -> str:
    """Return what the source of a provider is called beside lists: not what a list is called."""
    return f"provider:{name}" if name in lists else name


@lru_cache(maxsize=8)
def _object(text: str) -> Mapping[str, Any]:
    given = read_object(_VARIABLE, text)
    if not isinstance(given.get(BUILT_IN, True), bool):
        raise Misconfigured(f"{_VARIABLE}: {BUILT_IN} is the built-in engine: true or false.")
    return given


def _named(name: str, given: Any) -> Named:
    """Return what can be told of a provider, whatever is wrong with it."""
    said = given if isinstance(given, dict) else {}
    known = name if NAME.fullmatch(name) else _UNREADABLE.name
    title, category = said.get("title"), said.get("category", "sanctions")
    return Named(
        known,
        title if isinstance(title, str) and title.isprintable() and len(title) <= 100 else known,
        words.category(category, "")
        if isinstance(category, str) and _WORD.fullmatch(category)
        else _UNREADABLE.category,
        said["kind"] if said.get("kind") in [*_KEYS] else _UNREADABLE.kind,
    )


def _provider(name: str, given: Any) -> ProviderConfig:
    where = f"{_VARIABLE}, {name[:40]!r}"
    if not NAME.fullmatch(name):
        raise Misconfigured(f"{where}: a name has small letters, digits, _ and -.")
    if not isinstance(given, dict):
        raise Misconfigured(f"{where} must be an object with kind and address.")
    kind = given.get("kind")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise Misconfigured(f"{where}: kind must be one of {', '.join(_KEYS)}.")
    check_keys(given, _KEYS[kind], where)
    address = "base_url" if kind == "yente" else "url"
    return ProviderConfig(
        name=name,
        kind=kind,
        url=_url(given.get(address), where, address),
        title=_text(given, "title", name, where),
        category=words.category(_matching(given, "category", "sanctions", _WORD, where), ""),
        key=read_key(given, where),
        key_header=_matching(given, "key_header", "authorization", _HEADER, where),
        # As OpenSanctions wants it.
        key_scheme=_text(given, "key_scheme", "ApiKey" if kind == "yente" else "Bearer", where)
        if "key_header" not in given or "key_scheme" in given
        else "",
        seconds=_number(given, "seconds", 5.0, 0.05, 60.0, where),
        tries=int(_number(given, "tries", 3, 1, 5, where)),
        threshold=_number(given, "threshold", 0.7, 0.0, 1.0, where),
        dataset=_matching(given, "dataset", "default", NAME, where),
        algorithm=_text(given, "algorithm", "", where),
        # More than that no yente gives, unless it is set up so.
        limit=int(_number(given, "limit", 50, 1, 500, where)),
        hits=_matching(given, "hits", "hits", _PATH, where),
        version=_matching(given, "version", "version", _PATH, where),
        fields=_fields(given.get("fields", {}), where),
        score_scale=_number(given, "score_scale", 1.0, 0.001, 1_000_000, where),
    )


def _url(given: Any, where: str, name: str) -> str:
    url = split_url(given)
    if url is None or url.fragment:
        raise Misconfigured(
            f"{where}: {name} must be an address such as https://screening.example.com, without"
            " user, password or fragment."
        )
    if url.query and name == "base_url":
        raise Misconfigured(f"{where}: base_url takes no query.")
    return str(given).rstrip("/")


def _text(given: Mapping[str, Any], name: str, default: str, where: str) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or len(value) > 100 or not value.isprintable():
        raise Misconfigured(f"{where}: {name} must be a text of at most 100 characters.")
    return value


def _matching(
    given: Mapping[str, Any], name: str, default: str, pattern: re.Pattern[str], where: str
) -> str:
    value = given.get(name, default)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Misconfigured(f"{where}: {name} is not written as it should be.")
    return value


def _number(
    given: Mapping[str, Any], name: str, default: float, low: float, high: float, where: str
) -> float:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Misconfigured(f"{where}: {name} must be a number from {low:g} to {high:g}.")
    return float(value)


def _fields(given: Any, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, dict):
        raise Misconfigured(f"{where}: fields must be an object of names and places.")
    for name, place in given.items():
        if name not in FIELDS or not isinstance(place, str) or not _PATH.fullmatch(place):
            raise Misconfigured(
                f"{where}: fields holds names of {', '.join(FIELDS)}, each with its place."
            )
    return tuple({**FIELDS, **given}.items())
