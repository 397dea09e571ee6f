"""Every failure becomes one readable sentence and an exit status, never a traceback."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from typing import IO, Any

import click

from app.errors import AppError, Misconfigured

#: What a shell reports for a program that was interrupted: 128 + SIGINT.
INTERRUPTED = 130


class Failure(click.ClickException):
    """The command could not be done. The message is all that the person will see."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"muster: {self.message}", file=file, err=file is None)


class Interrupted(Failure):
    """The person pressed Ctrl-C."""

    exit_code = INTERRUPTED


class Sentences(click.Group):
    """The top group: turns the errors of the platform into failures, in one place.

    Its help lists the commands under the headings given in `sections`.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._sections = sections
        for commands in sections.values():
            for command in commands:
                self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [str(c.name) for commands in self._sections.values() for c in commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, commands in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl([(str(c.name), c.get_short_help_str(80)) for c in commands])

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        try:
            return super().make_context(*args, **extra)
        except KeyboardInterrupt as error:
            raise Interrupted("Interrupted.") from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Misconfigured as error:
            raise Failure(f"{error}\n{_SETTINGS_HINT}") from error
        except AppError as error:
            raise Failure(str(error)) from error
        except (KeyboardInterrupt, click.Abort) as error:
            # The second is Ctrl-C, or the end of the input, where something was asked for.
            raise Interrupted("Interrupted.") from error
        except UnicodeEncodeError as error:
            raise Failure("What was given is not UTF-8 text.") from error
        except OSError as error:
            # `| head` has seen enough: click ends quietly on it.
            if error.errno == errno.EPIPE:
                raise
            where = f"{error.filename}: " if error.filename else ""
            raise Failure(f"{where}{error.strerror or error}") from error
        except Exception as error:
            if _is_missing_table(error):
                raise Failure(
                    "The database has no tables for this yet; run `muster migrate` first."
                ) from error
            raise


_SETTINGS_HINT = (
    "Set what is missing in the environment, or run this in the folder where `python3 dev.py up`"
    " is running."
)


def _is_missing_table(error: Exception) -> bool:
    # By its code, so that psycopg2 is not imported to find out that it was not involved.
    return getattr(error, "pgcode", None) == "42P01"
