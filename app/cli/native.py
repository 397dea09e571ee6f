"""Jobs of any kind, as `/v1/jobs` shows them, in the words of the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.cli.output import counted, note, print_fields, print_table, visible
from app.jobs import ids

#: Documents in the table. The rest is for a file: nobody reads a thousand lines of a terminal.
TABLE_ROWS = 20


def job_path(job_id: str, action: str = "") -> str:
    return f"/v1/jobs/{job_id}{action}"


def uuid_of(job: Mapping[str, Any]) -> str:
    """Return the id of a job as the commands print it."""
    return str(ids.parse(job["id"]) or job["id"])


def name_of(job: Mapping[str, Any]) -> str | None:
    """Return what the client calls the job, if that is another name than its id."""
    name = str(job["external_id"])
    return None if name == uuid_of(job) else name


def done(job: Mapping[str, Any]) -> int:
    """Return how many items need nothing more: also those that were never begun and will not be."""
    counts = job["counts"]
    return int(counts["total"] - counts["pending"] - counts["running"])


def print_job(job: Mapping[str, Any]) -> None:
    counts, error = job["counts"], job.get("error") or {}
    retried = job.get("retry_of")
    print_fields(
        [
            ("Job", uuid_of(job)),
            ("Name", name_of(job)),
            ("Kind", job["kind"]),
            ("Status", job["status"]),
            ("Items", counts["total"]),
            ("Succeeded", counts["succeeded"]),
            ("Failed", counts["failed"] or None),
            ("Matches", job["summary"].get("matches_found")),
            ("Created", job["created_at"]),
            ("Completed", job.get("finished_at")),
            ("Expected", job.get("estimated_completion")),
            ("Goes on", job.get("resume_at")),
            ("Retry of", retried and uuid_of({"id": retried})),
            ("Error", error.get("message")),
        ]
    )
    for warning in job.get("warnings") or ():
        note(visible(str(warning["message"])))


def print_tags(results: Iterable[Mapping[str, Any]]) -> None:
    """Print the tags of the first documents as a table, and say how many items failed."""
    rows: list[tuple[object, ...]] = []
    tagged = failed = 0
    reason = ""
    for result in results:
        if result["status"] == "failed":
            failed += 1
            reason = reason or result["error"]["message"]
        tags = [tag["tag"] for tag in (result["result"] or {}).get("tags", ())]
        if tags:
            tagged += 1
            if len(rows) < TABLE_ROWS:
                ref = result["ref"]
                rows.append((str(result["index"] if ref is None else ref), tags))
    if rows:
        print_table(("ITEM", "TAGS"), rows)
    if tagged > len(rows):
        note(f"… and {counted(tagged - len(rows), 'more document', 'more documents')} with tags.")
    if failed:
        note(f"{counted(failed, 'item', 'items')} failed; the first: {visible(reason)}")
