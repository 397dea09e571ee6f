"""`muster submit`: a file of entities in, a file of results out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import click

from app.cli import files, results, watch
from app.cli.files import Row
from app.cli.http import DETAILS, Api, ApiFailure, api_options, said
from app.cli.output import counted, note, print_json, visible
from app.cli.sentences import Failure, Interrupted
from app.cli.values import threshold_option

#: What one job may hold, by the API's contract. A server may be set to less, and then says so.
MOST = 10_000


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--list",
    "list_names",
    multiple=True,
    metavar="NAME",
    help="Screen against this list; repeatable. Entities that name lists keep theirs."
    " Without it, all lists that the server has loaded.",
)
@threshold_option("Score from which a name is a match. The server's own is 0.85.")
@click.option(
    "--lenient",
    is_flag=True,
    help="Fail the entities that the server finds invalid, and screen the others."
    " The file must be readable all the same.",
)
@results.output_option
@click.option("--no-wait", is_flag=True, help="Print the job's id and leave it to the server.")
@click.option("--split", is_flag=True, help=f"Make several jobs of a file of over {MOST:,}.")
@click.option("--json", "as_json", is_flag=True, help="Print each job as a line of JSON.")
@api_options
def submit(
    api: Api,
    file: Path,
    list_names: tuple[str, ...],
    threshold: float | None,
    lenient: bool,
    output: Path | None,
    no_wait: bool,
    split: bool,
    as_json: bool,
) -> None:
    """Screen every entity of a CSV or JSON lines file.

    \b
    A CSV file names its columns in the first line, any of:
      entity_id, full_name, birth_date, nationality, entity_type, document_id, document_type,
      imo_number, call_sign, wallet_address, lists (several are separated by ;)
    A line of JSON has the same fields, or a "subject" just as the API takes it.

    Waits for the job, shows how far it is, and prints who matched. Ctrl-C stops the waiting,
    never the job.

    \b
    Examples:
      muster submit people.csv --output results.csv
      muster submit people.jsonl --list ofac --list un --threshold 0.9
      muster submit people.csv --no-wait
    """
    if no_wait and output:
        raise click.UsageError("--output needs the results, which --no-wait does not wait for")
    total = sum(1 for _ in files.read(file))
    jobs = -(-total // MOST)
    if total == 0:
        raise Failure(f"{file}: there are no entities in it")
    if total > MOST and not split:
        raise Failure(
            f"{file}: a job holds at most {MOST:,} entities, and these are {total:,};"
            f" with --split they become {jobs} jobs"
        )
    if output and any(_is_same(file, target) for target in _targets(output, jobs)):
        raise click.UsageError(f"--output would replace {file}, the very file to be screened")

    headers = {"Prefer": "handling=lenient"} if lenient else {}
    options = {} if threshold is None else {"threshold": threshold}
    submitted: list[tuple[dict[str, Any], list[Row]]] = []
    try:
        # All jobs are in before the first is waited for: they run side by side.
        for rows in _batches(file):
            body = {**options, "entities": _entities(rows, list_names)}
            job = _post(api, file, rows, body, headers)
            submitted.append((job, rows))
            note(f"Submitted {counted(len(rows), 'entity', 'entities')} as job {job['job_id']}.")
        if no_wait:
            for job, _ in submitted:
                print_json(job) if as_json else click.echo(job["job_id"])
        else:
            _finish_all(api, submitted, output, as_json)
    except KeyboardInterrupt as interrupt:
        if not submitted:
            raise
        raise Interrupted(f"Stopped waiting. {_goes_on(submitted)}") from interrupt


def _goes_on(submitted: Sequence[tuple[dict[str, Any], list[Row]]]) -> str:
    if len(submitted) == 1:
        return f"The job goes on; look at it with: muster show {submitted[0][0]['job_id']}"
    ids = "".join(f"\n  muster show {job['job_id']}" for job, _ in submitted)
    return f"The jobs go on; look at them with:{ids}"


def _batches(file: Path) -> Iterator[list[Row]]:
    rows = files.read(file)
    while batch := list(islice(rows, MOST)):
        yield batch


def _entities(rows: Sequence[Row], list_names: Sequence[str]) -> list[dict[str, Any]]:
    entities = [row.entity for row in rows]
    if not list_names:
        return entities
    return [
        entity if entity.keys() & {"lists", "list_name"} else {**entity, "lists": list(list_names)}
        for entity in entities
    ]


def _post(
    api: Api, file: Path, rows: Sequence[Row], body: dict[str, Any], headers: dict[str, str]
) -> dict[str, Any]:
    try:
        return api.post_json("/kyc/jobs", body, headers)
    except ApiFailure as failure:
        _explain(failure, file, rows)


def _explain(failure: ApiFailure, file: Path, rows: Sequence[Row]) -> NoReturn:
    """Say what the server found wrong by the lines of the file, not by its own numbering."""
    details = failure.details if isinstance(failure.details, list) else []
    lines = [failure.message]
    for detail in details[:DETAILS]:
        index = detail.get("index")
        is_known = isinstance(index, int) and 0 <= index < len(rows)
        where = f"{file}, line {rows[index].line}" if is_known else str(file)
        lines.append(f"  {where}: {said(detail)}")
    if len(details) > DETAILS:
        lines.append(f"  … and {len(details) - DETAILS:,} more")
    raise Failure("\n".join(lines)) from failure


def _finish_all(
    api: Api,
    submitted: Sequence[tuple[dict[str, Any], list[Row]]],
    output: Path | None,
    as_json: bool,
) -> None:
    """Wait for each job and hand over its results; one that failed does not keep the others'."""
    failures: list[str] = []
    targets = _targets(output, len(submitted)) if output else [None] * len(submitted)
    for number, ((begun, rows), target) in enumerate(zip(submitted, targets, strict=True)):
        job_id = begun["job_id"]
        try:
            job = watch.wait(api, job_id)
        except ApiFailure as failure:
            raise Failure(f"{failure.message} {_goes_on(submitted[number:])}") from failure
        if target:
            results.save(api, results.job_path(job_id), target)
            note(f"Wrote the results to {target}.")
        if as_json:
            print_json(job)
        else:
            _tell(api, job, rows)
            if not target:
                note(f"Keep the results with: muster show {job_id} --output results.csv")
        if job["job_status"] == "failed":
            reason = (job.get("error") or {}).get("message", "It does not say why.")
            failures.append(f"Job {job_id} did not complete: {visible(reason)}")
        elif job["failed_entities"] == job["total_entities"]:
            failures.append(f"Job {job_id} could not screen a single entity.")
    if failures:
        raise Failure("\n".join(failures))


def _tell(api: Api, job: dict[str, Any], rows: Sequence[Row]) -> None:
    results.print_job(job)
    if job["matches_found"] or job["failed_entities"]:
        results.print_matches(results.read(api, results.job_path(job["job_id"])), _names(rows))


def _names(rows: Sequence[Row]) -> dict[int, str]:
    subjects = ((index, row.entity.get("subject")) for index, row in enumerate(rows))
    return {
        index: str(subject.get("full_name") or "-")
        for index, subject in subjects
        if isinstance(subject, dict)
    }


def _targets(output: Path, jobs: int) -> list[Path]:
    """Return where the results of each job go: several do not fit into one file."""
    if jobs == 1:
        return [output]
    return [output.with_stem(f"{output.stem}-{number}") for number in range(1, jobs + 1)]


def _is_same(file: Path, other: Path) -> bool:
    return other.exists() and other.samefile(file)
