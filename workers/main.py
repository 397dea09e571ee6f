"""Entry point: celery -A workers.main worker."""

from __future__ import annotations

import logging
from typing import Any

from celery.signals import celeryd_after_setup, setup_logging, worker_process_init

from app import broker_check, logs
from app.errors import AppError
from app.jobs.dispatch import SCREENING
from app.kinds import KINDS
from app.monitoring import clock
from app.resources import Resources
from app.settings import Settings

log = logging.getLogger(__name__)

resources = Resources.open(Settings.from_env())
celery = resources.celery
celery.conf.imports = ("workers.tasks",)

#: Kinds whose queue this worker serves; known once Celery has read its command line.
_served: set[str] = set()


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure(resources.settings.log_level)


@celeryd_after_setup.connect
def _note_queues(instance: Any, **_: Any) -> None:
    broker_check.at_start(resources.settings)
    _served.update(instance.app.amqp.queues.consume_from)
    for kind in KINDS.values():
        if kind.queues & _served:
            kind.load(resources)
    if SCREENING in _served:
        _forget()


def _forget() -> None:
    """The task that renews the indexes of populations reaches one machine; this, each of them."""
    try:
        clock.forget(resources)
    except AppError as error:
        log.warning("populations.not_looked_at", extra={"code": error.code})
    finally:
        # This process, which forks those that work, has nothing else to ask of Postgres.
        resources.db.close()


@worker_process_init.connect
def _warm(**_: Any) -> None:
    """Load what the first chunk would otherwise wait for. Failing here costs only time."""
    for kind in KINDS.values():
        if kind.queues & _served:
            try:
                kind.warm(resources)
            except AppError as error:
                log.warning("kind.not_warmed", extra={"kind": kind.name, "code": error.code})
