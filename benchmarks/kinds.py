"""A kind whose items are no work at all: what is left is what the platform itself costs."""

from __future__ import annotations

from collections.abc import Sequence

from app.jobs.dispatch import SCREENING
from app.jobs.model import Item, Job, Result
from app.kinds.base import Kind, Process
from app.resources import Resources


def _prepare(resources: Resources, job: Job) -> Process:
    def process(items: Sequence[Item]) -> Sequence[Result]:
        return [Result.success(item, {}) for item in items]

    return process


#: As many items a call as screening, so that the machinery looks up as often.
NOOP = Kind(name="noop", prepare=_prepare, queues=frozenset({SCREENING}), batch_size=50)
