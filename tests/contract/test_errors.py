"""Codes and statuses are the public API: none changes, and none is new, without a line here."""

from __future__ import annotations

import re

import pytest

from app import errors
from app.api import faces_jobs, faces_render, kyc_render
from app.api.errors import Failure, status_of

#: code, status. Never reuse or rename a code: clients decide by it.
PINNED = {
    "AppError": ("internal_error", 500),
    "Misconfigured": ("misconfigured", 500),
    "Unauthenticated": ("unauthenticated", 401),
    "MissingToken": ("missing_token", 401),
    "InvalidToken": ("invalid_token", 401),
    "ExpiredToken": ("expired_token", 401),
    "TenantGone": ("invalid_token", 401),
    "RevokedKey": ("invalid_token", 401),
    "ExpiredKey": ("expired_token", 401),
    "InvalidCredentials": ("invalid_credentials", 401),
    "Forbidden": ("insufficient_permissions", 403),
    "BadSignature": ("invalid_signature", 403),
    "AddressNotAllowed": ("insufficient_permissions", 403),
    "CollectionNotAllowed": ("collection_not_allowed", 403),
    "NotFound": ("not_found", 404),
    "OrganizationNotFound": ("organization_not_found", 404),
    "CollectionNotFound": ("collection_not_found", 404),
    "FaceNotFound": ("face_not_found", 404),
    "KeyNotFound": ("key_not_found", 404),
    "JobNotFound": ("job_not_found", 404),
    "DocumentNotFound": ("document_not_found", 404),
    "ListNotFound": ("list_not_found", 404),
    "ExclusionNotFound": ("exclusion_not_found", 404),
    "MonitorNotFound": ("watchlist_not_found", 404),
    "SubjectNotFound": ("subject_not_found", 404),
    "CheckNotFound": ("check_not_found", 404),
    "ExportNotFound": ("export_not_found", 404),
    "Gone": ("gone", 410),
    "LinkExpired": ("link_expired", 410),
    "JobExpired": ("job_expired", 410),
    "VerificationNotFound": ("verification_not_found", 404),
    "StakeholderNotFound": ("stakeholder_not_found", 404),
    "ScreeningNotFound": ("screening_not_found", 404),
    "Conflict": ("conflict", 409),
    "IllegalTransition": ("invalid_state", 409),
    "NothingToRetry": ("nothing_to_retry", 409),
    "JobExists": ("job_exists", 409),
    "ListExists": ("list_exists", 409),
    "MonitorExists": ("watchlist_exists", 409),
    "CheckRunning": ("check_running", 409),
    "CollectionDisabled": ("collection_disabled", 409),
    "DuplicateFace": ("duplicate_external_id", 409),
    "RequestInProgress": ("idempotency_in_progress", 409),
    "AnswerNotKept": ("idempotency_answer_not_kept", 409),
    "UserIdTaken": ("user_id_taken", 409),
    "Invalid": ("invalid_request", 400),
    "MalformedJson": ("malformed_json", 400),
    "InvalidParameter": ("invalid_parameter", 400),
    "InvalidIdempotencyKey": ("invalid_idempotency_key", 400),
    "InvalidEntities": ("invalid_entities", 400),
    "TooManyEntities": ("too_many_entities", 400),
    "InvalidDocuments": ("invalid_documents", 400),
    "WatchlistRejected": ("watchlist_rejected", 400),
    "EvaluationRejected": ("evaluation_rejected", 400),
    "Unprocessable": ("validation_error", 422),
    "FaceRefused": ("face_refused", 422),
    "OtherRequest": ("idempotency_key_reused", 422),
    "InvalidVerification": ("invalid_verification", 422),
    "InvalidConfig": ("invalid_config", 400),
    "TooLarge": ("payload_too_large", 413),
    "UploadsFull": ("uploads_full", 413),
    "TooManyRequests": ("too_many_requests", 429),
    "RunInFlight": ("job_in_flight", 429),
    "QuotaExceeded": ("quota_exceeded", 429),
    "RateExceeded": ("rate_limit_exceeded", 429),
    "NotAcceptable": ("not_acceptable", 406),
    "Unavailable": ("unavailable", 503),
    "BrokerUnavailable": ("broker_unavailable", 503),
    "DatabaseUnavailable": ("database_unavailable", 503),
    "KeyUnavailable": ("key_unavailable", 503),
    "TimedOut": ("timed_out", 503),
    "ListUnavailable": ("list_unavailable", 503),
    "IndexNotReady": ("index_not_ready", 503),
    "MonitorBusy": ("watchlist_busy", 503),
    "ItemError": ("internal_error", 500),
    "JobError": ("internal_error", 500),
    "RateLimited": ("rate_limited", 500),
}

#: The title of dialect A, by code (contract, 7.4).
TITLES = {
    "invalid_entities": "Invalid entities",
    "too_many_entities": "Too many entities",
    "malformed_json": "Invalid request",
    "invalid_parameter": "Invalid request",
    "missing_token": "Unauthorized",
    "invalid_token": "Unauthorized",
    "expired_token": "Unauthorized",
    "insufficient_permissions": "Forbidden",
    "job_not_found": "Job not found",
    "invalid_state": "Conflict",
    "payload_too_large": "Payload too large",
    "internal_error": "Internal server error",
}


