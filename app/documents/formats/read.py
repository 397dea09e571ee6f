"""From bytes to text, by the format that the bytes are in."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from app.documents import codes
from app.documents.clean import clean
from app.documents.formats.base import Answer, Question
from app.documents.formats.sniff import sniff
from app.documents.model import DocumentType
from app.errors import ItemError

#: Imported by name: of a parser that cannot be, only its own type suffers.
_MODULES = {
    DocumentType.PDF: "app.documents.formats.pdf",
    DocumentType.DOCX: "app.documents.formats.docx",
    DocumentType.HTML: "app.documents.formats.html",
    DocumentType.TEXT: "app.documents.formats.plain",
}


def load_all() -> None:
    """Import every parser, and what it imports when it is used; some take a while."""
    for module in _MODULES.values():
        with suppress(Exception):
            import_module(module).load()


def read(question: Question, type: DocumentType) -> tuple[Answer, bool]:
    """Return the text, and whether it was cut. Raises ItemError."""
    answer: Answer = import_module(_MODULES[type]).read(question)
    text = clean(answer.text).strip()
    if not text:
        raise ItemError(codes.EMPTY_DOCUMENT, "The document has no text.")
    whole = len(text) <= question.max_chars
    cut = text[: question.max_chars]
    return Answer(cut, answer.type, answer.pages, answer.pages_read), not whole


def type_of(question: Question) -> DocumentType:
    return sniff(question.data, question.hint)
