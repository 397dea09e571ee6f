"""The words that lists have for a country -> its ISO 3166 alpha-2 code."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources

from app.screening.names import fold

_DATA: dict[str, list[str]] = json.loads(
    resources.files("app.screening").joinpath("countries.json").read_text("utf-8")
)


def _key(words: str) -> str:
    return fold(words).removeprefix("the ")


_CODES = {_key(name): code for code, names in _DATA.items() for name in names}


@lru_cache(maxsize=4096)
def country_code(words: str) -> str:
    """Return the code, or the words themselves where they name no country we know.

    >>> country_code("Syrian Arab Republic"), country_code("sy"), country_code("Atlantis")
    ('SY', 'SY', 'Atlantis')
    """
    if len(words) == 2 and words.upper() in _DATA:
        return words.upper()
    return _CODES.get(_key(words), words)


def country_codes(many: list[str]) -> tuple[str, ...]:
    """Return each country once, in the order given."""
    return tuple(dict.fromkeys(country_code(words.strip()) for words in many if words.strip()))
