"""Dialect D: reading a body by its schema, and saying what is wrong with it as D does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import request
from marshmallow import Schema, ValidationError

from app.api.body import read_json
from app.errors import InvalidDocuments


def load(schema: Schema) -> dict[str, Any]:
    """Return the body as its schema reads it. Raises InvalidDocuments, or as read_json does."""
    body, _ = read_json()
    return checked(schema, body)


def load_optional(schema: Schema) -> dict[str, Any]:
    if not request.content_length and "Transfer-Encoding" not in request.headers:
        return {}
    return load(schema)


def checked(schema: Schema, value: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ValidationError as error:
        raise InvalidDocuments("The request is wrong.", problems=list(problems(error))) from error
    return loaded


def problems(error: ValidationError, path: str = "") -> Iterator[dict[str, str]]:
    """Yield what a schema found as {path, message}."""
    said: dict[Any, Any] = error.normalized_messages()  # type: ignore[no-untyped-call]  # bare
    for field, messages in said.items():
        place = ".".join(filter(None, (path, "" if field == "_schema" else str(field))))
        for message in messages if isinstance(messages, list) else [messages]:
            yield {"path": place or "the body", "message": str(message)}
