"""Those who are watched, indexed as a list would be: whom could a changed entry concern?

A list update changes a few entries, and a population may have a million names. Screening all of
them again finds what is new, and nearly all of the work is for nothing. Here the index is used the
other way round: names of the population are filed, and changed entries ask for those who would
find them. Nobody is left out whom screening everybody would find; who is found is screened, in the
ordinary direction, and that alone decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from app.screening.arrays import Array, Damaged
from app.screening.index import Index
from app.screening.model import EntityType, Entry, Subject

_KEYS = "population_keys.npy"

#: Words of many entries are looked up together, and results of so many kept at once.
_BATCH = 250


class Population:
    """Subjects by their keys: whole numbers that stand for a subject as it was when indexed."""

    def __init__(self, index: Index, keys: Array, numbered: Array) -> None:
        self._index = index
        self._numbered = numbered
        #: The keys of all subjects, ascending.
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def build(
        cls, subjects: Iterable[tuple[int, Subject]], *, compiled: bool | None = None
    ) -> Population:
        """Index the subjects, each with its key."""
        numbered: list[int] = []
        filed = []
        keys = []
        for key, subject in subjects:
            keys.append(key)
            for entry in _as_entries(subject):
                numbered.append(key)
                filed.append(entry)
        return cls(
            Index.build(filed, compiled=compiled),
            np.unique(np.array(keys, np.int64)),
            np.array(numbered, np.int64),
        )

    def save(self, folder: Path) -> None:
        """Write the population into a folder that nobody else may read: it holds names."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._index.save(folder)
        np.save(folder / _KEYS, np.concatenate([[len(self.keys)], self.keys, self._numbered]))

    @classmethod
    def open(cls, folder: Path) -> Population:
        """Open what `save` wrote, or raise Damaged."""
        try:
            found = np.load(folder / _KEYS, mmap_mode="r")
            count = int(found[0])
            return cls(Index.open(folder), found[1 : count + 1], found[count + 1 :])
        except (OSError, ValueError, IndexError) as error:
            raise Damaged("the population's folder lacks a file") from error

    def concerned(self, entries: Sequence[Entry], threshold: float) -> Array:
        """Return the keys of all who may match one of the entries at the threshold, ascending."""
        found: set[int] = set()
        for at in range(0, len(entries), _BATCH):
            found |= self._index.asking_for(entries[at : at + _BATCH], threshold)
        numbers = np.fromiter(found, np.int64, len(found))
        return np.unique(self._numbered[numbers])


def _as_entries(subject: Subject) -> Iterator[Entry]:
    """File the subject under the type it has; of unknown type, by the rules of every type."""
    kinds = tuple(EntityType) if subject.entity_type is None else (subject.entity_type,)
    for at, kind in enumerate(kinds):
        # The identifiers are found whatever the type; once is enough.
        identifiers = subject.identifiers if at == 0 else ()
        yield Entry("", kind, subject.name or "", identifiers=identifiers)
        if not subject.name:
            return
