"""The demo against a server of the test's own that speaks the two endpoints a client needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app import demo
from app.sample.people import batch

TOKEN = "test-token"
JOB = "550e8400-e29b-41d4-a716-446655440000"
COUNT = 200


class Service:
    """What the stand-in answers next, and what it has been asked."""

    def __init__(self) -> None:
        self.url = ""
        self.entities: list[dict] = []
        self.conditions: list[str | None] = []
        self.refusal: tuple[int, bytes] | None = None
        self.jobs: list[dict] = []

    def answer(self, method: str, headers, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {}, _flat("invalid_token", "The token is not valid.")
        if self.refusal:
            return self.refusal[0], {}, self.refusal[1]
        if method == "POST":
            self.entities = json.loads(body)["entities"]
            return 200, {}, json.dumps({"status": "success", "job_id": JOB}).encode()
        asked = headers["If-None-Match"]
        self.conditions.append(asked)
        # Each state is told once and then, to a client that has seen it, not modified once.
        etag = f'"{len(self.jobs)}"'
        if asked == etag:
            self.jobs.pop(0)
            return 304, {"ETag": etag}, b""
        return 200, {"ETag": etag}, json.dumps(self.jobs[0]).encode()


def _flat(code: str, message: str) -> bytes:
    return json.dumps({"status": "error", "error": "No", "code": code, "message": message}).encode()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            status, headers, answer = service.answer(self.command, self.headers, body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _serve

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    yield service
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setattr(demo, "FIRST_PAUSE", 0.001)

    def run(*arguments: str, **environment: str) -> Result:
        arguments = arguments or ("--url", service.url, "--token", TOKEN)
        return CliRunner(env=environment).invoke(demo.main, ["--entities", str(COUNT), *arguments])

    return run


def _job(done: int, status: str = "processing", **more: object) -> dict:
    return {
        "job_id": JOB,
        "job_status": status,
        "total_entities": COUNT,
        "processed_entities": done,
        "failed_entities": 0,
        "matches_found": 0,
        **more,
    }


def _completed(missed: int = 0, **more: object) -> dict:
    """A finished job that found every planted entity but the first `missed`."""
    sample = batch(COUNT)
    found = list(sample.planted)[missed:]
    results = [_result(each["entity_id"], each["entity_id"] in found) for each in sample.entities]
    done = {"results": results, "matches_found": len(found), **more}
    return _job(COUNT, "completed", **done)


def _result(entity_id: str, is_match: bool) -> dict:
    matches = []
    if is_match:
        planted = batch(COUNT).planted[entity_id]
        matches.append(
            {
                "list_name": "sample",
                "confidence_score": 0.9712,
                "match_type": "name",
                "matched_fields": ["full_name", "birth_date"],
                "match_data": {"id": planted.entry_id, "name": planted.listed_name},
            }
        )
    return {
        "entity_id": entity_id,
        "status": "completed",
        "is_match": is_match,
        "match_count": len(matches),
        "matches": matches,
    }


def test_a_batch_is_submitted_watched_and_its_matches_are_shown(service, run):
    service.jobs = [_job(0), _job(100), _completed()]

    result = run()

    assert result.exit_code == 0, result.output
    assert service.entities == batch(COUNT).entities
    assert "50 %  100 of 200 screened" in result.output
    assert "6 of 200 entities match a list" in result.output
    for entity_id, planted in batch(COUNT).planted.items():
        row = next(line for line in result.output.splitlines() if entity_id in line)
        assert planted.listed_name.split()[0] in row
        assert "0.97" in row
        assert "name, birth date" in row
        assert planted.variant.split()[0] in row


def test_the_summary_counts_what_was_found_and_names_what_was_not(service, run):
    service.jobs = [_completed(missed=1)]

    result = run()

    assert result.exit_code == 0
    assert "200 entities in" in result.output
    assert "found 5 of 6 planted" in result.output
    (missed, planted), *_ = batch(COUNT).planted.items()
    assert f"not found: {missed}, {planted.listed_name} ({planted.variant})" in result.output


def test_the_last_lines_say_where_to_go_next(service, run):
    service.jobs = [_completed()]

    result = run()

    assert f"{service.url}/kyc/jobs/{JOB}" in result.output
    assert "muster submit" in result.output
    assert "docs/" in result.output
    assert TOKEN not in result.output


def test_where_the_platform_ends_with_the_demo_the_first_step_is_to_start_it_again(service, run):
    service.jobs = [_completed()]

    shown = run("--url", service.url, "--token", TOKEN, "--passing").output
    steps = shown.partition("Where to go next")[2]

    assert service.url not in steps, "nobody will answer there"
    start, commands = steps.index("python3 dev.py up"), steps.index("in another terminal")
    assert start < commands < steps.index("muster lists update")
    said = [word for word in steps.split() if word.endswith("/muster")]
    assert said
    # Beside the Python that runs this, since nobody has activated its environment.
    for program in said:
        assert (Path.cwd() / program).parent == Path(sys.prefix) / "bin"


def test_polls_say_which_version_they_have_seen(service, run):
    service.jobs = [_job(0), _job(100), _completed()]

    run()

    assert service.conditions == [None, '"3"', '"3"', '"2"', '"2"']


def test_a_terminal_gets_a_bar(service, run):
    service.jobs = [_job(0), _completed()]

    result = run(FORCE_COLOR="1", COLUMNS="150")

    assert result.exit_code == 0
    assert "━" in result.output
    assert "200/200" in result.output


def test_a_name_with_square_brackets_is_shown_as_it_is(service, run):
    job = _completed()
    match = next(each for each in job["results"] if each["is_match"])["matches"][0]
    match["match_data"]["name"] = "ACME [bold] LTD"
    service.jobs = [job]

    assert "ACME [bold] LTD" in run().output


def test_an_entity_that_matches_another_entry_than_its_own_is_not_counted_as_found(service, run):
    job = _completed()
    match = next(each for each in job["results"] if each["is_match"])["matches"][0]
    match["match_data"]["id"] = "ofac-1"
    service.jobs = [job]

    result = run()

    assert "found 5 of 6 planted" in result.output
    assert "another entry" in result.output


def test_a_token_that_is_refused_ends_in_a_sentence(service, run):
    result = run("--url", service.url, "--token", "another")

    assert result.exit_code == 1
    assert "did not accept the token (The token is not valid.)" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (400, _flat("invalid_entities", "1 of 200 entities is invalid."), "1 of 200 entities is"),
        (403, _flat("insufficient_permissions", "Not you."), "It needs kyc:create"),
        (502, b"<html>Bad gateway</html>", "answered 502"),
        (200, b"hello", "Is it really Muster?"),
    ],
)
def test_an_answer_that_is_no_job_ends_in_a_sentence(service, run, status, body, sentence):
    service.refusal = (status, body)

    result = run()

    assert result.exit_code == 1
    assert sentence in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://127.0.0.1:9", "cannot be reached. Is Muster running there?"),
        ("127.0.0.1:9", "give an address such as"),
    ],
)
def test_a_server_that_is_not_there_ends_in_a_sentence(run, url, sentence):
    result = run("--url", url, "--token", TOKEN)

    assert result.exit_code == 1
    assert sentence in result.output


def test_a_job_that_fails_ends_in_its_own_reason(service, run):
    service.jobs = [
        _job(0, "failed", error={"code": "no_lists_loaded", "message": "No list is loaded."})
    ]

    result = run()

    assert result.exit_code == 1
    assert "The job failed: No list is loaded." in result.output


def test_a_job_of_which_no_entity_could_be_screened_is_a_failure(service, run):
    results = [
        {**_result(each["entity_id"], False), "error": {"message": "List sample is not loaded."}}
        for each in batch(COUNT).entities
    ]
    service.jobs = [_completed(results=results, failed_entities=COUNT)]

    result = run()

    assert result.exit_code == 1
    assert "List sample is not loaded." in result.output


def test_a_job_that_takes_too_long_is_left_to_go_on(service, run):
    service.jobs = [_job(0)] * 5000

    result = run("--url", service.url, "--token", TOKEN, "--timeout", "0.05")

    assert result.exit_code == 1
    assert f"muster show {JOB}" in result.output


def test_ctrl_c_ends_the_demo_without_a_word(service, run, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_wait", interrupted)

    result = run()

    assert result.exit_code == 130
    assert result.output.splitlines() == [f"Submitting {COUNT} entities to {service.url}/kyc/jobs"]


def test_ctrl_c_ends_the_demo_without_a_word_while_it_is_loaded(tmp_path):
    """A module of this name presses Ctrl-C when it is imported."""
    (tmp_path / "rich.py").write_text("import signal; signal.raise_signal(signal.SIGINT)\n")

    ended = subprocess.run(
        [sys.executable, "-m", "app.demo"],
        env={"PYTHONPATH": f"{tmp_path}:{Path(demo.__file__).parents[1]}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_address_and_token_may_come_from_the_environment(service):
    service.jobs = [_completed()]
    environment = {**os.environ, "MUSTER_URL": service.url, "MUSTER_TOKEN": TOKEN}

    done = subprocess.run(
        [sys.executable, "-m", "app.demo", "--entities", str(COUNT)],
        cwd=Path(demo.__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "found 6 of 6 planted" in done.stdout
    assert done.stderr == ""
