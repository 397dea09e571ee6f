"""OpenSanctions' `entities.delta.json`: what changed from one edition of a data set to the next.

Each line is an operation on one entity: ADD and MOD bring all of it, DEL its id. A delta does not
say which edition it belongs to. It shows: what it adds is not there yet, and most of what it
modifies is; a delta that fits the version in force worse than that is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from app.errors import WatchlistRejected
from app.screening.lists import ftm
from app.screening.lists.reading import KEEP, json_lines, rejected
from app.screening.model import Entry, Identifier

#: A target that was none before is modified without being on the list. That is rare: where more
#: than this share of what is modified is unknown, the delta belongs to another version.
MOST_UNKNOWN = 0.5


class _Line(msgspec.Struct):
    op: Literal["ADD", "MOD", "DEL"]
    entity: msgspec.Raw


class _Removed(msgspec.Struct):
    id: str


@dataclass(frozen=True, slots=True)
class _Step:
    """One operation on one entry; without an `entry`, it is not on the list any more."""

    path: Path
    line: int
    op: str
    entry: Entry | None


@dataclass(slots=True)
class Changes:
    """What delta files say, in order, by the id of the entry. As large as the files."""

    steps: dict[str, list[_Step]] = field(default_factory=lambda: defaultdict(list))
    #: Numbers that other entities, such as passports, add to an entry.
    held: dict[str, list[Identifier]] = field(default_factory=dict)
    #: How many entries `apply` has left other than it met them.
    made: int = 0
    _modified: int = 0
    _unknown: int = 0


_lines = msgspec.json.Decoder(_Line)
_removed = msgspec.json.Decoder(_Removed)
_entity = msgspec.json.Decoder(ftm.Entity)


def read_changes(paths: Sequence[Path]) -> Changes:
    """Read delta files, the oldest first, to their end."""
    linked = ftm.Linked()
    for path in paths:
        for _, _, _, entity in _operations(path):
            if entity is not None:
                ftm.link(entity, linked)
    changes = Changes(held=linked.held)
    for path in paths:
        for line, op, entity_id, entity in _operations(path):
            if entity is not None and entity.is_listed:
                entry = ftm.entry_of(entity, linked)
                if entry is None:
                    raise rejected(path, line, "this entity has no id or no name.")
                changes.steps[entity_id].append(_Step(path, line, op, entry))
            elif entity is None or entity.schema in ftm.SUBJECTS:
                # Gone, or there for others' sake alone: a target no longer.
                changes.steps[entity_id].append(_Step(path, line, "DEL", None))
    return changes


def apply(entries: Iterable[Entry], changes: Changes) -> Iterator[Entry]:
    """Yield the entries as the changes leave them, and what they add. Uses the changes up.

    Raises WatchlistRejected, at the latest at the end, if the changes are not of these entries.
    """
    for before in entries:
        after = _follow(before, changes.steps.pop(before.id, ()), changes)
        if after is not None:
            after = _with_held(after, changes.held.get(after.id, ()))
            yield after
        changes.made += after != before
    for steps in changes.steps.values():
        after = _follow(None, steps, changes)
        if after is not None:
            changes.made += 1
            yield after
    if changes._unknown > MOST_UNKNOWN * changes._modified:
        raise WatchlistRejected(
            f"{changes._unknown:,} of the {changes._modified:,} entries that the delta modifies"
            f" are not in the version in force: it belongs to another version. {KEEP}"
            " Load the whole list, entities.ftm.json, instead."
        )


def _operations(path: Path) -> Iterator[tuple[int, str, str, ftm.Entity | None]]:
    """Yield (line, operation, id, what it brings) of a file."""
    for number, line in json_lines(path, _lines):
        try:
            if line.op == "DEL":
                yield number, line.op, _removed.decode(line.entity).id, None
            else:
                entity = _entity.decode(line.entity)
                yield number, line.op, entity.id, entity
        except msgspec.DecodeError as error:
            problem = "this operation has no entity such as entities.ftm.json has."
            raise rejected(path, number, problem) from error


def _follow(before: Entry | None, steps: Iterable[_Step], changes: Changes) -> Entry | None:
    """Take an entry, or none, through the operations on it."""
    current = before
    for step in steps:
        if step.op == "ADD" and current is not None and _own(current) != _own(step.entry):
            problem = (
                "this adds an entry that is there already and is another: the delta belongs to"
                " another version. Load the whole list, entities.ftm.json, instead."
            )
            raise rejected(step.path, step.line, problem)
        if step.op == "MOD":
            changes._modified += 1
            changes._unknown += current is None
        held = [] if current is None else [i for i in current.identifiers if _is_held(i)]
        current = step.entry and _with_held(step.entry, held)
    return current


def _own(entry: Entry | None) -> Entry | None:
    """Return the entry without the numbers that others brought to it."""
    if entry is None:
        return None
    own = tuple(each for each in entry.identifiers if not _is_held(each))
    return msgspec.structs.replace(entry, identifiers=own)


def _with_held(entry: Entry, held: Iterable[Identifier]) -> Entry:
    """Keep what passports and wallets said: only the whole list tells when that ends."""
    identifiers = tuple(dict.fromkeys([*entry.identifiers, *held]))
    if identifiers == entry.identifiers:
        return entry
    return msgspec.structs.replace(entry, identifiers=identifiers)


def _is_held(identifier: Identifier) -> bool:
    return identifier.type in ftm.HELD_TYPES
