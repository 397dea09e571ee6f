"""What all readers of list files share: lines, cells, cleaning, and how a file is refused."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.errors import WatchlistRejected

#: DOS ended its text files with this byte, and OFAC still does.
_END_OF_FILE = b"\x1a"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

KEEP = "The version loaded before stays in force."


def rejected(path: Path, line: int | None, problem: str) -> WatchlistRejected:
    """Return the error that says where a file is wrong. `problem` quotes nothing from it."""
    where = path.name if line is None else f"{path.name}, line {line}"
    return WatchlistRejected(f"{where}: {problem} {KEEP}", line=line, problem=problem)


def lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, with their ends."""
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if number == 1:
                raw = raw.removeprefix(_BYTE_ORDER_MARK)
            # Spreadsheets that open such a file write the byte back with empty cells behind it.
            if raw.startswith(_END_OF_FILE):
                continue
            try:
                yield raw.decode()
            except UnicodeDecodeError as error:
                problem = "this line is not UTF-8. Save the file as UTF-8 and load it again."
                raise rejected(path, number, problem) from error


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line the row ends on, cells) of a CSV file, whose cells may run over lines."""
    reader = csv.reader(lines(path), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = "this is not a row of CSV; a quote is left open or the file is cut short."
            raise rejected(path, reader.line_num, problem) from error
        if cells:
            yield reader.line_num, cells


def clean(text: str) -> str:
    """Return the text on one line, without characters that no database takes."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def distinct(texts: Iterable[str], *besides: str) -> tuple[str, ...]:
    """Return each cleaned text once, in order, without empty ones and those in `besides`."""
    cleaned = dict.fromkeys(clean(text) for text in texts)
    return tuple(text for text in cleaned if text and text not in besides)
