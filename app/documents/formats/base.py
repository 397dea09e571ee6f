"""What every format is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from app.documents import codes
from app.documents.model import DocumentType, Hint
from app.errors import ItemError

#: Bytes that packed parts of a document may unpack to.
MAX_UNPACKED = 100_000_000


@dataclass(frozen=True, slots=True)
class Question:
    data: bytes
    hint: Hint
    #: The first so many pages are wanted.
    pages: int
    #: Text beyond this is not needed.
    max_chars: int


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    type: DocumentType
    pages: int | None = None
    pages_read: int | None = None


def corrupt(what: str) -> ItemError:
    return ItemError(codes.CORRUPT_DOCUMENT, f"The {what} is broken or incomplete.")


def too_large() -> ItemError:
    return ItemError(
        codes.DOCUMENT_TOO_LARGE,
        f"The document unpacks to more than the {MAX_UNPACKED:,} bytes allowed.",
    )
