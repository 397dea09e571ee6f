"""What a source, an upload and a text are. Frozen. No I/O here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

from app.documents import codes
from app.errors import ItemError

UPLOAD_PREFIX = "upload://"


class SourceKind(StrEnum):
    INLINE = "inline"
    UPLOAD = "upload"
    URL = "url"
    LOCAL = "local"
    S3 = "s3"


class DocumentType(StrEnum):
    PDF = "pdf"
    DOCX = "docx"
    HTML = "html"
    TEXT = "text"
    CSV = "csv"


_SCHEMES = {
    "upload": SourceKind.UPLOAD,
    "http": SourceKind.URL,
    "https": SourceKind.URL,
    "s3": SourceKind.S3,
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where one document is: `at` is a URL, a path, `upload://ID`, or the text itself."""

    kind: SourceKind
    at: str

    @classmethod
    def of(
        cls, *, text: str | None = None, path: str | None = None, kind: str | None = None
    ) -> Self:
        """Return the source that a document names; its text, where it brings any, wins.

        Without a kind the path tells: upload://, http(s)://, s3://, else a local file.
        Raises ItemError invalid_source.
        """
        if text:
            return cls(SourceKind.INLINE, text)
        if not path or not path.strip():
            raise ItemError(codes.INVALID_SOURCE, "The document has neither text nor a path.")
        path = path.strip()
        told = _SCHEMES.get(_scheme(path))
        if kind is None:
            return cls(told or SourceKind.LOCAL, path)
        if kind not in set(SourceKind) - {SourceKind.INLINE}:
            raise ItemError(
                codes.INVALID_SOURCE, "A document with a path is of kind url, upload, local or s3."
            )
        found = SourceKind(kind)
        if found is not SourceKind.LOCAL and told is not found:
            begins = {"url": "http:// or https://", "upload": UPLOAD_PREFIX, "s3": "s3://"}
            raise ItemError(
                codes.INVALID_SOURCE, f"The path of kind {kind} must begin with {begins[kind]}."
            )
        return cls(found, path)

    @property
    def upload_id(self) -> UUID:
        """The id of an upload. Raises ItemError invalid_source."""
        try:
            return UUID(self.at[len(UPLOAD_PREFIX) :])
        except ValueError:
            # Not of the error above: it quotes the text.
            raise ItemError(
                codes.INVALID_SOURCE, "The path of an upload is upload:// and its id."
            ) from None


def _scheme(path: str) -> str:
    try:
        return urlsplit(path).scheme
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class Hint:
    """What was said about a document. It only tells kinds of text apart, never decides alone."""

    #: The end of its name, in lower case, without the dot.
    suffix: str = ""
    media_type: str = ""
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """A document's bytes, and what was said about them."""

    data: bytes
    hint: Hint = Hint()


@dataclass(frozen=True, slots=True)
class Text:
    """The text of a document: lines end with \\n, and every character can be stored and sent.

    Pages are None where the format has none. `size` is the document's in bytes.
    """

    text: str
    type: DocumentType
    size: int
    pages: int | None = None
    pages_read: int | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that a tenant has sent, without the bytes."""

    id: UUID
    name: str
    size: int
    sha256: str
    created_at: datetime
    expires_at: datetime

    @property
    def path(self) -> str:
        return f"{UPLOAD_PREFIX}{self.id}"
