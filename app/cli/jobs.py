"""Jobs already submitted, listed."""

from __future__ import annotations

from typing import Any

import click

from app.cli.http import Api, api_options
from app.cli.output import note, print_json, print_table

#: What the server gives at once.
_PAGE = 100


@click.command()
@click.option(
    "--status",
    type=click.Choice(["processing", "completed", "failed"]),
    help="Only jobs with this status.",
)
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many to list."
)
@click.option("--json", "as_json", is_flag=True, help="Print the jobs as a JSON array.")
@api_options
def jobs(api: Api, status: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the newest first.

    \b
    Examples:
      muster jobs --status processing
      muster jobs --limit 500 --json | jq '[.[].matches_found] | add'
    """
    found = _pages(api, status, limit)
    if as_json:
        print_json(found)
    elif found:
        print_table(
            ("JOB", "STATUS", "ENTITIES", "SCREENED", "FAILED", "MATCHES", "CREATED"),
            [
                (
                    job["job_id"],
                    job["job_status"],
                    job["total_entities"],
                    job["processed_entities"],
                    job["failed_entities"],
                    job["matches_found"],
                    job["created_at"],
                )
                for job in found
            ],
        )
    else:
        note("No jobs. Submit one with: muster submit FILE.csv")


def _pages(api: Api, status: str | None, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        # Parameters that are None are not sent.
        page = api.get_json(
            "/kyc/jobs",
            {"job_status": status, "limit": min(limit - len(found), _PAGE), "cursor": cursor},
        )
        found += page["jobs"]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
    return found
