"""`muster serve`: the web process, as the Procfile starts it."""

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
    "--port", envvar="PORT", type=click.IntRange(1, 65_535), default=8000, show_default=True
)
@click.option(
    "--workers",
    envvar="MUSTER_WEB_WORKERS",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Processes.",
)
@click.option(
    "--threads",
    envvar="MUSTER_WEB_THREADS",
    type=click.IntRange(1),
    default=8,
    show_default=True,
    help="Threads of each process.",
)
def serve(bind: str, port: int, workers: int, threads: int) -> None:
    """Serve the API, in the foreground, until stopped.

    This is the web process only. The jobs are done by workers: the Procfile says how to start
    them, and `python3 dev.py up` starts everything.

    \b
    Example:
      muster serve --bind 0.0.0.0 --port 8080
    """
    # Here rather than in the server: a missing setting is a sentence now, a traceback later.
    load_settings()
    arguments = command(f"{bind}:{port}", workers, threads)
    # gunicorn takes our place, and with it our process id: whoever stops us, stops it.
    os.execv(sys.executable, [sys.executable, "-m", *arguments])  # noqa: S606  # no shell wanted


def command(address: str, workers: int, threads: int) -> list[str]:
    """Return the web line of the Procfile; a test holds the two together."""
    return [
        "gunicorn",
        "--preload",
        "--no-control-socket",
        "--worker-class",
        "app.api.server.Worker",
        "--workers",
        str(workers),
        "--threads",
        str(threads),
        "--bind",
        address,
        "app.factory:create_app()",
    ]
