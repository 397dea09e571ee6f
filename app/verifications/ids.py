"""The ids of dialect B: 21 characters of 64, as nanoid makes them; nearly 126 bits of chance."""

from __future__ import annotations

import re
import secrets
import string

_FIRST = string.ascii_letters + string.digits
_LETTERS = _FIRST + "_-"
_LENGTH = 21

#: Longer than ours, and as short as somebody may mistype one.
_LIKE_ONE = re.compile(r"[A-Za-z0-9_-]{1,64}")


def make() -> str:
    # The first is no dash: a command line would take the id for an option.
    rest = (secrets.choice(_LETTERS) for _ in range(_LENGTH - 1))
    return secrets.choice(_FIRST) + "".join(rest)


def is_like_one(text: str) -> bool:
    """Tell whether there is any use in looking for something of this id."""
    return _LIKE_ONE.fullmatch(text) is not None
