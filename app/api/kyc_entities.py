"""From the JSON of POST /kyc/jobs to items: everything that may be wrong with it is said here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from marshmallow import Schema, ValidationError

from app.api.body import is_storable
from app.errors import InvalidEntities, InvalidParameter, TooManyEntities
from app.jobs.model import NewItem
from app.jobs.service import encode_item
from schemas.kyc import CheckOptionsSchema, EntitySchema, JobOptionsSchema
from schemas.kyc_fast import Entity
from schemas.kyc_fast import read_entities as read_fast

#: Problems told of one request: enough to see the pattern, and not a second batch.
DETAILS = 100

_LONGEST_PATH = 100

_ENTITY = EntitySchema()
_OPTIONS = JobOptionsSchema()
_CHECK = CheckOptionsSchema()
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one field of one entity."""

    index: int
    entity_id: str | None
    path: str
    message: str

    def to_wire(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def read_batch(body: Any, *, max_entities: int) -> list[Any]:
    """Return the raw entities of the body.

    Raises InvalidEntities if there are none, and TooManyEntities.
    """
    if not isinstance(body, dict):
        raise InvalidEntities("The body must be a JSON object that holds `entities`.")
    entities = body.get("entities")
    if not isinstance(entities, list):
        raise InvalidEntities("`entities` is missing or not a list.")
    if not entities:
        raise InvalidEntities("`entities` is empty: there is nothing to screen.")
    if len(entities) > max_entities:
        raise TooManyEntities(
            f"A job may hold at most {max_entities:,} entities; {len(entities):,} were sent.",
            max_entities=max_entities,
            received=len(entities),
        )
    return entities


def read_options(body: Mapping[str, Any], *, known_lists: Collection[str]) -> dict[str, Any]:
    """Return what a batch says for all its entities, where given. Raises InvalidParameter."""
    options = load(_OPTIONS, {name: body[name] for name in _OPTIONS.fields if name in body})
    for number, wanted in enumerate(options.get("lists", ())):
        if wanted not in known_lists:
            path = f"lists[{number}]" if body.get("lists") else "list_name"
            raise InvalidParameter(f"The request is not valid: {path}: unknown list '{wanted}'.")
    return options


def read_check_options(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a single check says beside its entity. Raises InvalidParameter."""
    return load(_CHECK, {name: body[name] for name in _CHECK.fields if name in body})


def load(schema: Schema, value: Any) -> dict[str, Any]:
    """Return what the schema makes of the value, or raise InvalidParameter with all problems."""
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ValidationError as error:
        problems = "; ".join(
            f"{_shortened(path)}: {message.rstrip('.')}"
            for path, message in flatten(error.messages, root="body")
        )
        raise InvalidParameter(f"The request is not valid: {problems}.") from error
    return loaded


def _shortened(path: str) -> str:
    """A key of the client's own stands in it, and may be of any length."""
    return path if len(path) <= _LONGEST_PATH else path[:_LONGEST_PATH] + "..."


def read_items(
    entities: Sequence[Any], *, known_lists: Collection[str], storable: bool, lenient: bool
) -> list[NewItem]:
    """Return one item for each entity.

    All or nothing: if one entity is invalid, raises InvalidEntities with the first problems and
    the number of entities that have any. With `lenient` the invalid ones become items that fail
    with a reason, and the others run.
    """
    # Only where no text needs a closer look: the fast reader does not take one.
    fast = read_fast(list(entities)) if storable else None
    if fast is not None and _is_fine(fast, known_lists):
        return [_item(entity) for entity in fast]
    return _read_one_by_one(entities, known_lists, lenient=lenient)


def _is_fine(entities: Sequence[Entity], known_lists: Collection[str]) -> bool:
    ids = [entity.entity_id for entity in entities if entity.entity_id is not None]
    if len(set(ids)) != len(ids):
        return False
    return all(name in known_lists for entity in entities if entity.lists for name in entity.lists)


def _item(entity: Entity) -> NewItem:
    ref, entity.entity_id = entity.entity_id, None
    return NewItem(ref, _encode(entity))


def _read_one_by_one(
    entities: Sequence[Any], known_lists: Collection[str], *, lenient: bool
) -> list[NewItem]:
    items: list[NewItem] = []
    problems: list[Problem] = []
    invalid = 0
    seen: dict[str, int] = {}
    for index, raw in enumerate(entities):
        name = _entity_id(raw)
        fast = read_fast([raw]) if (storable := is_storable(raw)) else None
        if fast is None and storable and not lenient and len(problems) >= DETAILS:
            # It is counted, and not told: telling costs a hundred times what finding does.
            invalid += 1
            continue
        loaded, wrong = (fast[0], []) if fast is not None else _read_slowly(raw)
        found = [Problem(index, name, *each) for each in wrong]
        for number, wanted in enumerate((loaded and loaded.lists) or ()):
            if wanted not in known_lists:
                path = f"lists[{number}]" if raw.get("lists") else "list_name"
                found.append(Problem(index, name, path, f"unknown list '{wanted}'"))
        if name is not None:
            if name in seen:
                message = f"already used by the entity at index {seen[name]}"
                found.append(Problem(index, name, "entity_id", message))
            seen.setdefault(name, index)
        if loaded is None or found:
            invalid += 1
            problems += found[: DETAILS - len(problems)]
            why = "; ".join(f"{each.path}: {each.message}" for each in found[:10])
            items.append(NewItem(name, encode_item({"invalid": why})))
        else:
            items.append(_item(loaded))
    if invalid and not lenient:
        raise InvalidEntities(
            _how_many(invalid, len(entities)),
            problems=problems,
            invalid_count=invalid,
        )
    return items


def _how_many(invalid: int, total: int) -> str:
    entities = "entity is" if total == 1 else "entities are" if invalid > 1 else "entities is"
    return f"{invalid:,} of {total:,} {entities} invalid."


def _read_slowly(raw: Any) -> tuple[Entity | None, list[tuple[str, str]]]:
    """Return the entity, or what is wrong with it as (path, message)."""
    try:
        return msgspec.convert(_ENTITY.load(raw), Entity), []
    except ValidationError as error:
        return None, list(flatten(error.messages))


def _entity_id(raw: Any) -> str | None:
    """The entity's name for itself, if it is one that can be repeated and stored."""
    name = raw.get("entity_id") if isinstance(raw, dict) else None
    try:
        return _ENTITY.fields["entity_id"].deserialize(name)
    except ValidationError:
        return None


def flatten(messages: Any, path: str = "", root: str = "entity") -> Iterator[tuple[str, str]]:
    """Yield (path, message) for marshmallow's nested messages, as `subject.identifiers[0].type`.

    What is wrong with the whole is said of `root`.
    """
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            if key == "_schema":
                yield from flatten(inner, path, root)
            elif isinstance(key, int):
                yield from flatten(inner, f"{path}[{key}]")
            else:
                yield from flatten(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(messages, list):
        for message in messages:
            yield from flatten(message, path, root)
    else:
        yield path or root, str(messages)
