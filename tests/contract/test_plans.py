"""No query reads a table from end to end that grows without bound, or a partition it need not.

Every query of every store is planned against a history of months. What is counted are plans, not
seconds: a query that scans is as fast as any other until somebody has a year of jobs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from psycopg2.extras import Json

from app.db import Database, load_queries
from tests.contract.test_queries import FILES, package

HERE = Path(__file__).parent

#: A table of fewer rows may be read from end to end.
FEW = 1_000

#: One of those in history.sql, which have much each.
TENANT = UUID(md5(b"tenant7", usedforsecurity=False).hexdigest())
SOMEBODY = UUID(int=0x0123456789ABCDEF0123456789ABCDEF)
NOW = datetime.now(UTC)
MONTH = (NOW - timedelta(days=45)).date().replace(day=1)

#: What queries are asked for, by the names of their parameters. Of an id any will do: the planner
#: knows how many there are, and not which. What is not here is only written.
ASKED: dict[str, Any] = {
    **dict.fromkeys(("id", "job_id", "check_id", "monitor_id", "verification_id"), SOMEBODY),
    **dict.fromkeys(("collection_id", "batch", "user_id", "source_id", "family"), SOMEBODY),
    **dict.fromkeys(("before_id", "after_batch", "face_id", "upload_id"), SOMEBODY),
    **{
        name: [SOMEBODY]
        for name in ("ids", "monitor_ids", "verification_ids", "job_ids", "batches")
    },
    **dict.fromkeys(("before", "before_at", "at", "created_at"), NOW),
    **dict.fromkeys(("kind", "dialect", "kinds"), "kyc"),
    **dict.fromkeys(("month", "source_month"), MONTH),
    **{name: [3, 4] for name in ("positions", "numbers")},
    **{name: ["c7"] for name in ("entity_ids", "entry_ids", "lists", "kept")},
    **dict.fromkeys(("position", "chunk_no", "first", "start", "offset", "before_position"), 5),
    **dict.fromkeys(("end", "stop"), 9),
    **dict.fromkeys(("limit", "examples", "total", "chunk_size", "last_number"), 10),
    **dict.fromkeys(("pass_no", "since", "seq", "after_position", "part_no"), 1),
    **dict.fromkeys(("seconds", "patience", "again", "pause", "soon", "kept_seconds"), 60.0),
    **dict.fromkeys(("entity_id", "external_id", "ref", "name", "entry_id"), "c7"),
    **dict.fromkeys(("holder", "dead_holder"), "host/1/boot"),
    **dict.fromkeys(("alerts", "unscreened", "finished", "worked", "detailed"), True),
    **dict.fromkeys(("moves", "counts", "must_be_enabled", "with_embeddings"), True),
    **{name: ["queued", "running"] for name in ("sources", "targets", "open", "final")},
    **{name: ["title"] for name in ("one", "other")},
    **dict.fromkeys(("token_hash", "key_hash"), b"x"),
    "tenant_id": TENANT,
    "states": ["completed", "running"],
    "statuses": ["succeeded"],
    "status": "succeeded",
    "words": "%bank%",
    "labels": Json({}),
    "created_by": "usr",
    "queue": "screening",
    "collection_ids": None,
    "list_name": "list7",
    "model_version": "1",
    "email": "u7@example.com",
    "trace": "0123456789abcdef01234",
    "type": "watchlist",
    "run_id": "0123",
    "stakeholder_id": "0123456789abcdef01234",
    "whose": "",
    "change": "new",
    "revoked": False,
    "version": "7",
    "calibrated_seconds": 1.0,
    "rest": "cancelled",
    "interval": timedelta(days=1),
    "longest": timedelta(days=1),
    "intervals": json.dumps({"daily": "1 day"}),
    "rows": "[]",
    "keys": json.dumps([{"stakeholder_id": None, "source": "list7"}]),
    "months": [MONTH],
    "seqs": [1],
    "data": b"x",
}

#: Where a name means something else.
BY_PACKAGE: dict[str, dict[str, Any]] = {
    "app.jobs": {"kinds": ["kyc"]},
    "app.jobs.events": {"kinds": ["kyc"]},
    "app.screening": {"id": 7, "before": 7, "after": 8, "name": "list7"},
    "app.monitoring": {"after": ["c7", "list7", "e7"], "holder": SOMEBODY},
    "app.protection": {
        **{"rows": 1, "shortest": 86_400.0, "long": 1e7, "grace": 1e6, "whole": [MONTH]},
        **{"length": 4, "prefix": '"sea'},
    },
    "app.verifications": {"after": SOMEBODY, "user_id": "u7"},
    "app.accounts": {"name": "tenant 7"},
    "app.monitoring.verifications": {"longest": json.dumps({"daily": "1 day"})},
    "app.idempotency": {"digest": bytes(32), "request": SOMEBODY, "http_status": 200},
}
BY_QUERY: dict[str, dict[str, Any]] = {
    "app.jobs.list_batches": {"collection_id": "c7"},
    "app.jobs.add_counts": {"positions": "{[3,5)}"},
    "app.jobs.search_worked": {"words": None},
    "app.monitoring.list_subjects": {"after": "c7"},
    "app.monitoring.holders_on_list": {"after": "c7"},
    "app.protection.allow_deletion": {"id": str(SOMEBODY)},
    "app.protection.seal_items": {"rows": "[]"},
    "app.protection.seal_results": {"rows": "[]"},
    "app.protection.page_jobs": {"after": SOMEBODY},
    "app.protection.take_expired": {"after": datetime(2026, 1, 1, tzinfo=UTC)},
    "app.monitoring.note_vain": {"since": datetime(2026, 5, 1, tzinfo=UTC)},
    "app.verifications.list_audit": {"before": 100},
}

#: Queries that read all there is of something that grows, and why they may.
WHOLE = {
    "app.monitoring.list_outdated": "as many as are watched for updates, whatever they have had",
    "app.monitoring.verifications.list_outdated": "likewise",
    "app.accounts.list_members": "of all tenants on the command line only",
    "app.monitoring.population": "the index of everybody who is watched is built from it",
    "app.monitoring.population_numbers": "what that index may forget: four times a day",
    "app.monitoring.verifications.numbers": "likewise",
    "app.monitoring.verifications.watched": "likewise, for the index",
    "app.protection.kept_months": "once a night, and only the jobs of months that are over",
    "app.protection.used_months": "likewise",
    "app.protection.count_expired": "by hand only, to see what would be deleted",
    "app.protection.find_answers": "once, for a subject: jobs of faces are kept for a week",
    "app.protection.close_doors": "once, when a tenant is deleted",
    "app.protection.count_jobs": "to show how far a rotation of keys is",
}

#: Queries about all that a tenant has ever had, whenever that was.
EVERY_MONTH = {"app.protection.find_items", "app.protection.find_answers"}

_OPTIONAL = re.compile(r"%\((\w+)\)s(?:::[\w\[\]]+)? IS NULL OR|NOT %\((\w+)\)s\b")
#: A partition: it has as many rows as a month has, and there is one for each month.
_DATED = re.compile(r"_\d{6}(_|$)")
_OF_TABLE = re.compile(r"\b\w+\.")
_PARAMETER = re.compile(r"%\((\w+)\)s")

#: What execute_values puts into their place.
ROWS = {
    "app.monitoring.put_subjects": f"('{SOMEBODY}'::uuid, 'c7', '{{}}'::json)",
    "app.monitoring.put_hits": f"('{SOMEBODY}'::uuid, 'c7', 'list7', 'e7', '1', 1, '',"
    " '{}'::json)",
    "app.monitoring.delete_hits": f"('{SOMEBODY}', 'c7', 'list7', 'e7')",
    "app.monitoring.insert_changes": f"('{SOMEBODY}'::uuid, 0, '{SOMEBODY}'::uuid, 'c7', 'list7',"
    " 'e7', 'new', true, 1, 1, '{}'::json)",
    "app.monitoring.set_lists": f"('{SOMEBODY}'::uuid, 'list7', 7)",
}


@pytest.fixture(scope="module")
def history(servers) -> Iterator[Database]:
    """A database with the history of months, and statistics of it."""
    database = Database(servers.new_database("muster_history"), name="tests")
    with database.transaction() as tx:
        tx.execute("SET LOCAL session_replication_role = replica")
        tx.execute((HERE / "history.sql").read_text(encoding="utf-8"))
    with database.transaction() as tx:
        # As much as is needed to see what is large: five times as quick as the default.
        tx.execute("SET LOCAL default_statistics_target = 20")
        tx.execute("ANALYZE")
    yield database
    database.close()


class Tables:
    """How many rows there are where, and which partitions belong together."""

    def __init__(self, tx: Any) -> None:
        tx.execute(
            "SELECT relname AS name, reltuples AS rows,"
            " coalesce(pg_partition_root(oid)::regclass::text, relname) AS root,"
            " CASE WHEN relkind = 'i' THEN pg_get_indexdef(oid, 1, true) END AS leading"
            " FROM pg_class WHERE relkind IN ('r', 'i', 'p', 'I')"
        )
        rows = tx.fetchall()
        self.rows = {row["name"]: row["rows"] for row in rows}
        self.root = {row["name"]: row["root"] for row in rows}
        #: What each index is ordered by first: a condition on it alone narrows a scan down.
        self.leading = {row["name"]: row["leading"] for row in rows}

    def grows(self, name: str) -> bool:
        return self.rows.get(name, 0) > FEW


def arguments(query: str, sql: str, *, wide: bool) -> dict[str, Any]:
    """Return what the query is asked for; `wide`: with nothing of what it can do without."""
    where, _, _ = query.rpartition(".")
    asked = ASKED | BY_PACKAGE.get(where, {}) | BY_QUERY.get(query, {})
    given = {name: asked.get(name) for name in _PARAMETER.findall(sql)}
    if wide:
        for optional, flag in _OPTIONAL.findall(sql):
            given[optional or flag] = None if optional else False
    return given


def nodes(plan: dict[str, Any], *, limited: bool = False) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield each node, and whether somebody above it stops when there is enough."""
    yield plan, limited
    # A sort wants everything before it gives anything.
    below = plan["Node Type"] == "Limit" or (limited and plan["Node Type"] not in ("Sort", "Hash"))
    for each in plan.get("Plans", ()):
        yield from nodes(each, limited=below)


