"""The group `muster`: all commands, under the headings of its help."""

from __future__ import annotations

import click

from app.cli import (
    admin,
    control,
    deletions,
    evaluate,
    jobs,
    keys,
    lists,
    live,
    results,
    screen,
    serve,
    submit,
    users,
    verify,
    watch,
)
from app.cli.sentences import Sentences
from app.version import VERSION

#: The order of the help: what is needed every day first.
SECTIONS = {
    "Screening (needs --url and --token)": (
        screen.screen,
        submit.submit,
        jobs.jobs,
        results.show,
        watch.watch,
        control.pause,
        control.resume,
        control.cancel,
        control.retry,
        verify.verify,
    ),
    "Running a server (needs its settings)": (
        admin.migrate,
        admin.tenants,
        admin.prune,
        deletions.subjects,
        deletions.deletions,
        users.users,
        keys.keys,
        keys.token,
        lists.lists,
        evaluate.evaluate,
        serve.serve,
        live.live,
    ),
}


@click.group(
    cls=Sentences,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, "-V", "--version", message="muster %(version)s")
def cli() -> None:
    """Screen people, companies and vessels against sanctions lists, thousands at a time.

    \b
    A first round, beside a server started with `python3 dev.py up`:
      muster screen "Ivan Petrov" --birth-date 1965
      muster submit people.csv --output results.csv
      muster jobs

    \b
    Setting up a server of your own (DATABASE_URL, REDIS_URL and MUSTER_JWT_SECRET set):
      muster migrate
      muster tenants create acme
      muster lists load sample
      muster keys create nightly --tenant acme --role operator
      muster serve

    Commands that talk to a server take --url and --token, or MUSTER_URL and MUSTER_TOKEN. In a
    folder where `dev.py up` runs, all of these are known already.

    Exit status: 0 done, 1 it could not be done (one sentence says why), 2 wrong usage,
    130 interrupted.
    """
