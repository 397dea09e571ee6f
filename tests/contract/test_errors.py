"""Codes and statuses are the public API: none changes, and none is new, without a line here."""

from __future__ import annotations

import re

import pytest

from app import errors
from app.api import kyc_render
from app.api.errors import status_of

#: code, status. Never reuse or rename a code: clients decide by it.
PINNED = {
    "AppError": ("internal_error", 500),
    "Misconfigured": ("misconfigured", 500),
    "Unauthenticated": ("unauthenticated", 401),
    "MissingToken": ("missing_token", 401),
    "InvalidToken": ("invalid_token", 401),
    "ExpiredToken": ("expired_token", 401),
    "InvalidCredentials": ("invalid_credentials", 401),
    "Forbidden": ("insufficient_permissions", 403),
    "BadSignature": ("invalid_signature", 403),
    "NotFound": ("not_found", 404),
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
    "UserIdTaken": ("user_id_taken", 409),
    "Invalid": ("invalid_request", 400),
    "MalformedJson": ("malformed_json", 400),
    "InvalidParameter": ("invalid_parameter", 400),
    "InvalidEntities": ("invalid_entities", 400),
    "TooManyEntities": ("too_many_entities", 400),
    "InvalidDocuments": ("invalid_documents", 400),
    "WatchlistRejected": ("watchlist_rejected", 400),
    "EvaluationRejected": ("evaluation_rejected", 400),
    "Unprocessable": ("validation_error", 422),
    "InvalidVerification": ("invalid_verification", 422),
    "InvalidConfig": ("invalid_config", 400),
    "TooLarge": ("payload_too_large", 413),
    "UploadsFull": ("uploads_full", 413),
    "TooManyRequests": ("too_many_requests", 429),
    "RunInFlight": ("job_in_flight", 429),
    "NotAcceptable": ("not_acceptable", 406),
    "Unavailable": ("unavailable", 503),
    "BrokerUnavailable": ("broker_unavailable", 503),
    "DatabaseUnavailable": ("database_unavailable", 503),
    "TimedOut": ("timed_out", 503),
    "ListUnavailable": ("list_unavailable", 503),
    "IndexNotReady": ("index_not_ready", 503),
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
