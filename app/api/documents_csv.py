"""Dialect D: a batch sent as a CSV file, which is the same as the JSON of its rows."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

from flask import request

from app.api.body import parse
from app.errors import InvalidParameter

#: Fields of the form that hold JSON.
_JSON = ("config", "column_mapping")
_TEXTS = ("job_id", "deadline")
_LONGEST_CELL = 1 << 30
_LIMIT = threading.Lock()


def is_form() -> bool:
    return request.mimetype == "multipart/form-data"


def read_form(max_documents: int) -> dict[str, Any]:
    """Return what the JSON of this request would be: `file` is the CSV. Raises Invalid."""
    file = request.files.get("file")
    if file is None:
        raise InvalidParameter("Send the documents as a CSV file, in the field `file`.")
    body: dict[str, Any] = {"documents": _rows(file.read(), max_documents)}
    for name in _JSON:
        if name in request.form:
            body[name] = parse(request.form[name].encode("utf-8", "surrogatepass"))
    return body | {name: request.form[name] for name in _TEXTS if name in request.form}


def _rows(data: bytes, max_documents: int) -> list[dict[str, str | None]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"The file is not UTF-8 at byte {error.start}.") from error
    # No cell is longer than the body may be, and what is too long for its field is refused by name
    # later on.
    with _long_cells():
        return _read(text, max_documents)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let cells be long in here: the limit is the whole process's, and others count on theirs."""
    with _LIMIT:
        before = csv.field_size_limit(_LONGEST_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _read(text: str, max_documents: int) -> list[dict[str, str | None]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = next(reader, [])
        if len(set(columns)) < len(columns):
            raise InvalidParameter("The file names a column twice in its first line.")
        rows = []
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) > len(columns):
                raise InvalidParameter(f"Line {reader.line_num} has more cells than columns.")
            # An empty cell says nothing, like one that is not there.
            given = zip_longest(columns, (cell or None for cell in cells))
            rows.append(dict(given))
            if len(rows) > max_documents:
                break
    except csv.Error as error:
        raise InvalidParameter(f"Line {reader.line_num} is not CSV: {error}.") from error
    return rows
