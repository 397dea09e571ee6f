"""Indexing a population in a process of its own: python -m app.monitoring.indexing POPULATION."""

from __future__ import annotations

import logging
import os
import sys
import threading

from app import logs
from app.monitoring import updates
from app.monitoring.sources import SOURCES
from app.resources import Resources
from app.settings import Settings

log = logging.getLogger(__name__)


def main(name: str) -> int:
    settings = Settings.from_env()
    logs.configure(settings.log_level)
    threading.Thread(target=_end_with_the_parent, daemon=True, name="parent").start()
    # The jobs that run meanwhile come first.
    os.nice(5)
    resources = Resources.open(settings)
    try:
        (source,) = (each for each in SOURCES if each.name == name)
        updates.make(resources, source)
    except Exception as error:
        # Through the log, which leaves out an exception's text: the population has names.
        log.error("population.not_indexed", exc_info=error, extra={"population": name})
        return 1
    finally:
        resources.close()
    return 0


def _end_with_the_parent() -> None:
    # Whoever started us holds the other end and writes nothing: this returns when it is gone.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
