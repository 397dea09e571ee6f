"""Dialect D: what the requests under /api take, and what they are told when it is wrong."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from schemas import texts

SOURCE_TYPES = ("url", "s3", "local", "upload", "inline")

#: What a column of the caller's may be mapped to; `content` is another word for `text`.
FIELDS = (
    *("id", "title", "text", "file_path", "file_source_type"),
    *("description", "publishing_date", "file_size"),
)
ALIASES = {"content": "text"}
TARGETS = (*FIELDS, *ALIASES)

TEXT_LENGTH = 2_000_000
PATH_LENGTH = 4_096
COLUMNS = 200

JOB_ID = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")


class _Text(fields.Field[str]):
    """A text; a number, as a spreadsheet may have it, is taken for its digits where it may be."""

    def __init__(self, longest: int, *, numbers: bool = False) -> None:
        super().__init__(allow_none=True, metadata={"type": "string", "maxLength": longest})
        self._longest = longest
        self._numbers = numbers

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        if self._numbers and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise ValidationError("must be a text")
        if len(value) > self._longest:
            raise ValidationError(f"must be at most {self._longest:,} characters long")
        texts.check_storable(value)
        return value


class _Wire(Schema):
    """Unknown fields are ignored, and null says the same as leaving the field out."""

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "must be an object"}  # noqa: RUF012  # marshmallow's own way

    @post_load
    def drop_nulls(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value is not None}


class DocumentSchema(_Wire):
    """One document, its columns mapped. Whether it can be read is seen when its turn comes."""

    id = _Text(128, numbers=True)
    title = _Text(1_000, numbers=True)
    text = _Text(TEXT_LENGTH)
    file_path = _Text(PATH_LENGTH)
    file_source_type = fields.String(
        allow_none=True,
        validate=validate.OneOf(SOURCE_TYPES, error="must be one of: {choices}"),
        error_messages={"invalid": "must be a text"},
    )
    description = _Text(10_000)
    publishing_date = _Text(100, numbers=True)
    file_size = _Text(100, numbers=True)


def _credential(longest: int) -> fields.String:
    return fields.String(
        required=True,
        validate=[
            texts.check_storable,
            validate.Length(min=1, error="must not be empty"),
            validate.Length(max=longest, error="must have at most {max} characters"),
        ],
        error_messages={
            "invalid": "must be a text",
            "required": "is required",
            "null": "is required",
        },
    )


class RegisterSchema(_Wire):
    """What POST /api/auth/register takes."""

    email = _credential(320)
    password = _credential(1_000)
    full_name = _Text(200)


class LoginSchema(_Wire):
    """What POST /api/auth/login takes."""

    email = _credential(320)
    password = _credential(1_000)


class RefreshSchema(_Wire):
    """What POST /api/auth/refresh takes."""

    #: As long as any token: an access token in its place is refused as what it is.
    refresh_token = _credential(8_000)


class LogoutSchema(_Wire):
    """What POST /api/auth/logout takes: without a token, every session of the user ends."""

    refresh_token = _Text(8_000)
