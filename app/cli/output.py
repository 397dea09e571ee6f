"""What goes to whom: results to stdout, remarks to stderr, JSON for scripts, tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import datetime

import click

#: Wide enough that nothing is cut where a program reads the table instead of a person.
_PIPE_WIDTH = 1_000


def note(text: str) -> None:
    """Tell the person something that is not a result."""
    click.echo(text, err=True)


def print_json(value: object) -> None:
    click.echo(json.dumps(value, default=_plain, ensure_ascii=not _is_utf8()))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under their headings; columns that hold numbers are set to the right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[number], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        # Text, not str: square brackets in a name are no markup.
        table.add_row(*(Text(cell(value)) for value in row))
    is_terminal = sys.stdout.isatty()
    Console(width=None if is_terminal else _PIPE_WIDTH).print(table)


def print_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Print one thing as lines of name and value, leaving out what is not known."""
    known = [(name, cell(value)) for name, value in fields if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        click.echo(f"{name:<{width}}  {value}")


def cell(value: object) -> str:
    """Return a value as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, list | tuple):
        return ", ".join(cell(each) for each in value) or "-"
    return visible(str(value))


def counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def visible(text: str) -> str:
    """Return the text without what would steer the terminal: names come from strangers."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _is_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
