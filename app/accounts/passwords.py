"""Passwords: argon2id with its library's defaults (RFC 9106), and what counts as a password."""

from __future__ import annotations

import functools
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import InvalidParameter

#: Length is what makes a password hard to guess; rules about digits and signs are not.
SHORTEST = 12
LONGEST = 256

_HASHER = PasswordHasher()

#: Each check takes 64 MiB for some 50 ms. They wait their turn, or sixteen web threads signing
#: people in would take a gigabyte.
_TURNS = threading.BoundedSemaphore(2)


def hash_password(password: str) -> str:
    """Return what is stored of a password, or raise InvalidParameter if it is not fit to be one."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidParameter(f"A password has {SHORTEST} to {LONGEST} characters.")
    with _TURNS:
        return _HASHER.hash(_bytes(password))


def is_password(stored: str | None, password: str) -> bool:
    """The password is the one stored. Takes as long when nothing is stored as when it is wrong.

    Otherwise the time of the answer would tell which addresses have an account.
    """
    with _TURNS:
        try:
            _HASHER.verify(stored or _of_nobody(), _bytes(password[:LONGEST]))
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None and len(password) <= LONGEST


@functools.cache
def _of_nobody() -> str:
    """A hash for users that do not exist to be checked against."""
    return _HASHER.hash("a password that nobody has")


def _bytes(password: str) -> bytes:
    # JSON can carry half of a surrogate pair, which plain UTF-8 cannot: wrong, but no reason to
    # fall over.
    return password.encode("utf-8", "surrogatepass")
