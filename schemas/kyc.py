"""Dialect A: what POST /kyc/jobs and POST /kyc take, and what they are told when it is wrong.

This is the definition of the wire. schemas/kyc_fast.py reads a valid batch faster; a property
test shows that both always agree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import (
    EXCLUDE,
    Schema,
    ValidationError,
    fields,
    post_load,
    validate,
    validates_schema,
)

from schemas import texts

ENTITY_TYPES = ("individual", "company", "organization", "vessel", "aircraft")
SEARCH_TYPES = ("composite", "name", "identifier")

#: The words of app/screening/topics.py; a test holds the two together.
TOPICS = (
    *("sanction", "pep", "rca", "crime", "wanted", "debarment", "export_control", "regulatory"),
    *("adverse_media", "internal"),
)

DECISIONS = ("false_positive", "true_match")

#: Below this nearly every listed name is a match: of use to nobody, and one entity would keep a
#: worker busy for many seconds.
LOWEST_THRESHOLD = 0.5

LABELS = 50

#: A subject must say at least one of these.
IDENTIFYING = ("full_name", "document_id", "wallet_address", "identifiers", "imo_number")


def _length(longest: int) -> validate.Length:
    return validate.Length(1, longest, error="must be 1 to {max} characters long")


def _matching(pattern: str, message: str) -> Callable[[str], None]:
    compiled = re.compile(pattern)

    def check(text: str) -> None:
        if not compiled.search(text):
            raise ValidationError(message)

    return check


def _text(longest: int, *more: Callable[[str], Any]) -> fields.String:
    return fields.String(
        allow_none=True,
        validate=[texts.check_storable, _length(longest), *more],
        error_messages={"invalid": "must be a text"},
    )


def _required(longest: int) -> fields.String:
    return fields.String(
        required=True,
        validate=[texts.check_storable, _length(longest), _matching(texts.NOT_BLANK, "is blank")],
        error_messages={
            "invalid": "must be a text",
            "required": "is required",
            "null": "is required",
        },
    )


def _one_of(words: tuple[str, ...]) -> validate.OneOf:
    return validate.OneOf(words, error="must be one of: {choices}")


def _calendar(text: str) -> None:
    if not texts.is_partial_date(text):
        raise ValidationError("must be a date as YYYY, YYYY-MM or YYYY-MM-DD")


def _deadline(text: str) -> None:
    seconds = texts.read_duration(text)
    if seconds is None:
        raise ValidationError("must be a duration such as PT2H or P1DT12H (ISO 8601)")
    if not 0 < seconds <= texts.LONGEST_DEADLINE:
        raise ValidationError("must be longer than nothing, and no longer than a year")


class _List(fields.List[Any]):
    """A list whose length is looked at first: each of a million elements would cost a message."""

    def __init__(
        self, inner: fields.Field[Any], *, shortest: int = 0, longest: int, error: str
    ) -> None:
        super().__init__(inner, allow_none=True, error_messages={"invalid": "must be a list"})
        self._length = validate.Length(shortest, longest, error=error)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, list):
            self._length(value)
        return super()._deserialize(value, *args, **kwargs)


class _Texts(fields.Dict):
    """An object of texts, likewise."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, dict):
            validate.Length(max=LABELS, error="may hold at most {max}")(value)
        return super()._deserialize(value, *args, **kwargs)  # type: ignore[no-untyped-call]  # bare


class _Wire(Schema):
    """Unknown fields are ignored, and null says the same as leaving the field out."""

    class Meta:
        unknown = EXCLUDE

    error_messages = {"type": "must be an object"}  # noqa: RUF012  # marshmallow's own way

    @post_load
    def drop_nulls(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value for name, value in data.items() if value is not None}


class IdentifierSchema(_Wire):
    type = fields.String(
        required=True,
        validate=[texts.check_storable, _length(texts.LABEL_LENGTH)],
        error_messages={"invalid": "must be a text", "required": "is required"},
    )
    value = fields.String(
        required=True,
        validate=[
            texts.check_storable,
            _length(texts.DOCUMENT_LENGTH),
            _matching(texts.NOT_BLANK, "must not be blank"),
        ],
        error_messages={"invalid": "must be a text", "required": "is required"},
    )


_not_blank = _matching(texts.NOT_BLANK, "must not be blank")


class SubjectSchema(_Wire):
    full_name = _text(texts.NAME_LENGTH, _not_blank)
    document_id = _text(texts.DOCUMENT_LENGTH, _not_blank)
    document_type = _text(texts.LABEL_LENGTH)
    nationality = _text(2, _matching(texts.COUNTRY, "must be an ISO 3166 alpha-2 country code"))
    birth_date = _text(10, _calendar)
    entity_type = _text(20, _one_of(ENTITY_TYPES))
    identifiers = _List(
        fields.Nested(IdentifierSchema), longest=texts.IDENTIFIERS, error="may hold at most {max}"
    )
    wallet_address = _text(texts.DOCUMENT_LENGTH, _not_blank)
    imo_number = _text(texts.DOCUMENT_LENGTH, _not_blank)
    call_sign = _text(texts.DOCUMENT_LENGTH)

    @validates_schema(skip_on_field_errors=True)
    def identifies(self, data: Mapping[str, Any], **_: Any) -> None:
        if not any(data.get(name) for name in IDENTIFYING):
            raise ValidationError(f"one of {', '.join(IDENTIFYING)} is required")


