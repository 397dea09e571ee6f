"""What passes between extractor and child: a length, a head of JSON, a length, the bytes.

Both ends take no more than they expect: of the child nothing is believed, for what it read may
have been made to take it over.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

_LENGTH = struct.Struct(">I")
_LONGEST_HEAD = 4096

#: Returns exactly so many bytes, or raises.
Read = Callable[[int], bytes]


class Garbled(Exception):
    """Not what was agreed on."""


def pack(head: Mapping[str, Any], body: bytes) -> bytes:
    encoded = json.dumps(head).encode()
    return b"".join((_LENGTH.pack(len(encoded)), encoded, _LENGTH.pack(len(body)), body))


def unpack(read: Read, longest: int) -> tuple[Mapping[str, Any], bytes]:
    """Return head and body of one message. Raises Garbled, and what `read` raises."""
    try:
        head = json.loads(read(_length(read, _LONGEST_HEAD)))
    except ValueError as error:
        raise Garbled from error
    if not isinstance(head, dict):
        raise Garbled
    return head, read(_length(read, longest))


def _length(read: Read, longest: int) -> int:
    (length,) = _LENGTH.unpack(read(_LENGTH.size))
    if length > longest:
        raise Garbled
    return int(length)
