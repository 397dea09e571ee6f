"""Faces: enrol them into a collection, or find out whose they are.

A job's options name its `work` and the `collection_id`, and under `batch` the images it was sent
with, which app/faces/images.py keeps by the position of their item until that has its result.
An item's payload is what goes with an image: {"external_id", "metadata"} of one to enrol, and
{"too_large": true} of one that was not kept.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from app.db import Cursor, Database
from app.errors import (
    CollectionDisabled,
    CollectionNotFound,
    DuplicateFace,
    ItemError,
    JobError,
    JobNotFound,
    Misconfigured,
    NothingToRetry,
    QuotaExceeded,
)
from app.faces import choice, codes, collections, images
from app.faces import store as faces_store
from app.faces.choice import Chosen, Selection
from app.faces.collections import OnDuplicate
from app.faces.model import MODEL_VERSION, Face, Seen
from app.faces.store import Collection
from app.jobs import service
from app.jobs import store as jobs
from app.jobs.dispatch import FACES, FACES_INTERACTIVE
from app.jobs.model import Item, ItemStatus, Job, NewItem, NewJob, Result
from app.jobs.retention import FACES_SECONDS
from app.jobs.states import JobState
from app.kinds.base import Kind, Process, Renewal
from app.resources import Resources
from app.settings import Settings

if TYPE_CHECKING:
    from app.faces.engine import Engine, Networks
    from app.faces.matrix import Shelf

log = logging.getLogger(__name__)

NAME = "faces"

COLLECTION_NOT_FOUND = CollectionNotFound.code
COLLECTION_DISABLED = CollectionDisabled.code
FACES_UNAVAILABLE = "faces_unavailable"
CANCELLED = "cancelled"

#: An image may take some seconds, so a chunk that took this long is given back between two.
_CHUNK_SECONDS = 2.0

#: Expected seconds for an image.
_SECONDS = 0.07

#: Jobs deleted in one go; the next sweep goes on.
_TIDIED = 100


class Work(StrEnum):
    """What is to be done with the images of a job."""

    ENROL = "enrol"
    #: Whose face is this, of all in some collections?
    IDENTIFY = "identify"
    #: Is this the face of that person?
    VERIFY = "verify"
    #: Are two images of one person?
    COMPARE = "compare"


def plan(
    resources: Resources,
    work: Work,
    *,
    tenant_id: UUID,
    created_by: str,
    batch: UUID,
    items: Sequence[NewItem],
    options: Mapping[str, Any],
    interactive: bool = False,
) -> NewJob:
    """Return a job whose images are those of `batch`. `options` are those of the work."""
    return NewJob(
        tenant_id=tenant_id,
        kind=NAME,
        dialect=NAME,
        queue=FACES_INTERACTIVE if interactive else FACES,
        # Somebody waits for all of them: one worker begins at once.
        chunk_size=len(items) if interactive else resources.settings.face_chunk_size,
        options={"work": str(work), "batch": str(batch), **options},
        items=items,
        created_by=created_by,
        calibrated_seconds=_SECONDS,
    )


def prepare(resources: Resources, job: Job) -> Process:
    try:
        engine = engine_of(resources)
    except Misconfigured as error:
        raise JobError(FACES_UNAVAILABLE, str(error)) from None
    at_work = _AtWork(resources, job, engine)
    at_work.check()
    act = {
        Work.ENROL: at_work.enrol,
        Work.IDENTIFY: at_work.identify,
        Work.VERIFY: at_work.verify,
        Work.COMPARE: at_work.compare,
    }[Work(job.options["work"])]

    def process(items: Sequence[Item]) -> Sequence[Result]:
        return [Result.success(item, act(item)) for item in items]

    return process


@dataclass(frozen=True, slots=True)
class _AtWork:
    """One job at work on its items."""

    resources: Resources
    job: Job
    engine: Engine

    def check(self) -> None:
        """Raise JobError if the job's collections are not there for it."""
        for collection_id in self._collection_ids():
            self._collection(collection_id)

    def enrol(self, item: Item) -> Mapping[str, Any]:
        (collection_id,) = self._collection_ids()
        seen = self._seen(item, item.position)
        chosen = choice.choose(seen, self._collection(collection_id).face_selection)
        face_id = uuid5(self.job.id, str(item.position))
        kept = self._kept(collection_id, face_id, item, chosen.face)
        return {
            "face_id": str(face_id),
            "external_id": item.payload["external_id"],
            "quality_score": choice.quality_score(chosen.face),
            "created_at": kept,
            **_details(seen, chosen),
        }

    def _kept(self, collection_id: UUID, face_id: UUID, item: Item, face: Face) -> str | None:
        """Keep the face, and return since when it is kept."""
        with self.resources.db.transaction() as tx:
            state = jobs.lock_job(tx, self.job.id).state
            if state.is_final:
                # Its results are not taken any more, so no face may be that nobody knows of.
                raise ItemError(codes.INVALID_IMAGE, "The job has ended meanwhile.")
            if state is JobState.CANCELLING and self.job.queue == FACES_INTERACTIVE:
                # Whoever waited has been told that it was cancelled, and asks no more.
                raise JobError(CANCELLED, "The call was cancelled before the face was kept.")
            try:
                kept = collections.enrol(
                    tx,
                    collection_id,
                    face_id,
                    external_id=item.payload["external_id"],
                    embedding=face.embedding,
                    quality_score=choice.quality_score(face),
                    metadata=item.payload.get("metadata") or {},
                    on_duplicate=OnDuplicate(self.job.options["on_duplicate"]),
                    faces_max=self.resources.settings.faces_max,
                )
            except CollectionNotFound as error:
                raise _no_collection() from error
            except DuplicateFace as error:
                raise ItemError(codes.DUPLICATE_EXTERNAL_ID, str(error)) from error
            except QuotaExceeded as error:
                raise ItemError(codes.QUOTA_EXCEEDED, str(error)) from error
        return None if kept is None else kept.created_at.isoformat()

    def identify(self, item: Item) -> Mapping[str, Any]:
        options = self.job.options
        seen, chosen = self._one(item, 0)
        began = time.perf_counter()
        found, searched = [], 0
        for collection_id in self._collection_ids():
            try:
                matrix = shelf_of(self.resources).current(collection_id)
            except CollectionNotFound as error:
                raise _no_collection() from error
            searched += len(matrix)
            near = matrix.search(
                chosen.face.embedding,
                threshold=options["threshold"],
                limit=options["top_k"],
                one_each=options["deduplicate"],
            )
            found += [(each, collection_id) for each in near]
        found.sort(key=lambda each: -each[0].similarity)
        took = time.perf_counter() - began
        del found[options["top_k"] :]
        with self.resources.db.transaction() as tx:
            known = faces_store.show_faces(tx, [each.face_id for each, _ in found])
        matches = [
            {
                "face_id": str(each.face_id),
                "external_id": each.external_id,
                "collection_id": str(collection_id),
                "similarity": round(each.similarity, 4),
                "metadata": known[each.face_id][1],
            }
            for each, collection_id in found
            # One that was deleted in this very moment.
            if each.face_id in known
        ]
        return {
            "matches": [{**each, "rank": rank} for rank, each in enumerate(matches, 1)],
            "searched": searched,
            "query_time_ms": round(1000 * took, 1),
            **_details(seen, chosen),
        }

    def verify(self, item: Item) -> Mapping[str, Any]:
        from app.faces.engine import similarity

        (collection_id,) = self._collection_ids()
        seen, chosen = self._one(item, 0)
        face_id, external_id = item.payload.get("face_id"), item.payload.get("external_id")
        with self.resources.db.transaction() as tx:
            known = faces_store.load_embeddings(
                tx,
                collection_id,
                face_id=UUID(face_id) if face_id else None,
                external_id=external_id,
            )
        if not known:
            raise ItemError(codes.FACE_NOT_FOUND, "There is no such face in this collection.")
        likeness = {id: similarity(chosen.face.embedding, embedding) for id, embedding in known}
        best = max(likeness, key=lambda id: likeness[id])
        return {**self._judged(likeness[best]), "face_id": str(best), **_details(seen, chosen)}

    def compare(self, item: Item) -> Mapping[str, Any]:
        from app.faces.engine import similarity

        seen, chosen = self._one(item, 0)
        _, other = self._one(item, 1)
        likeness = similarity(chosen.face.embedding, other.face.embedding)
        return {**self._judged(likeness), **_details(seen, chosen)}

    def _judged(self, likeness: float) -> Mapping[str, Any]:
        threshold = self.job.options["threshold"]
        return {
            "verified": likeness >= threshold,
            "similarity": round(likeness, 4),
            "threshold": threshold,
        }

    def _one(self, item: Item, position: int) -> tuple[Seen, Chosen]:
        """Return the face that a question is about: the largest, where there are several."""
        seen = self._seen(item, position)
        return seen, choice.choose(seen, Selection.LARGEST)

    def _seen(self, item: Item, position: int) -> Seen:
        if item.payload.get("too_large"):
            limit = self.resources.settings.face_image_max_bytes
            raise ItemError(
                codes.IMAGE_TOO_LARGE,
                f"The image has more than the {limit:,} bytes allowed"
                " (MUSTER_FACE_IMAGE_MAX_BYTES).",
            )
        batch = UUID(self.job.options["batch"])
        resources = self.resources
        return self.engine.see(
            images.load(resources.db, resources.settings, self.job.tenant_id, batch, position)
        )

    def _collection_ids(self) -> list[UUID]:
        return [UUID(each) for each in self.job.options["collection_ids"]]

    def _collection(self, collection_id: UUID) -> Collection:
        """Return it as it is now, or raise JobError."""
        try:
            found = collections.get(self.resources.db, self.job.tenant_id, collection_id)
        except CollectionNotFound as error:
            raise _no_collection() from error
        if not found.is_enabled:
            raise JobError(
                COLLECTION_DISABLED, "The collection was disabled before the job was done."
            )
        return found


