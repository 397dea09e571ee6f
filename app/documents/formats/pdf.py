"""PDFs: the text of the first pages, by pypdf."""

from __future__ import annotations

import io
from contextlib import suppress

from pypdf import PageObject, PasswordType, PdfReader, overwrite_configuration
from pypdf.errors import DependencyError, LimitReachedError, PyPdfError

from app.documents import codes
from app.documents.formats.base import Answer, Question, corrupt
from app.documents.model import DocumentType
from app.errors import ItemError

#: A page with fewer characters and a picture is a scan with a stamp on it.
_STAMP = 10
#: Bytes of drawing that show something.
_DRAWING = 100
#: What looking at a page may raise where it is broken.
_BROKEN = (PyPdfError, ValueError, TypeError, KeyError, AttributeError)


def load() -> None:
    """Everything was imported with this module."""


def read(question: Question) -> Answer:
    # No program of the machine's is run for us, and nobody sets pypdf's constants.
    overwrite_configuration(jbig2dec_binary=None, disable_legacy_handling=True)
    try:
        reader = PdfReader(io.BytesIO(question.data))
        if reader.is_encrypted:
            _open(reader)
        pages = len(reader.pages)
    except LimitReachedError as error:
        raise _too_complex() from error
    except (MemoryError, RecursionError, ItemError):
        raise
    except Exception as error:
        # pypdf says itself that a broken file can make it raise anything.
        raise corrupt("PDF") from error
    if not pages:
        raise ItemError(codes.EMPTY_DOCUMENT, "The PDF has no pages.")
    texts = _pages(reader, min(pages, question.pages), question.max_chars)
    text = "\n\n".join(texts)
    letters = sum(not char.isspace() for char in text)
    if letters < _STAMP * len(texts):
        seen = [reader.pages[at] for at in range(len(texts))]
        if any(_has_picture(page) or (not letters and _is_drawn(page)) for page in seen):
            raise ItemError(
                codes.NEEDS_OCR, "The pages of the PDF are pictures, or drawn without letters."
            )
    return Answer(text, DocumentType.PDF, pages, len(texts))


def _open(reader: PdfReader) -> None:
    """Open what needs no password: only printing or copying is locked."""
    try:
        if reader.decrypt("") != PasswordType.NOT_DECRYPTED:
            return
    except DependencyError as error:
        raise ItemError(
            codes.ENCRYPTED,
            "The PDF is encrypted with AES, which this server reads only with the extra [crypto].",
        ) from error
    raise ItemError(codes.ENCRYPTED, "The PDF needs a password.")


def _pages(reader: PdfReader, count: int, max_chars: int) -> list[str]:
    """Return the text of each page. A broken page among good ones is an empty one."""
    texts: list[str] = []
    broken, left = 0, max_chars
    for at in range(count):
        try:
            texts.append(reader.pages[at].extract_text().strip())
        except LimitReachedError as error:
            raise _too_complex() from error
        except (MemoryError, RecursionError):
            raise
        except Exception:
            texts.append("")
            broken += 1
        left -= len(texts[-1])
        if left < 0:
            break
    if broken == len(texts):
        raise corrupt("PDF")
    return texts


def _has_picture(page: PageObject) -> bool:
    with suppress(*_BROKEN):
        resources = page.get("/Resources")
        objects = resources.get_object().get("/XObject") if resources is not None else None
        return objects is not None and len(objects.get_object()) > 0
    return False


def _is_drawn(page: PageObject) -> bool:
    with suppress(*_BROKEN):
        contents = page.get_contents()
        return contents is not None and len(contents.get_data()) > _DRAWING
    return False


def _too_complex() -> ItemError:
    return ItemError(
        codes.DOCUMENT_TOO_COMPLEX, "The PDF unpacks to more, or is nested deeper, than is read."
    )
