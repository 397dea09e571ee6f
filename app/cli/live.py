"""`muster live`: the process that watchers talk to, as the Procfile starts it."""

from __future__ import annotations

import os
import sys

import click

from app.cli.server import load_settings


@click.command()
@click.option(
    "--bind", envvar="MUSTER_BIND", default="127.0.0.1", show_default=True, help="Address to serve."
)
@click.option(
    "--port", envvar="LIVE_PORT", type=click.IntRange(1, 65_535), default=8001, show_default=True
)
def live(bind: str, port: int) -> None:
    """Serve those who watch jobs, in the foreground, until stopped.

    By server-sent events and WebSocket.

    One process holds some thousand of them. The web needs none of it, and it needs no web.

    \b
    Example:
      muster live --bind 0.0.0.0 --port 8081
    """
    # Here rather than in the server: a missing setting is a sentence now, a traceback later.
    load_settings()
    # A process of its own: everything in it has to be loaded after gevent.
    arguments = ["app.live", "--bind", bind, "--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", *arguments])  # noqa: S606  # no shell wanted
