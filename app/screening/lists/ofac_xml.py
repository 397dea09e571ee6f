"""OFAC's lists, as the XML that it publishes: sdn.xml, and consolidated.xml in the same shape.

The entries have the ids that they have in the delimited files: the same list may be loaded from
either. The larger "advanced" XML has another shape and is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from app.screening.countries import country_codes
from app.screening.dates import parse_dates
from app.screening.lists import xml
from app.screening.lists.ofac_documents import identifier
from app.screening.lists.reading import distinct, rejected
from app.screening.lists.xml import text
from app.screening.model import EntityType, Entry, Identifier

#: What OFAC calls them; nothing at all is an organisation in the delimited files.
TYPES = {
    "individual": EntityType.PERSON,
    "entity": EntityType.ORGANISATION,
    "": EntityType.ORGANISATION,
    "vessel": EntityType.VESSEL,
    "aircraft": EntityType.AIRCRAFT,
}
_ENTRY = "sdnEntry"
_REGISTERED_IN = "Nationality of Registration"
_PUBLISHED = re.compile(rb"<Publish_Date>(\d\d)/(\d\d)/(\d{4})<")


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    for path in paths:
        found = xml.records(path, root="sdnList", tags={_ENTRY}, of="OFAC's XML")
        for number, element in enumerate(found, 1):
            uid, name = text(element, "uid"), _name(element)
            if not uid or not name:
                raise rejected(path, None, f"{_ENTRY} number {number} has no uid or no name.")
            yield _entry(element, uid, name)


def published(paths: Sequence[Path]) -> datetime | None:
    found = xml.in_head(paths[0], _PUBLISHED)
    if found is None:
        return None
    month, day, year = map(int, found.groups())
    try:
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError:
        return None


def _entry(element: Element, uid: str, name: str) -> Entry:
    entity_type = TYPES.get(text(element, "sdnType").lower(), EntityType.ORGANISATION)
    strong, weak = _aliases(element, entity_type)
    aliases = distinct(strong, name)
    dates = (d for t in xml.texts(element, "dateOfBirthList//dateOfBirth") for d in parse_dates(t))
    return Entry(
        id=f"ofac-{uid}",
        entity_type=entity_type,
        name=name,
        aliases=aliases,
        weak_aliases=distinct(weak, name, *aliases),
        birth_dates=tuple(dict.fromkeys(dates)),
        countries=_countries(element, entity_type),
        identifiers=_identifiers(element),
        programs=distinct(xml.texts(element, "programList/program")),
    )


def _name(element: Element) -> str:
    """Return "LAST, First", as the delimited files have it."""
    return ", ".join(
        part for part in (text(element, "lastName"), text(element, "firstName")) if part
    )


def _aliases(element: Element, entity_type: EntityType) -> tuple[list[str], list[str]]:
    strong: list[str] = []
    weak: list[str] = []
    for alias in element.iterfind("akaList/aka"):
        # Former names of ships are names it sailed under: a weak one of them is as good as any.
        sailed = entity_type is EntityType.VESSEL and text(alias, "type") == "f.k.a."
        is_weak = text(alias, "category").lower() == "weak" and not sailed
        (weak if is_weak else strong).append(_name(alias))
    return strong, weak


def _countries(element: Element, entity_type: EntityType) -> tuple[str, ...]:
    """Where people live says little of their nationality; of companies we know nothing else."""
    found = xml.texts(element, "nationalityList/nationality/country")
    found += xml.texts(element, "citizenshipList/citizenship/country")
    for each in element.iterfind("idList/id"):
        if text(each, "idType") == _REGISTERED_IN:
            found += [text(each, "idCountry"), text(each, "idNumber")]
    if entity_type is not EntityType.PERSON:
        found += xml.texts(element, "addressList/address/country")
        found.append(text(element, "vesselInfo/vesselFlag"))
    return country_codes(found)


def _identifiers(element: Element) -> tuple[Identifier, ...]:
    found = [
        identifier(text(each, "idType"), text(each, "idNumber"))
        for each in element.iterfind("idList/id")
    ]
    if call_sign := text(element, "vesselInfo/callSign"):
        found.append(Identifier("Call Sign", call_sign))
    return tuple(dict.fromkeys(each for each in found if each is not None))
