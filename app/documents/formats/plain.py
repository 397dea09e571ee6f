"""Plain text, and tables as text: a row a line, its cells apart by ` | `."""

from __future__ import annotations

import csv
import io
from itertools import islice

from app.documents import codes
from app.documents.formats.base import Answer, Question
from app.documents.formats.charset import decode
from app.documents.model import DocumentType
from app.errors import ItemError

_DELIMITERS = ",;\t|"
#: Lines that must have as many cells each before a text counts as a table that nobody called one.
_ROWS, _CELLS = 3, 3
_LOOKED_AT = 20
_LONGEST_CELL = 1_000_000


def load() -> None:
    """Let cells be long: a setting of the whole process, so only of one that reads documents."""
    csv.field_size_limit(_LONGEST_CELL)


def read(question: Question) -> Answer:
    # Four bytes a character at the most: what lies beyond is not needed.
    data = question.data[: 4 * question.max_chars + 4]
    text = decode(data, question.hint.charset)
    hint = question.hint
    is_called = hint.suffix in {"csv", "tsv"} or hint.media_type in {
        "text/csv",
        "text/tab-separated-values",
    }
    if delimiter := _delimiter(text, 1 if is_called else _ROWS, 2 if is_called else _CELLS):
        return Answer(_rows(text, delimiter, question.max_chars), DocumentType.CSV)
    return Answer(text, DocumentType.CSV if is_called else DocumentType.TEXT)


def _delimiter(text: str, least_rows: int, least_cells: int) -> str | None:
    """Return what parts the cells if the first lines are rows of a table, all as long."""
    # Not csv.Sniffer: its expressions take for ever on lines that somebody made for them.
    best, most = None, least_cells - 1
    for delimiter in _DELIMITERS:
        try:
            rows = [row for row in islice(_read(text, delimiter), _LOOKED_AT) if row]
        except csv.Error:
            continue
        cells = {len(row) for row in rows}
        if len(rows) >= least_rows and len(cells) == 1 and (count := cells.pop()) > most:
            best, most = delimiter, count
    return best


def _read(text: str, delimiter: str) -> csv.Reader:  # type: ignore[name-defined]  # 3.12 knows it
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _rows(text: str, delimiter: str, max_chars: int) -> str:
    lines, size = [], 0
    try:
        for row in _read(text, delimiter):
            lines.append(" | ".join(" ".join(cell.split()) for cell in row))
            size += len(lines[-1]) + 1
            if size > max_chars:
                break
    except csv.Error as error:
        raise ItemError(codes.CORRUPT_DOCUMENT, "A cell of the table is far too long.") from error
    return "\n".join(lines)
