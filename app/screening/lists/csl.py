"""The US government's Consolidated Screening List, as the CSV that trade.gov publishes.

It puts together the lists of three departments. Those of Commerce and State do not say whether an
entry is a person: there the name decides. An entry that stands on several lists has a row for
each, one below the other, which become one entry.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from app.screening.countries import country_codes
from app.screening.dates import parse_dates
from app.screening.lists.ofac_documents import identifier
from app.screening.lists.plain import guess_type
from app.screening.lists.reading import clean, distinct, numbered, rejected, table
from app.screening.model import EntityType, Entry, Identifier

_NEEDED = ("_id", "source", "type", "name", "alt_names", "ids")
_TYPES = {
    "individual": EntityType.PERSON,
    "entity": EntityType.ORGANISATION,
    "vessel": EntityType.VESSEL,
    "aircraft": EntityType.AIRCRAFT,
}
#: Lists that hold nobody but organisations: military end users, and the unverified.
_ORGANISATIONS_ONLY = frozenset({"MEU", "UVL"})
_CODE = re.compile(r"\((\w[\w -]*)\)")
#: In brackets stand acronyms, which people do not have; nor have they numbers or quotes in their
#: names, or these words. An organisation taken for a person is not found by who asks for one.
_NOBODYS_NAME = re.compile(
    r"\d|(?-i:\([A-Z][A-Z-]+\))|[\"“”?&]|^\S+$|\band\b"
    r"|\b(?:co|academy|aero\w*|agency|airlines?|airways|army|association|aviation|bank|base|brigade"
    r"|bureau|center|centre|cloud|college|committee|computing|corps|department|design|directorate"
    r"|electronics?|engineering|enterprises?|exporters?|facility|factory|finance|forces?|foundation"
    r"|government|hospital|importers?|industr\w+|institute|lab|laborator\w+|logistics|machinery"
    r"|marine|ministry|municipality|national|naval|navy|office|optics|organi[sz]ation|plant"
    r"|police|prison|procurement|production|refinery|regiment|research|school|sciences?|scientific|semiconductors?"
    r"|shipping|shipyard|society|solutions|supplies|systems?|technical|technolog\w+|tech"
    r"|telecom\w*|trust|university|works|yard)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'^"[^"]+"$')

_Row = Mapping[str, str]


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    yield from numbered(entry for path in paths for entry in _read(path))


def published(paths: Sequence[Path]) -> datetime | None:
    """The file does not say; whoever fetches it knows from the server."""
    return None


def _read(path: Path) -> Iterator[Entry]:
    found = table(path, _NEEDED, of="the Consolidated Screening List")
    for entry_id, group in itertools.groupby(found, key=lambda each: clean(each[1]["_id"])):
        rows = list(group)
        line, row = rows[0]
        name = clean(row["name"])
        if not entry_id or not name:
            raise rejected(path, line, "this row has no _id or no name.")
        yield _entry(entry_id, name, [row for _, row in rows])


def _entry(entry_id: str, name: str, rows: Sequence[_Row]) -> Entry:
    entity_type = _entity_type(rows[0], name)
    aliases = _cells(rows, "alt_names")
    # Nicknames that OFAC calls weak are set in quotes here.
    weak = [alias.strip('"') for alias in aliases if _QUOTED.match(alias)]
    strong = distinct((alias for alias in aliases if not _QUOTED.match(alias)), name)
    dates = (date for text in _cells(rows, "dates_of_birth") for date in parse_dates(text))
    url = next((row["source_list_url"] for row in rows if row.get("source_list_url")), "")
    return Entry(
        id=f"csl-{entry_id}",
        entity_type=entity_type,
        name=name,
        aliases=strong,
        weak_aliases=distinct(weak, name, *strong),
        birth_dates=tuple(dict.fromkeys(dates)),
        countries=_countries(rows, entity_type),
        identifiers=_identifiers(rows),
        programs=distinct([*map(_code, rows), *_cells(rows, "programs")]),
        source_url=clean(url) or None,
    )


def _cells(rows: Sequence[_Row], column: str) -> list[str]:
    """Return the values of a column, which are separated by semicolons, each once."""
    found = (clean(part) for row in rows for part in row.get(column, "").split(";"))
    return list(dict.fromkeys(part for part in found if part))


def _code(row: _Row) -> str:
    """Return what a list is called for short: "Denied Persons List (DPL) - Bureau of ..." is DPL.

    Its last brackets hold it: the longer names have some of their own.
    """
    found = _CODE.findall(row["source"])
    return str(found[-1]) if found else row["source"]


def _entity_type(row: _Row, name: str) -> EntityType:
    said = clean(row["type"]).lower()
    if said in _TYPES:
        return _TYPES[said]
    if _code(row) in _ORGANISATIONS_ONLY or _NOBODYS_NAME.search(name):
        return EntityType.ORGANISATION
    return guess_type(name)


def _countries(rows: Sequence[_Row], entity_type: EntityType) -> tuple[str, ...]:
    """Where people live says little of their nationality; of companies we know nothing else."""
    found = _cells(rows, "nationalities") + _cells(rows, "citizenships")
    if entity_type is not EntityType.PERSON:
        ends = (address.rpartition(",")[2].strip() for address in _cells(rows, "addresses"))
        # An address ends with a code, or with something that need not be a country.
        found += [end for end in ends if len(end) == 2 and end.isupper()]
        found += [flag for flag in _cells(rows, "vessel_flag") if flag != "None Identified"]
    return country_codes(found)


def _identifiers(rows: Sequence[_Row]) -> tuple[Identifier, ...]:
    """Read "TN, 1997-09-20, 1990-10-24, G737411, Passport": the last two parts count."""
    parts = (text.split(", ") for text in _cells(rows, "ids"))
    found = [identifier(each[-1], each[-2]) for each in parts if len(each) > 1]
    found += [Identifier("Call Sign", sign) for sign in _cells(rows, "call_sign")]
    return tuple(dict.fromkeys(each for each in found if each is not None))
