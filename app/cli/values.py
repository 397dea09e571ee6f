"""What an option or an argument may be; anything else is refused before a server is asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

import click

from app.jobs import ids

Command = TypeVar("Command", bound=Callable[..., Any] | click.Command)


def _check_number(
    context: click.Context, option: click.Parameter, number: float | None
) -> float | None:
    # It is neither below a range nor above it, and so passes for a member.
    if number is not None and math.isnan(number):
        raise click.BadParameter(f"{number} is no number.")
    return number


def threshold_option(why: str) -> Callable[[Command], Command]:
    """Give a command --threshold: a score from which a name is a match."""
    return click.option(
        "--threshold", type=click.FloatRange(0.5, 1), callback=_check_number, help=why
    )


def _job_id(text: str) -> str:
    """Return the id of a job as a UUID, written in whatever way the server writes it."""
    native = ids.parse(text)
    try:
        return str(native or UUID(text))
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is not the id of a job, such as 550e8400-e29b-41d4-a716-446655440000;"
            " `muster jobs` lists them."
        ) from error


job_argument = click.argument("job_id", metavar="JOB", type=_job_id)
