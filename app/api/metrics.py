"""GET /metrics: for Prometheus. Off until MUSTER_METRICS_TOKEN is set.

Everything is read from Postgres and Redis when it is asked for, so every web process says the
same, and one that was restarted has forgotten nothing. Kinds, states, queues and public lists are
named; tenants, jobs and what is in them never are.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator

import redis
from flask import Blueprint, Response, request
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from app.api.context import resources
from app.db import Cursor
from app.errors import InvalidToken
from app.jobs import dispatch, store
from app.resources import Resources
from app.screening import citing
from app.version import VERSION

bp = Blueprint("metrics", __name__)


@bp.get("/metrics")
def show() -> Response:
    """Tell Prometheus how jobs, queues and lists are, for the token of MUSTER_METRICS_TOKEN."""
    token = resources().settings.metrics_token
    if not token:
        raise InvalidToken("Metrics are off; set MUSTER_METRICS_TOKEN to have them.")
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise InvalidToken("Send the MUSTER_METRICS_TOKEN as Authorization: Bearer.")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_State(resources()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _State(Collector):
    """What there is to tell, read once for each answer. Raises DatabaseUnavailable."""

    def __init__(self, its: Resources) -> None:
        self._its = its

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("muster_build_info", "The version.", labels=["version"])
        build.add_metric([VERSION], 1)
        yield build
        with self._its.db.transaction() as tx:
            metrics = [*_jobs(tx), *_lists(self._its, tx)]
        yield from metrics
        yield from _queues(self._its)


def _jobs(tx: Cursor) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "muster_jobs", "Jobs that have not ended, by kind and state.", labels=["kind", "state"]
    )
    items = GaugeMetricFamily(
        "muster_items_outstanding",
        "Items of these jobs that have no result yet.",
        labels=["kind", "state"],
    )
    oldest = GaugeMetricFamily(
        "muster_oldest_job_seconds",
        "How long ago the oldest of these jobs was made.",
        labels=["kind", "state"],
    )
    for each in store.count_living(tx):
        labels = [each.kind, each.state]
        jobs.add_metric(labels, each.jobs)
        items.add_metric(labels, each.outstanding)
        oldest.add_metric(labels, each.oldest_seconds)
    return iter((jobs, items, oldest))


def _lists(its: Resources, tx: Cursor) -> Iterator[Metric]:
    entries = GaugeMetricFamily(
        "muster_list_entries", "Entries of a public list.", labels=["list", "version"]
    )
    refreshed = GaugeMetricFamily(
        "muster_list_refreshed_timestamp_seconds",
        "When somebody last looked whether the list has changed.",
        labels=["list"],
    )
    stale = GaugeMetricFamily(
        "muster_list_stale",
        "1: the list was not refreshed for longer than its interval (MUSTER_LIST_INTERVALS).",
        labels=["list"],
    )
    failing = GaugeMetricFamily(
        "muster_list_refresh_failing", "1: the last try to refresh it failed.", labels=["list"]
    )
    for version, fresh in citing.in_force(tx, its.settings, None):
        entries.add_metric([version.name, version.version], version.entries)
        refreshed.add_metric([version.name], fresh.refreshed_at.timestamp())
        stale.add_metric([version.name], fresh.is_stale)
        failing.add_metric([version.name], fresh.problem is not None)
    return iter((entries, refreshed, stale, failing))


def _queues(its: Resources) -> Iterator[Metric]:
    up = GaugeMetricFamily("muster_broker_up", "1: Redis answers.")
    depth = GaugeMetricFamily(
        "muster_queue_depth", "Messages that wait for a worker.", labels=["queue"]
    )
    try:
        waiting = dispatch.waiting(its.redis)
    except redis.RedisError:
        # What is not known is not told: a depth of 0 would be a lie.
        up.add_metric([], 0)
        return iter((up,))
    up.add_metric([], 1)
    for queue, messages in waiting.items():
        depth.add_metric([queue], messages)
    return iter((up, depth))
