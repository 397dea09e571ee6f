"""The words of any endpoint that takes and gives JSON.

It is sent {"subject": {"name", "type", "dateOfBirth", "country", "identifiers"}, "threshold"}, and
answers with an object in which the configured places hold a list of hits and, if it likes, the
version of its data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.verifications.findings import Hit, Read
from app.verifications.providers import words
from app.verifications.providers.config import ProviderConfig


def question(config: ProviderConfig, subject: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the address and the body of a question about a subject."""
    asked = {
        "name": subject["full_name"],
        "type": subject.get("entity_type"),
        "dateOfBirth": subject.get("birth_date"),
        "country": subject.get("nationality"),
        "identifiers": list(subject.get("identifiers", ())),
    }
    return config.url, {"subject": asked, "threshold": config.threshold}


def read(config: ProviderConfig, answer: Any) -> Read:
    """Return what an answer says. Raises ValueError."""
    found = _at(answer, config.hits)
    if not isinstance(found, list):
        raise ValueError("there is no list of hits where it should be")
    version = _at(answer, config.version)
    hits = [_hit(config, each) for each in found]
    return Read(
        [hit for hit in hits if hit.score >= config.threshold],
        None if version is None else str(version)[:100],
    )


def _hit(config: ProviderConfig, given: Any) -> Hit:
    values = {name: _at(given, place) for name, place in config.fields}
    if values["id"] is None or values["name"] is None or isinstance(values["score"], bool):
        raise ValueError("a hit without id or name")
    try:
        score = float(values["score"]) / config.score_scale
    except TypeError:
        raise ValueError("a hit without a score") from None
    # NaN is no score either.
    if not 0.0 <= score <= 1.0:
        raise ValueError("a score beyond its scale")
    aliases = values["aliases"]
    return Hit(
        source=config.name,
        category=words.category(values["category"], config.category),
        id=str(values["id"]),
        name=str(values["name"]),
        score=score,
        more={
            "aliases": [str(each) for each in aliases] if isinstance(aliases, list) else [],
            "dateOfBirth": None if values["dateOfBirth"] is None else str(values["dateOfBirth"]),
            "matchedOn": [],
            **({"url": str(values["url"])} if values["url"] else {}),
        },
    )


def _at(value: Any, place: str) -> Any:
    """Return what stands at `data.found`, or None."""
    for name in place.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value
