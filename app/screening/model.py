"""The words of screening: who is looked for, what is listed, what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

#: Changes whenever the same subject and list could score differently than before, or when the
#: files of an index change shape. Recorded with every result and in the name of every index.
ENGINE_VERSION = "3"


class EntityType(StrEnum):
    PERSON = "person"
    ORGANISATION = "organisation"
    VESSEL = "vessel"
    AIRCRAFT = "aircraft"


class Identifier(Struct, frozen=True, gc=False):
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


class Entry(Struct, frozen=True, gc=False):
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
    weight: float


@dataclass(frozen=True, slots=True)
class LeftOver:
    """A word without a partner; `side` is query or listed. It counts as if `cost` had no equal."""

    side: str
    word: str
    weight: float
    cost: float


@dataclass(frozen=True, slots=True)
class Factor:
    """What a name's score is multiplied by, and why."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class NameCalculation:
    """How the score of two names comes about.

    Let pairs have similarity s and weight w. Then the score is `words` times every factor, where

        words = sum(s w) / (sum(w) + sum of what the words left over cost)

    unless `rule` says that the words count as one: "same_words" differ in nothing but order and
    spacing, "sounds_as_one" are names that sound the same from end to end.
    """

    words: float
    rule: str | None = None
    pairs: tuple[TokenPair, ...] = ()
    left_over: tuple[LeftOver, ...] = ()
    factors: tuple[Factor, ...] = ()


class Part(Struct, frozen=True, gc=False):
    """What one feature does to the score of a match (app/screening/composition.py).

    `agreement` is in [0, 1], or None for what one of the sides does not know. But for the name's
    own, a part is -takes * (1 - agreement) * of.
    """

    feature: str
    agreement: float | None
    part: float
    takes: float = 0.0
    of: float = 1.0


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
