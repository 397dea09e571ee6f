"""The formats we read, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.screening.lists import ofac, plain, un
from app.screening.model import Entry


@dataclass(frozen=True, slots=True)
class Reader:
    #: Yields the entries as it reads, or raises WatchlistRejected saying which file and line.
    read: Callable[[Sequence[Path]], Iterator[Entry]]
    #: Returns when the list was published, if the files say so.
    published: Callable[[Sequence[Path]], datetime | None]


READERS = {
    "ofac": Reader(ofac.read, ofac.published),
    "plain": Reader(plain.read, plain.published),
    "un": Reader(un.read, un.published),
}
