"""A worker that knows the kind of the benchmarks too: celery -A benchmarks.worker worker."""

from __future__ import annotations

from app.kinds import KINDS
from benchmarks.kinds import NOOP
from workers.main import celery

KINDS[NOOP.name] = NOOP

__all__ = ["celery"]