def family() -> dict[str, type[errors.AppError]]:
    return {
        name: cls
        for name, cls in vars(errors).items()
        if isinstance(cls, type) and issubclass(cls, errors.AppError)
    }


#: What dialect C calls each error, and the status there where it is another.
FACES = {
    **{"AppError": "INTERNAL_ERROR", "Unauthenticated": "TOKEN_INVALID"},
    **{"MissingToken": "TOKEN_INVALID", "InvalidToken": "TOKEN_INVALID"},
    **{"ExpiredToken": "TOKEN_EXPIRED", "InvalidCredentials": "INVALID_CREDENTIALS"},
    **{"RevokedKey": ("API_KEY_INACTIVE", 403), "ExpiredKey": ("API_KEY_EXPIRED", 403)},
    **{"Forbidden": "INSUFFICIENT_SCOPE", "AddressNotAllowed": "IP_NOT_ALLOWED"},
    **{"CollectionNotAllowed": "COLLECTION_NOT_ALLOWED", "JobNotFound": "BATCH_JOB_NOT_FOUND"},
    **{"OrganizationNotFound": "ORGANIZATION_NOT_FOUND"},
    **{"CollectionNotFound": "COLLECTION_NOT_FOUND", "FaceNotFound": "FACE_NOT_FOUND"},
    **{"KeyNotFound": "API_KEY_NOT_FOUND", "CollectionDisabled": "COLLECTION_DISABLED"},
    **{"DuplicateFace": "DUPLICATE_EXTERNAL_ID", "IllegalTransition": "INVALID_JOB_STATE"},
    "AnswerNotKept": "IDEMPOTENCY_ANSWER_NOT_KEPT",
    **{"RequestInProgress": "IDEMPOTENCY_KEY_IN_USE", "OtherRequest": "IDEMPOTENCY_KEY_MISMATCH"},
    **{"QuotaExceeded": "QUOTA_EXCEEDED", "RateExceeded": "RATE_LIMIT_EXCEEDED"},
    **{"TooLarge": "PAYLOAD_TOO_LARGE", "Invalid": "BAD_REQUEST"},
    **{"InvalidParameter": "BAD_REQUEST", "MalformedJson": "BAD_REQUEST"},
    **{"Unavailable": "SERVICE_BUSY", "DatabaseUnavailable": "SERVICE_BUSY"},
    "TimedOut": "SERVICE_BUSY",
}


@pytest.mark.parametrize("name", FACES)
def test_dialect_c_keeps_its_codes(web, servers, name):
    wanted = FACES[name]
    code, status = wanted if isinstance(wanted, tuple) else (wanted, PINNED[name][1])
    error = getattr(errors, name)("It is as it is.")
    with web.test_request_context("/api/v1/x"):
        answer = faces_render.error(
            Failure(status_of(type(error)), error.code, str(error), error.details, error)
        )

    assert (answer.json["error"]["code"], answer.status_code) == (code, status)


@pytest.mark.parametrize(
    ("code", "status", "shown"),
    [
        ("image_timeout", 503, "IMAGE_TIMEOUT"),
        ("invalid_image", 400, "INVALID_IMAGE"),
        ("image_too_large", 413, "IMAGE_TOO_LARGE"),
        ("face_not_detected", 422, "FACE_NOT_DETECTED"),
        ("face_quality_too_low", 422, "FACE_QUALITY_TOO_LOW"),
        ("face_not_found", 404, "FACE_NOT_FOUND"),
        ("quota_exceeded", 429, "QUOTA_EXCEEDED"),
        ("duplicate_external_id", 409, "DUPLICATE_EXTERNAL_ID"),
        ("attempts_exhausted", 500, "INTERNAL_ERROR"),
    ],
)
def test_what_one_image_failed_of_has_a_status_for_who_waits(web, servers, code, status, shown):
    error = faces_jobs._of_item(code, "It is blurred (LOW_SHARPNESS).")
    with web.test_request_context("/api/v1/x"):
        answer = faces_render.error(
            Failure(status_of(type(error)), error.code, str(error), error.details, error)
        )

    assert (answer.json["error"]["code"], answer.status_code) == (shown, status)
    assert ("Retry-After" in answer.headers) is (status == 503)


def test_every_error_has_its_code_and_status():
    assert {name: (cls.code, int(status_of(cls))) for name, cls in family().items()} == PINNED


def test_every_error_is_drawn_in_the_tree_of_the_module():
    drawn = set(re.findall(r"\b[A-Z]\w+", errors.__doc__ or ""))

    assert set(PINNED) <= drawn


def test_a_code_is_a_word_for_programs():
    for code, _ in PINNED.values():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)


@pytest.mark.parametrize("code", TITLES)
def test_dialect_a_keeps_its_titles(code):
    assert kyc_render.TITLES[code] == TITLES[code]


def test_dialect_a_titles_no_code_that_does_not_exist():
    codes = {code for code, _ in PINNED.values()}

    assert set(kyc_render.TITLES) <= codes
