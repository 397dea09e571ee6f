"""Hostile and clumsy requests: each is answered in words, and nothing accepted is lost."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
import requests

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from tests.kyc import (
    CLEAR,
    LISTED,
    Web,
    assert_flat,
    ended,
    house_list,
    screener,
    serving,
    waiting,
)

__all__ = ["house_list", "screener", "waiting"]

pytestmark = pytest.mark.integration

JSON = "application/json"


@pytest.fixture(scope="module")
def gunicorn(settings, tmp_path_factory) -> Iterator[Web]:
    """The web process that is run in production: only there do bodies arrive over a socket."""
    with serving(settings, tmp_path_factory.mktemp("web")) as web:
        yield web


def send(client, raw: bytes | str, content_type: str | None = JSON, **headers: str):
    return client.post("/kyc/jobs", data=raw, content_type=content_type, headers=headers)


def batch(*names: str) -> str:
    """A batch as JSON text, with the names put in as they stand: already escaped, or not."""
    entities = ",".join('{"subject":{"full_name":"' + name + '"}}' for name in names)
    return '{"entities":[' + entities + "]}"


def names_stored(database) -> list[str]:
    with database.transaction() as tx:
        tx.execute(
            "SELECT payload -> 'subject' ->> 'full_name' AS name FROM items ORDER BY position"
        )
        return [row["name"] for row in tx.fetchall()]


# --- what is no JSON

NOT_JSON = {
    "nothing": b"",
    "space": b"  \n",
    "truncated object": b'{"entities": [{"subject": {"full_name": "Any',
    "truncated after a value": b'{"entities": []',
    "two values": b"{}{}",
    "a comma too many": b'{"entities": [],}',
    "single quotes": b"{'entities': []}",
    "a comment": b'{"entities": [] /* none */}',
    "NaN": b'{"threshold": NaN, "entities": [{"subject": {"full_name": "A"}}]}',
    "Infinity": b'{"threshold": Infinity, "entities": []}',
    "-Infinity": b"[-Infinity]",
    "a number of 5,000 digits": b'{"entities": [' + b"9" * 5_000 + b"]}",
    "a raw NUL": b'{"entities": [{"subject": {"full_name": "A\x00"}}]}',
    "a raw line end": b'{"entities": [{"subject": {"full_name": "A\n"}}]}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"entities": []}'.encode("utf-16"),
    "Latin-1": '{"entities": [{"subject": {"full_name": "Jörg"}}]}'.encode("latin-1"),
    "a surrogate in UTF-8": b'{"entities": [{"subject": {"full_name": "\xed\xa0\x80"}}]}',
    "overlong UTF-8": b'{"entities": [{"subject": {"full_name": "\xc0\xaf"}}]}',
    "nested lists": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "a key twice": b'{"entities": [], "entities": []}',
    "a key twice, far inside": b'{"entities": [{"subject": {"full_name": "A", "full_name": "B"}}]}',
    "a key twice, once escaped": rb'{"entities": [], "\u0065ntities": []}',
}


@pytest.mark.parametrize("raw", NOT_JSON.values(), ids=NOT_JSON.keys())
def test_what_is_not_json_is_refused_as_such(client, raw):
    assert_flat(send(client, raw), 400, "malformed_json")


def test_deep_nesting_of_what_nobody_reads_is_refused_or_ignored_but_never_a_failure(client):
    deep = "[" * 900 + "]" * 900
    raw = '{"entities": [{"subject": {"full_name": "A"}, "more": ' + deep + "}]}"

    assert send(client, raw).status_code == 200


def test_a_large_object_with_one_key_twice_is_refused_at_once(client):
    """Looking each of 200,000 names up in the rest would take minutes."""
    names = [f"k{n}" for n in range(200_000)]
    raw = "{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}"

    began = time.monotonic()
    answer = send(client, raw)

    error = assert_flat(answer, 400, "malformed_json")
    assert "'k199999'" in error["message"]
    assert time.monotonic() - began < 5


# --- texts

UNSTORABLE = {
    "NUL": r"\u0000",
    "NUL inside": r"Any\u0000Body",
    "first half of a pair": r"\ud83d",
    "second half of a pair": r"\ude00",
    "halves in the wrong order": r"\ude00\ud83d",
    "a half before a pair": r"\ud83d\ud83d\ude00",
}


@pytest.mark.parametrize("name", UNSTORABLE.values(), ids=UNSTORABLE.keys())
def test_a_text_that_cannot_be_stored_is_refused_by_its_path(client, database, name):
    error = assert_flat(send(client, batch("Any Body", name)), 400, "invalid_entities")

    (detail,) = error["details"]
    assert (detail["index"], detail["path"]) == (1, "subject.full_name")
    assert names_stored(database) == []


@pytest.mark.parametrize(
    "raw",
    [
        r'{"entities": [{"entity_id": "\ud800", "subject": {"full_name": "A"}}]}',
        r'{"entities": [{"subject": {"document_id": "\u0000"}}]}',
        r'{"entities": [{"subject": {"identifiers": [{"type": "\udfff", "value": "1"}]}}]}',
        r'{"entities": [{"subject": {"identifiers": [{"type": "a", "value": "\u0000"}]}}]}',
        r'{"entities": [{"subject": {"full_name": "A"}, "lists": ["\u0000"]}]}',
        r'{"entities": [{"subject": {"full_name": "A"}, "search_type": "\ud800"}]}',
    ],
)
def test_no_field_takes_a_text_that_cannot_be_stored(client, raw):
    assert_flat(send(client, raw), 400, "invalid_entities")


@pytest.mark.parametrize("labels", [r'{"a": "\u0000"}', r'{"\ud800": "a"}'])
def test_no_label_takes_a_text_that_cannot_be_stored(client, labels):
    raw = batch("Any Body")[:-1] + ', "labels": ' + labels + "}"

    assert_flat(send(client, raw), 400, "invalid_parameter")


def test_fields_that_nobody_reads_may_hold_anything(client):
    raw = r'{"entities": [{"subject": {"full_name": "A"}, "x": "\u0000"}], "\ud800": "\ud800"}'

    assert send(client, raw).status_code == 200


STORABLE = {
    r"\ud83d\ude00 Smile": "😀 Smile",
    "😀 Smile": "😀 Smile",
    r"back\\slash": "back\\slash",
    r"back\\u0000slash": "back\\u0000slash",
    r"tab\tline\nend\r": "tab\tline\nend\r",
    r"quote\" and \/": 'quote" and /',
    "\\\\N": "\\N",
    r"\\.": "\\.",
    "Ж" * 500: "Ж" * 500,
    "\u202eright to left": "\u202eright to left",
    "e\u0301": "e\u0301",
    r"\u007f": "\x7f",
    "' OR 1=1; DROP TABLE jobs; --": "' OR 1=1; DROP TABLE jobs; --",
    "%s %(name)s {0}": "%s %(name)s {0}",
}


def test_every_other_text_is_stored_to_the_letter(client, database, house_list, screener):
    answer = send(client, batch(*STORABLE))

    assert answer.status_code == 200, answer.json
    assert names_stored(database) == list(STORABLE.values())
    job = ended(client, answer.json["job_id"])
    assert (job["completed_entities"], job["failed_entities"]) == (len(STORABLE), 0)


def test_an_entity_id_comes_back_to_the_letter(client, house_list, screener):
    written = {text: each for each, text in STORABLE.items() if len(text) <= 128}
    entities = [
        '{"entity_id":"' + each + '","subject":{"full_name":"A"}}' for each in written.values()
    ]

    answer = send(client, '{"entities":[' + ",".join(entities) + "]}")
    job = ended(client, answer.json["job_id"])

    assert [result["entity_id"] for result in job["results"]] == list(written)


def test_a_name_of_a_megabyte_is_refused_without_being_repeated(client):
    answer = send(client, batch("x" * 1_000_000))

    assert_flat(answer, 400, "invalid_entities")
    assert len(answer.data) < 1_000


def test_an_entity_id_of_a_megabyte_is_refused_without_being_repeated(client):
    entity = {"entity_id": "x" * 1_000_000, "subject": {}}

    answer = send(client, json.dumps({"entities": [entity]}))

    assert assert_flat(answer, 400, "invalid_entities")["details"][0]["entity_id"] is None
    assert len(answer.data) < 1_000


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 400, "1e-400", "-0.0"])
def test_a_number_beyond_all_bounds_is_no_failure(client, number):
    answer = send(client, batch("Any Body")[:-1] + f', "threshold": {number}' + "}")

    assert answer.status_code in {200, 400}
    if answer.status_code == 400:
        assert_flat(answer, 400, "invalid_parameter")


# --- headers


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/xml",
        "application/json-seq",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json; charset=nonsense",
        "json",
        "\x01",
    ],
)
def test_a_body_of_a_strange_type_or_charset_is_refused(client, content_type):
    assert_flat(send(client, batch("Any Body"), content_type), 400, "invalid_parameter")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json;charset=us-ascii",
        "application/problem+json",
    ],
)
def test_json_is_recognised_however_it_is_announced(client, content_type):
    assert send(client, batch("Any Body"), content_type).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity", "nonsense"])
def test_a_packed_body_is_refused_and_not_taken_for_plain(client, encoding):
    answer = send(client, batch("Any Body"), **{"Content-Encoding": encoding})

    assert_flat(answer, 400, "invalid_parameter")


@pytest.mark.parametrize(
    "prefer",
    [
        "",
        ",",
        ";",
        "=",
        "handling",
        "handling=",
        "handling=strict",
        "handling=lenientish",
        "handling='lenient'",
        "wait=x",
        "wait=-1",
        "respond-async",
        "x" * 5_000,
    ],
)
def test_a_preference_that_is_not_understood_changes_nothing(client, prefer):
    raw = json.dumps({"entities": [CLEAR, {}]})

    answer = send(client, raw, Prefer=prefer)

    assert_flat(answer, 400, "invalid_entities")
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize(
    "prefer",
    [
        "handling=lenient",
        "Handling=Lenient",
        'handling="lenient"',
        "handling = lenient; why=not",
        "respond-async, handling=lenient",
        "wait=5,handling=lenient",
    ],
)
def test_leniency_is_understood_in_every_spelling_of_the_standard(client, prefer):
    raw = json.dumps({"entities": [CLEAR, {}]})

    answer = send(client, raw, Prefer=prefer)

    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "handling=lenient"


@pytest.mark.parametrize("accept", ["text/html", "image/*", "", "*/*;q=0", "nonsense", "\x01"])
def test_nobody_is_sent_a_page_for_asking_for_one(client, waiting, accept):
    job = waiting()
    for path in (f"/kyc/jobs/{job.external_id}/results", "/kyc/jobs", "/kyc/nothing", "/nothing"):
        answer = client.get(path, headers={"Accept": accept})

        assert answer.status_code in {200, 404}
        assert "html" not in answer.headers["Content-Type"]


# --- other tenants


@pytest.fixture
def stranger(web, resources, settings):
    other = accounts.ensure_tenant(resources.db, "other")
    token = tokens.mint_access(settings, other.id, "usr_other", PERMISSIONS[Role.ADMIN])
    client = web.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


def test_what_belongs_to_another_tenant_answers_as_what_does_not_exist(client, stranger, waiting):
    job = waiting()
    url = f"/kyc/jobs/{job.external_id}"
    client.get(url)  # the live picture is there now, and is not for strangers either
    nowhere = "/kyc/jobs/550e8400-e29b-41d4-a716-446655440000"

    for method, path in (("GET", ""), ("GET", "/results"), ("POST", "/cancel"), ("POST", "/retry")):
        foreign = stranger.open(url + path, method=method)
        absent = stranger.open(nowhere + path, method=method)
        said = [assert_flat(each, 404, "job_not_found") for each in (foreign, absent)]
        for body in said:
            del body["request_id"]
        assert said[0] == said[1]

    assert stranger.get("/kyc/jobs").json["jobs"] == []
    assert client.get(url).json["job_status"] == "processing"


def test_a_cursor_of_another_tenant_opens_nothing(client, stranger, waiting):
    waiting(), waiting()
    cursor = client.get("/kyc/jobs?limit=1").json["next_cursor"]

    assert stranger.get("/kyc/jobs", query_string={"cursor": cursor}).json["jobs"] == []


# --- how much


def test_ten_thousand_entities_are_accepted_and_screened_to_the_last(client, house_list, screener):
    entities = [{"subject": {"full_name": f"Number {n}"}} for n in range(9_999)]

    answer = send(client, json.dumps({"entities": [*entities, LISTED]}))
    job = ended(client, answer.json["job_id"], results="false")

    assert (job["completed_entities"], job["matches_found"]) == (10_000, 1)


def test_one_more_than_ten_thousand_is_refused(client):
    error = assert_flat(
        send(client, json.dumps({"entities": [CLEAR] * 10_001})), 400, "too_many_entities"
    )

    assert error["details"]["received"] == 10_001


def test_of_ten_thousand_invalid_entities_the_first_hundred_problems_are_told(client, database):
    wrong = [{"entity_id": f"e{n}", "subject": {"birth_date": "x"}} for n in range(10_000)]

    error = assert_flat(send(client, json.dumps({"entities": wrong})), 400, "invalid_entities")

    assert error["invalid_count"] == 10_000
    assert error["message"] == "10,000 of 10,000 entities are invalid."
    assert [(d["index"], d["entity_id"], d["path"]) for d in error["details"]] == [
        (n, f"e{n}", "subject.birth_date") for n in range(100)
    ]
    assert names_stored(database) == []


def test_one_wrong_entity_of_ten_thousand_keeps_all_of_them_out(client, database):
    entities = [{"subject": {"full_name": "Any Body"}}] * 9_999

    raw = json.dumps({"entities": [*entities, {"subject": {"full_name": "  "}}]})
    error = assert_flat(send(client, raw), 400, "invalid_entities")

    assert [(d["index"], d["path"]) for d in error["details"]] == [(9_999, "subject.full_name")]
    assert (error["invalid_count"], names_stored(database)) == (1, [])


# --- over a real socket


@pytest.fixture
def call(gunicorn, token):
    return lambda method, path, **given: gunicorn.call(method, path, token, **given)


def megabytes(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 1_048_576


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_of_a_hundred_megabytes_is_answered_and_not_cut_off(call, announced):
    body = b"".join(megabytes(100)) if announced else megabytes(100)

    answer = call("POST", "/kyc/jobs", data=body, headers={"Content-Type": JSON})

    error = assert_flat(answer, 413, "payload_too_large")
    assert error["max_bytes"] == 32 * 1024 * 1024
    assert call("GET", "/kyc/lists").status_code == 200


def test_a_body_of_a_hundred_megabytes_without_a_token_is_answered_too(gunicorn):
    answer = gunicorn.call(
        "POST", "/kyc/jobs", data=b"".join(megabytes(100)), headers={"Content-Type": JSON}
    )

    assert_flat(answer, 401, "missing_token")


def test_a_batch_over_a_socket_is_accepted_whole_or_in_pieces(call, house_list):
    raw = json.dumps({"entities": [LISTED, CLEAR]}).encode()
    headers = {"Content-Type": JSON}

    whole = call("POST", "/kyc/jobs", data=raw, headers=headers)
    pieces = call("POST", "/kyc/jobs", data=iter([raw[:10], raw[10:]]), headers=headers)

    assert (whole.status_code, pieces.status_code) == (200, 200)


def raw_request(web: Web, data: bytes) -> bytes:
    """Send these bytes as they are, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received


