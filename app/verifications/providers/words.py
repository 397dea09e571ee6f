"""What providers call the lists their hits are from -> our topics (app/screening/topics.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.verifications.findings import category_of

#: By how a word begins: `role.pep.national` is a `role.pep`, and "PEP class 1" a `pep`.
_TOPICS: Mapping[str, str] = {
    "sanction": "sanction",
    "sanctions": "sanction",
    "sanctioned": "sanction",
    "role.pep": "pep",
    "role.pol": "pep",
    "pep": "pep",
    "peps": "pep",
    "politically_exposed": "pep",
    "role.rca": "rca",
    "rca": "rca",
    "crime": "crime",
    "criminal": "crime",
    "wanted": "wanted",
    "debarment": "debarment",
    "debarred": "debarment",
    "export.control": "export_control",
    "reg": "regulatory",
    "regulatory": "regulatory",
    "adverse_media": "adverse_media",
}
_LENGTH = 40


def topic_of(word: str) -> str:
    """Return our topic for a provider's word; the word itself, in small letters, if it has none."""
    plain = re.sub(r"[^\w.]+", "_", word.strip().lower())[:_LENGTH]
    parts = re.split(r"([._])", plain)
    for end in range(len(parts), 0, -2):
        known = _TOPICS.get("".join(parts[:end]))
        if known is not None:
            return known
    return plain


def category(said: Any, default: str) -> str:
    """Return the category of a hit whose provider says a word, several, or nothing of it."""
    words = said if isinstance(said, list) else [said]
    topics = [topic_of(str(each)) for each in words if each]
    return category_of(topics) if any(topics) else default
