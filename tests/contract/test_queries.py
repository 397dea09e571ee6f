"""Every query has one caller, of its own name, and every caller finds its query."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from app.db import load_queries

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "app").rglob("store.sql"))


def package(path: Path) -> str:
    return ".".join(path.parent.relative_to(ROOT).parts)


@pytest.fixture(params=FILES, ids=package)
def sql(request) -> Path:
    return request.param


def uses(sql: Path) -> dict[str, set[str]]:
    """Return which queries each function of the store beside the file names."""
    tree = ast.parse(sql.with_suffix(".py").read_text(encoding="utf-8"))
    found = {}
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            found[function.name] = {
                node.slice.value
                for node in ast.walk(function)
                if isinstance(node, ast.Subscript)
                and isinstance(node.value, ast.Name)
                and node.value.id == "QUERIES"
            }
    return found


def test_there_are_stores_to_look_at():
    assert {package(sql) for sql in FILES} >= {"app.jobs", "app.screening", "app.accounts"}


def test_every_query_is_called_by_the_function_of_its_name(sql):
    called = {query: name for name, queries in uses(sql).items() for query in queries}

    assert called == {query: query for query in load_queries(package(sql))}


def test_no_name_stands_twice(sql):
    names = re.findall(r"^-- name: (\S+)$", sql.read_text(encoding="utf-8"), re.MULTILINE)

    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert set(names) == set(load_queries(package(sql)))


def test_no_sql_stands_outside_the_sql_files():
    """Save in migrate.py, which keeps the one table that no migration can make."""
    telling = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b.*\b(FROM|INTO|SET|WHERE)\b")
    strangers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("app", "workers")
        for path in (ROOT / folder).rglob("*.py")
        if path != ROOT / "app" / "migrate.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and telling.search(node.value)
    ]

    assert strangers == []
