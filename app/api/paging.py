"""Lists page by key: a limit, and a cursor that says where the last page ended."""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

from flask import request

from app.errors import InvalidParameter
from schemas import texts

_WHOLE = re.compile(r"\A[0-9]{1,6}\Z")


#: Entries of a page, unless the caller says otherwise, and at the most.
PAGE = 20
LARGEST_PAGE = 100


def read_limit() -> int:
    """Return `?limit=`, or raise InvalidParameter."""
    text = request.args.get("limit")
    if text is None:
        return PAGE
    if not _WHOLE.match(text) or not 1 <= int(text) <= LARGEST_PAGE:
        raise InvalidParameter(f"limit must be a whole number from 1 to {LARGEST_PAGE:,}.")
    return int(text)


def read_cursor(name: str = "cursor") -> tuple[datetime, UUID] | None:
    """Return the place that `?cursor=` stands for, or raise InvalidParameter."""
    text = request.args.get(name)
    if text is None:
        return None
    try:
        at, job_id = base64.urlsafe_b64decode(text.encode("ascii")).decode("ascii").split(" ")
        place = datetime.fromisoformat(at), UUID(job_id)
    except (ValueError, UnicodeError, binascii.Error):
        place = None
    # What we make is in UTC; of other offsets Postgres does not take every one.
    if place is None or place[0].utcoffset() != timedelta(0):
        raise InvalidParameter(f"{name} must be the next_cursor of an earlier answer.")
    return place


def read_position(name: str = "cursor") -> int:
    """Return the index of the first item wanted, or raise InvalidParameter."""
    text = request.args.get(name)
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidParameter(f"{name} must be the next_cursor of an earlier answer.")
    return int(text)


class Listed(Protocol):
    """What lists newest first: a job, a decision."""

    @property
    def id(self) -> UUID: ...

    @property
    def created_at(self) -> datetime: ...


def make_cursor(last: Listed) -> str:
    """Return the cursor of the page that begins behind this one."""
    return make_place(last.created_at, last.id)


def make_place(at: datetime, id_: UUID) -> str:
    """Return the cursor of the page that begins behind what has this time and id."""
    text = f"{at.astimezone(UTC).isoformat()} {id_}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def read_key_cursor(parts: int, name: str = "cursor") -> tuple[str, ...] | None:
    """Return the key of so many texts that `?cursor=` stands for, or raise InvalidParameter."""
    text = request.args.get(name)
    if text is None:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
    except (ValueError, UnicodeError, binascii.Error, RecursionError):
        key = None
    if (
        not isinstance(key, list)
        or len(key) != parts
        or not all(isinstance(each, str) and texts.is_storable(each) for each in key)
    ):
        raise InvalidParameter(f"{name} must be the next_cursor of an earlier answer.")
    return tuple(key)


def make_key_cursor(*key: str) -> str:
    """Return the cursor of the page that begins behind this key."""
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()
