"""No CSV that we write runs a formula where it is opened."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from app.api.spreadsheets import cell
from tests.kyc import ended, house_list, screener
from tests.tagging import ended as tagged
from tests.tagging import start

__all__ = ["house_list", "screener"]

ROOT = Path(__file__).parents[2]
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "=cmd|' /C calc'!A0")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_that_begins_like_a_formula_is_a_text(text):
    assert cell(text) == "'" + text


@pytest.mark.parametrize("value", ["Ann", "a=b", "1-1", "", None, 7, -7, 0.5, True])
def test_any_other_cell_is_as_it_was(value):
    assert cell(value) == value


def test_every_file_that_writes_csv_to_a_client_makes_its_cells_so():
    writers = [
        path
        for path in (ROOT / "app" / "api").rglob("*.py")
        # One writes a template, which is ours to the letter.
        if re.search(r"csv\.(writer|DictWriter)\(", path.read_text())
        and path.name != "documents_single.py"
    ]

    assert len(writers) >= 3
    for path in writers:
        assert "from app.api.spreadsheets import cell" in path.read_text(), path


def rows(client, path: str) -> list[list[str]]:
    answer = client.get(path, headers={"Accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.mimetype == "text/csv"
    return list(csv.reader(io.StringIO(answer.text)))


@pytest.mark.integration
def test_no_download_of_any_dialect_holds_a_formula(client, house_list, screener):
    subject = {"full_name": "Zebulon Quartermain"}
    entities = [
        {"entity_id": text, "subject": subject} for text in FORMULAS if text.strip() == text
    ]
    screened = client.post("/kyc/jobs", json={"entities": entities}).json["job_id"]
    documents = [
        {"id": f"d{n}", "title": text, "text": "A bank.", "description": text, text: text}
        for n, text in enumerate(FORMULAS)
    ]
    batch = start(client, documents).json["job_id"]
    ended(client, screened)
    tagged(client, batch)
    native = [job["id"] for job in client.get("/v1/jobs").json["data"]]
    assert len(native) == 2

    found = 0
    for path in (
        f"/kyc/jobs/{screened}/results",
        f"/api/batch/jobs/{batch}/results",
        *(f"/v1/jobs/{job_id}/results" for job_id in native),
    ):
        for row in rows(client, path):
            for text in row:
                assert not text.lstrip().startswith(("=", "+", "@")), (path, row)
                found += text.startswith("'")
    assert found > len(FORMULAS)
