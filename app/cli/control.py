"""Jobs of every kind, told what to do: pause, resume, cancel, retry."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from app.cli.http import Api, api_options
from app.cli.native import job_path, uuid_of
from app.cli.output import counted, note, print_json
from app.cli.values import job_argument

#: How long to wait until what is in hand is finished, before saying that it still is.
PATIENCE_SECONDS = 20.0
_PAUSE = 0.3

_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the job as JSON, as the server shows it."
)


def _command(function: Callable[..., None]) -> click.Command:
    """Make a command of what is done to one job."""
    return click.command()(job_argument(_json_option(api_options(function))))


@_command
def pause(api: Api, job_id: str, as_json: bool) -> None:
    """Let a job finish what it has in hand, and then stand still.

    \b
    Example:
      muster pause 550e8400-e29b-41d4-a716-446655440000
    """
    said = {
        "paused": "Paused {}.",
        "pausing": "Pausing {}; what is in hand is still being finished.",
    }
    status = _tell(api, job_id, "pause", said, as_json, passing="pausing")
    if status in said and not as_json:
        note(f"Go on with: muster resume {job_id}")


@_command
def resume(api: Api, job_id: str, as_json: bool) -> None:
    """Let a paused job go on where it stood. Nothing is done twice.

    \b
    Example:
      muster resume 550e8400-e29b-41d4-a716-446655440000
    """
    said = dict.fromkeys(("running", "queued"), "Going on {}.")
    _tell(api, job_id, "resume", said, as_json)


@_command
def cancel(api: Api, job_id: str, as_json: bool) -> None:
    """Stop a job for good. What is finished keeps its results.

    \b
    Example:
      muster cancel 550e8400-e29b-41d4-a716-446655440000
    """
    said = {
        "cancelled": "Cancelled {}.",
        "cancelling": "Stopping {}; what is in hand is still being finished.",
    }
    _tell(api, job_id, "cancel", said, as_json, passing="cancelling")


@_command
def retry(api: Api, job_id: str, as_json: bool) -> None:
    """Do again what failed or was never reached, as a new job.

    Prints the id of the new job; the old one stays as it is.

    \b
    Example:
      muster show $(muster retry 550e8400-e29b-41d4-a716-446655440000)
    """
    job = api.post_json(job_path(job_id, "/retry"), {"items": "unfinished"})
    if as_json:
        print_json(job)
        return
    click.echo(uuid_of(job))
    note(f"To be done again: {counted(job['counts']['total'], 'item', 'items')}.")


def _tell(
    api: Api,
    job_id: str,
    action: str,
    sentences: Mapping[str, str],
    as_json: bool,
    *,
    passing: str | None = None,
) -> str:
    """Do it, wait while the job is `passing` or until patience ends, and say the status's sentence.

    The braces in a sentence are for how far the job is. Returns the status.
    """
    job = api.post_json(job_path(job_id, f"/{action}"))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while job["status"] == passing and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        job = api.get_json(job_path(job["id"]))
    status = str(job["status"])
    if as_json:
        print_json(job)
    else:
        said, progress = sentences.get(status), _progress(job)
        # It may have come to its end in this very moment.
        click.echo(said.format(progress) if said else f"The job is {status} {progress}.")
    return status


def _progress(job: Mapping[str, Any]) -> str:
    counts = job["counts"]
    done = counts["succeeded"] + counts["failed"]
    return f"at {done:,} of {counted(counts['total'], 'item', 'items')}"
