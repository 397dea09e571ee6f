"""Document tagging: what is this text about?

An item's payload is {"document": {...}}, with the document as the client sent it and its columns
mapped: `id`, `title`, `text` or where to get it, and `extra`, which is given back with the result.
The job's options hold the `config` as it was checked (app/tagging/config.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from app.errors import InvalidConfig, ItemError, JobError, Misconfigured
from app.jobs.dispatch import DOCUMENTS
from app.jobs.model import Item, Job, NewItem, NewJob, Result
from app.kinds.base import Kind, Process
from app.resources import Resources
from app.tagging import config as configs
from app.tagging import providers
from app.tagging.config import Config
from app.tagging.model import Document, Tag

if TYPE_CHECKING:
    from app.tagging.engine import Tagger
    from app.tagging.text import Page

NAME = "documents"

INVALID_DOCUMENT = "invalid_document"
TAGGING_UNAVAILABLE = "tagging_unavailable"
TIMED_OUT = "timeout"

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


def plan(
    resources: Resources,
    *,
    tenant_id: UUID,
    created_by: str,
    items: Sequence[NewItem],
    config: Mapping[str, Any],
    labels: Mapping[str, str] | None = None,
    dialect: str = NAME,
) -> NewJob:
    """Return a tagging job. Raises InvalidConfig if the configuration is not one.

    A key in it is not kept: a job's options are shown.
    """
    check(resources, config)
    return NewJob(
        tenant_id=tenant_id,
        kind=NAME,
        dialect=dialect,
        queue=DOCUMENTS,
        chunk_size=resources.settings.document_chunk_size,
        options={"config": {key: each for key, each in config.items() if key != "api_key"}},
        items=items,
        created_by=created_by,
        labels=labels or {},
        calibrated_seconds=_SECONDS / resources.settings.worker_processes,
    )


def prepare(resources: Resources, job: Job) -> Process:
    try:
        config = check(resources, job.options["config"])
        tagging = _Tagging.of(resources, config)
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
    claim_seconds: float
    deadline: float = 0.0

    @classmethod
    def of(cls, resources: Resources, config: Config) -> _Tagging:
        settings = resources.settings
        if config.is_local:
            return cls(_local(config), config, settings.claim_seconds)
        made: _Tagging

        def left() -> float:
            return min(settings.tagging_seconds, made.deadline - time.monotonic())

        tagger = _remote(config, settings.tagging_providers, left)
        made = cls(tagger, config, settings.claim_seconds)
        return made

    def result(self, item: Item) -> Result:
        self.deadline = time.monotonic() + self.claim_seconds * _SHARE_OF_CLAIM
        document = item.payload["document"]
        tagged = self.tagger.tag(text_of(document))
        detail = tagged.to_json()
        detail["extra"] = document.get("extra") or {}
        return Result.success(item, detail, matches=len(tagged.tags))


def text_of(document: Mapping[str, Any]) -> Document:
    """Return the title and text of a document, or raise ItemError."""
    text, title = document.get("text"), document.get("title") or ""
    if not isinstance(text, str) or not isinstance(title, str):
        raise ItemError(INVALID_DOCUMENT, "The document has no text.")
    if not text.strip() and not title.strip():
        raise ItemError(INVALID_DOCUMENT, "The text of the document is empty.")
    return Document(text=text, title=title)


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
    _local(configs.read({})).tag(Document("Warming up: a sentence, so that the models are read."))


KIND = Kind(
    name=NAME,
    prepare=prepare,
    queues=frozenset({DOCUMENTS}),
    batch_size=1,
    chunk_seconds=_CHUNK_SECONDS,
    warm=warm,
)
