"""The demo: a batch of 1,000 over HTTP, watched while it runs, and what was found in it.

A client like any other: it knows an address and a token and nothing else of Muster. The batch
comes from `app/sample/people.py`, which also says who was planted in it, so that the last lines
can tell how many were found and name those that were not.

    python -m app.demo --url http://127.0.0.1:8000 --token ...
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

#: What a shell reports for a program that was interrupted: 128 + SIGINT.
INTERRUPTED = 130

try:
    import click
    import requests
    from rich import box
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table
    from rich.text import Text

    from app.sample.people import Batch, batch
except KeyboardInterrupt:
    # Loading these takes longest of all that happens before the first line is shown.
    raise SystemExit(INTERRUPTED) from None

#: Much quicker than the API advises clients to poll (5 s): somebody is watching the bar.
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 1.0

#: What one request may take before the demo gives up on it.
REQUEST_SECONDS = 30.0

#: Rows of the table; a large list may find more namesakes than anybody wants to read.
MOST_ROWS = 60

#: Where nobody has set a width, as in a log file, this one keeps a row on a line.
PLAIN_WIDTH = 132


Json = dict[str, Any]
Show = Callable[[int, int], None]


class DemoFailed(click.ClickException):
    """What went wrong, as one sentence; click prints it and ends with status 1."""


class Demo(click.Command):
    """The command; Ctrl-C ends it without a word, as whoever pressed it knows."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.command(cls=Demo, help="Screen a sample batch over HTTP and show what was found.")
@click.option(
    "--url",
    envvar="MUSTER_URL",
    show_envvar=True,
    default="http://127.0.0.1:8000",
    show_default=True,
)
@click.option(
    "--token",
    envvar="MUSTER_TOKEN",
    show_envvar=True,
    required=True,
    help="A JWT or an sk_ key.",
)
@click.option("--entities", "count", default=1000, show_default=True, type=click.IntRange(1, 10000))
@click.option("--seed", default=7, show_default=True, help="Another seed makes another batch.")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait for the job.")
@click.option("--passing", is_flag=True, help="The server ends with the demo, as in `dev.py demo`.")
def main(url: str, token: str, count: int, seed: int, timeout: float, passing: bool) -> None:
    console = _console()
    url = url.rstrip("/")
    sample = batch(count, seed)

    console.print(f"Submitting {count:,} entities to {url}/kyc/jobs")
    started = time.monotonic()
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        api = Api(url, session)
        job_id = api.submit(sample.entities)
        with _progress(console, count) as show:
            job = _wait(api, job_id, show, deadline=started + timeout)
    seconds = time.monotonic() - started

    results = _succeeded(job)
    console.print(_table(results, sample))
    _summarise(console, job, results, sample, seconds)
    _point_onwards(console, _after_passing() if passing else _while_it_runs(url, job_id))


# -- over HTTP -----------------------------------------------------------------------------------


