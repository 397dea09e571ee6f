"""Bytes into characters: by mark, as UTF-8, as told, and only then by a guess."""

from __future__ import annotations

import codecs
import re

from app.documents.formats.sniff import zeros_of

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Before UTF-16, whose mark is the first half of this one.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_META = re.compile(
    rb"<(?:meta[^>]{1,200}charset|\?xml[^>]{1,200}encoding)\s*=\s*[\"']?([\w-]{2,40})"
)
_META_WITHIN = 4096
#: Of the letters beyond ASCII there are few in a European text, and hardly others elsewhere.
_FOREIGN = 0.4
_GUESSED_FROM = 1 << 15
#: Python's own ways to write text, which it calls text encodings and nobody else calls charsets:
#: they unpack what stands in the text, and punycode takes for ever. UTF-8 has been tried.
_NO_CHARSETS = frozenset(
    {"unicode_escape", "raw_unicode_escape", "punycode", "idna", "undefined", "utf_8"}
)
_GUESSES = [
    *("cp1251", "koi8_r", "cp866", "cp1253", "cp1255", "cp1256"),
    *("gb18030", "big5", "shift_jis", "euc_jp", "euc_kr", "tis_620"),
]


def decode(data: bytes, declared: str = "", *, markup: bool = False) -> str:
    """Return the characters. What its encoding does not know becomes U+FFFD; never raises."""
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data.decode(name, "replace")
    if utf16 := zeros_of(data):
        return data.decode(utf16, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        # A text that was cut in the middle of a character is still UTF-8.
        if error.start >= len(data) - 3 and error.reason == "unexpected end of data":
            return data.decode("utf-8", "replace")
    if markup and (found := _META.search(data[:_META_WITHIN].lower())):
        declared = declared or found[1].decode("ascii")
    if (text := _as(declared, data)) is not None:
        return text
    return data.decode(_guess(data) or "cp1252", "replace")


def _as(name: str, data: bytes) -> str | None:
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    # What is not even called text, such as zlib, unpacks as well.
    if not name or not info._is_text_encoding or info.name.replace("-", "_") in _NO_CHARSETS:
        return None
    try:
        return data.decode(name, "replace")
    except (LookupError, ValueError):
        return None


def _guess(data: bytes) -> str | None:
    """Return the encoding of a text that is mostly beyond ASCII, where one fits."""
    start = data[:_GUESSED_FROM]
    beyond = sum(byte >= 0xC0 for byte in start)
    letters = beyond + sum(65 <= byte <= 90 or 97 <= byte <= 122 for byte in start)
    if beyond <= _FOREIGN * letters:
        return None
    # Here: most documents never need it.
    from charset_normalizer import from_bytes

    best = from_bytes(start, cp_isolation=_GUESSES, enable_fallback=False).best()
    return None if best is None else best.encoding
