"""Files of labelled rows: JSON lines, each with a query and what it should find.

A row of pairs is {"query": {...}, "listed": {...}, "match": true}; a row for lists is
{"query": {...}, "expect": "id of the entry, or null"}. docs/screening.md has the fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from app.errors import EvaluationRejected
from app.screening.countries import country_codes
from app.screening.dates import parse_dates
from app.screening.lists.plain import guess_type
from app.screening.model import EntityType, Entry, Identifier, Subject

_TYPES = {
    **{each.value: each for each in EntityType},
    "individual": EntityType.PERSON,
    "organization": EntityType.ORGANISATION,
    "company": EntityType.ORGANISATION,
}
#: How FollowTheMoney calls what we compare, for rows that carry its properties under `ftm`.
_FTM_NAMES, _FTM_ALIASES, _FTM_WEAK = ("name",), ("alias", "previousName"), ("weakAlias",)
_FTM_PARTS = ("firstName", "secondName", "middleName", "fatherName", "lastName")
_FTM_COUNTRIES = ("country", "nationality", "citizenship", "jurisdiction", "flag")
_FTM_IDENTIFIERS = (
    *("imoNumber", "registrationNumber", "swiftBic", "leiCode", "innCode", "ogrnCode", "taxNumber"),
    *("vatCode", "passportNumber", "idNumber", "mmsi", "callSign", "dunsCode", "okpoCode", "isin"),
)


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """`group` is whatever the file calls it; figures are told for each group too."""

    subject: Subject
    entry: Entry
    is_match: bool
    group: str | None


@dataclass(frozen=True, slots=True)
class LabelledQuery:
    """`expect` is the id of the entry to be found, or None for somebody who is on no list."""

    subject: Subject
    expect: str | None
    group: str | None


class _Wrong(Exception):
    """What is wrong with one row, as a sentence that quotes nothing of it."""


def read_pairs(path: Path) -> list[LabelledPair]:
    """Return the pairs of a file, or raise EvaluationRejected naming file and line."""
    return [_located(path, line, _pair, row) for line, row in _rows(path)]


def read_queries(path: Path) -> list[LabelledQuery]:
    """Return the queries of a file, or raise EvaluationRejected naming file and line."""
    return [_located(path, line, _query, row) for line, row in _rows(path)]


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    found = False
    with path.open("rb") as file:
        for line, raw in enumerate(file, 1):
            if not raw.strip():
                continue
            try:
                row = msgspec.json.decode(raw)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                raise _rejected(path, line, "this is not a JSON object on one line.") from error
            if not isinstance(row, dict):
                raise _rejected(path, line, "expected a JSON object.")
            found = True
            yield line, row
    if not found:
        raise EvaluationRejected(f"{path.name}: there is not one row in this file.")


def _rejected(path: Path, line: int, problem: str) -> EvaluationRejected:
    return EvaluationRejected(f"{path.name}, line {line}: {problem}")


def _located(path: Path, line: int, read: Any, row: Mapping[str, Any]) -> Any:
    try:
        return read(row)
    except _Wrong as error:
        raise _rejected(path, line, str(error)) from error


def _pair(row: Mapping[str, Any]) -> LabelledPair:
    is_match = row.get("match")
    if not isinstance(is_match, bool):
        raise _Wrong("match must be true or false.")
    query, listed = _object(row, "query"), _object(row, "listed")
    return LabelledPair(_subject(query), _listed(listed, query), is_match, _group(row, query))


def _query(row: Mapping[str, Any]) -> LabelledQuery:
    expect = row.get("expect")
    if "expect" not in row or not (expect is None or isinstance(expect, str)):
        raise _Wrong("expect must be the id of an entry, or null.")
    query = _object(row, "query")
    return LabelledQuery(_subject(query), expect, _group(row, query))


def _group(row: Mapping[str, Any], query: Mapping[str, Any]) -> str | None:
    """The row's own word for its group, or else the type of what is asked about."""
    for found in (row.get("group"), row.get("set"), query.get("type")):
        if isinstance(found, str) and found:
            return found
    return None


