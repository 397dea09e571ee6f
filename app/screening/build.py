"""Building an index in a process of its own: python -m app.screening.build VERSION_ID.

A long list takes seconds to minutes, and on a new machine its loops have to be compiled first.
A chunk of a job that waited for that would be taken for lost, so it steps back meanwhile.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter
from enum import Enum

from app import logs
from app.db import Database
from app.screening.index import can_compile
from app.screening.resident import build_here
from app.settings import Settings

log = logging.getLogger(__name__)

#: A process that was killed so often was not unlucky: there is too little memory, say.
_MOST_TRIES = 3

#: Processes that this one has started, by list version, and how often.
_started: dict[int, subprocess.Popen[bytes]] = {}
_tries: Counter[int] = Counter()


class Building(Enum):
    """What becomes of the process that builds an index."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


def start(version_id: int) -> Building:
    """Have the index built, and say how that stands."""
    running = _started.get(version_id)
    if running is not None:
        status = running.poll()
        if status is None:
            return Building.RUNNING
        del _started[version_id]
        if status == 0:
            return Building.DONE
        log.error("index.build_failed", extra={"version_id": version_id, "status": status})
        if _tries[version_id] >= _MOST_TRIES:
            return Building.FAILED
    _tries[version_id] += 1
    log.info("index.build_started", extra={"version_id": version_id})
    _started[version_id] = subprocess.Popen(  # noqa: S603  # our own program, and a number
        [sys.executable, "-m", "app.screening.build", str(version_id)],
        stdin=subprocess.DEVNULL,
    )
    return Building.RUNNING


def ended(version_id: int) -> None:
    """Note that the index is there, whoever built it."""
    _tries.pop(version_id, None)
    running = _started.get(version_id)
    if running is not None and running.poll() is not None:
        del _started[version_id]


def main(version_id: int) -> int:
    settings = Settings.from_env()
    logs.configure(settings.log_level)
    # The jobs that run meanwhile come first.
    os.nice(5)
    try:
        build_here(Database(settings.database_url), settings.index_dir, version_id)
        if can_compile():
            from app.screening.compiled.warm import ensure

            ensure()
    except Exception as error:
        # Through the log, which leaves out an exception's text: a customer's own list holds names.
        log.error("index.build_crashed", exc_info=error, extra={"version_id": version_id})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
