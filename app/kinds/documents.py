"""Document tagging: what is this text about?

An item's payload is {"document": {...}}, with the document as the client sent it and its columns
mapped: `id`, `title`, `text` or `file_path` and `file_source_type`, and `extra`, which is given
back with the result.
The job's options hold the `config` as it was checked (app/tagging/config.py).
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from app.db import Cursor, Database
from app.documents import uploads
from app.documents.model import Source, SourceKind
from app.documents.reader import Reader
from app.documents.store import present_uploads
from app.errors import InvalidConfig, ItemError, JobError, Misconfigured
from app.jobs import service, store
from app.jobs.dispatch import DOCUMENTS, DOCUMENTS_INTERACTIVE
from app.jobs.model import Item, ItemStatus, Job, NewItem, NewJob, Result
from app.kinds.base import Kind, Process
from app.resources import Resources
from app.settings import Settings
from app.tagging import config as configs
from app.tagging import providers
from app.tagging.config import Config
from app.tagging.model import Document, Tag

if TYPE_CHECKING:
    from app.tagging.engine import Tagger
    from app.tagging.text import Page

NAME = "documents"

#: Where in an item's payload a search for documents looks.
SEARCHED = (("document", "title"), ("document", "file_path"))

INVALID_DOCUMENT = "invalid_document"
TAGGING_UNAVAILABLE = "tagging_unavailable"
TIMED_OUT = "timeout"

UNKNOWN_CONFIG = "unknown_config"

#: Of what is ignored, so many are named, by so many characters.
_WARNINGS, _SHOWN = 20, 60

#: A document may take as long as a chunk otherwise does, so a chunk that took this long is given
#: back between two of them.
_CHUNK_SECONDS = 1.0

#: Of the claim on a chunk, what a document may use; the rest is for saving it.
_SHARE_OF_CLAIM = 0.8

#: Expected seconds for a document with its text in it.
_SECONDS = 0.02


def check(resources: Resources, given: Any) -> Config:
    """Return the configuration of a request, or raise InvalidConfig. Loads no engine."""
    config = configs.read(given)
    if not config.is_local:
        providers.choose(providers.read(resources.settings.tagging_providers), config.model_name)
    return config


def new_id() -> str:
    """Return what a client calls a job that it has not named, as the original does."""
    return f"batch-{int(time.time())}-{secrets.token_hex(3)}"


def plan(
    resources: Resources,
    *,
    tenant_id: UUID,
    created_by: str,
    items: Sequence[NewItem],
    config: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    dialect: str = NAME,
    external_id: str | None = None,
    fingerprint: str | None = None,
    interactive: bool = False,
    allowed_seconds: float | None = None,
) -> NewJob:
    """Return a tagging job. Raises InvalidConfig if the configuration is not one.

    `fingerprint` stands for the request, so that the same one is known when it comes again.

    A key in the configuration is not kept, nor is what is not known: a job's options are shown.
    """
    check(resources, config)
    kept, unknown = configs.known(config)
    return NewJob(
        tenant_id=tenant_id,
        kind=NAME,
        dialect=dialect,
        queue=DOCUMENTS_INTERACTIVE if interactive else DOCUMENTS,
        external_id=external_id or new_id(),
        allowed_seconds=allowed_seconds,
        chunk_size=resources.settings.document_chunk_size,
        options={
            "config": kept,
            **({"warnings": _warnings(unknown)} if unknown else {}),
            **({"fingerprint": fingerprint} if fingerprint else {}),
        },
        items=items,
        created_by=created_by,
        labels=labels or {},
        calibrated_seconds=_SECONDS / resources.settings.worker_processes,
    )


def _warnings(unknown: Sequence[str]) -> list[dict[str, str]]:
    """Tell whoever misspelt something, without refusing what other servers know."""
    return [
        {
            "code": UNKNOWN_CONFIG,
            "message": f"config.{name[:_SHOWN]} is not known here and was ignored.",
        }
        for name in unknown[:_WARNINGS]
    ]


def prepare(resources: Resources, job: Job) -> Process:
    try:
        config = check(resources, job.options["config"])
        tagging = _Tagging.of(resources, job, config)
    except Misconfigured as error:
        raise JobError(TAGGING_UNAVAILABLE, str(error)) from None
    except InvalidConfig as error:
        # It was well when the job was made; the server's settings have changed since.
        raise JobError(error.code, str(error)) from None

    def process(items: Sequence[Item]) -> Sequence[Result]:
        return [tagging.result(item) for item in items]

    return process


@dataclass(slots=True)
class _Tagging:
    """One configuration at work on a chunk, document by document."""

    tagger: Tagger
    config: Config
    reader: Reader
    tenant_id: UUID
    claim_seconds: float
    deadline: float = 0.0

    @classmethod
    def of(cls, resources: Resources, job: Job, config: Config) -> _Tagging:
        settings = resources.settings
        reader = reader_of(resources)
        if config.is_local:
            return cls(_local(config), config, reader, job.tenant_id, settings.claim_seconds)
        made: _Tagging

        def left() -> float:
            return min(settings.tagging_seconds, made.deadline - time.monotonic())

        tagger = _remote(config, settings.tagging_providers, left)
        made = cls(tagger, config, reader, job.tenant_id, settings.claim_seconds)
        return made

    def result(self, item: Item) -> Result:
        self.deadline = time.monotonic() + self.claim_seconds * _SHARE_OF_CLAIM
        document = item.payload["document"]
        read = self.reader.read(self.tenant_id, source_of(document), pages=self.config.num_pages)
        tagged = self.tagger.tag(Document(text=read.text, title=document.get("title") or ""))
        detail = tagged.to_json()
        detail["document"] = {
            "type": str(read.type),
            "size": read.size,
            "pages": read.pages,
            "pages_read": read.pages_read,
            "truncated": read.truncated,
        }
        detail["extra"] = document.get("extra") or {}
        return Result.success(item, detail, matches=len(tagged.tags))


def source_of(document: Mapping[str, Any]) -> Source:
    """Return where the text of a document is, or raise ItemError."""
    text, path = document.get("text"), document.get("file_path")
    if not text and not path:
        raise ItemError(INVALID_DOCUMENT, "The document has neither a text nor a file_path.")
    return Source.of(text=text, path=path, kind=document.get("file_source_type"))


def uploads_of(documents: Iterable[tuple[int, Mapping[str, Any]]]) -> list[tuple[int, UUID]]:
    """Return the uploads that documents name, each with the position of the document."""
    found = []
    for position, document in documents:
        with suppress(ItemError):
            # What is wrong with a document is said when its turn comes.
            source = source_of(document)
            if source.kind is SourceKind.UPLOAD:
                found.append((position, source.upload_id))
    return found


def reader_of(resources: Resources) -> Reader:
    """Return this process's reader, which keeps a child."""
    return _reader(os.getpid(), resources.settings, resources.db)


