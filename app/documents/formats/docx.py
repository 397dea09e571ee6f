"""Word documents: the text of paragraphs, read as a stream, with notes at the end."""

from __future__ import annotations

import io
import zipfile
import zlib
from xml.sax import SAXException, SAXParseException
from xml.sax.handler import ContentHandler

from defusedxml.common import DefusedXmlException
from defusedxml.expatreader import create_parser

from app.documents import codes
from app.documents.formats.base import MAX_UNPACKED, Answer, Question, corrupt, too_large
from app.documents.model import DocumentType
from app.errors import ItemError

_BODY = "word/document.xml"
_NOTES = ("word/footnotes.xml", "word/endnotes.xml")
_PICTURES = "word/media/"
_BLOCK = 1 << 16
#: Elements within each other; Word writes a few dozen.
_DEEPEST = 1000
_OTHERS = {
    "xl/workbook.xml": "an Excel workbook",
    "ppt/presentation.xml": "a PowerPoint presentation",
    "content.xml": "an OpenDocument file",
    "META-INF/container.xml": "an EPUB book",
}


def load() -> None:
    """Everything was imported with this module."""


def read(question: Question) -> Answer:
    try:
        archive = zipfile.ZipFile(io.BytesIO(question.data))
    except (zipfile.BadZipFile, ValueError, OverflowError, NotImplementedError) as error:
        raise corrupt("DOCX") from error
    names = set(archive.namelist())
    if _BODY not in names:
        what = next((told for name, told in _OTHERS.items() if name in names), "a ZIP archive")
        raise ItemError(
            codes.UNSUPPORTED_TYPE,
            f"The document is {what}; PDF, DOCX, HTML, text and CSV can be read.",
        )
    handler = _Paragraphs(question.max_chars)
    for name in (_BODY, *_NOTES):
        if name in names and not handler.is_full:
            _parse(archive, name, handler)
    text = "".join(handler.parts)
    if not text.strip() and any(name.startswith(_PICTURES) for name in names):
        raise ItemError(codes.NEEDS_OCR, "The document has pictures and no text.")
    return Answer(text, DocumentType.DOCX)


def _parse(archive: zipfile.ZipFile, name: str, handler: _Paragraphs) -> None:
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise ItemError(codes.ENCRYPTED, "The document needs a password.")
    if info.file_size > MAX_UNPACKED:
        raise too_large()
    parser = create_parser(forbid_dtd=True)
    parser.setContentHandler(handler)
    size = 0
    try:
        with archive.open(info) as part:
            # What the archive says of its size need not be so.
            while block := part.read(_BLOCK):
                size += len(block)
                if size > MAX_UNPACKED:
                    raise too_large()
                parser.feed(block)
                if handler.is_full:
                    return
        parser.close()
    except DefusedXmlException as error:
        # Word writes no DTD; whoever does means entities that grow.
        raise ItemError(
            codes.DOCUMENT_TOO_COMPLEX, "The document's XML has a DTD, which is not read."
        ) from error
    except (
        *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
        *(SAXParseException, SAXException, ValueError),
    ) as error:
        if isinstance(error, RecursionError):
            raise
        raise corrupt("DOCX") from error


class _Paragraphs(ContentHandler):
    """Collects what is shown: text, tabs and breaks, but neither field codes nor deleted words."""

    def __init__(self, max_chars: int) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._left = max_chars
        self._in_text = False
        #: How deep we are in what stands a second time for older programs.
        self._fallback = 0
        self._depth = 0

    @property
    def is_full(self) -> bool:
        return self._left < 0

    def startElement(self, name: str, attrs: object) -> None:  # SAX names it
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ItemError(codes.DOCUMENT_TOO_COMPLEX, "The document is nested too deep.")
        if name == "mc:Fallback" or self._fallback:
            self._fallback += 1
        elif name == "w:t":
            self._in_text = True
        elif name == "w:tab":
            self.parts.append("\t")
        elif name in {"w:br", "w:cr"}:
            self.parts.append("\n")
        elif name == "w:noBreakHyphen":
            self.parts.append("-")

    def endElement(self, name: str) -> None:  # SAX names it
        self._depth -= 1
        if self._fallback:
            self._fallback -= 1
        elif name == "w:t":
            self._in_text = False
        elif name == "w:p":
            self.parts.append("\n")

    def characters(self, content: str) -> None:
        if self._in_text and not self.is_full:
            self.parts.append(content)
            self._left -= len(content)
