"""The report as PDF, by reportlab: an extra, for whoever wants PDFs.

Its letters are Latin: what is written in others is shown as it is read, in square brackets. A page
is drawn line by line, which holds no more than a page in memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import groupby
from typing import IO, TYPE_CHECKING, Any

from app.api.exports.report import Found, Line
from app.errors import NotAcceptable

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

_FONT, _BOLD = "Vera", "VeraBd"
_SIZE, _LEADING = 8.0, 11.0
_MARGIN = 42.0
#: Lines of one file: some hundred pages, which take a web thread a few seconds. Whoever has more is
#: better served by a table.
MOST_LINES = 10_000
_BLOCK = 1 << 16
#: Kept in memory; longer files are written to the disk while they are sent.
_SPOOLED = 1 << 20


def can_write() -> bool:
    return find_spec("reportlab") is not None


def fits(entities: int, matches: int) -> bool:
    """Whether a report of so many is short enough, as far as it can be told without reading it."""
    return entities + matches < MOST_LINES


def too_long() -> NotAcceptable:
    return NotAcceptable(
        f"A PDF holds at most {MOST_LINES:,} lines, and this report has more: ask for"
        " format=csv, json or html."
    )


def check() -> None:
    """Raise NotAcceptable where no PDF can be written."""
    if not can_write():
        raise NotAcceptable(
            "This server writes no PDF: pip install 'muster[pdf]' where it runs, or ask for"
            " format=html, which prints well."
        )


def write(title: str, facts: Sequence[tuple[str, str]], lines: Iterable[Line]) -> Iterator[bytes]:
    """Yield the file in pieces. Raises NotAcceptable for what is too long."""
    check()
    file: IO[bytes] = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115  # closed by `_pieces`
    try:
        page = _Page(file, title)
        page.heading(title)
        for name, value in facts:
            page.text(f"{name}: {value}")
        page.gap()
        for line in lines:
            page.entity(line)
        page.end()
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return _pieces(file)


def _latin(text: str) -> str:
    # Here and not above: the web does without, until somebody wants a PDF.
    from anyascii import anyascii

    return "".join(letter for letter in anyascii(text) if letter.isprintable())


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block


class _Page:
    """Where the next line goes."""

    def __init__(self, file: IO[bytes], title: str) -> None:
        from reportlab.lib.pagesizes import A4
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont
        from reportlab.pdfgen.canvas import Canvas

        for name in (_FONT, _BOLD):
            pdfmetrics.registerFont(TTFont(name, f"{name}.ttf"))
        self._width_of = pdfmetrics.stringWidth
        self._letters: Any = pdfmetrics.getFont(_FONT).face.charToGlyph  # type: ignore[attr-defined]  # of TrueType
        self._canvas: Canvas = Canvas(file, pagesize=A4, pageCompression=1)
        self._canvas.setTitle(title)
        self._canvas.setCreator("Muster")
        self._width, self._height = A4
        self._number = 0
        self._lines = 0
        self._begin()

    def _begin(self) -> None:
        self._number += 1
        self._at = self._height - _MARGIN
        self._canvas.setFont(_FONT, 7)
        self._canvas.drawRightString(self._width - _MARGIN, _MARGIN / 2, f"page {self._number}")

    def end(self) -> None:
        self._canvas.showPage()
        self._canvas.save()

    def heading(self, text: str) -> None:
        self._draw(text, _BOLD, 13.0, 0.0)
        self.gap()

    def gap(self) -> None:
        self._at -= _LEADING / 2

    def text(self, text: str, *, bold: bool = False, indent: float = 0.0) -> None:
        for part in self._wrapped(self._readable(text), indent):
            self._draw(part, _BOLD if bold else _FONT, _SIZE, indent)

    def entity(self, line: Line) -> None:
        parts = [f"{line.number}.", line.entity_id, line.subject and f"({line.subject})"]
        head = " ".join(part for part in parts if part)
        self.text(f"{head}: {line.outcome}", bold=line.is_match)
        for match in line.matches:
            self._found(match)
        if line.not_shown > 0:
            self.text(f"and {line.not_shown:,} more", indent=16)

    def _found(self, match: Found) -> None:
        ruled_out = " (ruled out by a reviewer)" if match.is_suppressed else ""
        self.text(
            f"{match.score:.2f} {match.list_name} {match.list_version}: {match.matched_name}"
            f"{ruled_out} = {match.entry}; {match.details}",
            indent=16,
        )

    def _readable(self, text: str) -> str:
        """Return the text in letters that the font has."""
        text = " ".join(text.split())
        if all(ord(letter) in self._letters for letter in text):
            return text
        runs = groupby(text, lambda letter: ord(letter) in self._letters)
        shown = [
            "".join(run) if has_them else f"[{_latin(''.join(run))}]" for has_them, run in runs
        ]
        return "".join(shown).replace("] [", " ")

    def _wrapped(self, text: str, indent: float) -> Iterator[str]:
        room = self._width - 2 * _MARGIN - indent
        line = ""
        for word in text.split(" "):
            # A word that fills more than a line is broken anywhere.
            while self._width_of(word, _BOLD, _SIZE) > room:
                cut = max(1, int(len(word) * room / self._width_of(word, _BOLD, _SIZE)) - 1)
                if line:
                    yield line
                    line = ""
                yield word[:cut]
                word = word[cut:]
            longer = f"{line} {word}" if line else word
            if self._width_of(longer, _BOLD, _SIZE) <= room:
                line = longer
            else:
                yield line
                line = word
        yield line

    def _draw(self, text: str, font: str, size: float, indent: float) -> None:
        self._lines += 1
        if self._lines > MOST_LINES:
            raise too_long()
        if self._at < _MARGIN + _LEADING:
            self._canvas.showPage()
            self._begin()
        self._at -= max(_LEADING, size + 3)
        self._canvas.setFont(font, size)
        self._canvas.drawString(_MARGIN + indent, self._at, text)
