"""Dialect C pages by `limit` and `offset`, and its questions have yes, no and numbers."""

from __future__ import annotations

import math
import re

from flask import request

from app.api.faces_upload import Form
from app.api.paging import read_limit
from app.errors import InvalidParameter

FURTHEST = 1_000_000
_WHOLE = re.compile(r"\A[0-9]{1,7}\Z")
_WORDS = {"true": True, "1": True, "false": False, "0": False}


def read_page() -> tuple[int, int]:
    """Return `?limit=` and `?offset=`, or raise InvalidParameter."""
    text = request.args.get("offset", "0")
    if not _WHOLE.match(text) or int(text) > FURTHEST:
        raise InvalidParameter(f"offset must be a whole number from 0 to {FURTHEST:,}.")
    return read_limit(), int(text)


def read_flag(name: str) -> bool:
    """Return `?name=true`, or raise InvalidParameter."""
    return _flag(name, request.args.get(name), default=False)


def flag_of(form: Form, name: str, *, default: bool) -> bool:
    return _flag(name, form.one(name), default=default)


def _flag(name: str, text: str | None, *, default: bool) -> bool:
    if text is None or text == "":
        return default
    if text.lower() not in _WORDS:
        raise InvalidParameter(f"{name} must be true or false.")
    return _WORDS[text.lower()]


def whole_of(form: Form, name: str, *, default: int, most: int) -> int:
    text = form.one(name)
    if text is None or text == "":
        return default
    if not _WHOLE.match(text) or not 1 <= int(text) <= most:
        raise InvalidParameter(f"{name} must be a whole number from 1 to {most:,}.")
    return int(text)


def threshold_of(form: Form, *, default: float) -> float:
    text = form.one("threshold")
    if text is None or text == "":
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # NaN is within nothing.
    if not -1 <= value <= 1:
        raise InvalidParameter("threshold must be a number from -1 to 1: the cosine of two faces.")
    return value