def explained(
    tx: Any, query: str, sql: str, given: dict[str, Any], *, run: bool = False, scans: bool = True
) -> dict[str, Any]:
    """Return the plan; `run`: with what it did; not `scans`: as if scans were very dear."""
    tx.execute(f"SET LOCAL enable_seqscan = {'on' if scans else 'off'}")
    sql = sql.replace("VALUES %s", f"VALUES {ROWS.get(query)}")
    tx.execute(f"EXPLAIN (FORMAT JSON{', ANALYZE' * run}) {sql}", given)
    plan: dict[str, Any] = next(iter(tx.fetchone().values()))[0]["Plan"]
    return plan


def faults(tables: Tables, plan: dict[str, Any]) -> list[str]:
    """Return what of the plan takes longer the longer the platform has been used."""
    found = []
    for node, limited in nodes(plan):
        name, index = node.get("Relation Name", ""), node.get("Index Name", "")
        whole = name if node["Node Type"] == "Seq Scan" else index
        condition = _OF_TABLE.sub("", node.get("Index Cond", ""))
        narrow = index and tables.leading[index] in condition
        if tables.grows(whole) and not narrow and not limited:
            found.append(f"reads all of {whole}")
        if node.get("One-Time Filter") == "false":
            found.append("asks for nothing: give it something in ASKED")
    return found


