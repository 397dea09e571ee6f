"""/exports: a finished job's results as a file, behind a link that is good for an hour."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request

from app.api import errors, kyc_render, kyc_results
from app.api.auth import requires
from app.api.context import caller, request_id, resources
from app.api.exports import html, links, pdf, report
from app.api.exports.links import Export
from app.errors import ExportNotFound, IllegalTransition, InvalidParameter, JobNotFound
from app.jobs import service
from app.jobs.model import Job
from app.jobs.progress import Snapshot
from app.jobs.states import JobState
from app.kinds import kyc

bp = Blueprint("kyc_exports", __name__, url_prefix="/exports")
errors.shape("/exports", kyc_render.error)

_ID = re.compile(r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "html": "text/html",
    "pdf": "application/pdf",
}
#: The page may show itself, and do nothing else, whatever got into it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"


@bp.get("/<job_id>")
@requires("kyc:export")
def link(job_id: str) -> Response:
    """Return a link to the results of a completed job, good for an hour, without a token."""
    wanted = request.args.get("format")
    if wanted is not None and wanted not in links.FORMATS:
        raise InvalidParameter(f"format must be one of: {', '.join(links.FORMATS)}.")
    if wanted == "pdf":
        pdf.check()
    known = job_id.lower()
    if not _ID.match(known):
        raise JobNotFound("No such job exists for this tenant: this is not the id of one.")
    job = service.find(resources(), caller().tenant_id, kyc.NAME, known)
    _completed(job)
    is_short = pdf.fits(job.total, job.matches)
    if wanted == "pdf" and not is_short:
        raise pdf.too_long()
    wanted = wanted or ("pdf" if is_short and pdf.can_write() else "html")
    export = Export(caller().tenant_id, known, wanted)
    expires = int(time.time()) + links.SECONDS
    signature = links.sign(resources().settings.jwt_secret, export, expires)
    query = urlencode({"expires": expires, "signature": signature})
    response = jsonify(
        request_id=request_id(),
        bucket="exports",
        key=export.key,
        presigned_url=f"{request.host_url}exports/download/{export.key}?{query}",
        expires_at=kyc_render.stamp(datetime.fromtimestamp(expires, UTC)),
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/download/<path:key>")
def download(key: str) -> Response:
    """Send the file that a signed link leads to."""
    export = links.read(
        resources().settings.jwt_secrets,
        key,
        request.args.get("expires", ""),
        request.args.get("signature", ""),
    )
    try:
        job = service.find(resources(), export.tenant_id, kyc.NAME, export.job_id)
    except JobNotFound as error:
        raise ExportNotFound("The job of this link has been deleted.") from error
    _completed(job)
    response = Response(_content(job, export.format), mimetype=_TYPES[export.format])
    name = f"muster-{job.external_id}.{export.format}"
    # A page is to be looked at; the rest is to be kept.
    how = "inline" if export.format == "html" else "attachment"
    response.headers["Content-Disposition"] = f'{how}; filename="{name}"'
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _completed(job: Job) -> None:
    if job.state is not JobState.COMPLETED:
        raise IllegalTransition(
            f"A {job.state} job cannot be exported: only a completed one can.",
            state=job.state,
            allowed_actions=job.allowed_actions,
        )


def _content(job: Job, wanted: str) -> Iterator[str] | Iterator[bytes]:
    if wanted == "json":
        body = kyc_render.job(Snapshot.of(job), datetime.now(UTC))
        return kyc_render.with_results(body, service.results(resources(), job))
    if wanted == "csv":
        return kyc_results.csv_lines(service.results(resources(), job))
    lines = report.lines(service.worked(resources(), job, finished=True))
    title = "Screening report"
    if wanted == "html":
        return html.page(title, report.facts(job), lines)
    return pdf.write(title, report.facts(job), lines)