class Api:
    """The two calls that a client of batch screening needs."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self._session = session

    def submit(self, entities: list[Json]) -> str:
        answer = self._call("POST", "/kyc/jobs", json={"entities": entities})
        return str(_body(answer)["job_id"])

    def poll(self, job_id: str, etag: str | None) -> tuple[Json | None, str | None]:
        """Return the job and its ETag, or None if it has not moved since `etag`."""
        headers = {"If-None-Match": etag} if etag else {}
        answer = self._call("GET", f"/kyc/jobs/{job_id}", headers=headers)
        if answer.status_code == 304:
            return None, etag
        return _body(answer), answer.headers.get("ETag")

    def _call(self, method: str, path: str, **given: Any) -> requests.Response:
        try:
            answer = self._session.request(
                method, self.url + path, timeout=REQUEST_SECONDS, **given
            )
        except requests.Timeout as error:
            raise DemoFailed(
                f"{self.url} did not answer within {REQUEST_SECONDS:g} seconds."
            ) from error
        except requests.ConnectionError as error:
            raise DemoFailed(
                f"{self.url} cannot be reached. Is Muster running there? "
                "`python3 dev.py up` starts it."
            ) from error
        # ValueError is how requests says that a header or an address cannot be sent at all.
        except (requests.RequestException, ValueError) as error:
            raise DemoFailed(
                f"{self.url} cannot be asked: give an address such as http://127.0.0.1:8000 "
                "and a token on one line."
            ) from error
        if not answer.ok:
            raise DemoFailed(_refusal(self.url, answer))
        return answer


def _body(answer: requests.Response) -> Json:
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        body = None
    if not isinstance(body, dict) or "job_id" not in body:
        raise DemoFailed(f"{answer.url} answered something that is no job. Is it really Muster?")
    return body


def _refusal(url: str, answer: requests.Response) -> str:
    try:
        body = answer.json()
        said = body.get("message") or body.get("error") if isinstance(body, dict) else None
    except requests.JSONDecodeError:
        said = None
    reason = f" ({said})" if said else ""
    match answer.status_code:
        case 401:
            return f"{url} did not accept the token{reason}. `muster token` prints a fresh one."
        case 403:
            return f"The token may not do this{reason}. It needs kyc:create and kyc:read."
        case status:
            return f"{url} answered {status}{reason or f' {answer.reason}'}."


def _wait(api: Api, job_id: str, show: Show, deadline: float) -> Json:
    """Poll until the job is final; show how far it is whenever it has moved."""
    etag: str | None = None
    pause = FIRST_PAUSE
    while time.monotonic() < deadline:
        job, etag = api.poll(job_id, etag)
        if job is not None:
            show(job["processed_entities"], job["matches_found"])
            if job["job_status"] != "processing":
                return job
        time.sleep(pause)
        pause = min(LONGEST_PAUSE, pause * 1.05)
    raise DemoFailed(
        f"Job {job_id} is still not finished. It goes on without the demo: "
        f"`muster show {job_id}` tells how far it is. Is a worker running?"
    )


def _succeeded(job: Json) -> list[Json]:
    """Return the results, or raise DemoFailed with what the job or every entity failed of."""
    if job["job_status"] != "completed":
        raise DemoFailed(f"The job failed: {_said(job)}")
    results: list[Json] = job.get("results", [])
    if job["failed_entities"] == job["total_entities"]:
        said = next((_said(each) for each in results if each.get("error")), "no reason was given.")
        raise DemoFailed(f"No entity could be screened: {said}")
    return results


def _said(failed: Json) -> str:
    return str((failed.get("error") or {}).get("message", "no reason was given."))


# -- on the screen -------------------------------------------------------------------------------


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PLAIN_WIDTH)


@contextmanager
def _progress(console: Console, total: int) -> Iterator[Show]:
    """Hand out a function that shows progress: a bar on a terminal, a line per tenth elsewhere."""
    if not console.is_terminal:
        yield _tenths(console, total)
        return
    columns = (
        TextColumn("Screening"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[matches]} matches"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, matches=0)

        def show(done: int, matches: int) -> None:
            progress.update(task, completed=done, matches=matches)

        yield show


def _tenths(console: Console, total: int) -> Show:
    shown = 0

    def show(done: int, matches: int) -> None:
        nonlocal shown
        if done * 10 // total > shown:
            shown = done * 10 // total
            console.print(f"  {shown * 10:3} %  {done:,} of {total:,} screened, {matches} matches")

    return show


def _table(results: list[Json], sample: Batch) -> Table:
    """Draw one row per entity that matched, with its best match."""
    matched = [each for each in results if each["is_match"]]
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{len(matched)} of {len(results):,} entities match a list",
        title_justify="left",
    )
    table.add_column("Entity", no_wrap=True)
    table.add_column("Name asked", style="bold")
    table.add_column("Listed name")
    table.add_column("List")
    table.add_column("Score", justify="right")
    table.add_column("Why")
    table.add_column("Planted")
    asked = {each["entity_id"]: each["subject"]["full_name"] for each in sample.entities}
    for each in matched[:MOST_ROWS]:
        best = each["matches"][0]
        more = each["match_count"] - 1
        listed = best["match_data"]["name"] + (f" (+{more} more)" if more else "")
        cells = (
            each["entity_id"],
            asked[each["entity_id"]],
            listed,
            best["list_name"],
            f"{best['confidence_score']:.4f}",
            _why(best),
            _planted(each, sample),
        )
        # As Text, since square brackets in a name are not markup.
        table.add_row(*map(Text, cells))
    if len(matched) > MOST_ROWS:
        table.caption = f"and {len(matched) - MOST_ROWS} more"
    return table


def _why(match: Json) -> str:
    words = [field.removeprefix("full_").replace("_", " ") for field in match["matched_fields"]]
    return ", ".join(words) or str(match["match_type"])


def _planted(result: Json, sample: Batch) -> str:
    planted = sample.planted.get(result["entity_id"])
    if planted is None:
        return "no"
    return planted.variant if _is_found(result, sample) else f"{planted.variant}, another entry"


def _is_found(result: Json, sample: Batch) -> bool:
    planted = sample.planted.get(result["entity_id"])
    ids = {match["match_data"]["id"] for match in result["matches"]}
    return planted is not None and planted.entry_id in ids


def _summarise(
    console: Console, job: Json, results: list[Json], sample: Batch, seconds: float
) -> None:
    total = job["total_entities"]
    found = {each["entity_id"] for each in results if _is_found(each, sample)}
    console.print(
        f"{total:,} entities in {seconds:.1f} s ({total / seconds:,.0f} a second), "
        f"{job['matches_found']:,} matches, "
        f"found {len(found)} of {len(sample.planted)} planted.",
        style="bold",
    )
    for entity_id, planted in sample.planted.items():
        if entity_id not in found:
            line = f"  not found: {entity_id}, {planted.listed_name} ({planted.variant})"
            console.print(Text(line))
    if job["failed_entities"]:
        console.print(f"  {job['failed_entities']:,} entities could not be screened.")


Step = tuple[str, str]


def _while_it_runs(url: str, job_id: str) -> list[Step]:
    ask = f'curl -H "Authorization: Bearer $MUSTER_TOKEN" {url}/kyc/jobs/{job_id}'
    return [*_steps("muster"), ("Ask for this job", ask)]


def _after_passing() -> list[Step]:
    """Nothing runs any more, and the environment that dev.py made is not on anybody's PATH."""
    program = Path(sys.prefix) / "bin" / "muster"
    with suppress(ValueError):
        program = program.relative_to(Path.cwd())
    start = ("Keep Muster running", "python3 dev.py up")
    return [start, ("in another terminal:", ""), *_steps(shlex.quote(str(program)))]


def _steps(muster: str) -> list[Step]:
    return [
        ("Screen a name", f'{muster} screen "Ramzan Kadyrov"'),
        ("Load a real list", f"{muster} lists update ofac"),
        ("Screen your own file", f"{muster} submit customers.csv --output results.jsonl"),
    ]


def _point_onwards(console: Console, steps: list[Step]) -> None:
    console.print("\nWhere to go next", style="bold")
    for what, how in [*steps, ("Read on", "docs/screening.md, docs/lists.md, docs/cli.md")]:
        console.print(Text(f"  {what:<22}{how}"), soft_wrap=True)


if __name__ == "__main__":
    main()
