"""Web pages: the article where trafilatura is installed and finds one, else all of the text."""

from __future__ import annotations

from html.parser import HTMLParser
from types import ModuleType

from app.documents.formats.base import Answer, Question
from app.documents.formats.charset import decode
from app.documents.model import DocumentType

#: Longer pages are filings and tables, of which all is meant; and finding an article takes its
#: time.
_LONGEST_ARTICLE = 500_000
#: Of a page with less, what was found is as likely a menu.
_LEAST_ARTICLE = 200
_BLOCK = 1 << 18

_SILENT = frozenset({"script", "style", "template", "noscript", "svg", "math", "iframe", "object"})
_INLINE = frozenset(
    {
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn"),
        *("em", "font", "i", "img", "ins", "kbd", "label", "mark", "nobr", "q", "rp", "rt"),
        *("ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt"),
        *("u", "var", "wbr"),
    }
)


def load() -> None:
    """Import what takes long to import."""
    _trafilatura()


def _trafilatura() -> ModuleType | None:
    """Return it where it is installed."""
    try:
        import trafilatura
    except ImportError:
        return None
    return trafilatura


def read(question: Question) -> Answer:
    markup = decode(question.data, question.hint.charset, markup=True)
    text = _article(markup) if len(markup) <= _LONGEST_ARTICLE else ""
    if len(text) < _LEAST_ARTICLE:
        text = max(strip(markup, question.max_chars), text, key=_letters)
    return Answer(text, DocumentType.HTML)


def _article(markup: str) -> str:
    trafilatura = _trafilatura()
    if trafilatura is None:
        return ""
    return trafilatura.extract(markup, include_comments=False, fast=True) or ""


def _letters(text: str) -> int:
    return len("".join(text.split()))


def strip(markup: str, max_chars: int) -> str:
    """Return the text of a page without its markup; a block begins a line."""
    stripper = _Stripper(max_chars)
    for at in range(0, len(markup), _BLOCK):
        stripper.feed(markup[at : at + _BLOCK])
        if stripper.is_full:
            break
    else:
        stripper.close()
    lines = (" ".join(line.split()) for line in "".join(stripper.parts).split("\n"))
    return "\n".join(line for line in lines if line)


class _Stripper(HTMLParser):
    def __init__(self, max_chars: int) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._left = max_chars
        self._silent = ""
        self._depth = 0

    @property
    def is_full(self) -> bool:
        return self._left < 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if self._silent:
            self._depth += tag == self._silent
        elif tag in _SILENT:
            self._silent, self._depth = tag, 1
        elif tag not in _INLINE:
            self.parts.append("\n")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        if tag not in _INLINE:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            self._depth -= tag == self._silent
            if not self._depth:
                self._silent = ""
        elif tag not in _INLINE:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent and not self.is_full:
            # Lines of the source are no lines of the page.
            self.parts.append(data.replace("\n", " "))
            # Without the spaces, of which few stay.
            self._left -= _letters(data)
