"""The codes of documents are public: none changes, and none is new, without a line here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from app.documents import codes

ROOT = Path(__file__).parents[2]

#: Never reuse or rename a code: clients decide by it.
PINNED = {
    *("invalid_source", "source_not_configured", "not_found", "path_not_allowed"),
    *("address_not_allowed", "too_many_redirects", "fetch_failed", "timeout"),
    *("document_too_large", "document_too_complex", "unsupported_type", "corrupt_document"),
    *("encrypted", "needs_ocr", "empty_document"),
}


def test_every_code_is_pinned_and_has_its_line_in_the_docs():
    page = (ROOT / "docs" / "documents.md").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))

    assert set(codes.CODES) == PINNED
    assert {code: lines.get(code) for code in codes.CODES} == dict(codes.CODES)


def test_every_failure_of_a_document_names_its_code_by_the_table():
    """`ItemError(codes.X, ...)`, so that no code is spelled anew."""
    strangers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "app" / "documents").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "ItemError"
        and isinstance(node.args[0], ast.Constant)
    ]

    assert strangers == []
