"""Messages between extractor and child: nothing but what was agreed on is taken."""

from __future__ import annotations

import io

import pytest

from app.documents.wire import Garbled, pack, unpack


def take(data: bytes, longest: int = 100):
    stream = io.BytesIO(data)

    def read(size: int) -> bytes:
        found = stream.read(size)
        if len(found) < size:
            raise EOFError
        return found

    return unpack(read, longest)


def test_a_message_arrives_as_it_was_sent():
    assert take(pack({"pages": 3}, b"\0\xff")) == ({"pages": 3}, b"\0\xff")
    assert take(pack({}, b"")) == ({}, b"")


@pytest.mark.parametrize(
    "data",
    [
        pack({}, bytes(101)),
        pack({"a": "x" * 5000}, b""),
        b"\xff\xff\xff\xff",
        b"\0\0\0\2[]\0\0\0\0",
        b"\0\0\0\2{]\0\0\0\0",
        b"\0\0\0\1\xff\0\0\0\0",
    ],
)
def test_anything_else_is_garbled(data):
    with pytest.raises(Garbled):
        take(data)


def test_half_a_message_is_none():
    with pytest.raises(EOFError):
        take(pack({}, b"text")[:-1])
