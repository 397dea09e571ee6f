"""What a cell of a CSV file may hold that somebody will open as a spreadsheet."""

from __future__ import annotations

from typing import Any


def cell(value: Any) -> Any:
    """A spreadsheet runs what begins like a formula: a quote in front keeps it a text."""
    if isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
