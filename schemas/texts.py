"""What a text on the wire may be, said once for the schemas and for their fast twin."""

from __future__ import annotations

import re
from datetime import date

from marshmallow import ValidationError

NAME_LENGTH = 500
DOCUMENT_LENGTH = 128
LABEL_LENGTH = 100
ENTITY_ID_LENGTH = 128
IDENTIFIERS = 50
LISTS = 50

#: Used with `search`, hence the anchors; \Z, because $ lets a line end through.
COUNTRY = r"\A[A-Za-z]{2}\Z"
NOT_BLANK = r"\S"
LIST_NAME = r"\A[a-z0-9][a-z0-9_.-]{0,63}\Z"
PARTIAL_DATE = r"\A[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?\Z"

_PARTIAL_DATE = re.compile(PARTIAL_DATE)

_DURATION_LENGTH = 40
_DURATION = re.compile(
    r"P(?=[0-9T])(?:([0-9]+)W)?(?:([0-9]+)D)?"
    r"(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?",
    re.ASCII,
)

#: A year. A job that may take longer needs no deadline.
LONGEST_DEADLINE = 366 * 86_400.0

#: Half a surrogate pair is not a character, and Postgres stores no NUL.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_partial_date(text: str) -> bool:
    """Say whether the text is YYYY, YYYY-MM or YYYY-MM-DD and on the calendar."""
    if not _PARTIAL_DATE.search(text):
        return False
    try:
        date.fromisoformat(text + "0000-01-01"[len(text) :])
    except ValueError:
        return False
    return True


def read_duration(text: str) -> float | None:
    """Return the seconds of an ISO 8601 duration of days and below, or None if it is none.

    Months and years have no fixed length.
    """
    parts = _DURATION.fullmatch(text)
    if parts is None or len(text) > _DURATION_LENGTH:
        return None
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    return (((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds


def check_storable(text: str) -> None:
    if _UNSTORABLE.search(text):
        raise ValidationError("holds a NUL or half a surrogate pair, which cannot be stored")


def is_storable(text: str) -> bool:
    return not _UNSTORABLE.search(text)
