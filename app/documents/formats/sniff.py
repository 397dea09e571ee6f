"""What a document is, by what is in it. Its name and its Content-Type have often been wrong."""

from __future__ import annotations

import re

from app.documents import codes
from app.documents.model import DocumentType, Hint
from app.errors import ItemError

#: Readers of PDF take the mark anywhere in the first kilobyte.
_PDF_WITHIN = 1024
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
#: The name of the stream that holds an encrypted document of Office.
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"GIF8": "GIF",
}
_OTHERS = {
    b"{\\rtf": "RTF",
    b"%!PS": "PostScript",
    b"\x1f\x8b": "gzip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "RAR",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}
_MARKUP = re.compile(rb"\s*<(?:!doctype|html|head|body|\?xml|!--)[\s>-]?", re.IGNORECASE)
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
#: Controls that no text has: not tab, the ends of lines and pages, nor escape.
_CONTROLS = bytes({*range(32), 127} - {9, 10, 11, 12, 13, 27})
_LOOKED_AT = 1 << 16
_FEW = 0.01


def sniff(data: bytes, hint: Hint) -> DocumentType:
    """Return the type of a document; plain text and CSV are both text here.

    Raises ItemError empty_document, unsupported_type, encrypted or needs_ocr.
    """
    if not data:
        raise ItemError(codes.EMPTY_DOCUMENT, "The document is empty: it has no bytes.")
    if b"%PDF-" in data[:_PDF_WITHIN]:
        return DocumentType.PDF
    if data.startswith(_ZIP):
        return DocumentType.DOCX
    if data.startswith(_OLE):
        raise _old_office(data)
    for mark, name in _PICTURES.items():
        if data.startswith(mark):
            raise ItemError(codes.NEEDS_OCR, f"The document is a picture ({name}).")
    for mark, name in _OTHERS.items():
        if data.startswith(mark):
            raise _unsupported(name)
    if _is_binary(data):
        raise _unsupported("binary")
    start = data[:_LOOKED_AT]
    for bom in _BOMS:
        start = start.removeprefix(bom)
    if _MARKUP.match(start.replace(b"\0", b"")) or "html" in hint.media_type:
        return DocumentType.HTML
    return DocumentType.TEXT


def _old_office(data: bytes) -> ItemError:
    if _OLE_ENCRYPTED in data:
        return ItemError(codes.ENCRYPTED, "The document needs a password.")
    return ItemError(
        codes.UNSUPPORTED_TYPE,
        "The document is in the format of Office before 2007; save it as DOCX or PDF.",
    )


def _unsupported(name: str) -> ItemError:
    return ItemError(
        codes.UNSUPPORTED_TYPE,
        f"The document is {name}; PDF, DOCX, HTML, text and CSV can be read.",
    )


def _is_binary(data: bytes) -> bool:
    start = data[:_LOOKED_AT]
    if start.startswith(_BOMS[1:]) or zeros_of(start):
        return False
    controls = len(start) - len(start.translate(None, _CONTROLS))
    return b"\0" in start or controls > _FEW * len(start)


def zeros_of(data: bytes) -> str:
    """Return the UTF-16 whose zeros stand in Latin text without a mark, or nothing."""
    start = data[:_LOOKED_AT]
    half = len(start) // 2
    if not half:
        return ""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return ""
