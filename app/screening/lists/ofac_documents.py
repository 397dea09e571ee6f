"""Which of the things that OFAC calls identifications tell who somebody is."""

from __future__ import annotations

import re

from app.screening.lists.reading import clean
from app.screening.model import Identifier

#: The same column holds a person's gender, a sanction's legal ground and an aircraft's model. An
#: equal identifier is a match whatever the name, so what does not identify must stay out.
_NOT_A_DOCUMENT = re.compile(
    r"gender|website|e-?mail|phone|information|risk|prohibited|directive|determination|\bdate\b"
    r"|gazette|\bmodel|operator|\bflag\b|vessel type|vessel owner|target type|organization type"
    r"|issuer|ticker|\bisin\b|micex|locode|nationality|country|commercial code|executive order",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")


def identifier(kind: str, number: str) -> Identifier | None:
    """Return the identifier, or None if this kind of thing, or this text, identifies nobody."""
    kind, number = clean(kind).rstrip(" #:-"), clean(number)
    if not kind or _NOT_A_DOCUMENT.search(kind) or not _DIGIT.search(number):
        return None
    return Identifier(kind, number)
