"""Every error the platform raises on purpose.

* AppError
  - Misconfigured              the deployment is wrong; fail at boot
  - Unauthenticated            who is calling? MissingToken, InvalidToken, ExpiredToken,
                               InvalidCredentials, TenantGone; of a key: RevokedKey, ExpiredKey
  - Forbidden                  the caller may not do this
      BadSignature             a link that we did not sign
      AddressNotAllowed        not from there
      CollectionNotAllowed     the key is good for another collection
  - NotFound
      JobNotFound, DocumentNotFound, ListNotFound, ExclusionNotFound
      OrganizationNotFound, CollectionNotFound, FaceNotFound, KeyNotFound
      VerificationNotFound, StakeholderNotFound, ScreeningNotFound
      MonitorNotFound, SubjectNotFound, CheckNotFound, ExportNotFound
  - Gone                       it was there, and is not any more
      LinkExpired, JobExpired
  - Conflict                   the thing exists, but not in a state for this
      IllegalTransition, NothingToRetry, JobExists, ListExists, UserIdTaken
      MonitorExists, CheckRunning
      CollectionDisabled, DuplicateFace, RequestInProgress, AnswerNotKept
  - Invalid                    the request is wrong, and saying it again will not help
      MalformedJson, InvalidParameter, InvalidEntities, TooManyEntities
      InvalidDocuments, InvalidIdempotencyKey
      WatchlistRejected        a list file that will not be loaded
      EvaluationRejected       a file of labelled rows that cannot be read
      InvalidConfig            what the tagger is asked to do
  - Unprocessable              the request can be read, and its values are wrong
      FaceRefused              an image gave no face, or none that can be recognised
      OtherRequest             an idempotency key that came with another request before
      InvalidVerification
  - TooLarge                   the body is over the limit
      UploadsFull              the tenant's uploads are, together
  - NotAcceptable              what is asked for is not to be had in that form, here
  - TooManyRequests            one at a time, or not so many
      RunInFlight, QuotaExceeded, RateExceeded
  - Unavailable                try again later
      BrokerUnavailable, DatabaseUnavailable, TimedOut, ListUnavailable, IndexNotReady
      MonitorBusy, KeyUnavailable
  - ItemError                  one item is bad; the job carries on
  - JobError                   the whole job cannot be done
  - RateLimited                not now, but later: the job rests until then

None of them knows about HTTP: app/api/errors.py translates. Messages are for a person and carry
no personal data: they reach logs.
"""

from __future__ import annotations


class AppError(Exception):
    """Base class. `code` is part of the public API: never reuse or rename one."""

    code = "internal_error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


class Misconfigured(AppError):
    code = "misconfigured"


class Unauthenticated(AppError):
    code = "unauthenticated"


class MissingToken(Unauthenticated):
    code = "missing_token"


class InvalidToken(Unauthenticated):
    code = "invalid_token"


class ExpiredToken(Unauthenticated):
    code = "expired_token"


class TenantGone(InvalidToken):
    """The tenant was deleted, and a token of it is good for a little longer."""


class RevokedKey(InvalidToken):
    """To those who have no word of their own for it, a token that is not valid."""


class ExpiredKey(ExpiredToken):
    """Likewise, of one that has expired."""


class InvalidCredentials(Unauthenticated):
    code = "invalid_credentials"


class Forbidden(AppError):
    """Carries `required_permission`."""

    code = "insufficient_permissions"


class BadSignature(Forbidden):
    code = "invalid_signature"


class AddressNotAllowed(Forbidden):
    """The key is bound to networks, and the request comes from elsewhere."""


class CollectionNotAllowed(Forbidden):
    code = "collection_not_allowed"


class NotFound(AppError):
    code = "not_found"


class JobNotFound(NotFound):
    code = "job_not_found"


class DocumentNotFound(NotFound):
    code = "document_not_found"


class ListNotFound(NotFound):
    code = "list_not_found"


class ExclusionNotFound(NotFound):
    code = "exclusion_not_found"


class MonitorNotFound(NotFound):
    """Dialect A calls a monitor a watchlist."""

    code = "watchlist_not_found"


class SubjectNotFound(NotFound):
    code = "subject_not_found"


class CheckNotFound(NotFound):
    code = "check_not_found"


class ExportNotFound(NotFound):
    """What a signed link leads to is gone."""

    code = "export_not_found"


class Gone(AppError):
    code = "gone"


class LinkExpired(Gone):
    code = "link_expired"


class JobExpired(Gone):
    """The job was kept as long as jobs of its kind are, and has been deleted since."""

    code = "job_expired"


class OrganizationNotFound(NotFound):
    code = "organization_not_found"


class CollectionNotFound(NotFound):
    code = "collection_not_found"


class FaceNotFound(NotFound):
    code = "face_not_found"


class KeyNotFound(NotFound):
    code = "key_not_found"


class VerificationNotFound(NotFound):
    code = "verification_not_found"


class StakeholderNotFound(NotFound):
    code = "stakeholder_not_found"


class ScreeningNotFound(NotFound):
    """No run has completed yet."""

    code = "screening_not_found"


class Conflict(AppError):
    code = "conflict"


