"""A worker that knows the kinds of the tests too: celery -A tests.probes.worker worker."""

from __future__ import annotations

from app.kinds import KINDS
from tests.probes import clock, kinds
from workers.main import celery

clock.follow()
KINDS.update({kind.name: kind for kind in (kinds.SLOW, kinds.FAST)})

__all__ = ["celery"]