def partitions(tables: Tables, plan: dict[str, Any]) -> dict[str, set[str]]:
    """Return which partitions of each table the plan looks into, or did."""
    found: dict[str, set[str]] = {}
    for node, _ in nodes(plan):
        name = node.get("Relation Name", "")
        if tables.root.get(name, name) != name and node.get("Actual Loops", 1) > 0:
            found.setdefault(tables.root[name], set()).add(name)
    return found


def plannable(where: str) -> dict[str, str]:
    """Return the queries that have a plan."""
    return {
        f"{where}.{name}": sql
        for name, sql in load_queries(where).items()
        if re.match(r"(?:--[^\n]*\n)*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", sql)
    }


@pytest.fixture(params=FILES, ids=package)
def where(request) -> str:
    return package(request.param)


def fault_of(tx: Any, tables: Tables, query: str, sql: str, *, wide: bool) -> list[str]:
    given = arguments(query, sql, wide=wide)
    found = faults(tables, explained(tx, query, sql, given))
    if any(_DATED.search(name) for name in found):
        return found
    # A few thousand rows may well be quicker read as a whole: is there another way for more?
    return found and faults(tables, explained(tx, query, sql, given, scans=False))


def test_no_query_reads_all_of_what_grows(history, where):
    with history.transaction() as tx:
        tables = Tables(tx)
        slow = {
            f"{query}{' with nothing asked' * wide}": found
            for query, sql in plannable(where).items()
            for wide in (False, True)
            if (found := fault_of(tx, tables, query, sql, wide=wide)) and query not in WHOLE
        }

    assert slow == {}


def test_no_query_looks_into_partitions_that_it_need_not(history):
    """Of one job in one of each table, that of its kind and month; else only where it must."""
    wasteful = {}
    seen = set()
    with history.transaction() as tx:
        tx.execute("SELECT id FROM jobs WHERE kind = 'documents' AND state = 'running'")
        job_id = tx.fetchone()["id"]
        tables = Tables(tx)
        for query, sql in (each for file in FILES for each in plannable(package(file)).items()):
            given = arguments(query, sql, wide=False)
            plan = explained(tx, query, sql, given)
            found = partitions(tables, plan)
            if any(len(names) > 1 for names in found.values()):
                # Of several jobs, by rows of others: where it looks is seen when it runs.
                given |= {"ids": [job_id], "job_id": job_id, "dialect": "documents"}
                given |= {"tenant_id": owner(tx, job_id)}
                found = partitions(tables, explained(tx, query, sql, given, run=True))
            seen.update(found)
            if query not in EVERY_MONTH:
                wasteful |= {f"{query}: {name}": v for name, v in found.items() if len(v) > 1}

    assert wasteful == {}
    assert seen == {"items", "results", "job_events"}


def owner(tx: Any, job_id: UUID) -> UUID:
    tx.execute("SELECT tenant_id FROM jobs WHERE id = %s", (job_id,))
    tenant_id: UUID = tx.fetchone()["tenant_id"]
    return tenant_id