def _no_collection() -> JobError:
    return JobError(COLLECTION_NOT_FOUND, "The collection was deleted before the job was done.")


def _details(seen: Seen, chosen: Chosen) -> Mapping[str, Any]:
    """What was seen in the image, for those who ask for it."""
    face, frame = chosen.face, seen.frame
    return {
        "image": {
            "format": seen.picture.format,
            "width": seen.picture.width,
            "height": seen.picture.height,
            "orientation_applied": seen.picture.orientation_applied,
            "rotation_applied": seen.rotation_applied,
        },
        "bounding_box": face.box.to_json(frame),
        "confidence": face.confidence,
        "landmarks": [list(point) for point in face.landmarks],
        "quality": {
            "sharpness": round(face.quality.sharpness, 1),
            "brightness": round(face.quality.brightness, 1),
            "face_px": round(face.quality.face_px, 1),
        },
        "pose": {"roll": face.pose.roll, "yaw": face.pose.yaw, "pitch": face.pose.pitch},
        "faces_detected": len(seen.faces),
        "unindexed_faces": [
            {
                "bounding_box": other.box.to_json(frame),
                "confidence": other.confidence,
                "reasons": list(reasons),
            }
            for other, reasons in chosen.others
        ],
        "model_version": MODEL_VERSION,
    }


