"""The native API: what the requests under /v1 take."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields

CHOICES = ("failed", "cancelled", "unfinished", "all")

#: Positions that one request may choose; who wants more wants a word.
POSITIONS = 10_000


class _Items(fields.Field[Any]):
    """A word, or a list of positions."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, str) and value in CHOICES:
            return value
        if not isinstance(value, list):
            raise ValidationError(
                f"must be one of {', '.join(CHOICES)}, or a list of the indexes of items"
            )
        if not 1 <= len(value) <= POSITIONS:
            raise ValidationError(f"must name 1 to {POSITIONS:,} items")
        # bool is an int to Python.
        if not all(type(each) is int and each >= 0 for each in value):
            raise ValidationError("must hold whole numbers from 0 on")
        return sorted(set(value))


class RetryJobSchema(Schema):
    """What POST /v1/jobs/{job_id}/retry takes. Unknown fields are ignored."""

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "must be an object"}  # noqa: RUF012  # marshmallow's own way

    items = _Items(
        metadata={
            "oneOf": [
                {"type": "string", "enum": list(CHOICES)},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            ],
            "description": "Which items; `failed` unless said.",
        },
        error_messages={"null": "must not be null"},
    )
