"""How the native API writes the id of a job: `job_` and 26 letters, reversibly.

The letters are the 128 bits of the UUID in Crockford's base 32, as in a ULID: no I, L, O or U to
misread, either case understood, and the same order as the UUIDs.
"""

from __future__ import annotations

import re
from uuid import UUID

PREFIX = "job_"

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {letter: value for value, letter in enumerate(_LETTERS)}

#: Two bits are left for the first letter.
_ID = re.compile(r"JOB_([0-7][0-9A-HJKMNP-TV-Z]{25})")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def render(job_id: UUID) -> str:
    bits = job_id.int
    return PREFIX + "".join(_LETTERS[bits >> shift & 31] for shift in range(125, -1, -5))


def parse(text: str) -> UUID | None:
    """Return the UUID that an id stands for, in either way of writing it, or None if it is none."""
    if not text.isascii():
        # Some other letters become one of ours in upper case.
        return None
    if _UUID.fullmatch(text.lower()):
        return UUID(text)
    written = _ID.fullmatch(text.upper())
    if written is None:
        return None
    bits = 0
    for letter in written[1]:
        bits = bits << 5 | _VALUES[letter]
    return UUID(int=bits)
