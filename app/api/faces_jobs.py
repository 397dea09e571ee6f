"""Dialect C: making jobs of what was sent, and waiting for those that somebody waits for."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.api import waiting
from app.api.body import parse
from app.api.context import caller, resources
from app.api.faces_upload import Form
from app.errors import (
    AppError,
    CollectionDisabled,
    CollectionNotFound,
    DuplicateFace,
    FaceNotFound,
    FaceRefused,
    IllegalTransition,
    InvalidParameter,
    JobError,
    JobNotFound,
    MalformedJson,
    QuotaExceeded,
    TimedOut,
    Unavailable,
)
from app.faces import codes
from app.faces.collections import OnDuplicate
from app.jobs import service
from app.jobs.dispatch import FACES
from app.jobs.model import Job, NewItem
from app.jobs.retention import FACES_SECONDS
from app.jobs.states import JobState
from app.kinds import faces
from app.kinds.faces import Work
from schemas import texts
from schemas.faces import EXTERNAL_ID_LENGTH, METADATA_DEPTH, METADATA_LENGTH

#: Seconds between two looks at a job that somebody waits for.
_LOOK = 0.05
#: What a caller may do about a full collection: delete, or wait until faces go by themselves.
_FULL_FOR = 3600


def submitted(
    form: Form, work: Work, items: Sequence[NewItem], *, interactive: bool, **options: Any
) -> Job:
    """Return the job of a request; under the same key, the one that it made before."""
    plan = faces.plan(
        resources(),
        work,
        tenant_id=caller().tenant_id,
        created_by=caller().uid,
        batch=form.batch,
        items=items,
        options=options,
        interactive=interactive,
    )
    job = service.submit(resources(), plan)
    if job.options["batch"] != str(form.batch):
        form.discard()
    return job


def item(external_id: str | None, *, is_too_large: bool, **more: Any) -> NewItem:
    """Return an item as the kind wants it."""
    payload = {name: value for name, value in more.items() if value is not None}
    if external_id is not None:
        payload["external_id"] = external_id
    if is_too_large:
        payload["too_large"] = True
    return NewItem(external_id, service.encode_item(payload))


def answer(job: Job) -> Mapping[str, Any]:
    """Wait for the one result of a job, and return it. Raises what it failed of."""
    try:
        row = waiting.finished(job)
    except JobError as error:
        raise _of_job(error) from error
    except TimedOut:
        _clear_up(job)
        raise
    if row["error_code"] is None:
        found: Mapping[str, Any] = row["result"]
        return found
    raise _of_item(row["error_code"], row["error_message"])


def wait_for_all(job: Job) -> Job:
    """Wait until a job of a few items has ended, or cancel it and raise TimedOut."""
    deadline = time.monotonic() + resources().settings.sync_seconds
    while True:
        now = service.find(resources(), job.tenant_id, job.dialect, job.external_id)
        if now.state.is_final:
            break
        if time.monotonic() > deadline or resources().progress.is_away:
            try:
                service.cancel(resources(), job.tenant_id, job.dialect, job.external_id)
            except IllegalTransition:
                continue
            _clear_up(job)
            raise _cut_short()
        time.sleep(_LOOK)
    if now.state in {JobState.CANCELLED, JobState.EXPIRED}:
        # Somebody who waited for the same job has cancelled it: not all have results.
        raise _cut_short()
    if now.error_code is not None:
        raise _of_job(JobError(now.error_code, now.error_message or ""))
    return now


def _clear_up(job: Job) -> None:
    """Let nothing that nobody was told of be in the way when the same images come again."""
    faces.purge(resources(), UUID(job.options["batch"]))


def _cut_short() -> TimedOut:
    return TimedOut(
        "Not all images were done in time, and the rest was cancelled. Send those again"
        " that the collection does not have, or use batch-async."
    )


def find(job_id: str) -> Job:
    """Return the caller's batch, unless its time is over. Raises JobNotFound."""
    found = service.find(resources(), caller().tenant_id, faces.NAME, job_id)
    if found.queue != FACES:
        # A call that waited made it, and has answered.
        raise no_job()
    bound = caller().collection_id
    if bound is not None and str(bound) not in found.options["collection_ids"]:
        raise no_job()
    ended = found.finished_at
    if ended is not None and time.time() - ended.timestamp() > FACES_SECONDS:
        # The sweep deletes it in a few seconds.
        raise no_job()
    return found


