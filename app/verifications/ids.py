"""The ids of dialect B: 21 characters of 64, as nanoid makes them; 126 bits of chance."""

from __future__ import annotations

import secrets
import string

_LETTERS = string.ascii_letters + string.digits + "_-"
_LENGTH = 21


def make() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
