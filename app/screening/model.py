"""The words of screening: who is looked for, what is listed, what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

#: Changes whenever the same subject and list could score differently than before, or when the
#: files of an index change shape. Recorded with every result and in the name of every index.
ENGINE_VERSION = "3"


class EntityType(StrEnum):
    PERSON = "person"
    ORGANISATION = "organisation"
    VESSEL = "vessel"
    AIRCRAFT = "aircraft"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A passport, tax, registration or IMO number, a wallet address, a call sign."""

    type: str
    value: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the client asks about.

    `birth_date` is YYYY, YYYY-MM or YYYY-MM-DD; `countries` are ISO alpha-2, upper case. Without
    an `entity_type` the subject is compared with entries of every type, by each entry's rules.
    """

    name: str | None
    entity_type: EntityType | None = None
    birth_date: str | None = None
    countries: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One subject on a published list.

    `weak_aliases` are those the publisher itself calls weak: nicknames that many people bear.
    `countries` are ISO alpha-2, or the publisher's words where they name no country we know.
    """

    id: str
    entity_type: EntityType
    name: str
    aliases: tuple[str, ...] = ()
    weak_aliases: tuple[str, ...] = ()
    birth_dates: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    programs: tuple[str, ...] = ()
    source_url: str | None = None
    #: What the entry is about (app/screening/topics.py). Empty: what its list is about.
    topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenPair:
    """Why two names are alike: this word of the one stands for that word of the other.

    `how` is equal, spelling, transliteration, sound, variant, syllables, initial, joined or
    acronym.
    """

    query: str
    listed: str
    how: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Match:
    """An entry whose score reached the threshold, with the reasons.

    `match_type` is "name" or "identifier". `explanations` holds, for every feature both sides
    know something about, how well they agree in [0, 1].
    """

    entry: Entry
    score: float
    match_type: str
    matched_name: str
    matched_fields: tuple[str, ...]
    explanations: Mapping[str, float] = field(default_factory=dict)
    tokens: tuple[TokenPair, ...] = ()


@dataclass(frozen=True, slots=True)
class ListVersion:
    """One edition of a list, as loaded. Jobs cite it, so it is kept when a newer one arrives."""

    id: int
    name: str
    title: str
    version: str
    published_at: datetime | None
    loaded_at: datetime
    source: str
    sha256: str
    entries: int
    seconds_per_entity: float
    #: What the whole list is about, and what single entries say beside it.
    topics: Sequence[str] = ()
    entry_topics: Sequence[str] = ()
    #: Whose list it is; None for everybody's.
    tenant_id: UUID | None = None
