"""Jobs already submitted: list, cancel, retry."""

from __future__ import annotations

from typing import Any

import click

from app.cli.http import Api, api_options
from app.cli.output import counted, note, print_json, print_table, visible
from app.cli.results import job_path
from app.cli.values import job_argument

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


@click.command()
@job_argument
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@api_options
def cancel(api: Api, job_id: str, as_json: bool) -> None:
    """Stop a job. What has been screened keeps its results.

    \b
    Example:
      muster cancel 550e8400-e29b-41d4-a716-446655440000
    """
    answer = api.post_json(job_path(job_id, "/cancel"))
    if as_json:
        print_json(answer)
    else:
        click.echo(visible(answer.get("message") or f"Cancelled {job_id}."))


@click.command()
@job_argument
@click.option("--json", "as_json", is_flag=True, help="Print the new job as JSON.")
@api_options
def retry(api: Api, job_id: str, as_json: bool) -> None:
    """Screen again what failed or was never reached, as a new job.

    Prints the id of the new job; the old one stays as it is.

    \b
    Example:
      muster show $(muster retry 550e8400-e29b-41d4-a716-446655440000)
    """
    answer = api.post_json(job_path(job_id, "/retry"))
    if as_json:
        print_json(answer)
        return
    click.echo(answer["job_id"])
    note(f"To be screened again: {counted(answer['total_entities'], 'entity', 'entities')}.")


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
