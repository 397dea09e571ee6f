"""GET /kyc/jobs/{job_id}/results: one line for each finished entity, also while the job runs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask import Response, request

from app.api import kyc_render
from app.api.context import resources
from app.api.formats import CSV, JSON, NDJSON, media_type
from app.api.paging import read_limit, read_position
from app.api.spreadsheets import cell
from app.errors import InvalidParameter
from app.jobs import service
from app.jobs.model import ItemStatus, Job
from app.kinds import kyc_explained

_STATUSES = {"completed": ItemStatus.SUCCEEDED, "failed": ItemStatus.FAILED}

_COLUMNS = (
    "index",
    "entity_id",
    "status",
    "is_match",
    "match_count",
    "list_name",
    "list_version",
    "confidence_score",
    "match_type",
    "matched_name",
    "match_id",
    "match_name",
    "programs",
    "suppressed",
    "exclusion_id",
    "error_code",
    "error_message",
    "calculation",
)


def respond(job: Job) -> Response:
    """Answer in the format asked for: `?format=`, else the Accept header, else NDJSON."""
    media = media_type()
    statuses = _statuses()
    headers = {
        "X-Job-Status": kyc_render.STATUS_WORDS[job.state],
        # Whether more will come: a reader of a running job comes back for the rest.
        "X-Job-Complete": "true" if job.state.is_final else "false",
        "Vary": "Accept",
    }
    if not job.state.is_final:
        headers["Retry-After"] = str(kyc_render.POLL_SECONDS)
    if media == JSON:
        return Response(_page(job, statuses), mimetype=JSON, headers=headers)
    pages = service.results(resources(), job, statuses=statuses, **_range(job))
    lines = _ndjson(pages) if media == NDJSON else csv_lines(pages)
    name = f"muster-{job.external_id}.{'csv' if media == CSV else 'ndjson'}"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(lines, mimetype=media, headers=headers)


def _statuses() -> Sequence[ItemStatus]:
    wanted = request.args.get("status")
    if wanted is None:
        return tuple(ItemStatus)
    if wanted not in _STATUSES:
        raise InvalidParameter(f"status must be one of: {', '.join(_STATUSES)}.")
    return (_STATUSES[wanted],)


def _range(job: Job) -> dict[str, int]:
    """What a stream covers: all there is, or with a cursor what can be gone on from."""
    if "cursor" not in request.args:
        return {}
    first = read_position()
    return {"first": first, "end": service.settled_end(resources(), job, first=first)}


def _ndjson(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    for page in pages:
        yield "".join(kyc_render.result(row) + "\n" for row in page)


def _page(job: Job, statuses: Sequence[ItemStatus]) -> str:
    limit, first = read_limit(), read_position()
    end = service.settled_end(resources(), job, first=first)
    rows = service.result_page(
        resources(), job, statuses=statuses, first=first, end=end, limit=limit + 1
    )
    more = True
    if len(rows) > limit:
        cursor = json.dumps(str(rows[limit]["position"]))
    elif not job.state.is_final:
        cursor = json.dumps(str(end))
    else:
        more, cursor = False, "null"
    data = ",".join(kyc_render.result(row) for row in rows[:limit])
    return (
        f'{{"status":"success","data":[{data}],"has_more":{json.dumps(more)},'
        f'"next_cursor":{cursor}}}'
    )


def csv_lines(pages: Iterator[Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """One row for each match, and one for each entity without any."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for page in pages:
        for row in page:
            for line in _rows(row):
                writer.writerow({name: cell(value) for name, value in line.items()})
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _rows(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    detail = json.loads(row["result"]) if row["result"] is not None else {"matches": []}
    entity = {
        "index": row["position"],
        "entity_id": row["ref"],
        "status": "completed" if row["status"] == "succeeded" else "failed",
        "is_match": "true" if row["matches"] else "false",
        "match_count": row["matches"],
        "error_code": row["error_code"],
        "error_message": row["error_message"],
    }
    for match in detail["matches"]:
        yield {
            **entity,
            "list_name": match["list_name"],
            "list_version": match["list_version"],
            "confidence_score": match["confidence_score"],
            "match_type": match["match_type"],
            "matched_name": match["matched_name"],
            "match_id": match["match_data"]["id"],
            "match_name": match["match_data"]["name"],
            "programs": "; ".join(match["match_data"]["programs"]),
            "suppressed": "true" if match.get("suppressed") else "false",
            "exclusion_id": match.get("exclusion_id"),
            "calculation": kyc_explained.on_one_line(match),
        }
    if not detail["matches"]:
        yield entity
