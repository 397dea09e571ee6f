"""What lists and entries are about, so that a client may ask for sanctions and not for PEPs.

A topic stands on a list, for all its entries, or on an entry, which then counts by its own topics.
"""

from __future__ import annotations

from collections.abc import Collection

from app.screening.model import ListVersion

#: The words, and what each stands for.
TOPICS = {
    "sanction": "under sanctions",
    "pep": "a politically exposed person",
    "rca": "a relative or close associate of one",
    "crime": "suspected or convicted of a crime",
    "wanted": "sought by the police",
    "debarment": "excluded from public contracts",
    "export_control": "under export controls",
    "regulatory": "warned of or punished by a regulator",
    "adverse_media": "in the news for something bad",
    "internal": "on a list of one's own",
}

#: Of a list that says nothing of itself.
DEFAULT = ("internal",)

_SANCTION = ("sanction",)
_KNOWN = {
    "ofac": _SANCTION,
    "ofac_cons": _SANCTION,
    "un": _SANCTION,
    "eu": _SANCTION,
    "uk": _SANCTION,
    "canada": _SANCTION,
    "australia": _SANCTION,
    "switzerland": _SANCTION,
    "us_csl": ("sanction", "export_control", "debarment"),
    "us_congress": ("pep",),
    "opensanctions": _SANCTION,
    "opensanctions_default": ("sanction", "pep", "rca", "crime", "wanted", "debarment"),
    "sample": _SANCTION,
}


def topics_of(name: str) -> tuple[str, ...]:
    """Return what a public list of this name is about, unless whoever loads it says otherwise."""
    return _KNOWN.get(name, DEFAULT)


def list_topics(version: ListVersion) -> tuple[str, ...]:
    """Return what an entry without topics of its own is about."""
    return tuple(version.topics) or (DEFAULT if version.tenant_id else topics_of(version.name))


def coverage(version: ListVersion) -> tuple[str, ...]:
    """Return every topic that the list can answer about."""
    return tuple(dict.fromkeys((*list_topics(version), *version.entry_topics)))


def unknown(topics: Collection[str]) -> list[str]:
    return [topic for topic in topics if topic not in TOPICS]
