"""`muster evaluate`: how well screening does on rows that people have labelled."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.loading import LoadProgress
from app.cli.output import counted, note, print_json, print_table
from app.cli.sentences import Failure

if TYPE_CHECKING:
    from app.screening.evaluate.measure import Asked, Figures
    from app.screening.index import Index

#: The lowest threshold of the sweep: below, pairs are cheap to try and whole lists are not.
PAIRS_FROM, LISTS_FROM = 0.5, 0.75

_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_PLOT = click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE.svg",
    help="Draw the sweep into an SVG file too.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")


@click.group()
def evaluate() -> None:
    """Measure screening on rows that you have labelled.

    Precision: how many of the alerts were right. Recall: how many of those to be found were. F1:
    both in one figure. Alerts per query: alerts on somebody else, which a reviewer must look at.
    The files are JSON lines, described in docs/screening.md.

    \b
    Examples:
      muster evaluate pairs labelled.jsonl --threshold 0.7
      muster evaluate lists people.jsonl --list ofac
      muster evaluate lists people.jsonl --entries our-list.csv --plot sweep.svg
    """


@evaluate.command("pairs")
@_FILE
@click.option(
    "--threshold", type=click.FloatRange(0, 1), default=0.7, show_default=True, help="For alerts."
)
@click.option(
    "--shuffle",
    is_flag=True,
    help="Add as many pairs that are none: each query of a true pair with another's entry.",
)
@_PLOT
@_JSON
def pairs(file: Path, threshold: float, shuffle: bool, plot: Path | None, as_json: bool) -> None:
    """Compare each query with the one entry beside it. Needs no server and no list.

    \b
    A row: {"query": {"name": "...", "type": "person"}, "listed": {"name": "..."}, "match": true}

    \b
    Examples:
      muster evaluate pairs labelled.jsonl --threshold 0.7
      muster evaluate pairs labelled.jsonl --json | jq .f1
    """
    from app.screening.evaluate.labelled import read_pairs
    from app.screening.evaluate.pairs import score_pairs, shuffled

    labelled = read_pairs(file)
    if shuffle:
        labelled += shuffled(labelled)
    _tell(score_pairs(labelled), threshold, PAIRS_FROM, plot, as_json)


@evaluate.command("lists")
@_FILE
@click.option("--list", "names", multiple=True, metavar="NAME", help="A loaded list. Repeatable.")
@click.option(
    "--entries",
    "files",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="A list from a file instead, without a server. Repeatable.",
)
@click.option("--format", "file_format", default="plain", help="How these files are written.")
@click.option(
    "--threshold",
    type=click.FloatRange(0.5, 1),
    default=0.85,
    show_default=True,
    help="For alerts.",
)
@click.option(
    "--leave-alias-out",
    is_flag=True,
    help="Take the name asked about off its entry first: is it found by its other names?",
)
@_PLOT
@_JSON
def lists(
    file: Path,
    names: tuple[str, ...],
    files: tuple[Path, ...],
    file_format: str,
    threshold: float,
    leave_alias_out: bool,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Screen each query against whole lists, and see what else is found beside the right entry.

    \b
    A row: {"query": {"name": "...", "type": "person"}, "expect": "id of the entry, or null"}

    Rows that expect an entry which is on none of the lists are left out, and counted.

    \b
    Examples:
      muster evaluate lists people.jsonl --list ofac --list un
      muster evaluate lists aliases.jsonl --list ofac --leave-alias-out --json
    """
    from app.screening.evaluate.labelled import read_queries
    from app.screening.evaluate.lists import screen_lists

    if not names and not files:
        raise click.UsageError("say which lists: --list NAME, or --entries FILE")
    queries = read_queries(file)
    known, indexes = _open_lists(names, files, file_format)
    on_them = [query for query in queries if query.expect is None or query.expect in known]
    not_listed = len(queries) - len(on_them)
    if not on_them:
        raise Failure("No row expects an entry of these lists, nor that nothing is found.")
    if not_listed:
        note(f"{counted(not_listed, 'row expects', 'rows expect')} an entry of another list.")
    asked = screen_lists(
        on_them,
        indexes,
        min(threshold, LISTS_FROM),
        leave_alias_out=leave_alias_out,
        progress=_count if sys.stderr.isatty() else None,
    )
    if sys.stderr.isatty():
        note("")
    _tell(asked, threshold, min(threshold, LISTS_FROM), plot, as_json, not_listed=not_listed)


def _open_lists(
    names: Sequence[str], files: Sequence[Path], file_format: str
) -> tuple[set[str], list[Index]]:
    """Return the ids of all entries, and an index of each list."""
    from app.screening import store
    from app.screening.index import Index
    from app.screening.lists.readers import READERS

    entries = []
    if files:
        if file_format not in READERS:
            raise click.UsageError(f"--format is one of {', '.join(READERS)}")
        entries += [list(READERS[file_format].read([file])) for file in files]
    if names:
        from app.cli.server import open_database

        with open_database() as db, db.transaction() as tx:
            current = store.current_versions(tx)
            for name in names:
                if name not in current:
                    raise Failure(f"No list {name!r} is loaded. See: muster lists show")
                entries.append(list(store.load_entries(tx, current[name].id)))
    known = {entry.id for some in entries for entry in some}
    progress = LoadProgress()
    indexes = [Index.build(some, progress.filed) for some in entries]
    progress.end()
    return known, indexes


def _count(queries: int) -> None:
    click.echo(f"\r{queries:,} queries screened", err=True, nl=False)


def _tell(
    asked: Sequence[Asked],
    threshold: float,
    lowest: float,
    plot: Path | None,
    as_json: bool,
    **more: object,
) -> None:
    from app.cli.sweep_plot import svg_plot, text_plot
    from app.screening.evaluate.measure import by_group, measure, steps, sweep

    figures = measure(asked, threshold)
    groups = by_group(asked, threshold)
    swept = sweep(asked, sorted({*steps(lowest, step=0.025), threshold}))
    if plot:
        plot.write_text(svg_plot(swept, threshold), "utf-8")
    if as_json:
        print_json(
            {
                **_record(figures),
                **more,
                "groups": {name: _record(each) for name, each in groups.items()},
                "sweep": [_record(each) for each in swept],
            }
        )
        return
    columns = ("PRECISION", "RECALL", "F1", "ALERTS PER QUERY", "QUERIES", "TO FIND", "FOUND")
    print_table(
        ("GROUP", *columns),
        [(name, *_cells(each)) for name, each in (("all", figures), *groups.items())],
    )
    click.echo("")
    print_table(("THRESHOLD", *columns), [(f"{each.threshold:g}", *_cells(each)) for each in swept])
    click.echo("")
    click.echo(text_plot(swept, threshold))
    if plot:
        note(f"The sweep is drawn in {plot}.")


def _cells(figures: Figures) -> tuple[object, ...]:
    shares = (figures.precision, figures.recall, figures.f1, figures.alerts_per_query)
    shown = ("-" if share is None else f"{share:.4f}" for share in shares)
    return (*shown, figures.queries, figures.to_find, figures.found)


def _record(figures: Figures) -> dict[str, Any]:
    return {
        "threshold": figures.threshold,
        "precision": figures.precision,
        "recall": figures.recall,
        "f1": figures.f1,
        "alerts_per_query": figures.alerts_per_query,
        "negatives_alerted": figures.negatives_alerted,
        "queries": figures.queries,
        "to_find": figures.to_find,
        "found": figures.found,
        "wrong_alerts": figures.wrong_alerts,
    }
