"""GET /api/batch/jobs/{job_id}/results: one line for each finished document, also as it runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Response, request

from app.api import documents_render
from app.api.context import resources
from app.api.formats import CSV, JSON, NDJSON, media_type
from app.api.paging import read_limit, read_position
from app.api.spreadsheets import cell
from app.jobs import service
from app.jobs.model import Job

_COLUMNS = (
    *("index", "id", "title", "file_path", "file_source_type", "description"),
    *("publishing_date", "file_size", "status", "tags", "language", "error_type", "error"),
    *("processed_at", "extra"),
)


def respond(job: Job) -> Response:
    """Answer in the format asked for: `?format=`, else the Accept header, else NDJSON."""
    wanted = media_type()
    headers = {
        "X-Job-Status": documents_render.STATUS_WORDS[job.state],
        "X-Job-Complete": "true" if job.state.is_final else "false",
        "Vary": "Accept",
    }
    if not job.state.is_final:
        headers["Retry-After"] = str(documents_render.POLL_SECONDS)
    if wanted == JSON:
        return Response(_page(job), mimetype=JSON, headers=headers)
    first = read_position()
    # Who goes on from a place must not jump over a gap that is filled later.
    end = service.settled_end(resources(), job, first=first) if "cursor" in request.args else None
    pages = service.worked(resources(), job, finished=True, first=first, end=end)
    lines = _ndjson(pages) if wanted == NDJSON else _csv(pages)
    name = f"muster-{job.id}.{'csv' if wanted == CSV else 'ndjson'}"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(lines, mimetype=wanted, headers=headers)


def _ndjson(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for page in pages:
        yield "".join(_dumps(documents_render.document(row)) + "\n" for row in page)


def _page(job: Job) -> str:
    limit, first = read_limit(), read_position()
    end = service.settled_end(resources(), job, first=first)
    rows = service.worked_page(
        resources(), job, finished=True, first=first, end=end, limit=limit + 1
    )
    cursor: str | None = None
    if len(rows) > limit:
        cursor = str(rows[limit]["position"])
    elif not job.state.is_final:
        cursor = str(end)
    return _dumps(
        {
            "job_id": job.external_id,
            "status": documents_render.STATUS_WORDS[job.state],
            "results": [documents_render.document(row) for row in rows[:limit]],
            "has_more": cursor is not None,
            "next_cursor": cursor,
        }
    )


def _csv(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.DictWriter(
        buffer, _COLUMNS, restval="", extrasaction="ignore", lineterminator="\r\n"
    )
    writer.writeheader()
    for page in pages:
        for row in page:
            shown = documents_render.document(row)
            shown["tags"] = "; ".join(tag["tag"] for tag in shown.get("tags", ()))
            shown["language"] = (shown.get("language") or {}).get("code", "")
            shown["extra"] = _dumps(shown["extra"]) if shown["extra"] else ""
            writer.writerow({name: cell(value) for name, value in shown.items()})
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