def engine_of(resources: Resources) -> Engine:
    """Return this process's engine, which keeps a child. Raises Misconfigured."""
    return _engine(os.getpid(), resources.settings)


@lru_cache(maxsize=1)
def _engine(pid: int, settings: Settings) -> Engine:
    # By the pid: a process that was forked must not share its parent's child.
    from app.faces.engine import Engine

    return Engine(_networks(settings), settings.face_image_seconds)


@lru_cache(maxsize=1)
def _networks(settings: Settings) -> Networks:
    """Load the networks, once: what a worker loads before it forks, its processes share."""
    # Here and not above: the web plans jobs with this module and never loads an engine.
    try:
        from app.faces.engine import Networks
        from app.faces.quality import Bounds
    except ImportError as error:
        raise Misconfigured(
            "Faces need OpenCV; install it with: pip install 'muster[faces]'"
        ) from error
    return Networks(
        Bounds(
            sharpness=settings.face_sharpness,
            smallest_px=settings.face_px,
            sure=settings.face_confidence,
        )
    )


def shelf_of(resources: Resources) -> Shelf:
    """Return the collections that this process keeps in memory."""
    return _shelf(os.getpid(), resources.settings, resources.db)


@lru_cache(maxsize=1)
def _shelf(pid: int, settings: Settings, db: Database) -> Shelf:
    from app.faces.matrix import Shelf

    return Shelf(db, settings.face_cache)


