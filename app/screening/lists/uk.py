"""The UK's lists, as CSV: the UK Sanctions List (FCDO), and the older one of HM Treasury.

Both have one row for each spelling, birth date and address of a subject, not always together, so
a list is gathered before it is given out: some thousands of subjects, without their addresses and
the statements of reasons. The two name their columns differently and mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.screening.countries import country_codes
from app.screening.dates import parse_dates
from app.screening.lists.reading import clean, distinct, lines, rejected, table
from app.screening.model import EntityType, Entry, Identifier

#: HM Treasury's words, and older ones of FCDO, for what FCDO calls it now.
_SYNONYMS = {
    "group id": "unique id",
    "group type": "designation type",
    "individual, entity, ship": "designation type",
    "alias type": "name type",
    "alias quality": "alias strength",
    "regime": "regime name",
    "dob": "d.o.b",
    "nationality": "nationality(/ies)",
    "national identification number": "national identifier number",
    "country": "address country",
}
_NEEDED = tuple(f"name {n}" for n in range(1, 7))
#: Given names first; the last of them is the family name, or the whole name of a company.
_NAME_PARTS = _NEEDED
_TYPES = {
    "individual": EntityType.PERSON,
    "entity": EntityType.ORGANISATION,
    "ship": EntityType.VESSEL,
}
_PRIMARY = frozenset({"primary name", "prime alias"})
_DOCUMENTS = {
    "passport number": "Passport",
    "national identifier number": "National identifier",
    "business registration number (s)": "Business registration number",
    "imo number": "IMO",
}
_COUNTRIES = {
    EntityType.PERSON: "nationality(/ies)",
    EntityType.ORGANISATION: "address country",
    EntityType.VESSEL: "current believed flag of ship",
}
#: Several values of one cell: "(1) Syria (2) Lebanon".
_ORDINAL = re.compile(r"\(\d+\)")
_REMARK = re.compile(r"\([^)]*\)")
_DATE = re.compile(r"^(?:(\d\d|dd)/)?(?:(\d\d|mm)/)?(\d{4})$", re.IGNORECASE)
_PUBLISHED = re.compile(
    r"^\W*(?:Last Updated\W+(\d\d/\d\d/\d{4})|Report Date:\s*(\d+-\w{3}-\d{4}))"
)

_Row = Mapping[str, str]


@dataclass(slots=True)
class _Subject:
    """What the rows of one subject have said so far."""

    entity_type: EntityType
    primary: str = ""
    aliases: list[str] = field(default_factory=list)
    weak: list[str] = field(default_factory=list)
    birth_dates: list[str] = field(default_factory=list)
    countries: list[str] = field(default_factory=list)
    identifiers: list[Identifier] = field(default_factory=list)
    regimes: list[str] = field(default_factory=list)


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    for path in paths:
        for reference, subject in _gather(path).items():
            yield _entry(reference, subject)


def published(paths: Sequence[Path]) -> datetime | None:
    """Return the day that stands in the first line, above the columns."""
    found = _PUBLISHED.match(next(lines(paths[0]), ""))
    if found is None:
        return None
    try:
        said = found[1] or found[2]
        form = "%d/%m/%Y" if found[1] else "%d-%b-%Y"
        return datetime.strptime(said, form).replace(tzinfo=UTC)
    except ValueError:
        return None


def _gather(path: Path) -> dict[str, _Subject]:
    subjects: dict[str, _Subject] = {}
    for line, cells in table(path, _NEEDED, of="the UK's list"):
        row = {_SYNONYMS.get(column, column): cell for column, cell in cells.items()}
        reference = clean(row.get("unique id", ""))
        said = clean(row.get("designation type", "")).lower()
        if not reference or said not in _TYPES:
            problem = "this row has no number of a subject, or does not say what kind it is."
            raise rejected(path, line, problem)
        subject = subjects.setdefault(reference, _Subject(_TYPES[said]))
        _add(subject, row)
        if not (subject.primary or subject.aliases or subject.weak):
            raise rejected(path, line, "this row has no name.")
    return subjects


def _add(subject: _Subject, row: _Row) -> None:
    name = clean(" ".join(row[part] for part in _NAME_PARTS))
    kind = clean(row.get("name type", "")).lower()
    weak = clean(row.get("alias strength", "")).lower().startswith("low")
    if kind in _PRIMARY and not subject.primary:
        subject.primary = name
    else:
        _append(subject.weak if weak else subject.aliases, name)
    _append(subject.aliases, row.get("name non-latin script", ""))
    for text in _values(row.get("d.o.b", "")):
        _append(subject.birth_dates, *_dates(text))
    for text in _values(row.get(_COUNTRIES[subject.entity_type], "")):
        _append(subject.countries, _REMARK.sub("", text))
    for column, document in _DOCUMENTS.items():
        for text in _values(row.get(column, "")):
            number = clean(_REMARK.sub("", text))
            if number and (found := Identifier(document, number)) not in subject.identifiers:
                subject.identifiers.append(found)
    _append(subject.regimes, row.get("regime name", ""))


def _entry(reference: str, subject: _Subject) -> Entry:
    name = subject.primary or (subject.aliases or subject.weak)[0]
    aliases = distinct(subject.aliases, name)
    return Entry(
        id=f"uk-{reference}",
        entity_type=subject.entity_type,
        name=name,
        aliases=aliases,
        weak_aliases=distinct(subject.weak, name, *aliases),
        birth_dates=tuple(subject.birth_dates),
        countries=country_codes(subject.countries),
        identifiers=tuple(subject.identifiers),
        programs=tuple(subject.regimes),
    )


def _append(known: list[str], *texts: str) -> None:
    """Add what is new: the rows of a subject repeat most of what they say."""
    for text in map(clean, texts):
        if text and text not in known:
            known.append(text)


def _values(cell: str) -> list[str]:
    return [part.strip(" ,;") for part in _ORDINAL.split(clean(cell)) if part.strip(" ,;")]


def _dates(text: str) -> tuple[str, ...]:
    """Read 24/06/1964; an unknown day or month is 00, or dd and mm."""
    found = _DATE.match(text)
    if found is None:
        return parse_dates(text)
    day, month, year = found.groups(default="")
    if not month and day:  # "06/1964" has no day.
        day, month = "", day
    known = [year]
    if month.strip("0m").isdigit():
        known.append(month)
        if day.strip("0d").isdigit():
            known.append(day)
    return parse_dates("-".join(known))
