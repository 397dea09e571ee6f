"""API keys: how one is made, recognised and stored."""

from __future__ import annotations

import hashlib
import re
import secrets

#: 32 random bytes are 43 url-safe characters.
_BYTES = 32
#: Keys of dialect C, which are good for faces only, are known by their prefix.
PREFIXES = (KEY, FACES_KEY) = ("sk_", "fr_live_")
_KEY = re.compile(rf"({KEY}|{FACES_KEY})[A-Za-z0-9_-]{{43}}")
_SHOWN = 8


def make_key(prefix: str = KEY) -> str:
    return prefix + secrets.token_urlsafe(_BYTES)


def is_key(text: str) -> bool:
    """The text has the shape of a key. Anything else need not trouble the database."""
    return _KEY.fullmatch(text) is not None


def prefix_of(key: str) -> str:
    """Return what is shown of a key: enough to recognise it, with 35 secret characters to go."""
    prefix = FACES_KEY if key.startswith(FACES_KEY) else KEY
    return key[: len(prefix) + _SHOWN]


def hash_key(key: str) -> bytes:
    """Return what is stored of a key.

    A plain SHA-256 is right here. Passwords need a slow hash because people choose guessable
    ones; a key is 256 random bits, which no speed of guessing will find, and it is checked on
    every request.
    """
    return hashlib.sha256(key.encode("ascii")).digest()
