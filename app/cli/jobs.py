"""Jobs already submitted, listed."""

from __future__ import annotations

from typing import Any

import click

from app.cli import native
from app.cli.http import Api, api_options
from app.cli.output import note, print_json, print_table
from app.jobs.states import JobState

#: What the server gives at once.
_PAGE = 100

#: A word for all that has not ended.
_PROCESSING = "processing"


@click.command()
@click.option(
    "--status",
    type=click.Choice([_PROCESSING, *map(str, JobState)]),
    help=f"Only jobs with this status; {_PROCESSING} are all that have not ended.",
)
@click.option("--kind", help="Only jobs of this kind: kyc, documents.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to list."
)
@click.option("--json", "as_json", is_flag=True, help="Print the jobs as a JSON array.")
@api_options
def jobs(api: Api, status: str | None, kind: str | None, limit: int, as_json: bool) -> None:
    """List jobs of all kinds, the newest first.

    \b
    Examples:
      muster jobs --status processing
      muster jobs --kind kyc --limit 500 --json | jq '[.[].summary.matches_found] | add'
    """
    if status == _PROCESSING:
        status = ",".join(state for state in JobState if not state.is_final)
    found = _pages(api, {"status": status, "kind": kind}, limit)
    if as_json:
        print_json(found)
    elif found:
        print_table(
            ("JOB", "NAME", "KIND", "STATUS", "ITEMS", "DONE", "FAILED", "MATCHES", "CREATED"),
            [
                (
                    native.uuid_of(job),
                    native.name_of(job),
                    job["kind"],
                    job["status"],
                    job["counts"]["total"],
                    native.done(job),
                    job["counts"]["failed"],
                    job["summary"].get("matches_found"),
                    job["created_at"],
                )
                for job in found
            ],
        )
    else:
        note("No jobs. Submit one with: muster submit FILE.csv")


def _pages(api: Api, wanted: dict[str, str | None], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        # Parameters that are None are not sent.
        page = api.get_json(
            "/v1/jobs", {**wanted, "limit": min(limit - len(found), _PAGE), "after": cursor}
        )
        found += page["data"]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
    return found
