"""Text that can be stored, sent and pointed into, whatever it came from."""

from __future__ import annotations

import re

#: Controls, but for tab and newline: Postgres takes no NUL, and the rest is never meant as text.
#: Surrogates by themselves are what broken fonts and encodings leave behind.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")


def clean(text: str) -> str:
    """Return the text with \\n as the only line end, and without what is no text."""
    return _UNWANTED.sub("", _LINE_ENDS.sub("\n", text))
