"""The UN Security Council's consolidated list, as the XML it publishes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from app.screening.countries import country_codes
from app.screening.dates import parse_dates, parse_moment
from app.screening.lists import xml
from app.screening.lists.reading import clean, distinct, rejected
from app.screening.lists.xml import text as _text
from app.screening.model import EntityType, Entry, Identifier

_ROOT = "CONSOLIDATED_LIST"
_TYPES = {"INDIVIDUAL": EntityType.PERSON, "ENTITY": EntityType.ORGANISATION}
_NAMES = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")
_WEAK = "low"
_GENERATED = re.compile(rb'dateGenerated="([^"]+)"')


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    for path in paths:
        for element in xml.records(path, root=_ROOT, tags=_TYPES, of="a UN list"):
            yield _entry(path, element, _TYPES[element.tag])


def published(paths: Sequence[Path]) -> datetime | None:
    """Return when the list was generated, which its first element says."""
    found = xml.in_head(paths[0], _GENERATED)
    return parse_moment(found[1].decode("ascii", "replace")) if found else None


def _entry(path: Path, element: Element, entity_type: EntityType) -> Entry:
    kind = element.tag
    reference = _text(element, "REFERENCE_NUMBER")
    name = clean(" ".join(_text(element, part) for part in _NAMES))
    if not reference or not name:
        raise rejected(path, None, f"an {kind} has no REFERENCE_NUMBER or no name.")
    aliases = [_text(element, "NAME_ORIGINAL_SCRIPT")]
    weak: list[str] = []
    for alias in element.iterfind(f"{kind}_ALIAS"):
        low = _text(alias, "QUALITY").lower() == _WEAK
        (weak if low else aliases).append(_text(alias, "ALIAS_NAME"))
    strong = distinct(aliases, name)
    return Entry(
        id=f"un-{reference}",
        entity_type=entity_type,
        name=name,
        aliases=strong,
        weak_aliases=distinct(weak, name, *strong),
        birth_dates=_birth_dates(element),
        countries=_countries(element, entity_type),
        identifiers=_identifiers(element),
        programs=distinct([_text(element, "UN_LIST_TYPE")]),
    )


def _birth_dates(element: Element) -> tuple[str, ...]:
    found: list[str] = []
    for birth in element.iterfind("INDIVIDUAL_DATE_OF_BIRTH"):
        span = f"{_text(birth, 'FROM_YEAR')} to {_text(birth, 'TO_YEAR')}"
        for text in (_text(birth, "DATE"), _text(birth, "YEAR"), span):
            found += parse_dates(text)
    return tuple(dict.fromkeys(found))


def _countries(element: Element, entity_type: EntityType) -> tuple[str, ...]:
    """People have nationalities; for organisations the list gives only where they sit."""
    if entity_type is EntityType.PERSON:
        return country_codes(xml.texts(element, "NATIONALITY/VALUE"))
    return country_codes(xml.texts(element, "ENTITY_ADDRESS/COUNTRY"))


def _identifiers(element: Element) -> tuple[Identifier, ...]:
    found = (
        Identifier(
            _text(document, "TYPE_OF_DOCUMENT")
            or _text(document, "TYPE_OF_DOCUMENT2")
            or "unknown",
            _text(document, "NUMBER"),
        )
        for document in element.iterfind("INDIVIDUAL_DOCUMENT")
    )
    return tuple(dict.fromkeys(each for each in found if each.value))
