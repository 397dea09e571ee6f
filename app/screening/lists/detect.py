"""What format a file is in, by how it begins: the formats differ in their first lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_HEAD = 16 * 1024

#: Each format by what only its files begin with, after a byte order mark and white space.
_SIGNS = {
    "ofac": re.compile(rb"<\?xml.{0,200}?<sdnList\b|<sdnList\b", re.DOTALL),
    "un": re.compile(rb"<\?xml.{0,400}?<CONSOLIDATED_LIST\b|<CONSOLIDATED_LIST\b", re.DOTALL),
    "eu": re.compile(rb"(?:<\?xml.{0,200}?)?<(?:\w+:)?export\b[^>]*fsd/export", re.DOTALL),
    "csl": re.compile(rb'"?_id"?,"?source"?,"?entity_number"?,'),
    "uk": re.compile(rb"(?:[^\n]{0,400}\n){0,3}[^\n]*\bName 6\b[^\n]*\bName 1\b", re.IGNORECASE),
    "targets": re.compile(rb'"?id"?,"?schema"?,"?name"?,"?aliases"?,'),
    "ftm": re.compile(rb'\{(?=[^\n]*"schema"\s*:)(?=[^\n]*"properties"\s*:)'),
    "senzing": re.compile(rb'\{(?=[^\n]*"DATA_SOURCE"\s*:)(?=[^\n]*"RECORD_ID"\s*:)'),
}


def detect(paths: Sequence[Path]) -> str | None:
    """Return the format that the first file shows, or None if it shows none of them."""
    if not paths:
        return None
    with paths[0].open("rb") as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((name for name, sign in _SIGNS.items() if sign.match(head)), None)
