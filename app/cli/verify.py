"""`muster verify`: verifications, their runs, and their records."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from app.cli.http import DETAILS, Api, ApiFailure, api_options, said
from app.cli.output import counted, note, print_fields, print_json, print_table, visible
from app.cli.sentences import Failure

#: Seconds between two looks at a run.
_PAUSE = 0.5

_ENDED = frozenset({"completed", "failed", "rejected"})


@click.group()
def verify() -> None:
    """Write verifications, run them, and fetch their records.

    \b
    Examples:
      muster verify create trust.json
      muster verify run u5yADh8ugCQUCHKncOBtT
      muster verify record u5yADh8ugCQUCHKncOBtT --output record.html
    """


@verify.command("create")
@click.argument("file", type=click.File("rb"))
@click.option("--run", "is_run", is_flag=True, help="Screen it at once, and wait for the result.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's data as JSON.")
@api_options
def create(api: Api, file: Any, is_run: bool, as_json: bool) -> None:
    """Write a verification from a JSON file, and print its trace.

    FILE holds what docs/verifications.md describes; `-` reads standard input.

    \b
    Examples:
      muster verify create trust.json
      echo '{"type": "company", "name": "Rosneft Oil Company"}' | muster verify create - --run
    """
    try:
        body = json.load(file)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{file.name} is not JSON.") from error
    made = _asked(api, "POST", "/v5/verifications", body)
    if is_run:
        note(f"Verification {made['trace']}.")
        _run(api, made["trace"], as_json)
    elif as_json:
        print_json(made)
    else:
        click.echo(made["trace"])


@verify.command("run")
@click.argument("trace")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@api_options
def run(api: Api, trace: str, as_json: bool) -> None:
    """Screen a verification with all its stakeholders, wait, and print what was found.

    Where a run is in flight already, wait for that one.

    \b
    Example:
      muster verify run u5yADh8ugCQUCHKncOBtT
    """
    _run(api, trace, as_json)


@verify.command("show")
@click.argument("trace")
@click.option("--json", "as_json", is_flag=True, help="Print the verification as JSON.")
@api_options
def show(api: Api, trace: str, as_json: bool) -> None:
    """Show a verification, its risk, and what the last run found.

    \b
    Example:
      muster verify show u5yADh8ugCQUCHKncOBtT
    """
    if as_json:
        print_json(_asked(api, "GET", _path(trace)))
    else:
        _print(api, trace)


@verify.command("record")
@click.argument("trace")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="Where to write it: a .json file, or an .html page.",
)
@api_options
def record(api: Api, trace: str, output: Path) -> None:
    """Write all there is of a verification to a file that an auditor can check without us.

    \b
    Examples:
      muster verify record u5yADh8ugCQUCHKncOBtT --output record.html
      muster verify record u5yADh8ugCQUCHKncOBtT --output record.json
    """
    if output.suffix.lower() not in {".json", ".html"}:
        raise click.UsageError("--output ends in .json or .html")
    if output.suffix.lower() == ".html":
        text = api.get(f"{_path(trace)}/record", {"format": "html"}).text
    else:
        made = _asked(api, "GET", f"{_path(trace)}/record")
        text = json.dumps(made, ensure_ascii=False, indent=1)
    output.write_text(text, encoding="utf-8")
    note(f"Wrote {output}.")


def _path(trace: str) -> str:
    return f"/v5/verifications/{quote(trace, safe='')}"


def _asked(api: Api, method: str, path: str, body: object = None) -> Any:
    """Return the data in the envelope, or fail with what is wrong, line by line."""
    try:
        answer = api.get_json(path) if method == "GET" else api.post_json(path, body)
    except ApiFailure as failure:
        details = failure.details if isinstance(failure.details, list) else []
        shown = [{**each, "path": ".".join(map(str, each["path"]))} for each in details]
        lines = [f"  {said(detail)}" for detail in shown[:DETAILS] if detail["path"]]
        raise Failure("\n".join([failure.message, *lines])) from failure
    return answer["data"]


def _run(api: Api, trace: str, as_json: bool) -> None:
    job_id = _dispatched(api, trace)
    result = _waited(api, f"{_path(trace)}/jobs/watchlist/{quote(job_id, safe='')}")
    if result["status"] != "completed":
        why = result.get("errorSummary") or f"held up by {result.get('conflictingJobId')}"
        raise Failure(f"The run {job_id} is {result['status']}: {visible(str(why))}")
    if as_json:
        print_json(_asked(api, "GET", f"{_path(trace)}/watchlist/latest"))
    else:
        _print(api, trace)


def _dispatched(api: Api, trace: str) -> str:
    try:
        made = api.post_json(f"{_path(trace)}/watchlist")
    except ApiFailure as failure:
        if failure.conflicting is None:
            raise
        note(f"The run {visible(failure.conflicting)} is in flight; waiting for that one.")
        return failure.conflicting
    return str(made["data"]["jobId"])


def _waited(api: Api, path: str) -> dict[str, Any]:
    while True:
        result: dict[str, Any] = _asked(api, "GET", path)["result"]
        if result["status"] in _ENDED:
            return result
        time.sleep(_PAUSE)


def _print(api: Api, trace: str) -> None:
    known = _asked(api, "GET", _path(trace))
    risk = known["idvRisk"]
    print_fields(
        [
            ("trace", known["trace"]),
            ("userId", known["userId"]),
            ("name", known.get("name")),
            ("risk", risk["description"]),
            ("score", risk.get("score")),
        ]
    )
    if "score" not in risk:
        note(f"Not screened yet; do so with: muster verify run {known['trace']}")
        return
    subjects = {None: ("the entity itself", known.get("name"))} | {
        each["stakeholderId"]: (each["role"], each["name"]) for each in known["stakeholders"]
    }
    rows = [
        (
            *subjects.get(each["stakeholderId"], ("?", "?")),
            each["source"],
            each["recordId"],
            each["score"],
            each["points"],
        )
        for each in risk["reasons"]
    ]
    if rows:
        print_table(("WHO", "NAME", "SOURCE", "ENTRY", "SCORE", "POINTS"), rows)
    else:
        click.echo(f"No match on {counted(len(subjects), 'subject', 'subjects')}.")
    if risk["isProvisional"]:
        note("A source did not answer for everybody: the risk is provisional.")
