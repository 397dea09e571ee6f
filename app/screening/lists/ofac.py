"""OFAC's lists, as the delimited files it publishes: main, aliases, addresses, comments.

The files have no header (some copies do), write `-0-` for nothing, and cut long remarks off after
a thousand characters, the rest of which stands in the comments file. A JSON file of uid, name,
aliases, program and type is read too, and so is OFAC's XML, by a module of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from app.screening.countries import country_codes
from app.screening.dates import parse_moment
from app.screening.lists import ofac_xml
from app.screening.lists.ofac_remarks import Remarks, parse_remarks
from app.screening.lists.reading import clean, distinct, numbered, rejected, rows
from app.screening.model import EntityType, Entry, Identifier

_NOTHING = frozenset({"-0-", ""})
_TYPES = ofac_xml.TYPES

#: What a file is, by a word in its name. "sdn_comments" has two: the first that fits counts.
_ROLES = (
    ("comments", "comments"),
    ("alt", "aliases"),
    ("add", "addresses"),
    ("prim", "main"),
    ("sdn", "main"),
)

# Columns of the main file.
_UID, _NAME, _TYPE, _PROGRAM, _CALL_SIGN, _FLAG, _REMARKS = 0, 1, 2, 3, 5, 9, 11
_MAIN_COLUMNS = 12
_ALIAS_COLUMNS, _ALIAS = 4, 3
_ADDRESS_COLUMNS, _COUNTRY = 5, 4


@dataclass(slots=True)
class _Beside:
    """What the other files say, by uid."""

    aliases: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    countries: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    comments: dict[str, str] = field(default_factory=dict)


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    suffix = _suffix(paths)
    if suffix == ".xml":
        entries = ofac_xml.read(paths)
    elif suffix == ".json":
        entries = (entry for path in paths for entry in _read_json(path))
    else:
        entries = _read_delimited(paths)
    yield from numbered(entries)


def published(paths: Sequence[Path]) -> datetime | None:
    """Return when the XML was published or the JSON downloaded; the others do not say."""
    suffix = _suffix(paths)
    if suffix == ".xml":
        return ofac_xml.published(paths)
    if suffix != ".json":
        return None
    document = _decode(paths[0])
    said = document.get("downloaded_at")
    return parse_moment(said) if isinstance(said, str) else None


def _suffix(paths: Sequence[Path]) -> str:
    found = {path.suffix.lower() for path in paths}
    own = {suffix for suffix in found if suffix in {".xml", ".json"}}
    if own and len(found) > 1:
        problem = "load the list from its XML, its JSON or its delimited files, not from several."
        raise rejected(paths[0], None, problem)
    return own.pop() if own else ""


def _read_delimited(paths: Sequence[Path]) -> Iterator[Entry]:
    files = _by_role(paths)
    beside = _read_beside(files)
    for line, cells in _data_rows(files["main"], _MAIN_COLUMNS):
        entry = _entry(cells, beside)
        if entry is None:
            raise rejected(files["main"], line, "this row has no name.")
        yield entry


def _by_role(paths: Sequence[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in paths:
        role = next((role for word, role in _ROLES if word in path.stem.lower()), None)
        if role is None:
            problem = "the name must say what it is: sdn or cons_prim, alt, add, or comments."
            raise rejected(path, None, problem)
        if role in files:
            problem = f"{files[role].name} is of the same kind; a list has one of each."
            raise rejected(path, None, problem)
        files[role] = path
    if "main" not in files:
        raise rejected(paths[0], None, "the main file is missing: sdn.csv or cons_prim.csv.")
    return files


def _read_beside(files: Mapping[str, Path]) -> _Beside:
    beside = _Beside()
    if path := files.get("aliases"):
        for _, cells in _data_rows(path, _ALIAS_COLUMNS):
            beside.aliases[cells[0]].append(_cell(cells, _ALIAS))
    if path := files.get("addresses"):
        for _, cells in _data_rows(path, _ADDRESS_COLUMNS):
            beside.countries[cells[0]].append(_cell(cells, _COUNTRY))
    if path := files.get("comments"):
        for _, cells in _data_rows(path, 2):
            beside.comments[cells[0]] = beside.comments.get(cells[0], "") + cells[1]
    return beside


def _data_rows(path: Path, columns: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are data: each begins with a number; the first may be a header."""
    first = True
    for line, cells in rows(path):
        cells[0] = cells[0].strip()
        is_header, first = first and not cells[0].isdigit(), False
        if is_header:
            continue
        if not cells[0].isdigit():
            raise rejected(path, line, "a row begins with the number of an entry; this does not.")
        if len(cells) < columns:
            problem = f"a row has at least {columns} cells, and this one {len(cells)}."
            raise rejected(path, line, problem)
        yield line, cells