def _lists() -> _List:
    return _List(
        fields.String(
            validate=_matching(texts.LIST_NAME, "is not the name of a list"),
            error_messages={"invalid": "must be a text"},
        ),
        shortest=1,
        longest=texts.LISTS,
        error="must name 1 to {max} lists",
    )


def _list_name() -> fields.String:
    return _text(64, _matching(texts.LIST_NAME, "is not the name of a list"))


def _one_way_to_name_lists(data: dict[str, Any]) -> dict[str, Any]:
    """`list_name` is the short way to say `lists` with one; where both are, `lists` counts."""
    name = data.pop("list_name", None)
    if name is not None and data.get("lists") is None:
        data["lists"] = [name]
    return data


class EntitySchema(_Wire):
    entity_id = _text(texts.ENTITY_ID_LENGTH)
    subject = fields.Nested(
        SubjectSchema,
        required=True,
        error_messages={"required": "is required", "null": "is required"},
    )
    lists = _lists()
    list_name = _list_name()
    search_type = _text(20, _one_of(SEARCH_TYPES))

    @post_load
    def one_way_to_name_lists(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return _one_way_to_name_lists(data)


class _Number(fields.Float):
    """A JSON number: marshmallow's own would take "0.9" and true as well."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.make_error("invalid")
        return super()._deserialize(value, *args, **kwargs)


def _topics() -> _List:
    return _List(
        fields.String(validate=_one_of(TOPICS), error_messages={"invalid": "must be a text"}),
        shortest=1,
        longest=len(TOPICS),
        error="must name 1 to {max} topics",
    )


class CheckOptionsSchema(_Wire):
    """What POST /kyc takes beside the entity."""

    threshold = _Number(
        allow_none=True,
        validate=validate.Range(
            LOWEST_THRESHOLD, 1, error=f"must be between {LOWEST_THRESHOLD:g} and 1"
        ),
        error_messages={"invalid": "must be a number"},
    )
    topics = _topics()


class JobOptionsSchema(CheckOptionsSchema):
    """What POST /kyc/jobs takes beside the entities: what counts for those that say nothing."""

    lists = _lists()
    list_name = _list_name()
    search_type = _text(20, _one_of(SEARCH_TYPES))
    deadline = _text(40, _deadline)
    labels = _Texts(
        keys=fields.String(validate=[texts.check_storable, _length(texts.LABEL_LENGTH)]),
        values=fields.String(
            validate=[texts.check_storable, _length(texts.NAME_LENGTH)],
            error_messages={"invalid": "must be a text"},
        ),
        allow_none=True,
        error_messages={"invalid": "must be an object of texts"},
    )

    @post_load
    def one_way_to_name_lists(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return _one_way_to_name_lists(data)


class RetrySchema(_Wire):
    """What POST /kyc/jobs/{job_id}/retry takes."""

    items = _text(20, _one_of(("failed", "cancelled", "unfinished")))


class UploadSchema(_Wire):
    """The query of POST /kyc/lists and POST /kyc/lists/{name}."""

    name = _text(40)
    title = _text(200, _not_blank)
    version = _text(64, _not_blank)
    topics = _text(200)
    allow_shrink = _text(5, _one_of(("true", "false")))

    @post_load
    def split_topics(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """In a query topics stand with commas between them."""
        if data.get("topics") is not None:
            topics = [word.strip() for word in data["topics"].split(",")]
            for word in topics:
                if word not in TOPICS:
                    raise ValidationError(f"must be of: {', '.join(TOPICS)}", "topics")
            data["topics"] = list(dict.fromkeys(topics))
        data["allow_shrink"] = data.get("allow_shrink") == "true"
        return data


class ExclusionSchema(_Wire):
    """What POST /kyc/exclusions takes: which match of which job, and what was decided about it."""

    job_id = fields.UUID(
        required=True,
        error_messages={
            "required": "is required",
            "null": "is required",
            "invalid_uuid": "must be the id of a job",
        },
    )
    entity_id = _required(texts.ENTITY_ID_LENGTH)
    list_name = _required(64)
    entry_id = _required(500)
    reason = _required(2_000)
    decision = _text(20, _one_of(DECISIONS))


class TokenSchema(_Wire):
    """What POST /kyc/auth/token takes: a password, or a refresh token."""

    grant_type = _text(20, _one_of(("password", "refresh_token")))
    email = _text(320)
    password = _text(1_000)
    refresh_token = _text(8_000)
