"""`muster screen`: one name, answered at once."""

from __future__ import annotations

from typing import Any

import click

from app.cli.explain import print_calculation
from app.cli.http import DETAILS, Api, ApiFailure, api_options, said
from app.cli.output import counted, note, print_json, print_table, visible
from app.cli.results import MATCH_COLUMNS, match_cells
from app.cli.sentences import Failure
from app.cli.values import threshold_option

ENTITY_TYPES = ("individual", "company", "organization", "vessel", "aircraft")


@click.command()
@click.argument("name")
@click.option("--birth-date", metavar="DATE", help="YYYY-MM-DD, YYYY-MM or YYYY.")
@click.option("--nationality", metavar="CODE", help="Two letters, such as US.")
@click.option("--type", "entity_type", type=click.Choice(ENTITY_TYPES), help="What is asked about.")
@click.option("--list", "list_names", multiple=True, metavar="NAME", help="Repeatable; else all.")
@threshold_option("Score from which it is a match.")
@click.option("--explain", is_flag=True, help="Print how each score comes about.")
@click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON.")
@api_options
def screen(
    api: Api,
    name: str,
    birth_date: str | None,
    nationality: str | None,
    entity_type: str | None,
    list_names: tuple[str, ...],
    threshold: float | None,
    explain: bool,
    as_json: bool,
) -> None:
    """Screen one name and print who on the lists it may be.

    \b
    Examples:
      muster screen "Ivan Petrov" --birth-date 1965 --nationality RU
      muster screen "Acme Shipping LLC" --type company --list ofac --threshold 0.7
      muster screen "Ivan Petrov" --explain
    """
    subject = {
        "full_name": name,
        "birth_date": birth_date,
        "nationality": nationality,
        "entity_type": entity_type,
    }
    body: dict[str, Any] = {"subject": {k: v for k, v in subject.items() if v is not None}}
    if list_names:
        body["lists"] = list_names
    if threshold is not None:
        body["threshold"] = threshold
    try:
        answer = api.post_json("/kyc", body)
    except ApiFailure as failure:
        raise _explained(failure) from failure
    if as_json:
        print_json(answer)
        return

    data = answer["data"]
    checked = data["results"].values() if "results" in data else [data["result"]]
    matches = [match for result in checked for match in result["matches"]]
    matches.sort(key=lambda match: -match["confidence_score"])
    ruled_out = [match for match in matches if match.get("suppressed")]
    matches = [match for match in matches if not match.get("suppressed")]
    if matches:
        print_table(MATCH_COLUMNS, [match_cells(match) for match in matches])
        for match in matches if explain else ():
            print_calculation(match, name)
    else:
        lists = counted(data["summary"]["lists_checked"], "list", "lists")
        click.echo(f"No match on {lists}.")
    if ruled_out:
        note(f"Suppressed by a reviewer: {counted(len(ruled_out), 'match', 'matches')}.")
    for stale in data["summary"].get("stale_lists", ()):
        note(f"The list {visible(stale)} has not been refreshed for longer than it should be.")
    shown, total = len(matches), data["summary"]["total_matches"]
    if total > shown:
        note(f"… and {total - shown:,} more; a higher --threshold leaves the better ones.")


def _explained(failure: ApiFailure) -> Failure:
    details = failure.details if isinstance(failure.details, list) else []
    lines = [f"  {said(detail)}" for detail in details[:DETAILS]]
    return Failure("\n".join([failure.message, *lines]))
