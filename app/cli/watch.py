"""Waiting for a job: polls that are quick at first, and a bar or lines that show how far it is.

`muster submit` waits for what it has submitted, `muster watch` for a job of any kind.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from app.cli import native
from app.cli.http import Api, ApiFailure, api_options, body_of
from app.cli.output import note, print_json, visible
from app.cli.sentences import Failure, Interrupted
from app.cli.values import job_argument

#: The job says when to ask again (five seconds, as a rule). A person who watches a bar gets a
#: second at most; a program should do as it is told.
SLOWEST = 1.0
FASTEST = 0.2

#: A server that restarts is away for less than this; after it, we stop asking.
PATIENCE_SECONDS = 60.0

#: Without a terminal, a line at most this often.
LINE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a job is, whatever its kind. `status` is news by itself when it changes."""

    done: int
    total: int
    verb: str
    remark: str
    is_over: bool
    status: str = ""


#: Shows how far the job is now.
Show = Callable[[Standing], None]

Read = Callable[[Mapping[str, Any]], Standing]


@click.command()
@job_argument
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON when it has ended.")
@api_options
def watch(api: Api, job_id: str, as_json: bool) -> None:
    """Show how far a job of any kind is until it ends, and how it ended.

    Ctrl-C stops the watching, never the job. Exit status 1 if the job was not completed, or not
    a single item of it succeeded.

    \b
    Example:
      muster watch 550e8400-e29b-41d4-a716-446655440000
    """
    try:
        with _progress() as show:
            job = _poll(api, native.job_path(job_id), {}, _standing, show)
    except KeyboardInterrupt as interrupt:
        raise Interrupted(
            f"Stopped watching. The job goes on; look at it with: muster show {job_id}"
        ) from interrupt
    if as_json:
        print_json(job)
    else:
        native.print_job(job)
    if job["status"] != "completed":
        raise Failure(f"The job did not complete: it is {job['status']}.")
    if job["counts"]["failed"] == job["counts"]["total"]:
        raise Failure("Not a single item of the job succeeded.")


def wait(api: Api, job_id: str) -> dict[str, Any]:
    """Show the progress of a screening job until it has ended, and return how it ended."""
    with _progress() as show:
        return _poll(api, f"/kyc/jobs/{job_id}", {"results": "false"}, _screened, show)


def _screened(job: Mapping[str, Any]) -> Standing:
    return Standing(
        done=job["processed_entities"],
        total=job["total_entities"],
        verb="screened",
        remark=f"{job['matches_found']:,} matches",
        is_over=job["job_status"] in {"completed", "failed"},
    )


def _standing(job: Mapping[str, Any]) -> Standing:
    return Standing(
        done=native.done(job),
        total=job["counts"]["total"],
        verb="done",
        remark=f"{job['counts']['failed']:,} failed, {job['status']}",
        is_over=job["finished_at"] is not None,
        status=job["status"],
    )


def _poll(api: Api, path: str, params: Mapping[str, str], read: Read, show: Show) -> dict[str, Any]:
    etag: str | None = None
    pause = FASTEST
    answered_at = time.monotonic()
    is_away = False
    while True:
        try:
            response = api.get(path, params, etag)
        except ApiFailure as failure:
            if not failure.is_passing or time.monotonic() - answered_at > PATIENCE_SECONDS:
                raise
            # The job does not need us, nor this server: it goes on, and so may we.
            if not is_away:
                note(f"{failure.message} Still trying; the job goes on.")
                is_away = True
            time.sleep(failure.retry_after or SLOWEST)
            continue
        answered_at, is_away = time.monotonic(), False
        if response.status_code == 200:
            job = body_of(response)
            etag = response.headers.get("ETag")
            standing = read(job)
            show(standing)
            if standing.is_over:
                return job
        time.sleep(pause)
        pause = min(pause * 1.2, SLOWEST)


@contextmanager
def _progress() -> Iterator[Show]:
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[remark]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=None, remark="")

        def show(standing: Standing) -> None:
            progress.update(
                task,
                description=standing.verb.capitalize(),
                total=standing.total,
                completed=standing.done,
                remark=standing.remark,
            )

        yield show


def _lines() -> Show:
    """Say something now and then: for logs, where a moving bar would be noise."""
    said: Standing | None = None
    said_at = 0.0

    def show(standing: Standing) -> None:
        nonlocal said, said_at
        done, total, now = standing.done, standing.total, time.monotonic()
        is_due = said is None or now - said_at >= LINE_SECONDS
        is_turn = done == total or (said is not None and standing.status != said.status)
        if standing != said and (is_due or is_turn):
            share = 100 * done // total if total else 0
            note(f"{done:,} of {total:,} {standing.verb} ({share} %), {visible(standing.remark)}")
            said, said_at = standing, now

    return show