def no_job() -> JobNotFound:
    return JobNotFound("There is no such batch job.")


def on_duplicate(form: Form, default: OnDuplicate) -> OnDuplicate:
    text = form.one("on_duplicate") or default
    if text not in list(OnDuplicate):
        raise InvalidParameter(f"on_duplicate must be one of: {', '.join(OnDuplicate)}.")
    return OnDuplicate(text)


def read_external_id(text: str | None) -> str:
    """Return an external id, or raise InvalidParameter."""
    if text is None or not text.strip():
        raise InvalidParameter("Every image needs an external_id that says who it is.")
    if len(text) > EXTERNAL_ID_LENGTH:
        raise InvalidParameter(f"An external_id has at most {EXTERNAL_ID_LENGTH} characters.")
    return storable("external_id", text)


def storable(name: str, text: str) -> str:
    """Return the text, or raise InvalidParameter if no database could hold it."""
    if not texts.is_storable(text):
        raise InvalidParameter(f"{name} holds a NUL or half a surrogate pair.")
    return text


def read_metadata(text: str | None) -> Mapping[str, Any]:
    """Return the metadata of a face, written as JSON, or raise InvalidParameter."""
    if text is None or not text.strip():
        return {}
    try:
        value = parse(text.encode("utf-8"))
    except MalformedJson as error:
        raise InvalidParameter("metadata must be a JSON object.") from error
    return check_metadata(value)


def check_metadata(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidParameter("metadata must be a JSON object.")
    _check_parts(value)
    try:
        written = json.dumps(value, allow_nan=False)
    except ValueError as error:
        # 1e999 is read as infinity.
        raise InvalidParameter("metadata holds a number that is too large.") from error
    if len(written) > METADATA_LENGTH:
        raise InvalidParameter(f"metadata may have {METADATA_LENGTH:,} characters as JSON.")
    return value


def _check_parts(value: Any) -> None:
    """Raise InvalidParameter if a text cannot be stored, or if it is nested too deeply."""
    level, depth = [value], 0
    while level:
        for text in level:
            if isinstance(text, str):
                storable("metadata", text)
        nested = [each for each in level if isinstance(each, dict | list)]
        if nested and depth == METADATA_DEPTH:
            raise InvalidParameter(f"metadata may be nested {METADATA_DEPTH} levels deep.")
        level = []
        for each in nested:
            level += [*each, *each.values()] if isinstance(each, dict) else each
        depth += 1


def _of_job(error: JobError) -> AppError:
    match error.code:
        case faces.COLLECTION_NOT_FOUND:
            return CollectionNotFound(str(error))
        case faces.COLLECTION_DISABLED:
            return CollectionDisabled(str(error))
        case faces.FACES_UNAVAILABLE:
            return Unavailable(f"This server cannot recognise faces: {error}")
        case _:
            return AppError(f"a call about a face failed as {error.code}")


def _of_item(code: str, message: str) -> AppError:
    match code:
        case codes.DUPLICATE_EXTERNAL_ID:
            return DuplicateFace(message)
        case codes.FACE_NOT_FOUND:
            return FaceNotFound(message)
        case codes.QUOTA_EXCEEDED:
            return QuotaExceeded(message, retry_after=_FULL_FOR)
        case _ if code in codes.CODES:
            return FaceRefused(code, message)
        case _:
            return AppError(f"an image failed as {code}")