def load(resources: Resources) -> None:
    """Load the networks before the worker forks. Without them it runs, and its jobs say why."""
    try:
        _networks(resources.settings)
    except Misconfigured as error:
        log.error("kind.not_loaded", extra={"kind": NAME, "reason": str(error)})


def warm(resources: Resources) -> None:
    engine_of(resources).warm()


def settle(tx: Cursor, job: Job, results: Sequence[Result]) -> None:
    """Delete the images of items that have ended, whichever way."""
    batch = UUID(job.options["batch"])
    if Work(job.options["work"]) is Work.COMPARE and results:
        # Its one item has two images.
        images.release(tx, batch, [0, 1])
    elif results:
        images.release(tx, batch, [result.position for result in results])
        if job.options.get("on_duplicate") == OnDuplicate.REPLACE:
            _replace(tx, job, results)


def _replace(tx: Cursor, job: Job, results: Sequence[Result]) -> None:
    """Delete the faces that new ones replace, now that these are told of.

    Not when they come: a face that nobody is told of goes again with its image, and whoever it
    was would be left without any.
    """
    made = [
        uuid5(job.id, str(result.position))
        for result in results
        if result.status is ItemStatus.SUCCEEDED
    ]
    if made:
        # In the order in which they are locked when a face comes.
        jobs.lock_job(tx, job.id)
        (collection_id,) = job.options["collection_ids"]
        collections.replace(tx, UUID(collection_id), made)


def settled(resources: Resources, job: Job) -> None:
    """Delete what an object store holds of items that have ended."""
    if resources.settings.face_store:
        images.delete_objects(resources.db, resources.settings, UUID(job.options["batch"]))


def renew(resources: Resources, job: Job) -> Renewal:
    raise NothingToRetry(
        "A job of faces cannot be retried: its images went as its items ended. Send them again.",
        state=job.state,
        allowed_actions=[],
    )


def tidy(resources: Resources) -> None:
    """Delete jobs whose time is over, and images that no living job needs."""
    purge(resources)
    ended = service.list_ended(resources, NAME, seconds=FACES_SECONDS, limit=_TIDIED)
    for job in ended:
        # Another sweep may have been faster.
        with suppress(JobNotFound):
            service.delete(resources, job, expired=True)
    images.delete_objects(resources.db, resources.settings)


def purge(resources: Resources, batch: UUID | None = None) -> None:
    """Delete the images that no living job needs, of one request or of all.

    A face whose item has no result, for its worker died or its job was stopped between the two,
    goes with its image: nobody was ever told of it.
    """
    with resources.db.transaction() as tx:
        unreported: dict[UUID, list[UUID]] = {}
        for job_id, collection_id, position in images.purge(tx, batch):
            unreported.setdefault(collection_id, []).append(uuid5(job_id, str(position)))
        # In one order, so that two of these do not wait for each other.
        for collection_id in sorted(unreported):
            if faces_store.lock_collection(tx, collection_id) is not None:
                faces_store.delete_faces(tx, collection_id, unreported[collection_id])


KIND = Kind(
    name=NAME,
    prepare=prepare,
    queues=frozenset({FACES, FACES_INTERACTIVE}),
    batch_size=1,
    chunk_seconds=_CHUNK_SECONDS,
    limits_itself=True,
    load=load,
    warm=warm,
    renew=renew,
    settle=settle,
    settled=settled,
)
