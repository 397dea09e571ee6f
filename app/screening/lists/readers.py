"""The formats we read, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.screening.lists import csl, eu, ftm, ofac, plain, senzing, targets, uk, un
from app.screening.model import Entry


@dataclass(frozen=True, slots=True)
class Reader:
    #: Yields the entries as it reads, or raises WatchlistRejected saying which file and line.
    read: Callable[[Sequence[Path]], Iterator[Entry]]
    #: Returns when the list was published, if the files say so.
    published: Callable[[Sequence[Path]], datetime | None]


READERS = {
    "csl": Reader(csl.read, csl.published),
    "eu": Reader(eu.read, eu.published),
    "ftm": Reader(ftm.read, ftm.published),
    "ofac": Reader(ofac.read, ofac.published),
    "plain": Reader(plain.read, plain.published),
    "senzing": Reader(senzing.read, senzing.published),
    "targets": Reader(targets.read, targets.published),
    "uk": Reader(uk.read, uk.published),
    "un": Reader(un.read, un.published),
}
