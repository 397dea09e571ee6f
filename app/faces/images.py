"""Images as they were sent, kept until their item has ended: written in parts, as they come in.

A part is a row, and a transaction of its own: a request that takes minutes holds no connection,
and no more than one part of it is in memory. What a request leaves behind that never became a job
goes at once where that is possible, and after an hour where the process itself was killed.

Where MUSTER_FACE_STORE names an object store, that holds the bytes, and the rows say which there
are: one is written before its object and deleted after it.
"""

from __future__ import annotations

import logging
from uuid import UUID

from app.db import Cursor, Database
from app.errors import ItemError, Misconfigured, QuotaExceeded, Unavailable
from app.faces import codes, objects, store
from app.settings import Settings

log = logging.getLogger(__name__)

#: Of one row. Postgres and the driver hold a few copies of it for a moment.
PART_BYTES = 256 * 1024

#: What belongs to no job after this long was left behind.
_KEPT_SECONDS = 3600.0

#: Until then many of the images that wait will have had their turn.
_FULL_FOR = 30


class Writer:
    """Writes one image. No more of it than the limit is kept: then it `is_too_large`."""

    def __init__(self, db: Database, settings: Settings, tenant_id: UUID, batch: UUID) -> None:
        self._db = db
        self._objects = objects.of(settings)
        self._limit = settings.face_image_max_bytes
        self._tenant_id = tenant_id
        self._batch = batch
        self._position = -1
        self._begin()

    def _begin(self) -> None:
        self._part_no = 0
        self._buffer = bytearray()
        self.size = 0

    def begin(self, position: int) -> None:
        """Go on with the image at this position; what came before was finished."""
        self._position = position
        self._begin()

    @property
    def is_too_large(self) -> bool:
        return self.size > self._limit

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.is_too_large:
            self._buffer.clear()
            return
        self._buffer += data
        # An object is sent whole: one image is in memory, and never two.
        while self._objects is None and len(self._buffer) >= PART_BYTES:
            self._store(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]

    def finish(self) -> None:
        """Write what is left. Of an image that is too large nothing stays."""
        if self.is_too_large:
            with self._db.transaction() as tx:
                store.delete_images(tx, self._batch, [self._position])
        elif self._objects is not None:
            self._store(b"", object_size=self.size)
            self._objects.put(self._batch, self._position, bytes(self._buffer))
        elif self._buffer or not self._part_no:
            # An empty image has one part as well: it is there, and its item says what it is.
            self._store(bytes(self._buffer))
        self._buffer.clear()

    def _store(self, data: bytes, object_size: int | None = None) -> None:
        with self._db.transaction() as tx:
            # The job that names them is committed in earnest, and these before it.
            store.lightly(tx)
            store.insert_part(
                tx,
                self._tenant_id,
                self._batch,
                self._position,
                self._part_no,
                data,
                object_size=object_size,
                seconds=_KEPT_SECONDS,
            )
        self._part_no += 1


def check_room(db: Database, settings: Settings, tenant_id: UUID, *, more: int = 1) -> None:
    """Raise QuotaExceeded unless the tenant may have so many more bytes waiting for their turn."""
    with db.transaction() as tx:
        waiting = store.waiting_bytes(tx, tenant_id)
    if waiting + more > settings.face_images_max_bytes:
        raise QuotaExceeded(
            f"Your images that wait for their turn take the {settings.face_images_max_bytes:,}"
            " bytes allowed (MUSTER_FACE_IMAGES_MAX_BYTES). Wait until some are enrolled.",
            retry_after=_FULL_FOR,
        )


def load(db: Database, settings: Settings, tenant_id: UUID, batch: UUID, position: int) -> bytes:
    """Return an image. Raises ItemError if it is not there any more, and Unavailable."""
    with db.transaction() as tx:
        found = store.load_image(tx, tenant_id, batch, position)
    data: bytes | None = None
    if found is not None:
        data, is_elsewhere = found
        if is_elsewhere:
            data = _store_of(settings).get(batch, position)
    if data is None:
        raise ItemError(codes.INVALID_IMAGE, "The image is gone; send it again.")
    return data


def _store_of(settings: Settings) -> objects.Objects:
    """Return the store that an image is in, or raise Unavailable: the image is not at fault."""
    try:
        kept = objects.of(settings)
    except Misconfigured as error:
        log.error("face_store.not_opened", extra={"reason": str(error)})
        raise Unavailable("The store of images cannot be opened.") from error
    if kept is None:
        log.error("face_store.not_set", extra={"setting": "MUSTER_FACE_STORE"})
        raise Unavailable("Images are in a store that MUSTER_FACE_STORE does not name here.")
    return kept


def release(tx: Cursor, batch: UUID, positions: list[int]) -> None:
    """Delete the images of items that have ended. Twice is as good as once."""
    store.delete_images(tx, batch, positions)


def discard(db: Database, settings: Settings, batch: UUID) -> None:
    """Delete all images of a request that became no job."""
    with db.transaction() as tx:
        store.delete_images(tx, batch)
    delete_objects(db, settings, batch)


def delete_objects(db: Database, settings: Settings, batch: UUID | None = None) -> None:
    """Delete objects that are done with, of one request or of all. After the commit that says so.

    Where the store is away they stay noted, and the sweep tries again.
    """
    kept = objects.of(settings)
    after: tuple[UUID, int] | None = None
    while kept is not None:
        with db.transaction() as tx:
            done = store.list_done(tx, batch, after=after, limit=objects.AT_ONCE)
        if not done:
            return
        try:
            left = kept.delete(done)
        except Unavailable:
            return
        gone = [each for each in done if each not in left]
        if gone:
            with db.transaction() as tx:
                store.forget_done(tx, gone)
        # What cannot be deleted is left for the next sweep, and keeps nothing else waiting.
        after = done[-1]


def purge(tx: Cursor, batch: UUID | None = None) -> list[tuple[UUID, UUID, int]]:
    """Delete what no living job needs, of one request or of all.

    Return job, collection and position of images to enrol whose items have no result.
    """
    return store.purge_images(tx, batch)
