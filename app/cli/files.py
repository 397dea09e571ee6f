"""Reading the entities of a batch from a CSV or JSON lines file.

Both are read lazily, and whatever is wrong is said with the file and the line it is on.
"""

from __future__ import annotations

import csv
import difflib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cli.sentences import Failure

#: Columns (or flat fields) that say something about the request.
_REQUEST = ("entity_id", "lists")
#: Columns that say who is asked about.
_SUBJECT = (
    "full_name",
    "birth_date",
    "nationality",
    "entity_type",
    "document_id",
    "document_type",
    "imo_number",
    "call_sign",
    "wallet_address",
)
COLUMNS = (*_REQUEST, *_SUBJECT)

#: What people call these columns, and no spelling mistake would explain.
_OTHERWISE = {
    "country": "nationality",
    "date_of_birth": "birth_date",
    "dob": "birth_date",
    "id": "entity_id",
    "imo": "imo_number",
    "list": "lists",
    "list_name": "lists",
    "name": "full_name",
    "passport": "document_id",
    "type": "entity_type",
    "wallet": "wallet_address",
}

#: Spreadsheets write commas, semicolons (where the comma is decimal) or tabs.
_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """An entity as the API takes it, and the line of the file it begins on."""

    line: int
    entity: dict[str, Any]


def read(path: Path) -> Iterator[Row]:
    """Return the entities of the file one by one."""
    readers = {".csv": _read_csv, ".jsonl": _read_jsonl, ".ndjson": _read_jsonl}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise Failure(f"{path}: the name must end in .csv or .jsonl, to say what is inside")
    try:
        # utf-8-sig: spreadsheets begin their UTF-8 with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from reader(path, file)
    except UnicodeDecodeError as error:
        raise Failure(
            f"{path}, line {_line_of_bad_byte(path)}: this is not UTF-8 text;"
            " save the file as UTF-8 and try again"
        ) from error


def _read_csv(path: Path, file: Iterator[str]) -> Iterator[Row]:
    header_line = next(file, "")
    delimiter = max(_DELIMITERS, key=header_line.count)
    line = 1
    try:
        # Strictly: otherwise a quote that is never closed makes one name of the rest of the file.
        header = next(csv.reader([header_line], delimiter=delimiter, strict=True), [])
        columns = _columns(path, header)
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        line = 2
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield Row(line, _from_cells(f"{path}, line {line}", columns, cells))
            # A quoted cell may hold line ends: the next row begins where this one ended.
            line = rows.line_num + 2
    except csv.Error as error:
        raise Failure(f"{path}, line {line}: {_what_is_wrong(error)}") from error


def _what_is_wrong(error: csv.Error) -> str:
    # Python's words for the one mistake that people make.
    if "unexpected end of data" in str(error):
        return "a double quote is never closed"
    return f"this is not a row of CSV ({error})"


def _columns(path: Path, header: Sequence[str]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    if not any(columns):
        raise Failure(f"{path}: the file is empty; its first line names the columns")
    for column in columns:
        if column not in COLUMNS:
            raise Failure(
                f"{path}: unknown column {column!r}{_instead(column)}."
                f" The columns are {', '.join(COLUMNS)}"
            )
        if columns.count(column) > 1:
            raise Failure(f"{path}: the column {column!r} is there twice")
    return columns


def _from_cells(where: str, columns: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    if len(cells) != len(columns):
        raise Failure(
            f"{where}: {len(cells)} cells where the header has {len(columns)} columns;"
            " put a text with a separator in it into double quotes"
        )
    filled = {
        column: cell.strip() for column, cell in zip(columns, cells, strict=True) if cell.strip()
    }
    for column, text in filled.items():
        # Two quotes that were forgotten look like one cell, and hide the rows between them.
        if "\n" in text or "\r" in text:
            raise Failure(
                f"{where}: the column {column!r} goes on over the end of the line;"
                " close the double quote on the line where it opens"
            )
    lists = [name.strip() for name in filled.pop("lists", "").split(";") if name.strip()]
    return _from_flat({**filled, "lists": lists} if lists else filled)


class _NotAllowedError(ValueError):
    """Python reads it, and JSON is not meant to have it."""


def _parse(text: str) -> Any:
    """Read JSON as strictly as the server does: it would refuse, and know no line to name."""
    return json.loads(
        text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise _NotAllowedError(f"the field {twice[:40]!r} is there twice")
    return found


def _no_number(word: str) -> Any:
    raise _NotAllowedError(f"{word[:40]} is no number that JSON can hold")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _read_jsonl(path: Path, file: Iterator[str]) -> Iterator[Row]:
    for number, text in enumerate(file, start=1):
        if not text.strip():
            continue
        where = f"{path}, line {number}"
        try:
            found = _parse(text)
        except _NotAllowedError as error:
            raise Failure(f"{where}: {error}") from error
        except (ValueError, RecursionError) as error:
            raise Failure(
                f"{where}: this is not JSON; the file has one JSON object on each line"
            ) from error
        if not isinstance(found, dict):
            raise Failure(f"{where}: this is not a JSON object; each line is one entity")
        yield Row(number, _from_json(where, found))


def _from_json(where: str, found: dict[str, Any]) -> dict[str, Any]:
    """Return an entity that is written as the API takes it, or flat like a row of CSV."""
    if "subject" in found:
        return found
    for name in found:
        if name not in {*COLUMNS, "identifiers", "search_type", "list_name"}:
            raise Failure(
                f'{where}: unknown field {name!r}{_instead(name)}. A line has a "subject", or'
                f" these fields: {', '.join(COLUMNS)}"
            )
    return _from_flat(found)


def _from_flat(found: Mapping[str, Any]) -> dict[str, Any]:
    about = {*_SUBJECT, "identifiers"}
    entity = {name: value for name, value in found.items() if name not in about}
    return {**entity, "subject": {name: found[name] for name in found if name in about}}


def _instead(name: str) -> str:
    close = difflib.get_close_matches(name, COLUMNS, n=1)
    meant = _OTHERWISE.get(name) or (close[0] if close else None)
    return f" (did you mean {meant!r}?)" if meant else ""


def _line_of_bad_byte(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
