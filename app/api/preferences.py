"""The Prefer header (RFC 7240): what a caller would like, and takes an answer without."""

from __future__ import annotations

from flask import request


def given() -> dict[str, str]:
    """Return the value of each preference, in lower case: of one that comes twice the first."""
    found: dict[str, str] = {}
    for each in ",".join(request.headers.getlist("Prefer")).lower().split(","):
        # What follows a semicolon is for others.
        name, _, value = each.partition(";")[0].partition("=")
        found.setdefault(name.strip(), _unquoted(value.strip()))
    return found


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    return value[1:-1] if is_quoted else value


def wait_seconds(most: int) -> int | None:
    """Return how long the caller would wait for something new, at the most so long; or None."""
    text = given().get("wait", "")
    if not text.isascii() or not text.isdigit():
        return None
    # Of many digits not all are read: nine are more than is allowed anyway.
    return min(int(text.lstrip("0")[:9] or "0"), most)
