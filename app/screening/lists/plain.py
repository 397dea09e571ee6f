"""Our own format, for lists that no other reader knows: JSON lines, or CSV with a header.

docs/lists.md describes it. A file is CSV when its name ends so, JSON lines otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from app.screening.countries import country_codes
from app.screening.dates import parse_dates
from app.screening.lists.reading import clean, distinct, lines, rejected, rows
from app.screening.model import EntityType, Entry, Identifier
from app.screening.names import fold, prepare
from app.screening.topics import TOPICS, unknown
from app.screening.words import WEAK_WORDS

_TYPES = {
    "person": EntityType.PERSON,
    "individual": EntityType.PERSON,
    "organisation": EntityType.ORGANISATION,
    "organization": EntityType.ORGANISATION,
    "company": EntityType.ORGANISATION,
    "entity": EntityType.ORGANISATION,
    "vessel": EntityType.VESSEL,
    "ship": EntityType.VESSEL,
    "aircraft": EntityType.AIRCRAFT,
}
_UNSAID = frozenset({"", "unknown"})

#: Other names for a field, met in files that are nearly ours.
_SYNONYMS = {"weak": "weak_aliases", "dob": "birth_dates", "program": "programs", "topic": "topics"}
_FIELDS = frozenset(
    {
        *("id", "type", "name", "aliases", "weak_aliases", "birth_dates", "countries"),
        *("identifiers", "programs", "source_url", "topics"),
    }
)
#: Between the values of one CSV cell.
_SEPARATOR = ";"


class _Wrong(Exception):
    """What is wrong with one row, as a sentence that quotes nothing of it."""


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    for path in paths:
        for line, entry in read_lines(path):
            if isinstance(entry, str):
                raise rejected(path, line, entry)
            yield entry


def read_lines(path: Path) -> Iterator[tuple[int, Entry | str]]:
    """Yield (line, entry), or (line, what is wrong with it), and go on behind a wrong one.

    Raises WatchlistRejected where the file itself cannot be read on.
    """
    records = _csv(path) if path.suffix.lower() == ".csv" else _json_lines(path)
    for line, record in records:
        try:
            yield line, _entry(record)
        except _Wrong as error:
            yield line, str(error)


def published(paths: Sequence[Path]) -> datetime | None:
    """The format has no place for it."""
    return None


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines(path), 1):
        if not line.strip():
            continue
        try:
            record = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise rejected(path, number, "this is not a JSON object on one line.") from error
        if not isinstance(record, dict):
            raise rejected(path, number, "expected a JSON object, such as an entry is.")
        yield number, {_SYNONYMS.get(str(key), str(key)): value for key, value in record.items()}


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    header: list[str] | None = None
    for line, cells in rows(path):
        if header is None:
            named = [cell.strip().lower() for cell in cells]
            header = [_SYNONYMS.get(name, name) for name in named]
            if not {"id", "name"}.issubset(header):
                problem = "the first line must name the columns, among them id and name."
                raise rejected(path, line, problem)
            continue
        if len(cells) != len(header):
            problem = f"this row has {len(cells)} cells and the first line {len(header)}."
            raise rejected(path, line, problem)
        yield line, {k: v for k, v in zip(header, cells, strict=True) if k in _FIELDS}


def _entry(record: Mapping[str, Any]) -> Entry:
    entry_id, name = _text(record, "id"), _text(record, "name")
    if not entry_id or not name:
        raise _Wrong("an entry needs an id and a name.")
    aliases = distinct(_texts(record, "aliases"), name)
    weak = distinct(_texts(record, "weak_aliases"), name, *aliases)
    dates = (date for text in _texts(record, "birth_dates") for date in parse_dates(text))
    return Entry(
        id=entry_id,
        entity_type=_entity_type(record, name),
        name=name,
        aliases=aliases,
        weak_aliases=weak,
        birth_dates=tuple(dict.fromkeys(dates)),
        countries=country_codes([clean(text) for text in _texts(record, "countries")]),
        identifiers=_identifiers(record),
        programs=_programs(record),
        source_url=_text(record, "source_url") or None,
        topics=_topics(record),
    )


def _text(record: Mapping[str, Any], field: str) -> str:
    value = record.get(field)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _Wrong(f"{field} must be a text.")
    return clean(value)


def _texts(record: Mapping[str, Any], field: str) -> list[str]:
    value = record.get(field)
    if value is None:
        return []
    if isinstance(value, str):
        return value.split(_SEPARATOR)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    raise _Wrong(f"{field} must be a list of texts.")


def _entity_type(record: Mapping[str, Any], name: str) -> EntityType:
    said = _text(record, "type").lower()
    if said in _UNSAID:
        return guess_type(name)
    if said not in _TYPES:
        raise _Wrong(f"type must be one of {', '.join(EntityType)}.")
    return _TYPES[said]


def guess_type(name: str) -> EntityType:
    """A name with a legal form or a company's word is an organisation's, any other a person's."""
    form = prepare(name, EntityType.ORGANISATION).legal_forms
    telling = {word for word in fold(name).split() if WEAK_WORDS.get(word, 0) >= 0.3}
    return EntityType.ORGANISATION if form or telling else EntityType.PERSON


def _identifiers(record: Mapping[str, Any]) -> tuple[Identifier, ...]:
    """Read a list of {type, value}, or `type:value; type:value` in a cell."""
    value = record.get("identifiers") or []
    if isinstance(value, str):
        pairs = [each.partition(":") for each in value.split(_SEPARATOR) if each.strip()]
        found = [(kind, number) if colon else ("", kind) for kind, colon, number in pairs]
    elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
        found = [(_text(each, "type"), _text(each, "value")) for each in value]
    else:
        raise _Wrong("identifiers must be a list of objects with type and value.")
    cleaned = ((clean(kind) or "unknown", clean(number)) for kind, number in found)
    return tuple(dict.fromkeys(Identifier(kind, number) for kind, number in cleaned if number))


def _topics(record: Mapping[str, Any]) -> tuple[str, ...]:
    found = distinct(text.lower() for text in _texts(record, "topics"))
    if unknown(found):
        raise _Wrong(f"topics must be of: {', '.join(TOPICS)}.")
    return found


def _programs(record: Mapping[str, Any]) -> tuple[str, ...]:
    texts = (part for text in _texts(record, "programs") for part in text.split("] ["))
    return distinct(text.strip("[] ") for text in texts)
