"""Verifications as the screening engine takes them: the entity and each of its stakeholders.

A subject's payload is that of an item of kind `kyc` (app/kinds/kyc.py): {"subject": {"full_name",
"entity_type", "birth_date", "nationality", "identifiers"}}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.screening.alpha3 import alpha2
from app.verifications.model import Verification

#: Words for a human being; a sole trader is as good as one, and may be on a list as a company.
_PEOPLE = frozenset({"individual", "person", "naturalperson"})
_EITHER = frozenset({"", "soletrader", "unknown", "other"})


@dataclass(frozen=True, slots=True)
class ScreenedSubject:
    """Somebody who is screened. Without a `stakeholder_id` it is the verified entity itself."""

    tenant_id: UUID
    verification_id: UUID
    trace: str
    stakeholder_id: str | None
    payload: Mapping[str, Any] = field(repr=False)

    @property
    def ref(self) -> str:
        """What the item of a run is called, and by which reviewers' decisions know the subject."""
        return self.stakeholder_id or self.trace


def of(verification: Verification) -> list[ScreenedSubject]:
    """Return the entity, and behind it the stakeholders, in the order in which they were sent."""
    whose = verification.tenant_id, verification.id, verification.trace
    return [
        ScreenedSubject(*whose, None, payload(verification.entity)),
        *(
            ScreenedSubject(*whose, each.stakeholder_id, payload(each.entity))
            for each in verification.stakeholders
        ),
    ]


def payload(entity: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entity of dialect B as an item of kind `kyc`."""
    subject: dict[str, Any] = {"full_name": name_of(entity)}
    kind = str(entity.get("type") or "").replace("_", "").replace("-", "").lower()
    if kind in _PEOPLE:
        subject["entity_type"] = "individual"
    elif kind not in _EITHER:
        subject["entity_type"] = "organization"
    if entity.get("dateOfBirth"):
        subject["birth_date"] = entity["dateOfBirth"]
    # Where a person lives says nothing of their nationality, and must not speak against a match.
    country = entity.get("nationality") or ("" if kind in _PEOPLE else entity.get("country"))
    if country and (code := alpha2(country)):
        subject["nationality"] = code
    identifiers = [
        {"type": scheme, "value": value} for scheme, value in _identifiers(entity) if value
    ]
    if identifiers:
        subject["identifiers"] = identifiers
    return {"subject": subject}


def _identifiers(entity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for scheme, value in (entity.get("identifiers") or {}).items():
        for each in value if isinstance(value, list) else [value]:
            yield scheme, str(each)


def name_of(entity: Mapping[str, Any]) -> str:
    """Return the name of an entity, put together where it was sent in parts."""
    parts = (entity.get(part) for part in ("firstName", "middleName", "lastName"))
    return str(entity.get("name") or " ".join(part for part in parts if part))
