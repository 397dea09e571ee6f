"""How often a verification is screened again, and what changed from one run to the next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from app.verifications.findings import OK
from app.verifications.model import Screening

OFF = "off"
#: After a run that came to nothing another one is dispatched, so many seconds later; twice as many
#: after each further one, up to the interval.
AGAIN_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Monitoring:
    """`frequency` is daily, weekly or on_update."""

    verification_id: UUID
    frequency: str
    next_run_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Due(NamedTuple):
    """A verification that is to be screened; the newest run it had when that was found."""

    verification_id: UUID
    tenant_id: UUID
    trace: str
    last_run_id: UUID | None


class Outdated(NamedTuple):
    """A verification that has not heard of the version in force, and the version it knows."""

    due: Due
    list_name: str
    version_id: int
    known_id: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """`change` is new, gone or changed; `record` is the hit as it is, or as it was last."""

    change: str
    stakeholder_id: str | None
    source: str
    record: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunChanges:
    """What a completed run found to be other than the one before it."""

    run_id: str
    previous_run_id: str | None
    source_action: str
    screened_at: datetime
    differences: Sequence[Difference]


#: A subject, by its stakeholder id (None: the entity itself), and a source.
Asked = tuple[str | None, str]
#: `matched_sources` of a screening, by whom and what they are asked for.
Earlier = Mapping[Asked, Sequence[Mapping[str, Any]]]

_Key = tuple[str | None, str, str]


def unanswered(before: Sequence[Screening], after: Sequence[Screening]) -> set[Asked]:
    """Return who is to be compared with an earlier run, because a source failed in the last one.

    Not those whose source failed this time as well: of them there is nothing to say.
    """
    mentioned = {source["source"] for each in after for source in each.sources_checked}
    asked = _asked(after)
    return {key for key in _asked(before, is_ok=False) if key in asked or key[1] not in mentioned}


def compare(
    before: Sequence[Screening], after: Sequence[Screening], earlier: Earlier | None = None
) -> Iterator[Difference]:
    """Yield what changed from the screenings of one run to those of the next.

    A source that did not answer says nothing: what it found before is not gone, and is not new
    when it answers again. `earlier` is what those that are `unanswered` had found before that.
    """
    was, now = dict(_hits(before)), dict(_hits(after))
    for (stakeholder, name), matched in (earlier or {}).items():
        was.update(
            (key, record) for key, record in _records(stakeholder, matched) if key[1] == name
        )
    asked = _asked(after)
    there = {each.stakeholder_id for each in after}
    listed = {source for _, source in asked}
    for key, record in now.items():
        if key not in was:
            yield Difference("new", *key[:2], record)
        elif _seen(record) != _seen(was[key]):
            yield Difference("changed", *key[:2], record)
    for key, record in was.items():
        # A list that nobody was compared with any more has been withdrawn.
        withdrawn = key[1] not in listed and not _failed(after, key[1])
        if key not in now and key[0] in there and (key[:2] in asked or withdrawn):
            yield Difference("gone", *key[:2], record)


def _failed(screenings: Sequence[Screening], name: str) -> bool:
    return any(source["source"] == name for each in screenings for source in each.sources_checked)


def _asked(screenings: Sequence[Screening], *, is_ok: bool = True) -> set[Asked]:
    """Return whose sources answered, or failed."""
    return {
        (each.stakeholder_id, source["source"])
        for each in screenings
        for source in each.sources_checked
        if (source["status"] == OK) is is_ok
    }


def _hits(screenings: Sequence[Screening]) -> Iterator[tuple[_Key, Mapping[str, Any]]]:
    for each in screenings:
        yield from _records(each.stakeholder_id, each.matched_sources)


def _records(
    stakeholder: str | None, matched: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[_Key, Mapping[str, Any]]]:
    for source in matched:
        for record in source["records"]:
            if not record.get("suppressed"):
                yield (stakeholder, source["source"], str(record["id"])), record


def _seen(record: Mapping[str, Any]) -> dict[str, Any]:
    # How the score came about may be told in other words than before.
    return {name: value for name, value in record.items() if name != "calculation"}
