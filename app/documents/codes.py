"""Why a document gave no text: the error codes of items, public and permanent."""

from __future__ import annotations

from collections.abc import Mapping

INVALID_SOURCE = "invalid_source"
SOURCE_NOT_CONFIGURED = "source_not_configured"
NOT_FOUND = "not_found"
PATH_NOT_ALLOWED = "path_not_allowed"
ADDRESS_NOT_ALLOWED = "address_not_allowed"
TOO_MANY_REDIRECTS = "too_many_redirects"
FETCH_FAILED = "fetch_failed"
TIMEOUT = "timeout"
DOCUMENT_TOO_LARGE = "document_too_large"
DOCUMENT_TOO_COMPLEX = "document_too_complex"
UNSUPPORTED_TYPE = "unsupported_type"
CORRUPT_DOCUMENT = "corrupt_document"
ENCRYPTED = "encrypted"
NEEDS_OCR = "needs_ocr"
EMPTY_DOCUMENT = "empty_document"

#: What each means, for docs/documents.md; never reuse or rename one.
CODES: Mapping[str, str] = {
    INVALID_SOURCE: "no text and no path, or a path that is not written as its kind is",
    SOURCE_NOT_CONFIGURED: "this server takes no documents from such a place",
    NOT_FOUND: "no such upload (any more), no such file, or the server answered 404 or 410",
    PATH_NOT_ALLOWED: "a file outside the configured folders, or no ordinary file",
    ADDRESS_NOT_ALLOWED: "a URL that leads, at once or by redirect, to an address that is not"
    " public, or to a port that is not for the web",
    TOO_MANY_REDIRECTS: "more redirects than are followed",
    FETCH_FAILED: "the server could not be reached, broke off, or answered with an error",
    TIMEOUT: "the server was too slow, or this machine too busy to read the document in time",
    DOCUMENT_TOO_LARGE: "more bytes than are taken, packed or unpacked",
    DOCUMENT_TOO_COMPLEX: "reading it took more time or memory than one document gets, or took"
    " the reader down",
    UNSUPPORTED_TYPE: "neither PDF, DOCX, HTML, text nor CSV, by what is in it",
    CORRUPT_DOCUMENT: "broken or incomplete",
    ENCRYPTED: "needs a password",
    NEEDS_OCR: "its pages are pictures: no text to read without recognising it",
    EMPTY_DOCUMENT: "nothing in it, or no text",
}

#: Trying again later may help: the fault is not the document's.
TRANSIENT = frozenset({FETCH_FAILED, TIMEOUT})
