"""One JSON object a line, with the job it belongs to and nothing that an exception quotes."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from app import logs

ROOT = Path(__file__).parents[2]

log = logging.getLogger("tests.logs")


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict]]]:
    """Return what was logged, one object for each line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    log.addHandler(handler)
    log.setLevel("INFO")
    yield lambda: [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    log.removeHandler(handler)


def test_a_line_says_when_how_grave_where_from_and_what(lines):
    log.info("job.submitted", extra={"items": 3})

    (line,) = lines()
    assert line.pop("at")
    assert line == {
        "level": "info",
        "logger": "tests.logs",
        "event": "job.submitted",
        "items": 3,
    }


def test_what_is_bound_stands_on_every_line_of_the_block_and_on_none_after(lines):
    with logs.bind(job_id="j1"):
        log.info("outer")
        with logs.bind(chunk=7):
            log.info("inner")
        log.info("outer again")
    log.info("after")

    assert [(line.get("job_id"), line.get("chunk")) for line in lines()] == [
        ("j1", None),
        ("j1", 7),
        ("j1", None),
        (None, None),
    ]


def test_a_block_that_fails_binds_nothing_any_more(lines):
    with pytest.raises(ValueError, match="x"), logs.bind(job_id="j1"):
        raise ValueError("x")
    log.info("after")

    assert "job_id" not in lines()[0]


def test_an_exception_is_told_by_type_and_place_and_never_by_its_text(lines):
    try:
        raise ValueError("Zebulon Quartermain, born 1961-04-12")
    except ValueError:
        log.exception("item.failed")

    (line,) = lines()
    assert line["traceback"].startswith("ValueError at ")
    assert "test_logs.py" in line["traceback"]
    assert "Quartermain" not in json.dumps(line)


def test_the_cause_of_an_exception_is_not_quoted_either(lines):
    try:
        try:
            raise KeyError("Zebulon Quartermain")
        except KeyError as error:
            raise RuntimeError("wrapped") from error
    except RuntimeError:
        log.exception("item.failed")

    assert "Quartermain" not in json.dumps(lines())


def test_whatever_is_logged_stays_on_one_line(lines):
    log.info("line\nbreak", extra={"text": "a\r\nb\u2028c", "\n": "key"})

    (line,) = lines()
    assert line["event"] == "line\nbreak"


def test_values_that_json_does_not_know_are_written_as_texts(lines):
    log.info("job.submitted", extra={"job": UUID(int=1), "way": {1}})

    (line,) = lines()
    assert line["job"] == "00000000-0000-0000-0000-000000000001"


def test_a_program_logs_to_standard_error_from_its_level_on():
    program = (
        "import logging; from app import logs; logs.configure('WARNING');"
        "log = logging.getLogger('x'); log.info('quiet'); log.warning('loud')"
    )

    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )

    assert ran.stdout == ""
    (line,) = ran.stderr.splitlines()
    assert json.loads(line)["event"] == "loud"