def _entry(cells: Sequence[str], beside: _Beside) -> Entry | None:
    uid, name = cells[_UID], _cell(cells, _NAME)
    if not name:
        return None
    entity_type = _TYPES.get(_cell(cells, _TYPE).lower(), EntityType.ORGANISATION)
    remarks = parse_remarks(_cell(cells, _REMARKS) + beside.comments.get(uid, ""))
    aliases = list(beside.aliases.pop(uid, ()))
    # Former names of ships are names it sailed under; of people and firms, as weak as the rest.
    (aliases if entity_type is EntityType.VESSEL else remarks.weak_aliases).extend(
        remarks.former_names
    )
    strong = distinct(aliases, name)
    return Entry(
        id=f"ofac-{uid}",
        entity_type=entity_type,
        name=name,
        aliases=strong,
        weak_aliases=distinct(remarks.weak_aliases, name, *strong),
        birth_dates=tuple(dict.fromkeys(remarks.birth_dates)),
        countries=_countries(cells, entity_type, remarks, beside.countries.get(uid, [])),
        identifiers=_identifiers(cells, remarks),
        programs=_programs(_cell(cells, _PROGRAM)),
    )


def _countries(
    cells: Sequence[str], entity_type: EntityType, remarks: Remarks, addresses: list[str]
) -> tuple[str, ...]:
    """Where people live says little of their nationality; of companies we know nothing else."""
    known = list(remarks.countries)
    if entity_type is not EntityType.PERSON:
        known += [*addresses, _cell(cells, _FLAG)]
    return country_codes([clean(country) for country in known])


def _identifiers(cells: Sequence[str], remarks: Remarks) -> tuple[Identifier, ...]:
    found = list(remarks.identifiers)
    if call_sign := _cell(cells, _CALL_SIGN):
        found.append(Identifier("Call Sign", call_sign))
    return tuple(dict.fromkeys(found))


def _programs(text: str) -> tuple[str, ...]:
    """Split "SDGT] [IFSR": the outer brackets are left out, the inner ones are not."""
    return distinct(part.strip("[] ") for part in text.split("] ["))


def _cell(cells: Sequence[str], at: int) -> str:
    text = clean(cells[at])
    return "" if text in _NOTHING else text


def _decode(path: Path) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(path.read_bytes())
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise rejected(path, None, "this is not JSON, or it is cut short.") from error
    if not isinstance(document, dict) or not isinstance(document.get("entries"), list):
        raise rejected(path, None, "expected a JSON object with a list of entries.")
    return document


def _read_json(path: Path) -> Iterator[Entry]:
    for number, record in enumerate(_decode(path)["entries"], 1):
        try:
            name = clean(record["name"])
            strong = distinct(record.get("aliases") or (), name)
            yield Entry(
                id=f"ofac-{record['uid']}",
                entity_type=_TYPES.get(record.get("type") or "", EntityType.ORGANISATION),
                name=name,
                aliases=strong,
                programs=_programs(record.get("program") or ""),
            )
        except (KeyError, TypeError, AttributeError) as error:
            problem = f"entry {number} lacks a uid or a name, or holds something else there."
            raise rejected(path, None, problem) from error
