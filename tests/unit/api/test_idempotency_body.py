"""What makes two requests the same: what they say, and not how it is written."""

from __future__ import annotations

import io
import json

import pytest
from flask import Request
from werkzeug.datastructures import FileStorage
from werkzeug.test import EnvironBuilder, encode_multipart

from app.api import idempotency_body
from app.api.idempotency_body import Body
from app.errors import OtherRequest


def fingerprint(*, step: int = 0, most: int = 1 << 20, **given) -> bytes:
    """Of a request of which `step` bytes at a time are read, and with 0 nothing."""
    environ = EnvironBuilder(method="POST", path=given.pop("path", "/kyc/jobs"), **given)
    request = Request(environ.get_environ())
    body = Body(request, lambda: None, most=most)
    while step and request.environ["wsgi.input"].read(step):
        pass
    return body.fingerprint()


def of_json(text: str, **more) -> bytes:
    return fingerprint(data=text.encode(), content_type="application/json", **more)


def of_form(boundary: str, *, image: bytes = b"image", step: int = 0, **fields) -> bytes:
    values = {**fields, "images": FileStorage(io.BytesIO(image), "a.jpg")}
    _, data = encode_multipart(values, boundary=boundary)
    kind = f"multipart/form-data; boundary={boundary}"
    return fingerprint(data=data, content_type=kind, step=step)


def test_json_is_the_same_however_it_is_written():
    assert of_json('{"a": 1, "b": [1, 2]}') == of_json('{"b":[1,2],\n "a":1}')


@pytest.mark.parametrize(
    "other",
    [
        '{"a": 1, "b": [2, 1]}',
        '{"a": "1", "b": [1, 2]}',
        '{"a": 1}',
        '{"a": 1, "b": [1, 2], "c": null}',
        f'{{"a": {10**30}, "b": [1, 2]}}',
        '{"a": 1, "b": [1, 2]',
        "",
    ],
)
def test_json_that_says_something_else_is_another_request(other):
    assert of_json('{"a": 1, "b": [1, 2]}') != of_json(other)


def test_whole_numbers_count_to_the_last_digit():
    assert of_json(f'{{"a": {10**30}}}') != of_json(f'{{"a": {10**30 + 1}}}')


def test_path_and_query_belong_to_the_request():
    known = {of_json("{}", path=path) for path in ("/kyc/jobs", "/kyc", "/kyc?legacy=1")}

    assert len(known) == 3


def test_what_cannot_be_parsed_counts_by_its_bytes(monkeypatch):
    assert of_json("[" * 100_000) != of_json("[" * 100_001)
    monkeypatch.setattr(idempotency_body, "JSON_BYTES", 10)
    text = json.dumps({"a": list(range(1_000))})
    assert of_json(text, step=7) == of_json(text)
    assert of_json(text) != of_json(text + " ")


def test_a_form_is_the_same_whatever_stands_between_its_parts():
    assert of_form("aaaa", external_ids="x") == of_form("bbbbbbbb", external_ids="x")


@pytest.mark.parametrize("step", [1, 3, 64, 1 << 16])
def test_a_form_is_the_same_in_whatever_parts_it_comes_in(step):
    image = bytes(range(256)) * 8

    assert of_form("aaaa", image=image, step=step) == of_form("aaaa", image=image)


def test_a_form_of_other_values_names_or_files_is_another_request():
    known = [
        of_form("aaaa", external_ids="x"),
        of_form("aaaa", external_ids="y"),
        of_form("aaaa", external_id="x"),
        of_form("aaaa", external_ids="x", image=b"other"),
        of_form("aaaa", external_ids="x", more=""),
    ]

    assert len(set(known)) == len(known)


def test_other_bodies_count_by_their_bytes_and_their_type():
    known = [
        fingerprint(data=b"id,name\n", content_type="text/csv"),
        fingerprint(data=b"id,name", content_type="text/csv"),
        fingerprint(data=b"id,name", content_type="text/plain"),
        fingerprint(),
    ]

    assert len(set(known)) == len(known)


def test_no_more_is_read_than_any_request_has_that_was_answered():
    with pytest.raises(OtherRequest):
        fingerprint(data=bytes(200_000), content_type="text/csv", most=100_000)
