"""How far loading a list has come, on the terminal: first its entries are read, then filed."""

from __future__ import annotations

import sys

import click

_WIDTH = 30


class LoadProgress:
    """Says it on standard error, where a person looks on; nothing where a script does."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def read(self, entries: int) -> None:
        self._say(f"{entries:,} entries read")

    def filed(self, done: int, total: int) -> None:
        """Draw a bar while the index is built, and say before that what may take a minute."""
        if done == 0 and _compiles_first(total):
            self._say("compiling the screening engine, once: about a minute")
            return
        full = _WIDTH * done // max(total, 1)
        bar = "#" * full + "-" * (_WIDTH - full)
        self._say(f"index [{bar}] {done:,} of {total:,} entries")

    def end(self) -> None:
        if self._shown:
            click.echo(err=True)

    def _say(self, text: str) -> None:
        if self._shown:
            # To the end of the line: what stood there may have been longer.
            click.echo(f"\r{text:<79}", err=True, nl=False)


def _compiles_first(entries: int) -> bool:
    from app.screening.compiled import cache
    from app.screening.index import COMPILED_FROM, can_compile

    return entries >= COMPILED_FROM and can_compile() and not cache.is_ready()
