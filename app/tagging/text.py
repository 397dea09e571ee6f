"""A document as one text, in which every place can be told by field and offset.

Folding makes spellings alike (case, curly quotes, dashes, kinds of space) and keeps the length, so
that a place in the folded text is the same place in the text as it came.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property

from app.tagging.model import MAX_CHARS, Document, Offset

#: A word, with what holds its parts together: `co-operative`, `O'Neil`, `AT&T`, `S.A`.
WORD = re.compile(r"[^\W_]+(?:[-'’&.][^\W_]+)*")

#: Where a sentence ends. The space before it is bounded, so that no run of spaces is read twice.
_SENTENCE = re.compile(
    r"(?<=[.!?。！？])[\"”’)\]]{0,3}\s{1,8}(?=[\"“‘(\[A-Z0-9À-ÞА-ЯΑ-Ω])|\n\s{0,8}\n"
)

#: Between title and text: a blank line, over which no phrase reaches.
_GAP = "\n\n"

_ALIKE = str.maketrans(
    {
        **dict.fromkeys("’‘ʼ`´", "'"),
        **dict.fromkeys("“”„«»", '"'),
        **dict.fromkeys("‐‑‒–—−", "-"),
        **dict.fromkeys("\t\r\n\f\v\u00a0\u2002\u2003\u2007\u2009\u200a\u202f\u3000", " "),
        # The same letter at the end of a word.
        "ς": "σ",
    }
)


def fold(text: str) -> str:
    """Return the text in lower case with plain quotes, dashes and spaces, at the same length."""
    lower = text.lower()
    if len(lower) != len(text):
        # A few letters become two, such as the dotted capital I of Turkish.
        lower = "".join(small if len(small := ch.lower()) == 1 else ch for ch in text)
    return lower.translate(_ALIKE)


def spelling(term: str) -> str:
    """Return the term as it is looked for: folded, with one space between its words."""
    return fold(" ".join(term.split()))


class Page:
    """Title and text as one string, of which at most MAX_CHARS characters."""

    def __init__(self, document: Document) -> None:
        title = document.title[:MAX_CHARS]
        room = MAX_CHARS - len(title)
        self.truncated = len(document.title) > MAX_CHARS or len(document.text) > room
        self._text_begins = len(title) + len(_GAP) if title else 0
        self.full = (title + _GAP if title else "") + document.text[:room]

    @cached_property
    def folded(self) -> str:
        return fold(self.full)

    @cached_property
    def _sentences(self) -> list[int]:
        return [match.end() for match in _SENTENCE.finditer(self.full)]

    @cached_property
    def _paragraphs(self) -> list[int]:
        return [match.end() for match in re.finditer(r"\n\s{0,8}\n|\n", self.full)]

    def sentence(self, position: int) -> int:
        """Return the number of the sentence that the character stands in."""
        return bisect_right(self._sentences, position)

    def paragraph(self, position: int) -> int:
        return bisect_right(self._paragraphs, position)

    @cached_property
    def word_count(self) -> int:
        return len(self.words)

    @cached_property
    def words(self) -> list[re.Match[str]]:
        """Every word, in order."""
        return list(WORD.finditer(self.full))

    def share(self, position: int) -> float:
        """Return how far into the document the character stands, from 0 to 1."""
        return position / max(1, len(self.full))

    @cached_property
    def fields(self) -> list[tuple[int, str]]:
        """Title and text, each with where it begins on the page; the text alone without a title."""
        text = (self._text_begins, self.full[self._text_begins :])
        if not self._text_begins:
            return [text]
        return [(0, self.full[: self._text_begins - len(_GAP)]), text]

    def begins(self, position: int) -> int:
        """Return where the field begins that the character stands in."""
        return self._text_begins if position >= self._text_begins else 0

    def crosses(self, start: int, end: int) -> bool:
        """The place is not all in the title, nor all in the text."""
        return start < self._text_begins and end > self._text_begins - len(_GAP)

    def locate(self, start: int, end: int) -> Offset:
        """Return the place, which crosses nothing, in the field that it belongs to."""
        if start < self._text_begins:
            return Offset("title", start, end)
        return Offset("text", start - self._text_begins, end - self._text_begins)
