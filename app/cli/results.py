"""The results of a job: to a file, to stdout, or the matches as a table for a person."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import click

from app.cli import native
from app.cli.explain import print_calculation
from app.cli.http import Api, ApiFailure, api_options
from app.cli.output import counted, note, print_fields, print_json, print_table, visible
from app.cli.sentences import Failure
from app.cli.values import job_argument

NDJSON = "application/x-ndjson"
CSV = "text/csv"

#: Matches in the table. The rest is for a file: nobody reads a thousand lines of a terminal.
TABLE_ROWS = 20


def _check_folder(
    context: click.Context, option: click.Parameter, path: Path | None
) -> Path | None:
    """Refuse a file that could not be written, before anything is screened for it."""
    if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise click.BadParameter(f"the folder {str(path.parent)!r} cannot be written to")
    return path


output_option = click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_check_folder,
    help="Write the results to this file: CSV if it ends in .csv, else JSON lines.",
)


@click.command()
@job_argument
@click.option("--results", "with_results", is_flag=True, help="Print the results as JSON lines.")
@click.option(
    "--explain", metavar="ENTITY", help="Print how the scores of this entity screened come about."
)
@output_option
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
@api_options
def show(
    api: Api,
    job_id: str,
    with_results: bool,
    explain: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Show a job of any kind: how it stands, and what was found.

    A job that still runs has results already; those that come later are missing from the file.

    \b
    Examples:
      muster show 550e8400-e29b-41d4-a716-446655440000
      muster show 550e8400-e29b-41d4-a716-446655440000 --output results.csv
      muster show 550e8400-e29b-41d4-a716-446655440000 --explain c-1001
      muster show 550e8400-e29b-41d4-a716-446655440000 --results | jq 'select(.is_match)'
    """
    path, job = _find(api, job_id)
    is_screening = path == job_path(job_id)
    if explain is not None and not is_screening:
        raise Failure(f"Only a screening job has scores to explain, and this one is {job['kind']}.")
    if output:
        save(api, path, output)
        note(f"Wrote the results to {output}.")
    if explain is not None:
        _explain(read(api, path), explain)
    elif with_results:
        print_results(api, path)
    elif as_json:
        print_json(job)
    elif is_screening:
        print_job(job)
        print_matches(read(api, path))
    else:
        native.print_job(job)
        native.print_tags(read(api, path))


def _find(api: Api, job_id: str) -> tuple[str, dict[str, Any]]:
    """Return where the job is and how it stands: a screening job, or as `/v1` shows any other."""
    try:
        return job_path(job_id), api.get_json(job_path(job_id), {"results": "false"})
    except ApiFailure as failure:
        # Whoever may not screen may still have jobs of another kind.
        if failure.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN}:
            raise
    return native.job_path(job_id), api.get_json(native.job_path(job_id))


def _explain(results: Iterable[Mapping[str, Any]], entity: str) -> None:
    """Explain every match of one entity: its entity_id, or its index where it has none."""
    for result in results:
        if entity == str(result.get("entity_id", result["index"])):
            for match in result["matches"]:
                print_calculation(match)
            if not result["matches"]:
                note("This entity has no match.")
            return
    raise Failure("There is no result of an entity with this entity_id, or index if it has none.")


def job_path(job_id: str) -> str:
    return f"/kyc/jobs/{job_id}"


def save(api: Api, job: str, path: Path) -> None:
    """Stream the results of the job at that path of the server into the file.

    It appears only when they are all in it.
    """
    accept = CSV if path.suffix.lower() == ".csv" else NDJSON
    if path.exists() and not path.is_file():
        # /dev/stdout, a named pipe: nothing that could be replaced.
        _download(api, job, accept, path)
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        _download(api, job, accept, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _download(api: Api, job: str, accept: str, path: Path) -> None:
    with path.open("wb") as file, api.stream(f"{job}/results", accept) as chunks:
        file.writelines(chunks)


def read(api: Api, job: str) -> Iterator[dict[str, Any]]:
    """Return the results of the job at that path one by one, as they come."""
    with api.stream(f"{job}/results", NDJSON) as chunks:
        rest = b""
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            yield from map(_line, filter(None, lines))
        if rest:
            yield _line(rest)


def _line(text: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except ValueError as error:
        raise Failure("The server sent results that are not JSON lines.") from error


def print_results(api: Api, job: str) -> None:
    """Pass the results on to stdout just as the server sends them."""
    out = sys.stdout.buffer
    with api.stream(f"{job}/results", NDJSON) as chunks:
        for chunk in chunks:
            out.write(chunk)
    out.flush()


def print_job(job: Mapping[str, Any]) -> None:
    error = job.get("error") or {}
    print_fields(
        [
            ("Job", job["job_id"]),
            ("Status", _status(job)),
            ("Entities", job["total_entities"]),
            ("Screened", job["processed_entities"]),
            ("Failed", job["failed_entities"] or None),
            ("Matches", job["matches_found"]),
            ("Created", job["created_at"]),
            ("Completed", job.get("completed_at")),
            ("Expected", job.get("estimated_completion")),
            ("Retry of", job.get("retry_of")),
            ("Error", error.get("message")),
        ]
    )
    for warning in job.get("warnings", ()):
        note(visible(warning["message"]))


def _status(job: Mapping[str, Any]) -> str:
    # Clients of this API know three words; what else there is to say stands beside them.
    if job.get("paused"):
        return f"{job['job_status']} (paused)"
    if job.get("cancel_requested"):
        return f"{job['job_status']} (being cancelled)"
    return str(job["job_status"])


def print_matches(
    results: Iterable[Mapping[str, Any]], asked: Mapping[int, str] | None = None
) -> None:
    """Print the matches as a table, each entity's best first, and say which entities failed.

    `asked` says, by index, what name was asked for: the server does not repeat it.
    """
    rows: list[tuple[object, ...]] = []
    matched = failed = 0
    reason = ""
    for result in results:
        if result["status"] == "failed":
            failed += 1
            reason = reason or result["error"]["message"]
        if not result["is_match"]:
            continue
        matched += 1
        if len(rows) < TABLE_ROWS:
            who = result.get("entity_id", result["index"])
            name = () if asked is None else (asked.get(result["index"]),)
            best = match_cells(result["matches"][0])
            rows.append((who, *name, result["match_count"], *best))
    if rows:
        click.echo()
        name = () if asked is None else ("ASKED FOR",)
        print_table(("ENTITY", *name, "MATCHES", *MATCH_COLUMNS), rows)
    if matched > len(rows):
        more = counted(matched - len(rows), "more entity", "more entities")
        note(f"… and {more} that matched.")
    if failed:
        who = counted(failed, "entity", "entities")
        note(f"{who} could not be screened; the first: {visible(reason)}")


MATCH_COLUMNS = ("SCORE", "LIST", "LISTED NAME", "LISTED ID", "AGREES")


def match_cells(match: Mapping[str, Any]) -> tuple[object, ...]:
    data = match["match_data"]
    listed, matched = data["name"], match.get("matched_name")
    return (
        # As many decimals as the server gives: exact names differ in the third.
        f"{match['confidence_score']:.4f}",
        match["list_name"],
        # It may be an alias that matched, and look nothing like the name.
        listed if matched in {None, listed} else f"{listed} (as {matched})",
        data["id"],
        [str(field).replace("_", " ") for field in match.get("matched_fields", ())],
    )
