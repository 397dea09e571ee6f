"""The connections one process holds: the same for web, worker and command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import redis
from celery import Celery
from celery.schedules import crontab
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.db import Database
from app.jobs import transport
from app.jobs.dispatch import (
    CHECK_LISTS,
    LOOK_AFTER_MONITORS,
    MAINTAIN,
    PRUNE,
    QUEUES,
    RENEW_POPULATIONS,
    SCREENING,
    SWEEP,
)
from app.jobs.progress import Progress
from app.jobs.turns import LEVELS
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Resources:
    settings: Settings
    db: Database
    redis: redis.Redis
    celery: Celery
    progress: Progress

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """Build everything, connect nothing: each part dials on first use."""
        client = redis.Redis.from_url(
            settings.redis_url,
            socket_timeout=settings.redis_timeout,
            socket_connect_timeout=settings.redis_timeout,
            # The caller decides what to do without Redis; trying again here would hold it up.
            retry=Retry(NoBackoff(), 0),
        )
        return cls(
            settings=settings,
            db=Database(settings.database_url, settings.db_connections, sealer=settings.sealer()),
            redis=client,
            celery=make_celery(settings),
            progress=Progress(client),
        )

    def close(self) -> None:
        self.db.close()
        self.redis.close()
        self.celery.close()


def make_celery(settings: Settings) -> Celery:
    """Return the Celery app. Every line below has cost somebody a lost or a doubled task.

    docs/reliability.md says which, and tests/integration/test_celery_traps.py shows each.
    """
    transport.use()
    celery = Celery("muster")
    redis_url = _verifying(settings.redis_url)
    celery.conf.update(
        broker_url=redis_url,
        result_backend=f"app.jobs.backend:SendOnlyBackend+{redis_url}",
        task_serializer="json",
        accept_content=["json"],
        result_serializer="json",
        task_queues=QUEUES,
        task_default_queue=QUEUES[0].name,
        task_create_missing_queues=False,
        timezone="UTC",
        # A chunk is acknowledged when it is done, so a killed worker's chunk comes back.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # One chunk in hand and none in reserve: a reserved one is redelivered while it waits.
        worker_prefetch_multiplier=1,
        # With results kept, dying between "store" and "count the part" lost the chord.
        task_ignore_result=True,
        # It looks results up, and so believes a chunk done whose part was never counted.
        worker_deduplicate_successful_tasks=False,
        # Chunks cancelled because Redis went away for a moment were not run again.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Counters and callbacks of a chord must outlive the longest pause between two chunks.
        result_chord_expires=7 * 24 * 3600,
        result_expires=24 * 3600,
        # An endless loop in one item costs its process, not the worker.
        task_time_limit=_hard_limit(settings),
        # Celery's own may die when it loses its connection.
        worker_pool="workers.pool:TaskPool",
        # A new pool process opens its indexes before it says that it is up, and may have to
        # build one; the default 4 s would kill each in turn, for ever.
        worker_proc_alive_timeout=120.0,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport(settings),
        # A request must not wait the default 20 s because Redis is away.
        task_publish_retry=False,
        broker_connection_timeout=settings.redis_timeout,
        redis_socket_timeout=10.0,
        redis_socket_connect_timeout=settings.redis_timeout,
        redis_retry_on_timeout=False,
        result_backend_transport_options={
            "retry_policy": {"max_retries": 0, "interval_start": 0, "interval_step": 0}
        },
        # SIGTERM becomes SIGQUIT (REMAP_SIGTERM): chunks in hand get this long, then go back.
        worker_soft_shutdown_timeout=settings.worker_grace_seconds,
        worker_enable_soft_shutdown_on_idle=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=True,
        task_send_sent_event=False,
        event_queue_expires=60.0,
        # Celery's own stands still when its clock is put back.
        beat_scheduler="workers.punctual:Scheduler",
        beat_schedule={
            "sweep": _every(SWEEP, settings.sweep_seconds),
            "maintain": _every(MAINTAIN, 3600.0),
            "monitors": _every(LOOK_AFTER_MONITORS, settings.monitor_seconds),
            # On a worker that screens: the indexes are on its disk.
            "populations": _every(RENEW_POPULATIONS, 6 * 3600.0, queue=SCREENING),
            **_nightly(PRUNE, settings.prune_at),
            **(
                {"check_lists": _every(CHECK_LISTS, settings.list_check_seconds)}
                if settings.list_intervals
                else {}
            ),
        },
    )
    return celery


def _verifying(url: str) -> str:
    """Return the URL of Redis with its certificate to be checked, unless it says otherwise.

    redis-py checks it by itself. Of a bare rediss:// kombu checks nothing, and Celery refuses it.
    """
    parts = urlsplit(url)
    if parts.scheme != "rediss" or "ssl_cert_reqs" in parse_qs(parts.query):
        return url
    query = "&".join(filter(None, (parts.query, "ssl_cert_reqs=required")))
    return parts._replace(query=query).geturl()


def _transport(settings: Settings) -> dict[str, Any]:
    return {
        "visibility_timeout": settings.visibility_timeout,
        # kombu looks for lost messages every interval x throttle seconds: 100 by default.
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        # A worker that dies while it looks would keep the others from looking for 300 s.
        "unacked_mutex_expire": 5,
        # Callers who wait first, whatever else is queued.
        "queue_order_strategy": "priority",
        # Within that, whoever has had least: a list for each level of each queue.
        "priority_steps": list(LEVELS),
        # Above the longest blocking read: redis-py's own 5 s would break it off.
        "socket_timeout": 10.0,
        "socket_connect_timeout": settings.redis_timeout,
    }


def _hard_limit(settings: Settings) -> float:
    """Between what a chunk may work and the moment it is given to another worker."""
    return (settings.chunk_seconds + settings.visibility_timeout) / 2


#: Longer than any clock is wrong that nobody has noticed.
_BEAT_EXPIRES = 12 * 3600.0


def _nightly(task: str, at: str) -> dict[str, Any]:
    if at == "never":
        return {}
    hour, _, minute = at.partition(":")
    # Not every so many seconds: beat counts from its own start, which may be every day.
    schedule = crontab(hour=int(hour), minute=int(minute))
    return {task: {"task": task, "schedule": schedule, "options": {"expires": _BEAT_EXPIRES}}}


def _every(task: str, seconds: float, **options: Any) -> dict[str, Any]:
    # By the clock of the machine, which may be an hour off: it keeps messages from piling up for
    # days while nobody takes them. Workers drop all but one of what waited (workers/tasks.py).
    options["expires"] = max(seconds, _BEAT_EXPIRES)
    return {"task": task, "schedule": seconds, "options": options}
