"""The Prefer header (RFC 7240): what a caller would like, and takes an answer without."""

from __future__ import annotations

import re

from flask import request

#: A token, and perhaps a value; what follows a semicolon is for others.
_PREFERENCE = re.compile(r"\s*([\w!#$%&'*+.^`|~-]+)\s*(?:=\s*(\"?)([^\",;]*?)\2\s*)?(?:;|\Z)")


def given() -> dict[str, str]:
    """Return the value of each preference, in lower case: of one that comes twice the first."""
    found: dict[str, str] = {}
    for each in ",".join(request.headers.getlist("Prefer")).lower().split(","):
        if parts := _PREFERENCE.match(each):
            found.setdefault(parts[1], parts[3] or "")
    return found


def wait_seconds(most: int) -> int | None:
    """Return how long the caller would wait for something new, at the most so long; or None."""
    text = given().get("wait", "")
    if not text.isascii() or not text.isdigit():
        return None
    # Of many digits none is read as a number: it is more than is allowed anyway.
    return min(int(text[:9]), most)
