"""In which format results are asked for, in every dialect: NDJSON, CSV or JSON."""

from __future__ import annotations

from flask import request

from app.errors import InvalidParameter

NDJSON = "application/x-ndjson"
CSV = "text/csv"
JSON = "application/json"
FORMATS = {"ndjson": NDJSON, "csv": CSV, "json": JSON}


def media_type() -> str:
    """Return the media type asked for, by `format` or by Accept, or raise InvalidParameter."""
    wanted = request.args.get("format")
    if wanted is not None:
        if wanted not in FORMATS:
            raise InvalidParameter(f"format must be one of: {', '.join(FORMATS)}.")
        return FORMATS[wanted]
    return request.accept_mimetypes.best_match([NDJSON, CSV, JSON], default=NDJSON)
