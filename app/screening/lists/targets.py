"""OpenSanctions' `targets.simple.csv`: one row for each target, of any of its datasets."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from app.screening.countries import country_codes
from app.screening.dates import parse_dates
from app.screening.lists.ftm import SUBJECTS, page_of
from app.screening.lists.reading import clean, distinct, rejected, table
from app.screening.model import Entry, Identifier

_NEEDED = ("id", "schema", "name", "aliases", "birth_date", "countries", "identifiers")
#: The column holds numbers without saying of what; of ships it can be seen.
_IMO = re.compile(r"^IMO\d{7}$")


def read(paths: Sequence[Path]) -> Iterator[Entry]:
    for path in paths:
        for line, row in table(path, _NEEDED, of="targets.simple.csv"):
            if row["schema"] not in SUBJECTS:
                continue
            entry_id, name = clean(row["id"]), clean(row["name"])
            if not entry_id or not name:
                raise rejected(path, line, "this row has no id or no name.")
            yield _entry(entry_id, name, row)


def published(paths: Sequence[Path]) -> datetime | None:
    """The file does not say; whoever fetches it knows from the server."""
    return None


def _entry(entry_id: str, name: str, row: Mapping[str, str]) -> Entry:
    dates = (date for text in _values(row["birth_date"]) for date in parse_dates(text))
    numbers = dict.fromkeys(map(clean, _values(row["identifiers"])))
    return Entry(
        id=entry_id,
        entity_type=SUBJECTS[row["schema"]],
        name=name,
        aliases=distinct(_values(row["aliases"]), name),
        birth_dates=tuple(dict.fromkeys(dates)),
        countries=country_codes(_values(row["countries"])),
        identifiers=tuple(
            Identifier("IMO" if _IMO.match(number) else "unknown", number)
            for number in numbers
            if number
        ),
        programs=distinct(_values(row.get("program_ids", "")) or _values(row.get("dataset", ""))),
        source_url=page_of(entry_id),
    )


def _values(cell: str) -> list[str]:
    """Read a cell that is a row of CSV itself: A;"B; C" are two values."""
    return next(csv.reader([cell], delimiter=";"), [])
