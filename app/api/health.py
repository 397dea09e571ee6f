"""GET /healthz: does this process answer? GET /readyz: can it do its work?"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Any

import redis
from flask import Blueprint
from flask.typing import ResponseReturnValue

from app import broker_check, migrate
from app.api import streams
from app.api.context import resources
from app.errors import DatabaseUnavailable
from app.version import VERSION

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """Say that the process answers, and nothing about the servers behind it."""
    answer: dict[str, Any] = {"status": "ok", "version": VERSION}
    if streams.are_here():
        answer["watchers"] = streams.here().count()
    return answer


@bp.get("/api/health")
def health() -> ResponseReturnValue:
    """Say that the process answers, where clients of dialect D look."""
    return healthz()


@bp.get("/api/status")
def status() -> ResponseReturnValue:
    """Say whether the server can do its work, where clients of dialect D look."""
    return readyz()


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """503 only when Postgres is away: without the broker jobs are still accepted and kept."""
    checks = {"database": _database(), "broker": _broker()}
    if checks["database"]["status"] != "ok":
        return {"status": "unavailable", "checks": checks}, HTTPStatus.SERVICE_UNAVAILABLE
    degraded = any(check["status"] != "ok" for check in checks.values())
    return {"status": "degraded" if degraded else "ok", "checks": checks}


def _database() -> dict[str, Any]:
    began = time.monotonic()
    try:
        missing = migrate.pending(resources().db)
    except DatabaseUnavailable:
        return {"status": "unavailable"}
    if missing:
        return {"status": "migrations_pending", "pending": missing}
    return {"status": "ok", "latency_ms": round(1000 * (time.monotonic() - began), 1)}


def _broker() -> dict[str, Any]:
    try:
        found = broker_check.look(resources().redis)
    except redis.RedisError:
        return {"status": "unavailable"}
    risks = [each.says for each in found if each.is_risk]
    return {"status": "at_risk", "problems": risks} if risks else {"status": "ok"}
