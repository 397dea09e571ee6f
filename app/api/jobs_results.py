"""GET /v1/jobs/{job_id}/results: one line for each finished item, also while the job runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Response, request

from app.api import jobs_render
from app.api.context import resources
from app.api.formats import CSV, JSON, NDJSON, media_type
from app.api.paging import read_limit, read_position
from app.api.spreadsheets import cell
from app.errors import InvalidParameter
from app.jobs import service
from app.jobs.model import ItemStatus, Job

_COLUMNS = (
    *("index", "ref", "status", "attempts", "finished_at"),
    *("error_code", "error_message", "result"),
)


def respond(job: Job) -> Response:
    """Answer in the format asked for: `?format=`, else the Accept header, else NDJSON."""
    wanted, statuses = media_type(), _statuses()
    headers = {
        "X-Job-Status": str(job.state),
        # Whether more will come: a reader of a running job comes back for the rest.
        "X-Job-Complete": "true" if job.state.is_final else "false",
        "Vary": "Accept",
    }
    if not job.state.is_final:
        headers["Retry-After"] = str(jobs_render.POLL_SECONDS)
    if wanted == JSON:
        return Response(_page(job, statuses), mimetype=JSON, headers=headers)
    first = read_position("after")
    # Who goes on from a place must not jump over a gap that is filled later.
    end = service.settled_end(resources(), job, first=first) if "after" in request.args else None
    pages = service.results(resources(), job, statuses=statuses, first=first, end=end)
    lines = _ndjson(pages) if wanted == NDJSON else _csv(pages)
    name = f"muster-{job.id}.{'csv' if wanted == CSV else 'ndjson'}"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(lines, mimetype=wanted, headers=headers)


def _statuses() -> Sequence[ItemStatus]:
    wanted = request.args.get("status")
    if wanted is None:
        return tuple(ItemStatus)
    if wanted not in set(ItemStatus):
        raise InvalidParameter(f"status must be one of: {', '.join(ItemStatus)}.")
    return (ItemStatus(wanted),)


def _ndjson(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for page in pages:
        yield "".join(jobs_render.result(row) + "\n" for row in page)


def _page(job: Job, statuses: Sequence[ItemStatus]) -> str:
    limit, first = read_limit(), read_position("after")
    end = service.settled_end(resources(), job, first=first)
    rows = service.result_page(
        resources(), job, statuses=statuses, first=first, end=end, limit=limit + 1
    )
    cursor: str | None = None
    if len(rows) > limit:
        cursor = str(rows[limit]["position"])
    elif not job.state.is_final:
        cursor = str(end)
    data = ",".join(jobs_render.result(row) for row in rows[:limit])
    more = json.dumps(cursor is not None)
    return (
        f'{{"object":"list","data":[{data}],"has_more":{more},"next_cursor":{json.dumps(cursor)}}}'
    )


def _csv(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """One row for each item; what the kind wrote stands in the last column, as JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    for page in pages:
        for row in page:
            at = jobs_render.stamp(row["finished_at"])
            values = {**row, "index": row["position"], "finished_at": at}
            writer.writerow([cell(values[name]) for name in _COLUMNS])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()
