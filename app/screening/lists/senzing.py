"""Senzing's JSON lines (its entity specification), as OpenSanctions and others publish them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from app.screening.countries import country_codes
from app.screening.dates import parse_dates
from app.screening.lists.plain import guess_type
from app.screening.lists.reading import clean, distinct, json_lines, rejected
from app.screening.model import EntityType, Entry, Identifier

_TYPES = {
    "PERSON": EntityType.PERSON,
    "ORGANIZATION": EntityType.ORGANISATION,
    "COMPANY": EntityType.ORGANISATION,
    "VESSEL": EntityType.VESSEL,
    "AIRCRAFT": EntityType.AIRCRAFT,
}
_NAME_PARTS = ("NAME_FIRST", "NAME_MIDDLE", "NAME_LAST")
_COUNTRIES = (
    *("NATIONALITY", "CITIZENSHIP", "COUNTRY_OF_ASSOCIATION", "REGISTRATION_COUNTRY"),
    "FLAG_COUNTRY",
)
_NUMBERS = {
    "PASSPORT_NUMBER": "Passport",
    "NATIONAL_ID_NUMBER": "National ID",
    "TAX_ID_NUMBER": "Tax number",
    "SSN_NUMBER": "Social security number",
    "DRIVERS_LICENSE_NUMBER": "Driver's licence",
    "LEI_NUMBER": "LEI",
    "DUNS_NUMBER": "D-U-N-S number",
    "IMO_NUMBER": "IMO",
    "MMSI_NUMBER": "MMSI",
    "CALL_SIGN": "Call sign",
}
#: Numbers that say of what they are in a field beside them.
_TYPED = (("OTHER_ID_TYPE", "OTHER_ID_NUMBER"), ("TRUSTED_ID_TYPE", "TRUSTED_ID_NUMBER"))
#: The record's own id again.
_NOT_A_DOCUMENT = frozenset({"OPEN_SANCTIONS"})

_decoder = msgspec.json.Decoder(dict[str, Any])


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    for path in paths:
        for line, record in json_lines(path, _decoder):
            if "RECORD_TYPE" in record and not record["RECORD_TYPE"]:
                continue  # An office or a relation, which others point to: nobody.
            entry = _entry(record)
            if entry is None:
                raise rejected(path, line, "this record has no RECORD_ID or no name.")
            yield entry


def published(paths: Sequence[Path]) -> datetime | None:
    """The file does not say; whoever fetches it knows from the server."""
    return None


def _entry(record: Mapping[str, Any]) -> Entry | None:
    features = list(_features(record))
    names = [(each, _name(each)) for each in features]
    # The primary name is first in every file seen, and need not be.
    names.sort(key=lambda each: _text(each[0], "NAME_TYPE") != "PRIMARY")
    entry_id, all_names = _text(record, "RECORD_ID"), distinct(name for _, name in names)
    if not entry_id or not all_names:
        return None
    name, aliases = all_names[0], all_names[1:]
    said = _text(record, "RECORD_TYPE").upper()
    dates = (d for each in features for d in parse_dates(_text(each, "DATE_OF_BIRTH")))
    url = _text(record, "URL")
    return Entry(
        id=entry_id,
        entity_type=_TYPES[said] if said in _TYPES else guess_type(name),
        name=name,
        aliases=aliases,
        birth_dates=tuple(dict.fromkeys(dates)),
        countries=country_codes([_text(each, key) for each in features for key in _COUNTRIES]),
        identifiers=_identifiers(features),
        programs=distinct([*(_text(f, "TOPIC") for f in features), _text(record, "DATA_SOURCE")]),
        source_url=url or None,
    )


def _features(record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the objects that hold features: the record itself, and those in its lists."""
    yield record
    for value in record.values():
        if isinstance(value, list):
            yield from (each for each in value if isinstance(each, dict))


def _name(feature: Mapping[str, Any]) -> str:
    whole = _text(feature, "NAME_FULL") or _text(feature, "NAME_ORG")
    return whole or clean(" ".join(_text(feature, part) for part in _NAME_PARTS))


def _identifiers(features: Sequence[Mapping[str, Any]]) -> tuple[Identifier, ...]:
    found = []
    for feature in features:
        found += [Identifier(kind, _text(feature, key)) for key, kind in _NUMBERS.items()]
        for kind, number in _TYPED:
            if _text(feature, kind) not in _NOT_A_DOCUMENT:
                said = _text(feature, kind) or "unknown"
                found.append(Identifier(said, _text(feature, number)))
    return tuple(dict.fromkeys(each for each in found if each.value))


def _text(feature: Mapping[str, Any], key: str) -> str:
    value = feature.get(key)
    return clean(str(value)) if isinstance(value, str | int) else ""
