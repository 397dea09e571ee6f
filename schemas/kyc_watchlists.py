"""Dialect A: what /kyc/watchlists takes. What is watched is read by schemas/kyc.py."""

from __future__ import annotations

from marshmallow import fields, validate

from schemas import texts
from schemas.kyc import (
    LOWEST_THRESHOLD,
    SEARCH_TYPES,
    _List,
    _lists,
    _not_blank,
    _Number,
    _one_of,
    _required,
    _text,
    _Wire,
)

FREQUENCIES = ("daily", "weekly", "on_update")
CHANGES = ("new", "gone", "changed")

#: What a watchlist is called.
NAME_LENGTH = 200
DESCRIPTION_LENGTH = 2_000
#: Subjects named in one request that removes some.
REMOVED_AT_ONCE = 10_000


def _yes_no() -> fields.Boolean:
    return fields.Boolean(
        truthy={True}, falsy={False}, error_messages={"invalid": "must be true or false"}
    )


class AlertConfigSchema(_Wire):
    """Which changes are marked as alerts; without it, all."""

    on_new_match = _yes_no()
    on_status_change = _yes_no()


class WatchlistChangesSchema(_Wire):
    """What PATCH /kyc/watchlists/{watchlist_id} takes: all of it may be left out."""

    name = _text(NAME_LENGTH, _not_blank)
    description = _text(DESCRIPTION_LENGTH)
    check_frequency = _text(20, _one_of(FREQUENCIES))
    lists = _lists()
    threshold = _Number(
        allow_none=True,
        validate=validate.Range(
            LOWEST_THRESHOLD, 1, error=f"must be between {LOWEST_THRESHOLD:g} and 1"
        ),
        error_messages={"invalid": "must be a number"},
    )
    search_type = _text(20, _one_of(SEARCH_TYPES))
    alert_config = fields.Nested(AlertConfigSchema, allow_none=True)


class WatchlistSchema(WatchlistChangesSchema):
    """What POST /kyc/watchlists takes."""

    name = _required(NAME_LENGTH)


class RemovedSubjectsSchema(_Wire):
    """What POST /kyc/watchlists/{watchlist_id}/remove-subjects takes."""

    entity_ids = _List(
        fields.String(
            validate=[texts.check_storable, validate.Length(1, texts.ENTITY_ID_LENGTH)],
            error_messages={"invalid": "must be a text"},
        ),
        shortest=1,
        longest=REMOVED_AT_ONCE,
        error="must name 1 to {max} subjects",
    )
