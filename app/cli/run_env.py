"""What a running `dev.py up` left for other terminals: addresses, secrets and a ready token."""

from __future__ import annotations

import os
import re
import shlex
import stat
from pathlib import Path

import click

FILE = Path(".muster/run.env")

#: Nothing else is taken from the file: a PATH or a PYTHONPATH in it would run somebody's code.
_KEY = re.compile(r"DATABASE_URL|REDIS_URL|MUSTER_[A-Z_]+")


def apply(path: Path = FILE) -> None:
    """Use the file's settings as defaults: what the environment says already, wins.

    Each is NAME=value as a shell would read it, so that `. .muster/run.env` says the same.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if not _is_ours(os.fstat(file.fileno())):
                click.echo(
                    f"muster: {path} is ignored: it belongs to, or can be written by, other users",
                    err=True,
                )
                return
            text = file.read()
    except (FileNotFoundError, NotADirectoryError, PermissionError, UnicodeDecodeError):
        return
    try:
        words = shlex.split(text)
    except ValueError:
        # An open quotation mark: the rest of the file cannot be told apart.
        click.echo(f"muster: {path} is ignored: `dev.py up` did not write it like this", err=True)
        return
    for word in words:
        key, equals, value = word.partition("=")
        if equals and _KEY.fullmatch(key) and not os.environ.get(key):
            os.environ[key] = value


def _is_ours(file: os.stat_result) -> bool:
    """Only its owner could have written the file, and that is us.

    Otherwise a file left in a shared folder could have our token sent to a server of its choice.
    """
    others_may_write = file.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return file.st_uid == os.geteuid() and not others_may_write
