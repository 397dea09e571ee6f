"""The index and nothing else, in one process: python -m benchmarks.alone VERSION SHARE OF.

Opens the index, says that it is ready, waits for a line, screens its share of the entities as a
worker would, and writes the seconds it took.
"""

from __future__ import annotations

import sys
import time

from app.db import Database
from app.kinds.kyc import DEFAULT_THRESHOLD, read_subject
from app.sample.people import entities
from app.screening.resident import open_index
from app.settings import Settings
from benchmarks.client import ENTITIES

#: As many at once as the kind gives the index.
BATCH = 50


def main(version_id: int, share: int, of: int) -> None:
    settings = Settings.from_env()
    index = open_index(Database(settings.database_url), settings.index_dir, version_id)
    subjects = [read_subject(each["subject"]) for each in entities(ENTITIES)[share::of]]
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter()
    for at in range(0, len(subjects), BATCH):
        index.screen(subjects[at : at + BATCH], DEFAULT_THRESHOLD)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
