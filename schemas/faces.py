"""Dialect C: what the JSON requests under /api/v1 take, and what they are told when it is wrong."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate, validates

from schemas import texts

SELECTIONS = ("single", "largest", "center")
SCOPES = ("face:read", "face:write")
ON_DUPLICATE = ("replace", "add", "error")

NAME_LENGTH = 100
DESCRIPTION_LENGTH = 500
EXTERNAL_ID_LENGTH = 255
#: Of one face's metadata, as JSON.
METADATA_LENGTH = 4_096
#: Objects and lists inside each other, itself the first.
METADATA_DEPTH = 20
#: About as long as anybody may be interested: a hundred years.
LONGEST_RETENTION = 36_500
IPS = 100
DELETED_AT_ONCE = 100

_ONE_OF = "must be one of: {choices}"


def _text(longest: int, shortest: int = 0, **how: Any) -> fields.String:
    says = "must be {min} to {max} characters long"
    return fields.String(
        validate=[texts.check_storable, validate.Length(shortest, longest, error=says)],
        error_messages={
            "invalid": "must be a text",
            "required": "is required",
            "null": "must be a text",
        },
        **how,
    )


def _choice(*words: str, **how: Any) -> fields.String:
    return fields.String(
        validate=validate.OneOf(words, error=_ONE_OF),
        error_messages={"invalid": "must be a text", "null": "must be a text"},
        **how,
    )


def _whole(low: int, high: int, **how: Any) -> fields.Integer:
    says = f"must be a whole number from {low:,} to {high:,}"
    return fields.Integer(
        strict=True,
        validate=validate.Range(low, high, error=says),
        error_messages={"invalid": says, "null": says, "too_large": says},
        **how,
    )


class _Wire(Schema):
    """Unknown fields are ignored."""

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "must be an object"}  # noqa: RUF012  # marshmallow's own way


class OrganizationSchema(_Wire):
    """What POST /api/v1/organizations takes."""

    name = _text(NAME_LENGTH, 1, required=True)

    @post_load
    def trim(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        data["name"] = data["name"].strip()
        if not data["name"] or not data["name"].isprintable():
            raise ValidationError({"name": ["must be visible characters"]})
        return data


class CollectionSchema(_Wire):
    """What POST /api/v1/organizations/{org_id}/collections takes."""

    name = _text(NAME_LENGTH, 1, required=True)
    description = _text(DESCRIPTION_LENGTH, load_default="")
    face_selection = _choice(*SELECTIONS, load_default="single")
    retention_days = _whole(1, LONGEST_RETENTION, allow_none=True, load_default=None)

    @validates("name")
    def must_be_seen(self, value: str, **_: Any) -> None:
        if not value.strip():
            raise ValidationError("must have visible characters")


class CollectionUpdateSchema(_Wire):
    """What PUT /api/v1/collections/{collection_id} takes: only what is to change."""

    name = _text(NAME_LENGTH, 1)
    description = _text(DESCRIPTION_LENGTH)
    face_selection = _choice(*SELECTIONS)
    retention_days = _whole(1, LONGEST_RETENTION, allow_none=True)
    is_enabled = fields.Boolean(
        truthy={True}, falsy={False}, error_messages={"invalid": "must be true or false"}
    )

    @validates("name")
    def must_be_seen(self, value: str, **_: Any) -> None:
        if not value.strip():
            raise ValidationError("must have visible characters")


def _is_network(text: str) -> None:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValidationError("is neither an IP address nor a network") from None


class ApiKeySchema(_Wire):
    """What POST /api/v1/organizations/{org_id}/api-keys takes."""

    name = _text(NAME_LENGTH, 1, required=True)
    collection_id = fields.UUID(
        allow_none=True,
        load_default=None,
        error_messages={"invalid_uuid": "must be the id of a collection"},
    )
    scopes = fields.List(
        _choice(*SCOPES),
        validate=validate.Length(1, error="must name at least one"),
        load_default=lambda: list(SCOPES),
        error_messages={"invalid": "must be a list", "null": "must be a list"},
    )
    allowed_ips = fields.List(
        fields.String(validate=_is_network, error_messages={"invalid": "must be a text"}),
        validate=validate.Length(max=IPS, error="must be at most {max}"),
        load_default=list,
        error_messages={"invalid": "must be a list", "null": "must be a list"},
    )
    rate_limit_rpm = _whole(1, 1_000_000, allow_none=True, load_default=None)
    expires_at = fields.AwareDateTime(
        default_timezone=UTC,
        allow_none=True,
        load_default=None,
        error_messages={"invalid": "must be a time such as 2030-01-31T12:00:00Z"},
    )

    @validates("expires_at")
    def must_be_a_time_in_utc(self, value: datetime | None, **_: Any) -> None:
        try:
            value.astimezone(UTC) if value is not None else None
        except OverflowError:
            # The last hours of the year 9999, west of Greenwich.
            raise ValidationError("must be a time before the year 10000 in UTC") from None


def _metadata(**how: Any) -> fields.Dict:
    return fields.Dict(
        keys=fields.String(),
        error_messages={"invalid": "must be an object", "required": "is required"},
        **how,
    )


class FaceUpdateSchema(_Wire):
    """What PATCH /api/v1/collections/{collection_id}/faces/{face_id} takes."""

    metadata = _metadata(required=True)


class FaceIdsSchema(_Wire):
    """What DELETE /api/v1/collections/{collection_id}/faces/batch takes."""

    face_ids = fields.List(
        fields.String(error_messages={"invalid": "must be a text"}),
        required=True,
        validate=validate.Length(1, DELETED_AT_ONCE, error="must name {min} to {max} faces"),
        error_messages={
            "invalid": "must be a list",
            "required": "is required",
            "null": "must be a list",
        },
    )


class SignInSchema(_Wire):
    """What POST /api/v1/auth/login takes; `organization_id` chooses among the user's own."""

    email = _text(320, 1, required=True)
    password = _text(1_000, 1, required=True)
    organization_id = fields.UUID(
        allow_none=True,
        load_default=None,
        error_messages={"invalid_uuid": "must be the id of an organization"},
    )


def read_uuid(text: str) -> UUID | None:
    """Return the UUID that a text is, in the usual way of writing it, or None."""
    try:
        value = UUID(text)
    except ValueError:
        return None
    return value if str(value) == text.lower() else None
