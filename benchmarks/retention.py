"""A month of results that is over: dropped, beside the same rows deleted one by one.

Two months of as many rows, by the platform's own prune. In the first every job is past its time,
in the second a job of another tenant is kept, so that the rows of the others have to be deleted.
A third month is nobody's business and must stay as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

from app.accounts import service as accounts
from app.protection import periods
from app.protection.prune import Pruned, prune
from benchmarks import machine
from benchmarks.figure import Figure, Measure
from benchmarks.stage import Stage, staged

Say = Callable[[str], None]

#: Of a month; each item has a result.
JOBS = 50
ITEMS = 10_000
_DROPPED, _DELETED, _KEPT = date(2018, 1, 1), date(2018, 5, 1), date(2024, 1, 1)

_FILL = """
WITH made AS (
    INSERT INTO jobs (id, tenant_id, kind, dialect, external_id, month, state, options, queue,
                      chunk_size, total, succeeded, created_by, created_at, started_at, finished_at)
    SELECT gen_random_uuid(), %(tenant)s, 'kyc', 'kyc', gen_random_uuid()::text, %(month)s,
           'completed', '{}', 'screening', 250, %(items)s, %(items)s, 'bench', %(month)s,
           %(month)s, %(month)s + interval '20 days'
      FROM generate_series(1, %(jobs)s)
    RETURNING id),
given AS (
    INSERT INTO items (kind, month, job_id, position, ref, payload)
    SELECT 'kyc', %(month)s, id, n, 'customer ' || n,
           json_build_object('full_name', 'Person ' || n, 'birth_date', '1970-01-01')
      FROM made, generate_series(0, %(items)s - 1) AS n)
INSERT INTO results (kind, month, job_id, position, status, result, pass_no)
SELECT 'kyc', %(month)s, id, n, 'succeeded',
       json_build_object('is_match', false, 'matches', '[]'::json, 'text', repeat('x', 200)), 1
  FROM made, generate_series(0, %(items)s - 1) AS n
"""


def measure(say: Say) -> Figure:
    with staged(say=say) as stage:
        durable = stage.check_durable()
        other = accounts.ensure_tenant(stage.db, "other")
        periods.change(stage.db, other.id, {"kyc": None})
        rows = 2 * JOBS * ITEMS
        dropped, wal_dropped = _go(stage, say, _DROPPED)
        _fill(stage, _DELETED, other.id, jobs=1, items=1)
        deleted, wal_deleted = _go(stage, say, _DELETED)
        assert _rows(stage, _DELETED) == (1, 1, 1)
        assert _rows(stage, _KEPT) == (1, 10, 10)
        conditions = machine.conditions(
            ("psycopg2-binary",),
            work=f"{rows:,} rows a month: {JOBS} jobs of {ITEMS:,} items with results",
            durability=durable,
        )
    return Figure(
        name="retention",
        headline=Measure("a month of rows dropped", dropped, "s"),
        more=[
            Measure("of it written to the log of Postgres", wal_dropped, "MB"),
            Measure("written to it where rows are deleted", wal_deleted, "MB"),
        ],
        peers=[Measure("the same rows deleted", deleted, "s")],
        conditions=conditions,
    )


def _go(stage: Stage, say: Say, month: date) -> tuple[float, float]:
    """Fill a month and prune it; return the seconds and the megabytes of log that took."""
    say(f"writing {2 * JOBS * ITEMS:,} rows")
    if not _rows(stage, _KEPT)[0]:
        _fill(stage, _KEPT, stage.tenant.id, jobs=1, items=10)
    _fill(stage, month, stage.tenant.id, jobs=JOBS, items=ITEMS)
    stage.query("SELECT pg_stat_force_next_flush()")
    machine.wait_until_quiet()
    log = stage.query("SELECT pg_current_wal_lsn() - '0/0' AS bytes")
    start = time.perf_counter()
    pruned: Pruned = prune(stage.db, stage.settings)
    took = time.perf_counter() - start
    assert pruned.jobs == {"kyc": JOBS}, pruned
    assert pruned.items == {"kyc": JOBS * ITEMS}, pruned
    is_dropped = f"results_kyc_{month:%Y%m}" in pruned.months
    assert is_dropped == (month == _DROPPED), pruned
    if is_dropped:
        assert _rows(stage, month) == (0, 0, 0)
    megabytes = float(stage.query("SELECT pg_current_wal_lsn() - '0/0' AS bytes") - log) / 1e6
    say(f"{took:.2f} s, {megabytes:.1f} MB of log")
    return took, megabytes


def _fill(stage: Stage, month: date, tenant: object, *, jobs: int, items: int) -> None:
    with stage.db.transaction() as tx:
        tx.execute("SELECT ensure_partitions(%s, 1)", (month,))
        tx.execute(_FILL, {"tenant": tenant, "month": month, "jobs": jobs, "items": items})
    # Autovacuum would come some day, and not in the middle of this.
    with stage.db.transaction() as tx:
        tx.execute("ANALYZE jobs, items, results")


def _rows(stage: Stage, month: date) -> tuple[int, int, int]:
    return tuple(  # type: ignore[return-value]  # of three
        stage.query(f"SELECT count(*) FROM {table} WHERE month = %(month)s", month=month)
        for table in ("jobs", "items", "results")
    )
