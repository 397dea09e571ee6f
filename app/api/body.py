"""Reading a JSON body, strictly: what is wrong with it is said, and nothing is guessed."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import msgspec
from flask import request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.api.context import resources
from app.errors import InvalidParameter, MalformedJson, TooLarge

#: NUL, or a surrogate that may or may not be half a pair: worth a closer look.
_SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")

#: What of a body that is too large is still read and thrown away, so that a client which writes
#: first and reads then gets the answer instead of a broken connection.
_DRAIN_FACTOR = 4


class _BadNumberError(ValueError):
    pass


class _DuplicateKeyError(ValueError):
    pass


def read_json() -> tuple[Any, bool]:
    """Return the body's value, and whether every text in it can be stored for certain.

    Raises InvalidParameter, TooLarge or MalformedJson.
    """
    if not request.is_json:
        raise InvalidParameter("Send the body as Content-Type: application/json.")
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        raise InvalidParameter("Send the body in UTF-8; other charsets are not read.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidParameter("Send the body without Content-Encoding; it is not unpacked.")
    raw = read_body()
    value = parse(raw)
    return value, not _SUSPICIOUS.search(raw) or is_storable(value)


def is_storable(value: Any) -> bool:
    """Tell whether every text of a JSON value can be stored for certain: Postgres takes no NUL.

    A text with a backslash before `u0000` is taken for one that cannot, which only costs time.
    """
    try:
        return rb"\u0000" not in msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError, RecursionError):
        # Half a surrogate pair, a number of thousands of digits, something far too deep.
        return False


def read_body() -> bytes:
    """Return the body, or raise TooLarge, or MalformedJson if it ends too early."""
    limit = resources().settings.max_body_bytes
    stream = request.environ["wsgi.input"]
    try:
        raw = request.get_data(cache=False)
        # Werkzeug cuts a body of unknown length off at the limit, and says nothing.
        is_cut = request.content_length is None and len(raw) >= limit and stream.read(1)
    except RequestEntityTooLarge:
        is_cut = True
    except HTTPException:
        raise
    except Exception as error:
        # Only the client's bytes can go wrong here, and every server has names of its own for how.
        raise MalformedJson("The body cannot be read to its end.") from error
    if is_cut:
        _drain(limit)
        raise TooLarge(f"The body may hold at most {limit:,} bytes.", max_bytes=limit)
    if len(raw) < (request.content_length or 0):
        raise MalformedJson("The body is shorter than its Content-Length says.")
    return raw


def _drain(limit: int) -> None:
    stream = request.environ["wsgi.input"]
    left = min(limit * _DRAIN_FACTOR, request.content_length or limit)
    try:
        while left > 0 and (part := stream.read(min(1 << 18, left))):
            left -= len(part)
    except OSError:
        # The client is gone already.
        return


def parse(raw: bytes) -> Any:
    """Return the JSON value, or raise MalformedJson saying where it goes wrong.

    Stricter than Python's own reader: a key may stand in an object only once, and NaN and
    Infinity are not JSON.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJson(f"The body is not UTF-8 at byte {error.start}.") from error
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise MalformedJson(message) from error
    except RecursionError as error:
        raise MalformedJson("The body is nested too deeply.") from error
    except (_DuplicateKeyError, _BadNumberError) as error:
        raise MalformedJson(str(error)) from error
    except ValueError as error:
        # A whole number of thousands of digits, which Python refuses to read.
        raise MalformedJson("The body holds a number that is too long.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        # Counted in one go: looking for each name in the rest took hours for a large object.
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        shown = ascii(twice[:40])
        raise _DuplicateKeyError(f"The key {shown} stands more than once in one object.")
    return read


def _no_constant(word: str) -> Any:
    raise _BadNumberError(f"{word} is not a JSON value.")