def _subject(query: Mapping[str, Any]) -> Subject:
    names = _names(query)
    dates = _dates(query)
    return Subject(
        name=names[0] if names else None,
        entity_type=_entity_type(query),
        birth_date=dates[0] if dates else None,
        countries=_countries(query),
        identifiers=_identifiers(query),
    )


def _listed(listed: Mapping[str, Any], query: Mapping[str, Any]) -> Entry:
    names = _names(listed) or [""]
    kind = _entity_type(listed) or _entity_type(query) or guess_type(names[0])
    ftm = _ftm(listed)
    return Entry(
        id=str(listed.get("id") or "listed"),
        entity_type=kind,
        name=names[0],
        aliases=(*names[1:], *_texts(listed, "aliases"), *_each(ftm, _FTM_ALIASES)),
        weak_aliases=(*_texts(listed, "weak_aliases", "weak"), *_each(ftm, _FTM_WEAK)),
        birth_dates=_dates(listed),
        countries=_countries(listed),
        identifiers=_identifiers(listed),
    )


def _names(side: Mapping[str, Any]) -> list[str]:
    """Return the names given, the main one first; put together from its parts if need be."""
    ftm = _ftm(side)
    found = [*_texts(side, "name"), *_each(ftm, _FTM_NAMES)]
    if not any(name.strip() for name in found):
        found = [" ".join(_each(ftm, _FTM_PARTS))]
    return [name for name in dict.fromkeys(found) if name.strip()]


def _dates(side: Mapping[str, Any]) -> tuple[str, ...]:
    texts = [*_texts(side, "birth_date", "birth_dates", "dob"), *_each(_ftm(side), ("birthDate",))]
    return tuple(dict.fromkeys(date for text in texts for date in parse_dates(text)))


def _countries(side: Mapping[str, Any]) -> tuple[str, ...]:
    texts = [
        *_texts(side, "country", "countries", "nationality"),
        *_each(_ftm(side), _FTM_COUNTRIES),
    ]
    return country_codes(texts)


def _identifiers(side: Mapping[str, Any]) -> tuple[Identifier, ...]:
    given = side.get("identifiers") or []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise _Wrong("identifiers must be a list of objects with type and value.")
    found = [Identifier(str(each.get("type")), str(each.get("value"))) for each in given]
    ftm = _ftm(side)
    found += [Identifier(key, value) for key in _FTM_IDENTIFIERS for value in _each(ftm, (key,))]
    return tuple(found)


def _entity_type(side: Mapping[str, Any]) -> EntityType | None:
    said = side.get("type")
    if said is None or said == "":
        return None
    if not isinstance(said, str) or said.lower() not in _TYPES:
        raise _Wrong(f"type must be one of {', '.join(EntityType)}.")
    return _TYPES[said.lower()]


def _object(row: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    found = row.get(field)
    if not isinstance(found, dict):
        raise _Wrong(f"{field} must be an object with at least a name.")
    return found


def _ftm(side: Mapping[str, Any]) -> Mapping[str, Any]:
    found = side.get("ftm") or {}
    if not isinstance(found, dict):
        raise _Wrong("ftm must be an object.")
    return found


def _each(properties: Mapping[str, Any], keys: tuple[str, ...]) -> list[str]:
    return _texts(properties, *keys)


def _texts(side: Mapping[str, Any], *fields: str) -> list[str]:
    """Return the texts under the fields, each of which holds one, a list of them, or nothing."""
    found: list[str] = []
    for field in fields:
        value = side.get(field)
        many = [value] if isinstance(value, str) else (value or [])
        if not isinstance(many, list) or not all(isinstance(each, str) for each in many):
            raise _Wrong(f"{field} must be a text or a list of texts.")
        found += many
    return found