class IllegalTransition(Conflict):
    """Carries the `state` the job is in, and the `allowed_actions` that are possible there."""

    code = "invalid_state"


class NothingToRetry(IllegalTransition):
    code = "nothing_to_retry"


class JobExists(Conflict):
    """The tenant has a job of that name. Carries `job_id`."""

    code = "job_exists"


class ListExists(Conflict):
    """A list, or a version of one, of that name is there already, or the name is taken."""

    code = "list_exists"


class MonitorExists(Conflict):
    """The tenant has a monitor of that name."""

    code = "watchlist_exists"


class CheckRunning(Conflict):
    """One check of a monitor at a time. Carries `check_id`."""

    code = "check_running"


class CollectionDisabled(Conflict):
    """Somebody has switched it off: it takes no faces and answers no questions."""

    code = "collection_disabled"


class DuplicateFace(Conflict):
    """The collection has a face of this external id."""

    code = "duplicate_external_id"


class RequestInProgress(Conflict):
    """The same idempotency key came a moment ago, and its request is not done yet."""

    code = "idempotency_in_progress"


class AnswerNotKept(Conflict):
    """What came with the idempotency key was done, and nobody knows any more what was answered."""

    code = "idempotency_answer_not_kept"


class UserIdTaken(Conflict):
    """The tenant has a verification of that user id."""

    code = "user_id_taken"


class Invalid(AppError):
    code = "invalid_request"


class MalformedJson(Invalid):
    code = "malformed_json"


class InvalidParameter(Invalid):
    code = "invalid_parameter"


class InvalidIdempotencyKey(Invalid):
    code = "invalid_idempotency_key"


class InvalidEntities(Invalid):
    """Carries `problems`, a list of {index, entity_id, path, message}, and `invalid_count`."""

    code = "invalid_entities"


class TooManyEntities(Invalid):
    """Carries `max_entities` and `received`."""

    code = "too_many_entities"


class InvalidDocuments(Invalid):
    """Carries `problems`, a list of {path, message}."""

    code = "invalid_documents"


class WatchlistRejected(Invalid):
    """A list file that is broken, or not what it says it is; the loaded version stays in force.

    May carry `line` and `problem`, or `problems`, a list of {line, message}, and `invalid_count`.
    """

    code = "watchlist_rejected"


class EvaluationRejected(Invalid):
    """A file of labelled rows that is not written as docs/screening.md says."""

    code = "evaluation_rejected"


class InvalidConfig(Invalid):
    """Carries `problems`, a list of {path, message}."""

    code = "invalid_config"


class Unprocessable(AppError):
    """Carries `errors`, a list of {detail, pointer}."""

    code = "validation_error"


class FaceRefused(Unprocessable):
    """An image gave no face, or none that can be recognised. `reason` is of app.faces.codes."""

    code = "face_refused"

    def __init__(self, reason: str, message: str, **details: object) -> None:
        super().__init__(message, **details)
        self.reason = reason


class OtherRequest(Unprocessable):
    code = "idempotency_key_reused"


class InvalidVerification(Unprocessable):
    """Carries `problems`, a list of {message, code, path}, the path a list of names and indexes."""

    code = "invalid_verification"


class TooLarge(AppError):
    code = "payload_too_large"


class UploadsFull(TooLarge):
    """One document more would be more than a tenant may keep."""

    code = "uploads_full"


class NotAcceptable(AppError):
    code = "not_acceptable"


class TooManyRequests(AppError):
    code = "too_many_requests"


class QuotaExceeded(TooManyRequests):
    """The caller has as much as is theirs. Carries `retry_after`, in seconds."""

    code = "quota_exceeded"


class RateExceeded(TooManyRequests):
    """Of a limit in time. Carries `retry_after`, and `violated_policies`, the names of limits."""

    code = "rate_limit_exceeded"


class RunInFlight(TooManyRequests):
    """The gate is held. Carries `conflicting_run`, what the client calls the run in flight."""

    code = "job_in_flight"


class Unavailable(AppError):
    code = "unavailable"


class BrokerUnavailable(Unavailable):
    code = "broker_unavailable"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class KeyUnavailable(Unavailable):
    """What is stored cannot be decrypted here. Names the key, and nothing of the data."""

    code = "key_unavailable"


class TimedOut(Unavailable):
    code = "timed_out"


class ListUnavailable(Unavailable):
    """A list that exists and is not loaded, in a call that waits for its answer."""

    code = "list_unavailable"


class MonitorBusy(Unavailable):
    """Somebody else is writing to the monitor, and for longer than a caller should wait."""

    code = "watchlist_busy"


class IndexNotReady(Unavailable):
    """A long list is being made ready on this machine: jobs wait for it and go on by themselves."""

    code = "index_not_ready"


class ItemError(AppError):
    """One item cannot be worked on. `code` becomes the item's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobError(AppError):
    """The whole job cannot be done. `code` and message become the job's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RateLimited(AppError):
    """Somebody we depend on wants to be left alone for so many seconds: the job is paused and
    resumed by itself. Raised by a kind's process, for any of its items.
    """

    code = "rate_limited"

    def __init__(self, seconds: float, message: str) -> None:
        super().__init__(message)
        self.seconds = seconds
