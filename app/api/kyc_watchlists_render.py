"""How dialect A words a watchlist, its subjects, hits, checks and changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.api.context import request_id
from app.api.kyc_render import stamp
from app.monitoring.model import Check, CheckState, Hit, Monitor, Watched
from app.monitoring.service import Shown

#: How soon a running check is worth another look.
POLL_SECONDS = 5


def watchlist(shown: Shown) -> dict[str, Any]:
    monitor = shown.monitor
    return {
        "watchlist_id": str(monitor.id),
        "watchlist_name": monitor.name,
        "description": monitor.description,
        "check_frequency": monitor.check_frequency,
        "lists": None if monitor.lists is None else list(monitor.lists),
        "threshold": monitor.threshold,
        "search_type": monitor.search_type,
        "alert_config": {
            "on_new_match": monitor.on_new_match,
            "on_status_change": monitor.on_status_change,
        },
        "subjects": shown.subjects,
        "total_matches": shown.hits,
        "created_at": stamp(monitor.created_at),
        "created_by": monitor.created_by,
        "updated_at": stamp(monitor.updated_at),
        "checked_at": _stamp(monitor.checked_at),
        "next_check_at": _stamp(monitor.next_check_at),
    }


def subject(watched: Watched) -> dict[str, Any]:
    return {
        "entity_id": watched.entity_id,
        **watched.entity,
        "added_at": stamp(watched.added_at),
        "screened_at": _stamp(watched.screened_at),
    }


def hit(found: Hit) -> dict[str, Any]:
    return {
        "entity_id": found.entity_id,
        "first_seen_at": stamp(found.first_seen_at),
        "changed_at": stamp(found.changed_at),
        "match": {**found.detail, "list_version": found.list_version},
    }


def change(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "check_id": str(row["check_id"]),
        "at": stamp(row["created_at"]),
        "entity_id": row["entity_id"],
        "change": row["change"],
        "alert": row["is_alert"],
        "list_name": row["list_name"],
        "entry_id": row["entry_id"],
        "confidence_score": row["score"],
        "previous_score": row["score_before"],
        "match": row["detail"],
    }


def check(made: Check) -> dict[str, Any]:
    """One line of the history."""
    running = made.state == CheckState.RUNNING
    body: dict[str, Any] = {
        "check_id": str(made.id),
        "job_id": str(made.id) if made.subjects else None,
        "check_status": made.state,
        "cause": made.cause,
        "subjects_checked": 0 if running else made.subjects - made.failed,
        "subjects_failed": made.failed,
        "subjects_total": made.subjects,
        "total_matches": made.matches,
        "previous_matches": made.previous,
        "new_matches_count": made.added,
        "gone_matches_count": made.gone,
        "changed_matches_count": made.changed,
        "has_changes": made.has_changes,
        "results_by_list": dict(made.by_list),
        "list_versions": dict(made.list_versions),
        "lists_missing": list(made.lists_missing),
        "duration_ms": made.duration_ms,
        "created_at": stamp(made.created_at),
        "created_by": made.created_by,
        "checked_at": _stamp(made.finished_at),
    }
    if made.list_name is not None:
        body["update"] = {
            "list_name": made.list_name,
            "from_version": made.from_version,
            "to_version": made.to_version,
        }
    if made.error_code is not None:
        body["error"] = {"code": made.error_code, "message": made.error_message}
    return body


def report(monitor: Monitor, made: Check) -> dict[str, Any]:
    """What POST .../monitor answers, and the history of one check."""
    return {
        "status": "success",
        "data": {
            "watchlist_id": str(monitor.id),
            "watchlist_name": monitor.name,
            **check(made),
        },
        "execution_context": {
            "timestamp": stamp(datetime.now(UTC)),
            "request_id": request_id(),
        },
    }


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else stamp(at)
