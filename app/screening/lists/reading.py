"""What all readers of list files share: lines, cells, cleaning, and how a file is refused."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from app.errors import WatchlistRejected
from app.screening.model import Entry

#: DOS ended its text files with this byte, and OFAC still does.
_END_OF_FILE = b"\x1a"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: Lines that a CSV file may have before its header.
_PREAMBLE = 3

_Line = TypeVar("_Line")

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


def table(path: Path, needed: Collection[str], *, of: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line the row ends on, cell by column) of a CSV file with a header.

    Columns are called as in the file, in small letters. Lines before the one that names all
    columns `needed` are a preamble, of which there may be three.
    """
    header: list[str] | None = None
    for number, (line, cells) in enumerate(rows(path), 1):
        if header is None:
            named = [cell.strip().lower() for cell in cells]
            if set(needed) <= set(named):
                header = named
            elif number > _PREAMBLE:
                break
            continue
        if len(cells) != len(header):
            problem = f"this row has {len(cells)} cells and the header {len(header)}."
            raise rejected(path, line, problem)
        yield line, dict(zip(header, cells, strict=True))
    if header is None:
        columns = ", ".join(sorted(needed))
        raise rejected(path, 1, f"{of} begins with the names of its columns, among them {columns}.")


def json_lines(path: Path, decoder: msgspec.json.Decoder[_Line]) -> Iterator[tuple[int, _Line]]:
    """Yield (line, what is on it) of a file with one JSON document on each line."""
    for number, line in enumerate(lines(path), 1):
        if not line.strip():
            continue
        try:
            yield number, decoder.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            # A document of another shape is a DecodeError too. Its text quotes no value, but
            # it speaks of our types.
            problem = "this is not a JSON object of the kind that this format has on each line."
            raise rejected(path, number, problem) from error


def numbered(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Tell apart the entries that share an id: the first keeps it, the next is `id~2`.

    Copies of lists exist in which a number is cut short and so stands twice; no entry may be
    lost for it.
    """
    seen: dict[str, int] = {}
    for entry in entries:
        time = seen[entry.id] = seen.get(entry.id, 0) + 1
        yield entry if time == 1 else msgspec.structs.replace(entry, id=f"{entry.id}~{time}")


def clean(text: str) -> str:
    """Return the text on one line, without characters that no database takes."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def distinct(texts: Iterable[str], *besides: str) -> tuple[str, ...]:
    """Return each cleaned text once, in order, without empty ones and those in `besides`."""
    cleaned = dict.fromkeys(clean(text) for text in texts)
    return tuple(text for text in cleaned if text and text not in besides)
