"""Dialect B: what POST /v5/verifications takes. Unknown fields are ignored."""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from schemas.texts import is_partial_date

USER_ID_LENGTH = 128
WORD_LENGTH = 60
NAME_LENGTH = 500
TEXT_LENGTH = 2_000
STAKEHOLDERS = 1_000
SCHEMES = 50
DOCUMENTS = 50
RISKS = ("unknown", "low", "medium", "high")

#: What is wrong, in words for a person, and the code that a program reads.
REQUIRED = "Missing data for required field."
CODES: dict[str, str] = {
    REQUIRED: "required",
    "Field may not be null.": "required",
    "Not a valid string.": "invalid_type",
    "Not a valid list.": "invalid_type",
    "Not a valid mapping type.": "invalid_type",
    "Invalid input type.": "invalid_type",
}


def code_of(message: str) -> str:
    """Return the code of what a schema says is wrong."""
    if message in CODES:
        return CODES[message]
    if message.startswith("Must be one of"):
        return "invalid_enum_value"
    if message.startswith(("Length must", "Shorter than", "Longer than")):
        return "invalid_length"
    return "invalid_format"


def _text(length: int, **more: Any) -> fields.String:
    """A text with something in it."""
    return fields.String(
        validate=[
            validate.Length(min=1, max=length),
            validate.Regexp(r"(?s).*\S", error="must not be blank"),
        ],
        **more,
    )


def _country(text: str) -> None:
    if not (text.isascii() and text.isalpha() and len(text) in (2, 3)):
        raise ValidationError("must be an ISO 3166 code of three letters, such as AUS")


def _date(text: str) -> None:
    if not is_partial_date(text):
        raise ValidationError("must be a date: YYYY-MM-DD, YYYY-MM or YYYY")


def _website(text: str) -> None:
    if not text.lower().startswith(("http://", "https://")) or any(c.isspace() for c in text):
        raise ValidationError("must be an address that begins with https:// or http://")


class _Identifiers(fields.Dict):
    """By scheme: a number, or several."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Not a valid mapping type.")
        if len(value) > SCHEMES:
            raise ValidationError(f"must hold at most {SCHEMES} schemes")
        for scheme, given in value.items():
            numbers = given if isinstance(given, list) else [given]
            if not 1 <= len(scheme) <= WORD_LENGTH:
                raise ValidationError("holds a scheme without a name, or with too long a one")
            if len(numbers) > SCHEMES or not all(
                isinstance(each, str) and 1 <= len(each) <= 128 for each in numbers
            ):
                raise ValidationError({scheme: ["must be a text of 1 to 128 characters"]})
        return value


class _Base(Schema):
    class Meta:
        unknown = EXCLUDE


class _Party(_Base):
    """Whoever is screened: a person, or anything that has a name."""

    type = _text(WORD_LENGTH)
    subType = _text(WORD_LENGTH)
    name = _text(NAME_LENGTH)
    firstName = _text(NAME_LENGTH)
    middleName = _text(NAME_LENGTH)
    lastName = _text(NAME_LENGTH)
    dateOfBirth = fields.String(validate=_date)
    country = fields.String(validate=_country)
    nationality = fields.String(validate=_country)
    identifiers = _Identifiers()
    addresses = fields.Dict(keys=fields.String(), values=fields.String())

    @validates_schema(skip_on_field_errors=False)
    def _has_a_name(self, data: dict[str, Any], **_: Any) -> None:
        if not (data.get("name") or data.get("lastName")):
            raise ValidationError(REQUIRED, "name")


class PartySchema(_Party):
    """The entity of a stakeholder."""


class StakeholderSchema(_Base):
    """Somebody behind the entity that is verified."""

    role = _text(WORD_LENGTH, required=True)
    entity = fields.Nested(PartySchema, required=True)


class DocumentSchema(_Base):
    """A document that belongs to the verification; kept, and not read."""

    kind = _text(WORD_LENGTH, required=True)
    mimeType = _text(WORD_LENGTH)
    source = _text(WORD_LENGTH)
    data = fields.String(validate=validate.Length(max=100_000))
    description = fields.String(validate=validate.Length(max=TEXT_LENGTH))


class VerificationSchema(_Party):
    """The entity to be verified, and who stands behind it."""

    type = _text(WORD_LENGTH, required=True)
    userId = _text(USER_ID_LENGTH)
    onBehalfUid = _text(USER_ID_LENGTH)
    industry = fields.String(validate=validate.Length(max=TEXT_LENGTH))
    website = fields.String(validate=[validate.Length(max=TEXT_LENGTH), _website])
    inputRisk = fields.String(validate=validate.OneOf(RISKS))
    documents = fields.List(fields.Nested(DocumentSchema), validate=validate.Length(max=DOCUMENTS))
    stakeholders = fields.List(
        fields.Nested(StakeholderSchema), validate=validate.Length(max=STAKEHOLDERS)
    )
