"""The text of a document, wherever it is: fetched here, and read in a child process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

from app.db import Database
from app.documents import codes, uploads
from app.documents.addresses import Guard
from app.documents.clean import clean
from app.documents.extractor import Extractor, Limits
from app.documents.fetch import Fetcher, look_up
from app.documents.local import LocalFiles
from app.documents.lookups import Resolve
from app.documents.model import Content, DocumentType, Source, SourceKind, Text
from app.errors import ItemError
from app.settings import Settings


class Reader:
    """Holds the child of one process. Starts nothing before the first document comes."""

    def __init__(self, settings: Settings, db: Database, resolve: Resolve = look_up) -> None:
        self._db = db
        self._max_chars = settings.document_max_chars
        self._max_bytes = settings.document_max_bytes
        self._local = LocalFiles(settings)
        self._fetcher = Fetcher(
            Guard(settings), settings.document_fetch_seconds, settings.document_max_bytes, resolve
        )
        self._extractor = Extractor(Limits.of(settings))

    def read(self, tenant_id: UUID, source: Source, *, pages: int) -> Text:
        """Return the text of the document; of one that has pages, of the first `pages`.

        Takes at most MUSTER_DOCUMENT_FETCH_SECONDS and MUSTER_DOCUMENT_SECONDS, and a second.
        Raises ItemError with one of app.documents.codes, and DatabaseUnavailable.
        """
        if source.kind is SourceKind.INLINE:
            return self._inline(source.at)
        return self._extractor.extract(self._load(tenant_id, source), pages=pages)

    def check_all(
        self, tenant_id: UUID, sources: Sequence[Source], *, seconds: float
    ) -> list[ItemError | None]:
        """Return of each source what is wrong with it before anything is fetched.

        `seconds` is the time for the hosts of all URLs. Raises DatabaseUnavailable.
        """
        uploaded, urls = set[UUID](), dict[str, None]()
        for source in sources:
            with suppress(ItemError):
                if source.kind is SourceKind.UPLOAD:
                    uploaded.add(source.upload_id)
                elif source.kind is SourceKind.URL:
                    urls[source.at] = None
        missing = uploads.missing(self._db, tenant_id, list(uploaded))
        refused = self._fetcher.check_all(urls, seconds=seconds)

        def check(source: Source) -> None:
            match source.kind:
                case SourceKind.INLINE:
                    self._inline(source.at)
                case SourceKind.UPLOAD:
                    if source.upload_id in missing:
                        raise uploads.gone()
                case SourceKind.URL:
                    if source.at in refused:
                        raise refused[source.at]
                case SourceKind.LOCAL:
                    self._local.check(source.at, tenant_id)
                case SourceKind.S3:
                    raise _no_s3()

        return [_error_of(check, source) for source in sources]

    def warm(self) -> None:
        """Start the child, so that the first document does not wait for it."""
        self._extractor.warm()

    def close(self) -> None:
        self._extractor.close()

    def _load(self, tenant_id: UUID, source: Source) -> Content:
        match source.kind:
            case SourceKind.UPLOAD:
                return uploads.load(self._db, tenant_id, source.upload_id)
            case SourceKind.URL:
                return self._fetcher.fetch(source.at)
            case SourceKind.LOCAL:
                return self._local.read(source.at, tenant_id)
            case _:
                raise _no_s3()

    def _inline(self, given: str) -> Text:
        # It came as text, within a body of limited size: there is nothing to take apart.
        size = len(given.encode("utf-8", "surrogatepass"))
        if size > self._max_bytes:
            raise ItemError(
                codes.DOCUMENT_TOO_LARGE,
                f"The text is larger than the {self._max_bytes:,} bytes allowed"
                " (MUSTER_DOCUMENT_MAX_BYTES).",
            )
        text = clean(given)
        if not text.strip():
            raise ItemError(codes.EMPTY_DOCUMENT, "The text is empty.")
        cut = text[: self._max_chars]
        return Text(cut, DocumentType.TEXT, size, truncated=len(cut) < len(text))


def _error_of(check: Callable[[Source], None], source: Source) -> ItemError | None:
    try:
        check(source)
    except ItemError as error:
        return error
    return None


def _no_s3() -> ItemError:
    return ItemError(
        codes.SOURCE_NOT_CONFIGURED,
        "This server takes no documents from S3; give a presigned https:// URL instead.",
    )
