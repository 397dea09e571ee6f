"""The EU's consolidated financial sanctions list, as the XML (FSF, version 1.1) it publishes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from app.screening.countries import country_codes
from app.screening.dates import parse_dates, parse_moment
from app.screening.lists import xml
from app.screening.lists.reading import clean, distinct, numbered, rejected
from app.screening.lists.xml import text
from app.screening.model import EntityType, Entry, Identifier

_ENTRY = "sanctionEntity"
_TYPES = {"P": EntityType.PERSON, "E": EntityType.ORGANISATION}
_WEAK = re.compile(r"low quality", re.IGNORECASE)
_UNKNOWN_COUNTRY = "00"
_GENERATED = re.compile(rb'generationDate="([^"]+)"')


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    yield from numbered(entry for path in paths for entry in _read(path))


def published(paths: Sequence[Path]) -> datetime | None:
    found = xml.in_head(paths[0], _GENERATED)
    return parse_moment(found[1].decode("ascii", "replace")) if found else None


def _read(path: Path) -> Iterator[Entry]:
    found = xml.records(path, root="export", tags={_ENTRY}, of="the EU's list")
    for number, element in enumerate(found, 1):
        reference = _attribute(element, "euReferenceNumber") or _attribute(element, "logicalId")
        strong, weak = _names(element)
        if not reference or not (strong or weak):
            raise rejected(path, None, f"{_ENTRY} number {number} has no reference or no name.")
        yield _entry(element, reference, strong, weak)


def _entry(element: Element, reference: str, strong: list[str], weak: list[str]) -> Entry:
    name, *aliases = strong or weak
    aliases = list(distinct(aliases, name))
    entity_type = _entity_type(element)
    programs = [_attribute(each, "programme") for each in element.iterfind("regulation")]
    return Entry(
        id=f"eu-{reference}",
        entity_type=entity_type,
        name=name,
        aliases=tuple(aliases),
        weak_aliases=distinct(weak, name, *aliases),
        birth_dates=_birth_dates(element),
        countries=_countries(element, entity_type),
        identifiers=_identifiers(element),
        programs=distinct(programs),
        source_url=text(element, "regulation/publicationUrl") or None,
    )


def _entity_type(element: Element) -> EntityType:
    subject = element.find("subjectType")
    code = "" if subject is None else _attribute(subject, "classificationCode").upper()
    if not code and subject is not None:
        code = "P" if _attribute(subject, "code") == "person" else "E"
    return _TYPES.get(code, EntityType.ORGANISATION)


def _names(element: Element) -> tuple[list[str], list[str]]:
    """Return the names that count and those that the EU calls weak, the main one first."""
    strong: list[str] = []
    weak: list[str] = []
    for alias in element.iterfind("nameAlias"):
        parts = (_attribute(alias, part) for part in ("firstName", "middleName", "lastName"))
        name = _attribute(alias, "wholeName") or clean(" ".join(parts))
        said_weak = _attribute(alias, "strong") == "false" or _WEAK.search(text(alias, "remark"))
        (weak if said_weak else strong).append(name)
    return list(distinct(strong)), list(distinct(weak))


def _birth_dates(element: Element) -> tuple[str, ...]:
    found: list[str] = []
    for birth in element.iterfind("birthdate"):
        if _attribute(birth, "calendarType") not in {"", "GREGORIAN"}:
            continue
        span = f"{_attribute(birth, 'yearRangeFrom')} to {_attribute(birth, 'yearRangeTo')}"
        year, month = _attribute(birth, "year"), _attribute(birth, "monthOfYear")
        partial = f"{year}-{month}" if month.strip("0") else year
        # A day with "circa" is a guess of the year.
        whole = "" if _attribute(birth, "circa") == "true" else _attribute(birth, "birthdate")
        dates = next((d for d in map(parse_dates, (whole, partial, span)) if d), ())
        if _attribute(birth, "circa") == "true":
            dates = tuple(date[:4] for date in dates)
        found += dates
    return tuple(dict.fromkeys(found))


def _countries(element: Element, entity_type: EntityType) -> tuple[str, ...]:
    """People have citizenships; for organisations the list gives only where they sit."""
    where = "citizenship" if entity_type is EntityType.PERSON else "address"
    found = []
    for each in element.iterfind(where):
        code = _attribute(each, "countryIso2Code")
        if code != _UNKNOWN_COUNTRY:
            found.append(code or _attribute(each, "countryDescription"))
    return country_codes(found)


def _identifiers(element: Element) -> tuple[Identifier, ...]:
    found = []
    for each in element.iterfind("identification"):
        kind = _attribute(each, "identificationTypeDescription") or "unknown"
        number = _attribute(each, "number") or _attribute(each, "latinNumber")
        # A document known to be false bears somebody else's number.
        if number and _attribute(each, "knownFalse") != "true":
            found.append(Identifier(kind, number))
    return tuple(dict.fromkeys(found))


def _attribute(element: Element, name: str) -> str:
    return clean(element.get(name) or "")
