"""Dialect B: what PUT /v5/verifications/{trace}/monitoring takes."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

FREQUENCIES = ("daily", "weekly", "on_update", "off")


class MonitoringSchema(Schema):
    class Meta:
        unknown = EXCLUDE

    frequency = fields.String(required=True, validate=validate.OneOf(FREQUENCIES))
