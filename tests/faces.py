"""Images made for tests and benchmarks: portraits, what can be made of them, and hostile ones."""

from __future__ import annotations

import io
import os
import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from devtools import portraits

Image = pytest.importorskip("PIL.Image", reason="faces need the extra: pip install 'muster[faces]'")


@pytest.fixture(scope="session")
def people() -> dict[str, bytes]:
    """The six portraits by name. Skips where they cannot be had."""
    try:
        folder = portraits.folder()
    except portraits.NotToBeHad as why:
        if os.environ.get("CI") == "true":
            pytest.fail(str(why))
        pytest.skip(str(why))
    return {name: (folder / f"{name}.jpg").read_bytes() for name in portraits.NAMES}


def opened(data: bytes) -> Any:
    return Image.open(io.BytesIO(data)).convert("RGB")


def encoded(image: Any, format: str = "JPEG", **how: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **{**({"quality": 92} if format == "JPEG" else {}), **how})
    return out.getvalue()


def blank(width: int = 640, height: int = 480, **how: Any) -> bytes:
    return encoded(Image.new("RGB", (width, height), (127, 127, 127)), **how)


def noise(width: int, height: int, seed: int = 7) -> Any:
    data = random.Random(seed).randbytes(3 * width * height)
    return Image.frombytes("RGB", (width, height), data)


def beside(*images: bytes) -> bytes:
    """One picture with several in a row."""
    parts = [opened(data) for data in images]
    height = max(part.height for part in parts)
    row = Image.new("RGB", (sum(part.width for part in parts), height), (90, 120, 90))
    left = 0
    for part in parts:
        row.paste(part, (left, 0))
        left += part.width
    return encoded(row)


def within(image: bytes, side: int, width: int, height: int) -> bytes:
    """A large picture in the middle of which a small one stands."""
    small = opened(image)
    small.thumbnail((side, side))
    large = Image.new("RGB", (width, height), (90, 120, 90))
    large.paste(small, ((width - small.width) // 2, (height - small.height) // 2))
    return encoded(large)


#: What each orientation of EXIF is undone by, the other way round.
_ORIENTED = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_90",
    7: "TRANSVERSE",
    8: "ROTATE_270",
}


def oriented(image: bytes, orientation: int) -> bytes:
    """The picture lying as a camera leaves it, with a note that says how."""
    notes = Image.Exif()
    notes[0x0112] = orientation
    lying = opened(image).transpose(getattr(Image.Transpose, _ORIENTED[orientation]))
    return encoded(lying, exif=notes)


def chunk(kind: bytes, data: bytes) -> bytes:
    checked = zlib.crc32(kind + data) & 0xFFFFFFFF
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checked)


def png(width: int, height: int, *parts: bytes, depth: int = 8, color: int = 2) -> bytes:
    """A PNG whose header says what it is told to say."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((chunk(b"IHDR", header), *parts, chunk(b"IEND", b"")))


def zeros(size: int) -> bytes:
    """So many bytes of nothing, packed."""
    packer = zlib.compressobj(9)
    blocks = [packer.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join(blocks) + packer.compress(bytes(size & 0xFFFFF)) + packer.flush()


def scans(image: Any, count: int) -> bytes:
    """A progressive JPEG with its last scan said over and over: small, and slow to decode."""
    data = encoded(image, progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def hostile(portrait: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Yield a name, an image made to do harm or badly broken, and the code it must end with."""
    broken, large = "invalid_image", "image_too_large"
    yield "empty", b"", broken
    for share in (0.2, 0.5, 0.95):
        yield f"cut off at {share:.0%}", portrait[: int(len(portrait) * share)], broken
    yield "only a header", portrait[:300], broken
    yield "random", random.Random(7).randbytes(20_000), broken
    yield "HTML named .jpg", b"<!doctype html><html><body>404</body></html>", broken
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "SVG named .jpg", svg, broken
    yield "a PDF", b"%PDF-1.7\n" + bytes(1000), broken
    packed = chunk(b"IDAT", zeros(20_000 * 2_501))
    yield "bomb of one bit", png(20_000, 20_000, packed, depth=1, color=0), large
    yield "bomb of 9000", png(9_000, 9_000, chunk(b"IDAT", zeros(9_000 * 27_001))), large
    yield "a header of 30000", png(30_000, 30_000, chunk(b"IDAT", zeros(1000))), large
    yield "a header that lies", png(6_000, 6_000, chunk(b"IDAT", zeros(100))), broken
    text = chunk(b"zTXt", b"k\0\0" + zeros(200_000_000))
    yield "a bomb in its notes", png(80, 80, text, chunk(b"IDAT", zeros(80 * 241))), broken
    yield "a line", encoded(Image.new("RGB", (10_000, 4))), "image_too_small"
    yield "a thread", encoded(Image.new("RGB", (20_000, 70)), "PNG"), large
    yield "one pixel", encoded(Image.new("RGB", (1, 1))), "image_too_small"
    yield "a hundred scans too many", scans(noise(4_000, 4_000), 100), broken