BROKEN_OFF = {
    "shorter than announced": ("Content-Length: 1000", b'{"entities": [{"subject": {"full_na'),
    "whole, and shorter than announced": ("Content-Length: 1000", batch("Any Body").encode()),
    "chunks that are none": ("Transfer-Encoding: chunked", b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk that breaks off": ("Transfer-Encoding: chunked", b"ff\r\n" + batch("A").encode()),
    "chunks without an end": ("Transfer-Encoding: chunked", b"2\r\n{}\r\n"),
}


@pytest.mark.parametrize(("header", "body"), BROKEN_OFF.values(), ids=BROKEN_OFF.keys())
def test_a_body_that_breaks_off_on_the_way_makes_no_job(gunicorn, token, client, header, body):
    head = (
        f"POST /kyc/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {JSON}\r\n{header}\r\nConnection: close\r\n\r\n"
    )

    received = raw_request(gunicorn, head.encode() + body)

    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"Content-Type: application/json" in received
    assert client.get("/kyc/jobs").json["count"] == 0


UNREADABLE = {
    "no request": b"\r\n\r\n",
    "nonsense": b"nonsense\r\n\r\n",
    "a request line of 10,000 characters": b"GET /kyc/" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n",
    "a header of 20,000 characters": b"GET /kyc/jobs HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
    "200 headers": b"GET /kyc/jobs HTTP/1.1\r\n" + b"X: x\r\n" * 200 + b"\r\n",
    "a header with a space": b"GET /kyc/jobs HTTP/1.1\r\nX y: z\r\n\r\n",
    "two lengths": b"POST /kyc HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": b"POST /kyc HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "length and chunks": b"POST /kyc HTTP/1.1\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\r\n\r\n",
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_is_hardly_http_gets_no_page_and_breaks_nothing(gunicorn, data):
    received = raw_request(gunicorn, data)

    assert b"html" not in received.lower()
    assert b"Traceback" not in received
    assert gunicorn.call("GET", "/healthz").ok


def test_the_web_wrote_no_traceback_and_stayed_up(gunicorn):
    """Runs last: whatever the tests above sent, the log holds no failure of ours."""
    log = gunicorn.log.read_text()

    assert "Traceback" not in log
    assert "request.failed" not in log
    assert log.count("Booting worker") == 1
    assert requests.get(f"{gunicorn.url}/healthz", timeout=10).ok
