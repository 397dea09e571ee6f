"""Waiting for a job: polls that are quick at first, and a bar or lines that show how far it is."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from app.cli.http import Api, ApiFailure, body_of
from app.cli.output import note

#: The job says when to ask again (five seconds, as a rule). A person who watches a bar gets a
#: second at most; a program should do as it is told.
SLOWEST = 1.0
FASTEST = 0.2

#: A server that restarts is away for less than this; after it, we stop asking.
PATIENCE_SECONDS = 60.0

#: Without a terminal, a line at most this often.
LINE_SECONDS = 5.0

#: Shows the job as it is now.
Show = Callable[[dict[str, Any]], None]


def wait(api: Api, job_id: str) -> dict[str, Any]:
    """Show progress on stderr until the job has ended, and return how it ended."""
    with _progress() as show:
        return _poll(api, f"/kyc/jobs/{job_id}", show)


def _poll(api: Api, path: str, show: Show) -> dict[str, Any]:
    etag: str | None = None
    pause = FASTEST
    answered_at = time.monotonic()
    is_away = False
    while True:
        try:
            response = api.get(path, {"results": "false"}, etag)
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
            show(job)
            if job["job_status"] in {"completed", "failed"}:
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
        TextColumn("{task.fields[matches]} matches"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("Screening", total=None, matches=0)

        def show(job: dict[str, Any]) -> None:
            progress.update(
                task,
                total=job["total_entities"],
                completed=job["processed_entities"],
                matches=f"{job['matches_found']:,}",
            )

        yield show


def _lines() -> Show:
    """Say something now and then: for logs, where a moving bar would be noise."""
    said: tuple[int, float] = (-1, 0.0)

    def show(job: dict[str, Any]) -> None:
        nonlocal said
        done, total, now = job["processed_entities"], job["total_entities"], time.monotonic()
        is_news = done != said[0] and (done == total or now - said[1] >= LINE_SECONDS)
        if is_news:
            share = 100 * done // total if total else 0
            note(f"{done:,} of {total:,} screened ({share} %), {job['matches_found']:,} matches")
            said = (done, now)

    return show
