"""What items hold and what came of them, encrypted before Postgres sees it, if somebody wants that.

A sealed value is a JSON text like every other one: a string that names the key it is sealed with.
What was written before there were keys, or with a key that is not the first any more, stays
readable as long as its key is there. AES-256-GCM: nobody changes a value unnoticed
either, though who can write the tables may put one in the place of another: retries copy them.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from app.errors import KeyUnavailable, Misconfigured

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

log = logging.getLogger(__name__)

_MARK = "sealed:1:"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_KEY = re.compile(r"([a-z0-9_-]{1,32}):([A-Za-z0-9_+/-]{42,43}[A-Za-z0-9_+/=-]?)")


def parse_keys(text: str) -> dict[str, bytes]:
    """Return keys by id of `id:base64,id:base64`, the first one first; or raise ValueError."""
    found: dict[str, bytes] = {}
    for number, each in enumerate(text.replace(",", " ").split(), 1):
        # Nothing of it is repeated: it is a secret, in whatever shape.
        wrong = ValueError(
            f"key {number} must be an id of small letters and digits, a colon, and 32 random bytes"
            " in base64; make them with: python3 -c 'import base64, secrets;"
            " print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())'"
        )
        parts = _KEY.fullmatch(each)
        if parts is None:
            raise wrong
        try:
            key = base64.b64decode(parts[2].rstrip("=") + "=", altchars=b"-_", validate=False)
        except binascii.Error:
            raise wrong from None
        if len(key) != _KEY_BYTES:
            raise wrong
        if parts[1] in found:
            raise ValueError(f"key {number} has the id of another one")
        found[parts[1]] = key
    return found


class Sealer:
    """Seals with the first of its keys, and opens with each. Without keys nothing is sealed."""

    def __init__(self, keys: Mapping[str, bytes] | None = None) -> None:
        self._keys: dict[str, AESGCM] = {}
        if keys:
            try:
                from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            except ImportError as error:
                raise Misconfigured(
                    "MUSTER_PAYLOAD_KEYS needs cryptography; install it with:"
                    " pip install 'muster[crypto]'"
                ) from error
            self._keys = {name: AESGCM(key) for name, key in keys.items()}
        #: The id of the key that seals; None: nothing is sealed.
        self.first = next(iter(self._keys), None)

    @property
    def prefix(self) -> str | None:
        """What every text begins with that is sealed with the first key."""
        return None if self.first is None else f'"{_MARK}{self.first}:'

    def seal(self, text: bytes) -> bytes:
        """Return JSON text as it is to be stored."""
        if self.first is None:
            return text
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._keys[self.first].encrypt(nonce, text, None)
        return f'"{_MARK}{self.first}:{base64.b64encode(sealed).decode()}"'.encode()

    def open_text(self, text: str | None) -> str | None:
        """Return the JSON text that was stored. Raises KeyUnavailable."""
        if text is None or not text.startswith(f'"{_MARK}'):
            return text
        return self._opened(text[1:-1])

    def open_value(self, value: Any) -> Any:
        """Return the JSON value that was stored, which has been read already. Raises as above."""
        if not isinstance(value, str) or not value.startswith(_MARK):
            return value
        return json.loads(self._opened(value))

    def _opened(self, sealed: str) -> str:
        name, _, text = sealed.removeprefix(_MARK).partition(":")
        key = self._keys.get(name)
        if key is None:
            log.error("payload_key.missing", extra={"key": name})
            raise KeyUnavailable(
                f"This was encrypted with the key {name!r}, which is not in MUSTER_PAYLOAD_KEYS"
                " here."
            )
        from cryptography.exceptions import InvalidTag

        data = base64.b64decode(text)
        try:
            return key.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()
        except InvalidTag:
            log.error("payload_key.wrong", extra={"key": name})
            raise KeyUnavailable(
                f"The key {name!r} of MUSTER_PAYLOAD_KEYS is another one than what this was"
                " encrypted with."
            ) from None


PLAIN = Sealer()


def of(tx: Any) -> Sealer:
    """Return the sealer of the database that a transaction belongs to."""
    return getattr(tx.connection, "sealer", PLAIN)
