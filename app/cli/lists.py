"""Watchlists: load them from files, fetch them from their publishers, see what is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.loading import LoadProgress
from app.cli.output import note, print_json, print_table
from app.cli.sentences import Failure
from app.cli.server import load_settings, open_database

if TYPE_CHECKING:
    from app.screening.freshness import Freshness
    from app.screening.lists.load import LoadReport
    from app.screening.model import ListVersion

#: The list that comes with Muster, for trying things out.
SAMPLE = "sample"

#: Those of `READERS`, which is not imported for a help text; a test compares.
FORMATS = ("csl", "eu", "ftm", "ofac", "plain", "senzing", "targets", "uk", "un")


@click.group()
def lists() -> None:
    """Watchlists: what entities are screened against.

    A job is screened against the versions that were current when it was submitted. Loading a new
    version keeps the earlier ones and changes nothing for jobs that run.

    \b
    Examples:
      muster lists load sample
      muster lists update ofac un
      muster lists load internal blocked.csv
      muster lists show
    """


@lists.command("load")
@click.argument("name")
@click.argument(
    "paths", nargs=-1, metavar="[FILE]...", type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    help="How the files are written. Without it, as the list of this name is published, or as"
    " the first file shows.",
)
@click.option(
    "--delta",
    is_flag=True,
    help="The files are OpenSanctions' entities.delta.json, the oldest first: change the version"
    " in force by them.",
)
@click.option("--base", metavar="VERSION", help="With --delta: change this version and no other.")
@click.option("--version", help="What to call this version. Without it, the date in the file.")
@click.option("--topic", "topics", multiple=True, help="What the list is about. Repeatable.")
@click.option("--allow-shrink", is_flag=True, help="Accept a version that lost more than a fifth.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def load(
    name: str,
    paths: tuple[Path, ...],
    file_format: str | None,
    delta: bool,
    base: str | None,
    version: str | None,
    topics: tuple[str, ...],
    allow_shrink: bool,
    as_json: bool,
) -> None:
    """Load a list from its files (or the folder they are in).

    A file that is broken, or that lost more than a fifth of its entries, is refused, and what was
    loaded before stays in force.

    \b
    Examples:
      muster lists load sample
      muster lists load ofac sdn.csv alt.csv add.csv sdn_comments.csv
      muster lists load un consolidated.xml
      muster lists load internal blocked.csv --format plain
      muster lists load opensanctions entities.ftm.json --version 20240527134702-zbn
      muster lists load opensanctions --delta 20240527194702-wnk/entities.delta.json
    """
    from app.screening.lists.load import load_list
    from app.screening.lists.load_delta import load_delta

    if delta and (file_format or not paths):
        raise click.UsageError("--delta takes the delta files, and no --format")
    if base and not delta:
        raise click.UsageError("--base goes with --delta")
    if not paths and name != SAMPLE:
        raise click.UsageError(
            f"say which files to load as {name!r}; only the list {SAMPLE!r} comes with Muster"
        )
    settings = load_settings()
    progress = LoadProgress()
    with open_database(settings) as db:
        if delta:
            report = load_delta(
                db,
                name,
                paths,
                base=base,
                version=version,
                allow_shrink=allow_shrink,
                index_dir=settings.index_dir,
                max_bytes=settings.list_max_bytes,
                progress=progress,
            )
        else:
            report = load_list(
                db,
                name,
                paths or (_sample_file(),),
                format=file_format,
                version=version,
                topics=topics,
                allow_shrink=allow_shrink,
                index_dir=settings.index_dir,
                max_bytes=settings.list_max_bytes,
                progress=progress,
            )
    progress.end()
    _tell(name, report, as_json)


@lists.command("update")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--allow-shrink", is_flag=True, help="Accept a version that lost more than a fifth.")
@click.option("--json", "as_json", is_flag=True, help="Print each report as a line of JSON.")
def update(names: tuple[str, ...], allow_shrink: bool, as_json: bool) -> None:
    """Fetch lists from their publishers and load what is new.

    Without names: all loaded lists that have a publisher's address. Run it daily; a list that
    has not changed is not even downloaded.

    \b
    Examples:
      muster lists update
      muster lists update ofac un
    """
    from app.errors import AppError
    from app.screening import store
    from app.screening.lists.update import update as fetch

    settings = load_settings()
    failed: list[str] = []
    with open_database(settings) as db:
        if not names:
            with db.transaction() as tx:
                loaded = store.current_versions(tx)
        chosen = names or _updatable(loaded)
        if not chosen:
            raise Failure("No list that is loaded can be fetched; name one, such as ofac or un.")
        for name in chosen:
            try:
                progress = LoadProgress()
                report = fetch(db, settings, name, allow_shrink=allow_shrink, progress=progress)
                progress.end()
            except AppError as error:
                # One publisher that is down must not keep the others' lists old.
                note(f"muster: {name}: {error}")
                failed.append(name)
                continue
            _tell(name, report, as_json)
    if failed:
        raise Failure(f"Not updated: {', '.join(failed)}.")


@lists.command("show")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the versions as a JSON array.")
def show(name: str | None, as_json: bool) -> None:
    """Show the lists in force, or all loaded versions of one.

    \b
    Examples:
      muster lists show
      muster lists show ofac --json
    """
    from app.screening import freshness, store

    settings = load_settings()
    with open_database(settings) as db, db.transaction() as tx:
        current = store.current_versions(tx)
        found = list(current.values()) if name is None else store.list_versions(tx, name)
        fresh = freshness.of_all(tx, settings, current, datetime.now(UTC))
    if name and not found:
        raise Failure(f"No version of the list {name!r} is loaded.")
    # Only of a version in force can be said how fresh it is.
    states = {current[each].id: state for each, state in fresh.items()}
    if as_json:
        print_json([_record(version, states.get(version.id)) for version in found])
    elif found:
        print_table(
            ("LIST", "VERSION", "ENTRIES", "IN FORCE", "LOADED", "REFRESHED", "TITLE"),
            [
                (
                    *(v.name, v.version, v.entries, v.id in states, v.loaded_at),
                    _refreshed(states.get(v.id)),
                    v.title,
                )
                for v in found
            ],
        )
        for each, state in fresh.items():
            if state.is_stale and name in {None, each}:
                note(f"{each} is stale: {state.problem or 'it was not refreshed in time.'}")
    else:
        note("No lists are loaded. Try: muster lists load sample")


def _sample_file() -> Path:
    from app.sample import WATCHLIST

    return WATCHLIST


def _updatable(names: Iterable[str]) -> list[str]:
    """Return those of the loaded lists that have a publisher to fetch them from."""
    from app.screening.lists.catalogue import CATALOGUE

    fetched = {known.name for known in CATALOGUE if known.url}
    return sorted(fetched.intersection(names))


def _tell(name: str, report: LoadReport, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "list": name,
                "version": report.version,
                "entries": report.entries,
                "added": report.added,
                "removed": report.removed,
                "changed": report.changed,
                "unchanged": report.unchanged,
            }
        )
    elif report.unchanged:
        click.echo(
            f"{name}: unchanged since version {report.version} ({report.entries:,} entries)."
        )
    else:
        click.echo(
            f"{name}: version {report.version} is in force, with {report.entries:,} entries"
            f" ({report.added:,} added, {report.removed:,} removed, {report.changed:,} changed)."
        )


def _refreshed(state: Freshness | None) -> str:
    if state is None:
        return ""
    return f"{state.refreshed_at.isoformat(timespec='minutes')}{' STALE' * state.is_stale}"


def _record(version: ListVersion, state: Freshness | None) -> dict[str, object]:
    from app.screening.topics import coverage

    return {
        "list": version.name,
        "title": version.title,
        "version": version.version,
        "in_force": state is not None,
        "entries": version.entries,
        "published_at": version.published_at,
        "loaded_at": version.loaded_at,
        "source": version.source,
        "sha256": version.sha256,
        "topics": coverage(version),
        "refreshed_at": state and state.refreshed_at,
        "stale": state is not None and state.is_stale,
        "problem": state and state.problem,
    }
