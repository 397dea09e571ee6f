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


def check_storable(text: str) -> None:
    if _UNSTORABLE.search(text):
        raise ValidationError("holds a NUL or half a surrogate pair, which cannot be stored")


def is_storable(text: str) -> bool:
    return not _UNSTORABLE.search(text)
