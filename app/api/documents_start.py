"""Dialect D: what POST /api/batch/start is given, columns mapped and checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from marshmallow import ValidationError

from app.api.body import is_storable
from app.api.documents_body import problems
from app.errors import InvalidDocuments, InvalidParameter, MalformedJson
from app.jobs import service
from app.jobs.model import NewItem
from schemas import texts
from schemas.documents import ALIASES, COLUMNS, FIELDS, JOB_ID, TARGETS, DocumentSchema

_DOCUMENT = DocumentSchema()

#: Of many wrong documents, so many are looked at: each would cost a message.
_PROBLEMS = 100


@dataclass(frozen=True, slots=True)
class Start:
    """A request to begin a job."""

    documents: Sequence[dict[str, Any]]
    config: Mapping[str, Any]
    job_id: str | None
    allowed_seconds: float | None
    fingerprint: str

    @property
    def items(self) -> list[NewItem]:
        return [
            NewItem(document.get("id"), service.encode_item({"document": document}))
            for document in self.documents
        ]


def read(body: Any, *, storable: bool, max_documents: int) -> Start:
    """Return what is asked for. Raises InvalidDocuments or InvalidParameter."""
    if not isinstance(body, dict):
        raise InvalidParameter("The body must be a JSON object.")
    given = body.get("documents")
    if given is None or given == []:
        raise InvalidParameter("No documents provided")
    config = body.get("config")
    found = [
        *_shape(given, max_documents),
        *([] if isinstance(config, dict) else [_problem("config", "must be an object")]),
        *_mapping_problems(body.get("column_mapping")),
        *([] if storable or is_storable(body) else [_problem("the body", _UNSTORABLE)]),
    ]
    job_id, allowed_seconds = body.get("job_id"), None
    if job_id is not None and not (isinstance(job_id, str) and JOB_ID.match(job_id)):
        raise InvalidParameter("Invalid job ID")
    if body.get("deadline") is not None:
        allowed_seconds = _deadline(body["deadline"])
        if allowed_seconds is None:
            found.append(_problem("deadline", "must be a duration such as PT2H (ISO 8601)"))
    if found:
        raise InvalidDocuments("The request is wrong.", problems=found)
    fingerprint = _fingerprint(body)
    documents = read_documents(given, body.get("column_mapping") or {})
    return Start(documents, config or {}, job_id, allowed_seconds, fingerprint)


_UNSTORABLE = "holds a text with a NUL or half a surrogate pair, which cannot be stored"


def read_documents(given: Sequence[Any], mapping: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the documents with their columns mapped, or raise InvalidDocuments."""
    absent = set(mapping) - {column for document in given for column in document}
    found = [
        _problem("column_mapping", f"names {_shown(column)}, which no document has")
        for column in sorted(absent)
    ]
    documents = []
    for number, document in enumerate(given):
        try:
            documents.append(_document(document, mapping))
        except ValidationError as error:
            found += problems(error, f"documents.{number}")
        if len(found) >= _PROBLEMS:
            break
    if found:
        raise InvalidDocuments("Some documents are wrong.", problems=found)
    return documents


def _document(given: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    targets = set(mapping.values())
    for column, value in given.items():
        target = mapping.get(column)
        if target is None and column in TARGETS and column not in targets:
            target = column
        if target is None:
            extra[column] = value
        else:
            named[ALIASES.get(target, target)] = value
    document: dict[str, Any] = _DOCUMENT.load(named)
    return {**document, **({"extra": extra} if extra else {})}


def _shape(given: Any, max_documents: int) -> Iterator[dict[str, str]]:
    if not isinstance(given, list):
        yield _problem("documents", "must be a list")
        return
    if len(given) > max_documents:
        yield _problem(
            "documents", f"may hold at most {max_documents:,} documents; {len(given):,} were sent"
        )
        return
    for number, document in enumerate(given):
        if not isinstance(document, dict):
            yield _problem(f"documents.{number}", "must be an object")
        elif len(document) > COLUMNS:
            yield _problem(f"documents.{number}", f"may have at most {COLUMNS} columns")


def _mapping_problems(given: Any) -> Iterator[dict[str, str]]:
    if given is None:
        return
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        yield _problem("column_mapping", "must be an object of texts")
        return
    seen: dict[str, str] = {}
    for column, target in given.items():
        if target not in TARGETS:
            yield _problem(
                "column_mapping",
                f"maps {_shown(column)} to {_shown(target)}, which is none of: {', '.join(FIELDS)}",
            )
            continue
        field = ALIASES.get(str(target), str(target))
        if field in seen:
            columns = f"{_shown(seen[field])} and {_shown(column)}"
            yield _problem("column_mapping", f"maps both {columns} to {field}")
        seen[field] = str(column)


def _deadline(given: Any) -> float | None:
    seconds = texts.read_duration(given) if isinstance(given, str) else None
    return seconds if seconds and seconds <= texts.LONGEST_DEADLINE else None


def _fingerprint(body: Mapping[str, Any]) -> str:
    """Return what tells the same request when it comes again; without the key in it."""
    config = {name: value for name, value in body["config"].items() if name != "api_key"}
    try:
        same = json.dumps(
            {**body, "config": config}, sort_keys=True, separators=(",", ":"), allow_nan=False
        )
    except RecursionError as error:
        raise MalformedJson("The body is nested too deeply.") from error
    except ValueError as error:
        # JSON has 1e999, and Python reads it as infinity, which is no JSON any more.
        raise MalformedJson("The body holds a number that is too large.") from error
    return sha256(same.encode("utf-8", "surrogatepass")).hexdigest()


def _problem(path: str, message: str) -> dict[str, str]:
    return {"path": path, "message": message}


def _shown(name: str) -> str:
    return ascii(name[:60])
