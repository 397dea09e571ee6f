"""Deleting all that a tenant has of one subject, by what the tenant calls it.

That is the entity_id of a person who is screened or watched, the external_id of a face, the id of a
document, and the userId or the trace of a verification. Jobs stay, with the counts that they had:
the item says that it was erased, and so does its result. A verification goes as a whole, with its
audit.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Collection, Mapping
from uuid import UUID

from app.db import Cursor
from app.errors import JobNotFound
from app.faces import collections
from app.jobs import store as jobs
from app.jobs.model import ERASED, ERASED_MESSAGE, ERASED_PAYLOAD
from app.protection import deletions, stopping, store
from app.protection.deletions import Record
from app.protection.store import Deletion
from app.protection.tenants import delete_left_of, delete_verification
from app.resources import Resources

log = logging.getLogger(__name__)

_LOOK = 0.2
_LIMIT = 50


def delete(
    resources: Resources, tenant_id: UUID, ref: str, *, requested_by: str, seconds: float = 60.0
) -> Deletion:
    """Delete the subject and return the proof, also where there was nothing. Raises Conflict.

    `seconds` is how long workers have to let go of jobs in which the subject is.
    """
    db = resources.db
    record = Record.begin(db, resources.settings, tenant_id, deletions.SUBJECT, ref, requested_by)
    deadline = time.monotonic() + seconds
    # Before the jobs: whoever is watched no longer is not screened anew meanwhile.
    with db.transaction() as tx:
        store.lock_monitors(tx, tenant_id)
        record.add(tx, store.delete_watched(tx, tenant_id, ref))
        record.add(tx, {"exclusions": store.delete_decisions(tx, tenant_id, ref)})
    _delete_verifications(resources, record, tenant_id, ref, seconds)
    # Of jobs that are gone nobody can tell whom their rows are about.
    delete_left_of(resources, tenant_id)
    _erase_all(resources, record, lambda tx: store.find_items(tx, tenant_id, ref), deadline)
    # After the jobs that enrolled them.
    with db.transaction() as tx:
        faces = store.find_faces(tx, tenant_id, ref)
    for collection_id, ids in faces.items():
        gone = collections.delete_faces(db, collection_id, ids)
        with db.transaction() as tx:
            record.add(tx, {"faces": len(gone)})
    text = f'"external_id":{_text(ref)}'
    _erase_all(resources, record, lambda tx: store.find_answers(tx, tenant_id, text), deadline)
    with db.transaction() as tx:
        names = {ref.encode(), json.dumps(ref)[1:-1].encode()}
        record.add(tx, {"idempotency_keys": store.delete_answers(tx, tenant_id, names)})
        sealed = record.seal(tx)
    log.info("subject.deleted", extra={"tenant_id": str(tenant_id), "deletion": str(sealed.id)})
    return sealed


def _text(ref: str) -> str:
    """Return it as a result has it, which app/jobs/store.py writes."""
    return json.dumps(ref, ensure_ascii=False)


def _delete_verifications(
    resources: Resources, record: Record, tenant_id: UUID, ref: str, seconds: float
) -> None:
    while True:
        with resources.db.transaction() as tx:
            found = store.list_verifications(tx, tenant_id, ref=ref, limit=_LIMIT)
            runs = [job.id for each in found for job in store.list_runs(tx, each)]
        if not found:
            return
        if runs:
            stopping.cancel(resources, tenant_id, runs, seconds=seconds)
        for verification_id in found:
            delete_verification(resources, record, verification_id)


#: Positions of items, by job.
_Found = Mapping[UUID, Collection[int]]


def _erase_all(
    resources: Resources, record: Record, find: Callable[[Cursor], _Found], deadline: float
) -> None:
    """Erase what is found until nothing is: a retry or a check may have copied some meanwhile."""
    while True:
        with resources.db.transaction() as tx:
            found = find(tx)
        if not found:
            return
        _erase(resources, record, found, deadline)


def _erase(resources: Resources, record: Record, found: _Found, deadline: float) -> None:
    waiting = dict(found)
    while waiting:
        for job_id in list(waiting):
            if _erase_in(resources, record, job_id, waiting[job_id]):
                del waiting[job_id]
        if waiting and time.monotonic() > deadline:
            raise stopping.busy(len(waiting))
        if waiting:
            time.sleep(_LOOK)


def _erase_in(
    resources: Resources, record: Record, job_id: UUID, positions: Collection[int]
) -> bool:
    """Erase items of a job, or return False: a worker has it in hand, and read them before."""
    with resources.db.transaction() as tx:
        try:
            job = jobs.lock_job(tx, job_id)
        except JobNotFound:
            return True
        if not job.state.is_final and jobs.live_claims(tx, job):
            return False
        erased = store.erase_items(tx, job, positions, word=ERASED, payload=ERASED_PAYLOAD)
        results = store.erase_results(tx, job, positions, word=ERASED, message=ERASED_MESSAGE)
        uploads = store.release_uploads(tx, job, positions)
        record.add(tx, {"items": erased, "results": results, "uploads": uploads})
        changed = jobs.load_job(tx, job_id)
    resources.progress.show(changed)
    return True
