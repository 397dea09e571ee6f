"""API keys: how one is made, recognised and stored."""

from __future__ import annotations

import hashlib
import re
import secrets

#: 32 random bytes are 43 url-safe characters.
_BYTES = 32
_KEY = re.compile(r"sk_[A-Za-z0-9_-]{43}")
_PREFIX_LENGTH = len("sk_") + 8


def make_key() -> str:
    return f"sk_{secrets.token_urlsafe(_BYTES)}"


def is_key(text: str) -> bool:
    """The text has the shape of a key. Anything else need not trouble the database."""
    return _KEY.fullmatch(text) is not None


def prefix_of(key: str) -> str:
    """Return what is shown of a key: enough to recognise it, with 35 secret characters to go."""
    return key[:_PREFIX_LENGTH]


def hash_key(key: str) -> bytes:
    """Return what is stored of a key.

    A plain SHA-256 is right here. Passwords need a slow hash because people choose guessable
    ones; a key is 256 random bits, which no speed of guessing will find, and it is checked on
    every request.
    """
    return hashlib.sha256(key.encode("ascii")).digest()
