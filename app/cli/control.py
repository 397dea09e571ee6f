"""Jobs of every kind, told what to do: pause, resume, cancel, retry."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from app.cli.http import Api, api_options
from app.cli.output import counted, note, print_json
from app.cli.values import job_argument
from app.jobs import ids

#: How long to wait until what is in hand is finished, before saying that it still is.
PATIENCE_SECONDS = 20.0
_PAUSE = 0.3

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the job as JSON, as the server shows it."
)


@click.command()
@job_argument
@json_option
@api_options
def pause(api: Api, job_id: str, as_json: bool) -> None:
    """Let a job finish what it has in hand, and then stand still.

    \b
    Example:
      muster pause 550e8400-e29b-41d4-a716-446655440000
    """
    job = _settled(api, api.post_json(_path(job_id, "/pause")), "pausing")
    said = {
        "paused": f"Paused {_progress(job)}.",
        "pausing": f"Pausing {_progress(job)}; what is in hand is still being finished.",
    }
    _say(job, said, as_json)
    if job["status"] in said and not as_json:
        note(f"Go on with: muster resume {job_id}")


@click.command()
@job_argument
@json_option
@api_options
def resume(api: Api, job_id: str, as_json: bool) -> None:
    """Let a paused job go on where it stood. Nothing is done twice.

    \b
    Example:
      muster resume 550e8400-e29b-41d4-a716-446655440000
    """
    job = api.post_json(_path(job_id, "/resume"))
    going_on = f"Going on {_progress(job)}."
    _say(job, {"running": going_on, "queued": going_on}, as_json)


@click.command()
@job_argument
@json_option
@api_options
def cancel(api: Api, job_id: str, as_json: bool) -> None:
    """Stop a job for good. What is finished keeps its results.

    \b
    Example:
      muster cancel 550e8400-e29b-41d4-a716-446655440000
    """
    job = _settled(api, api.post_json(_path(job_id, "/cancel")), "cancelling")
    said = {
        "cancelled": f"Cancelled {_progress(job)}.",
        "cancelling": f"Stopping {_progress(job)}; what is in hand is still being finished.",
    }
    _say(job, said, as_json)


@click.command()
@job_argument
@json_option
@api_options
def retry(api: Api, job_id: str, as_json: bool) -> None:
    """Do again what failed or was never reached, as a new job.

    Prints the id of the new job; the old one stays as it is.

    \b
    Example:
      muster show $(muster retry 550e8400-e29b-41d4-a716-446655440000)
    """
    job = api.post_json(_path(job_id, "/retry"), {"items": "unfinished"})
    if as_json:
        print_json(job)
        return
    click.echo(str(ids.parse(job["id"]) or job["id"]))
    note(f"To be done again: {counted(job['counts']['total'], 'item', 'items')}.")


def _path(job_id: str, action: str = "") -> str:
    return f"/v1/jobs/{job_id}{action}"


def _settled(api: Api, job: dict[str, Any], passing: str) -> dict[str, Any]:
    """Return the job when it is no longer on its way, or as it is when patience ends."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while job["status"] == passing and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        job = api.get_json(_path(job["id"]))
    return job


def _say(job: Mapping[str, Any], sentences: Mapping[str, str], as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        # It may have come to its end in this very moment.
        click.echo(sentences.get(job["status"], f"The job is {job['status']} {_progress(job)}."))


def _progress(job: Mapping[str, Any]) -> str:
    counts = job["counts"]
    done = counts["succeeded"] + counts["failed"]
    return f"at {done:,} of {counted(counts['total'], 'item', 'items')}"
