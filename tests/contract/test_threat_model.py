"""docs/threat-model.md names a test for every threat, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(?:(\w+)::)?(test_\w+))?`")
#: Written beside this page; the rest of the row holds without it.
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| threat", "| ---"))
]


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_threat_says_what_is_done_what_remains_and_by_which_test():
    assert len(ROWS) > 15
    for row in ROWS:
        assert len(row) == 4, row
        assert all(row), row
        assert NAMED.search(row[3]), row


def test_every_test_that_the_page_names_exists():
    missing = [
        (path, test)
        for path, _, test in NAMED.findall(PAGE)
        if not (ROOT / path).is_file() or (test and test not in names_in(ROOT / path))
    ]

    assert missing == []


def test_every_test_of_security_is_on_the_page():
    here = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/security/test_*.py")}

    assert here <= {path for path, _, _ in NAMED.findall(PAGE)}
