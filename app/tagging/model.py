"""What a document and a tag are. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

#: Cited by every result. Changes whenever the same text may get other tags than before.
ENGINE = "local/keyphrase@1"

#: Characters of a text that are looked at; the rest is left out, and the result says so. Bounds the
#: time that a hostile document can take.
MAX_CHARS = 200_000

#: Characters of a text that are sent to a remote model.
REMOTE_CHARS = 24_000

#: Offsets shown for one tag. The count is exact all the same.
MAX_OFFSETS = 20


class TagType(StrEnum):
    CATEGORY = "category"
    ENTITY = "entity"
    KEYPHRASE = "keyphrase"


@dataclass(frozen=True, slots=True)
class Document:
    """A title, which may be empty, and a text. Both as they came: offsets count in them."""

    text: str
    title: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Offset:
    """Where a tag stands: `title` or `text`, and characters from its beginning."""

    field: str
    start: int
    end: int

    def to_json(self) -> dict[str, Any]:
        return {"field": self.field, "start": self.start, "end": self.end}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag. Scores in [0, 1] rank the tags of one document; they are no probabilities."""

    tag: str
    type: TagType
    score: float
    source: str
    count: int
    offsets: Sequence[Offset] = ()
    #: PER, ORG or LOC of an entity; the id of a category.
    label: str | None = None
    #: Of a remote model's tag: whether it was found in the text.
    grounded: bool | None = None

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "tag": self.tag,
            "type": str(self.type),
            "score": round(self.score, 3),
            "source": self.source,
            "count": self.count,
            "offsets": [offset.to_json() for offset in self.offsets],
        }
        if self.label is not None:
            shown["label"] = self.label
        if self.grounded is not None:
            shown["grounded"] = self.grounded
        return shown


@dataclass(frozen=True, slots=True)
class Language:
    """An ISO 639 code, or `und` where the text does not tell; the score is the detector's."""

    code: str
    score: float

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "score": round(self.score, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """What came of one document."""

    tags: Sequence[Tag]
    language: Language
    model: str
    taxonomy: str
    truncated: bool = False
    #: Categories that were found and had no room within `num_tags`.
    omitted: Sequence[str] = ()
    #: What whoever reads the tags should know, as {code, message, ...}.
    warnings: Sequence[Mapping[str, str]] = ()

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "tags": [tag.to_json() for tag in self.tags],
            "language": self.language.to_json(),
            "model": self.model,
            "taxonomy": self.taxonomy,
        }
        if self.truncated:
            shown["truncated"] = True
        if self.omitted:
            shown["omitted_categories"] = list(self.omitted)
        if self.warnings:
            shown["warnings"] = [dict(each) for each in self.warnings]
        return shown