@lru_cache(maxsize=1)
def _reader(pid: int, settings: Settings, db: Database) -> Reader:
    # By the pid: a process that was forked must not share its parent's child.
    return Reader(settings, db)


# Made once for jobs that ask for the same: a taxonomy of thousands of terms takes a moment.
@lru_cache(maxsize=8)
def _local(config: Config) -> Tagger:
    # Here and not above: the web plans jobs with this module and never loads an engine.
    from app.tagging.engine import Tagger

    return Tagger(config)


def _remote(config: Config, text: str, left: Callable[[], float]) -> Tagger:
    from app.tagging.engine import Tagger, check_installed
    from app.tagging.remote import endpoint
    from app.tagging.words import words_of

    check_installed()
    chosen = endpoint(*providers.choose(providers.read(text), config.model_name))

    def ask(page: Page) -> Sequence[Tag]:
        seconds = left()
        if seconds <= 0:
            raise ItemError(TIMED_OUT, "Reading the document left no time for the model.")
        return chosen.tags(page, words_of("und"), num_tags=config.num_tags, seconds=seconds)

    return Tagger(config, ask)


def warm(resources: Resources) -> None:
    """Load what every document needs."""
    reader_of(resources).warm()
    _local(configs.read({})).tag(Document("Warming up: a sentence, so that the models are read."))


def keep(tx: Cursor, job: Job, uses: Sequence[tuple[int, UUID]]) -> set[UUID]:
    """Let the uploads that the job names outlive their time while it lives.

    Return those that are not there: none of the others can go any more.
    """
    uploads.attach(tx, job.tenant_id, job.id, uses)
    ids = {upload_id for _, upload_id in uses}
    return ids - present_uploads(tx, job.tenant_id, list(ids)) if ids else set()


def settle(tx: Cursor, job: Job, results: Sequence[Result]) -> None:
    """Let go of the uploads of documents that ended well; what failed can be tried again."""
    for result in results:
        if result.status is ItemStatus.SUCCEEDED:
            uploads.release(tx, job.id, result.position)


def adopt(tx: Cursor, job: Job) -> None:
    """Keep the uploads that a retry names. Of one that is gone, its item says so."""
    for first in range(0, job.total, service.RESULT_PAGE):
        end = first + service.RESULT_PAGE
        page = store.list_worked(
            tx, job, first=first, end=end, limit=service.RESULT_PAGE, finished=False
        )
        keep(tx, job, uploads_of((row["position"], row["payload"]["document"]) for row in page))


KIND = Kind(
    name=NAME,
    prepare=prepare,
    queues=frozenset({DOCUMENTS, DOCUMENTS_INTERACTIVE}),
    batch_size=1,
    chunk_seconds=_CHUNK_SECONDS,
    limits_itself=True,
    warm=warm,
    settle=settle,
    adopt=adopt,
    external_id=new_id,
)
