"""The nearest faces of a collection: every embedding in memory, in one matrix, by one product.

A matrix is brought up to date before each search, by what has changed since its version: a face
that was enrolled or deleted before the search began is in it or is not, whichever process asks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
import numpy.typing as npt

from app.db import Database
from app.errors import CollectionNotFound
from app.faces import store
from app.faces.model import DIMENSIONS

_Rows = npt.NDArray[np.float32]
#: Faces that a new matrix has room for.
_ROOM = 1024


@dataclass(frozen=True, slots=True)
class Near:
    """A face of a collection and how much it is like the one that was asked about."""

    face_id: UUID
    external_id: str
    similarity: float


class Matrix:
    """The embeddings of one collection as of one version. Order means nothing."""

    def __init__(self) -> None:
        self.version = 0
        self._rows: _Rows = np.empty((_ROOM, DIMENSIONS), np.float32)
        self._faces: list[tuple[UUID, str]] = []
        self._at: dict[UUID, int] = {}

    def __len__(self) -> int:
        return len(self._faces)

    def apply(self, changes: store.Changes) -> None:
        """Bring it up to date. A face that came and went since is in neither list, or in both."""
        if changes.is_whole:
            self.__init__()  # type: ignore[misc]  # as good as new
        for face_id in changes.removed:
            self._remove(face_id)
        self._add(changes.added)
        self.version = changes.version

    def search(
        self, embedding: bytes, *, threshold: float, limit: int, one_each: bool
    ) -> list[Near]:
        """Return the most similar faces from the threshold on, the most similar first.

        `one_each` takes of the faces of one person only the best.
        """
        asked = np.frombuffer(embedding, "<f4")
        likeness = self._rows[: len(self)] @ asked
        near = np.flatnonzero(likeness >= threshold)
        found: list[Near] = []
        people: set[str] = set()
        for at in near[np.argsort(-likeness[near], kind="stable")]:
            face_id, external_id = self._faces[at]
            if one_each and external_id in people:
                continue
            people.add(external_id)
            found.append(Near(face_id, external_id, float(likeness[at])))
            if len(found) == limit:
                break
        return found

    def _add(self, faces: Sequence[tuple[UUID, str, bytes]]) -> None:
        new = [face for face in faces if face[0] not in self._at]
        if not new:
            return
        begin, end = len(self), len(self) + len(new)
        if end > len(self._rows):
            rows = np.empty((max(end, len(self._rows) * 3 // 2), DIMENSIONS), np.float32)
            rows[:begin] = self._rows[:begin]
            self._rows = rows
        joined = b"".join(embedding for _, _, embedding in new)
        self._rows[begin:end] = np.frombuffer(joined, "<f4").reshape(-1, DIMENSIONS)
        for at, (face_id, external_id, _) in enumerate(new, begin):
            self._faces.append((face_id, external_id))
            self._at[face_id] = at

    def _remove(self, face_id: UUID) -> None:
        """Put the last face into the place of the one that goes."""
        at = self._at.pop(face_id, None)
        if at is None:
            return
        last = len(self) - 1
        if at != last:
            self._rows[at] = self._rows[last]
            self._faces[at] = self._faces[last]
            self._at[self._faces[at][0]] = at
        self._faces.pop()
        # Biometric data: what is deleted is nowhere.
        self._rows[last] = 0


class Shelf:
    """The matrices that one process keeps, those asked for last."""

    def __init__(self, db: Database, most_faces: int) -> None:
        self._db = db
        self._most = most_faces
        self._kept: OrderedDict[UUID, Matrix] = OrderedDict()

    def current(self, collection_id: UUID) -> Matrix:
        """Return the matrix of the collection as it is now. Raises CollectionNotFound."""
        matrix = self._kept.pop(collection_id, None) or Matrix()
        with self._db.transaction() as tx:
            changes = store.changes(tx, collection_id, matrix.version)
        if changes is None:
            raise CollectionNotFound("There is no such collection.")
        matrix.apply(changes)
        self._kept[collection_id] = matrix
        while len(self._kept) > 1 and sum(map(len, self._kept.values())) > self._most:
            # The oldest first, and never the one that was asked for: it is in memory anyway, and
            # the next question may well be about it.
            self._kept.popitem(last=False)
        return matrix
