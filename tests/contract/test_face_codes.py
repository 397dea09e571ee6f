"""The codes of faces are public: none changes, and none is new, without a line here."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from app.faces import codes

ROOT = Path(__file__).parents[2]

#: Never reuse or rename a code: clients decide by it.
PINNED = {
    *("face_not_detected", "multiple_faces", "face_quality_too_low", "duplicate_external_id"),
    *("invalid_image", "image_too_large", "image_too_small", "image_timeout"),
    *("face_not_found", "quota_exceeded"),
}
REASONS = {
    *("LOW_SHARPNESS", "LOW_BRIGHTNESS", "HIGH_BRIGHTNESS", "SMALL_BOUNDING_BOX"),
    *("EXTREME_POSE", "LOW_CONFIDENCE", "EXCEEDS_MAX_FACES"),
}


def test_every_code_and_reason_is_pinned_and_has_its_line_in_the_docs():
    page = (ROOT / "docs" / "faces.md").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))

    assert set(codes.CODES) == PINNED
    assert set(codes.REASONS) == REASONS
    assert {code: lines.get(code.upper()) for code in codes.CODES} == dict(codes.CODES)
    assert {code: lines.get(code) for code in codes.REASONS} == dict(codes.REASONS)


def test_every_failure_of_an_image_names_its_code_by_the_table():
    """`ItemError(codes.X, ...)`, so that no code is spelled anew."""
    strangers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (ROOT / "app" / "faces").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "ItemError"
        and isinstance(node.args[0], ast.Constant)
    ]

    assert strangers == []
