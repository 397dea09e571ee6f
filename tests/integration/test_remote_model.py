"""The adapter for remote models, over real HTTP against a server of our own on loopback."""

from __future__ import annotations

import logging
import time
import traceback
from email.utils import formatdate

import pytest

from app.errors import ItemError, JobError, RateLimited
from app.providers import backoff
from app.tagging import remote
from app.tagging.model import Document
from app.tagging.providers import Provider
from app.tagging.remote import Endpoint
from app.tagging.text import Page
from app.tagging.words import words_of
from tests.model_server import fails, says, serving

pytestmark = pytest.mark.integration

KEY = "sk-MARKED-KEY-4711"
TEXT = "The bank was fined for  money\nlaundering in Estonia, and fined again for laundering."
PAGE = Page(Document(TEXT, title="A fine"))
TAG = {"tag": "Money laundering", "score": 0.9, "evidence": "fined for money laundering"}


@pytest.fixture
def slept(monkeypatch):
    """Seconds that were waited; no test waits them out."""
    return []


@pytest.fixture
def ask(slept):
    """Return what asks the model once, and remembers how it was told to ask."""
    endpoints = {}

    def run(model, *, seconds=10.0, num_tags=5, page=PAGE):
        provider = Provider("ours", model.url, ("small",), KEY)
        endpoint = endpoints.setdefault(model.url, Endpoint(provider, "small", slept.append))
        return endpoint.tags(page, words_of("en"), num_tags=num_tags, seconds=seconds)

    return run


# What is asked, and what becomes of the answer.


def test_it_asks_for_a_schema_and_sends_the_key_and_the_document_marked_as_data(ask):
    with serving(says(TAG)) as model:
        ask(model)

    (asked,) = model.asked
    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["model"] == "small"
    assert asked.body["response_format"]["json_schema"]["strict"] is True
    assert f"<document>\nA fine\n\n{TEXT}\n</document>" in asked.body["messages"][1]["content"]


def test_a_tag_is_found_in_the_text_however_it_is_spaced(ask):
    with serving(says(TAG)) as model:
        (tag,) = ask(model)

    assert (tag.tag, tag.grounded, tag.count) == ("Money laundering", True, 1)
    assert tag.source == "model:ours/small"
    (offset,) = tag.offsets
    assert offset.field == "text"
    assert TEXT[offset.start : offset.end] == "money\nlaundering"


def test_a_tag_in_other_forms_of_the_words_that_it_quotes_is_grounded(ask):
    with serving(says({"tag": "bank fines", "score": 1, "evidence": "bank was fined"})) as model:
        (tag,) = ask(model)

    assert tag.grounded is True
    assert TEXT[tag.offsets[0].start : tag.offsets[0].end] == "bank was fined"


@pytest.mark.parametrize(
    "evidence", ["", "not in the text", "The bank was fined", "Estonia"], ids=repr
)
def test_a_tag_that_the_text_does_not_bear_out_says_so(ask, evidence):
    with serving(says({"tag": "terrorism", "score": 0.8, "evidence": evidence})) as model:
        (tag,) = ask(model)

    assert tag.grounded is False
    assert tag.to_json()["grounded"] is False
    assert (tag.count, list(tag.offsets)) == (0, [])


def test_no_more_tags_come_back_than_were_asked_for_and_none_twice(ask):
    tags = [{"tag": f"t{n}", "score": n / 10, "evidence": ""} for n in range(10)]
    with serving(says(*tags, {"tag": "T9", "score": 0.1, "evidence": ""})) as model:
        found = ask(model, num_tags=3)

    assert [tag.tag for tag in found] == ["t9", "t8", "t7"]


def test_an_endpoint_without_schemas_is_asked_in_a_plainer_way_and_remembered(ask):
    def only_plain(body):
        if "response_format" in body:
            return fails(400, "'response_format.type' must be 'text'")
        return says(TAG)

    with serving(only_plain) as model:
        ask(model)
        ask(model)

    forms = [asked.body.get("response_format", {}).get("type") for asked in model.asked]
    assert forms == ["json_schema", "json_object", None, None]


def test_a_plainer_way_that_is_refused_as_well_is_not_remembered(ask):
    too_long = fails(400, "Too long: 'response_format of the wire' ...")
    with serving(too_long, too_long, too_long, says(TAG)) as model:
        with pytest.raises(ItemError) as caught:
            ask(model)
        ask(model)

    forms = [asked.body.get("response_format", {}).get("type") for asked in model.asked]
    assert caught.value.code == remote.MODEL_REFUSED
    assert forms == ["json_schema", "json_object", None, "json_schema"]


def test_json_is_found_in_what_a_chatty_model_says(ask):
    with serving(says(content='Sure!\n```json\n{"tags": [{"tag": "bank"}]}\n```')) as model:
        (tag,) = ask(model)

    assert (tag.tag, tag.grounded) == ("bank", True)


@pytest.mark.parametrize(
    "answer",
    [
        says(content="money laundering"),
        says(content='{"tags": [{"tag": 1}]}'),
        says(content='{"tags": [{"tag": "x", "score": 2}]}'),
        says(content='{"tags": "all"}'),
        says(content="{" * 100_000),
        says(content=""),
        says(content=None, finish="length"),
        {"json": {"choices": []}},
        {"json": {"choices": [{"message": {"content": None, "refusal": "No."}}]}},
        {"raw": b"<html>"},
        {"raw": b"[" * 200_000},
        {"raw": b'"' + b"a" * 2_000_000 + b'"'},
    ],
    ids=range(12),
)
def test_an_answer_that_is_none_is_asked_for_once_more_and_then_fails_the_document(ask, answer):
    with serving(answer) as model, pytest.raises(ItemError) as caught:
        ask(model)

    assert caught.value.code == remote.MODEL_ANSWER_INVALID
    assert len(model.asked) == 2


def test_one_bad_answer_is_forgiven(ask):
    with serving(says(content="?"), says(TAG)) as model:
        assert len(ask(model)) == 1


# What goes wrong, and what is tried again.


def test_a_short_retry_after_is_waited_out(ask, slept):
    with serving(fails(429, "slow", "rate_limit_exceeded", Retry_After="2"), says(TAG)) as model:
        assert ask(model)

    (waited,) = slept
    assert 2 <= waited <= 2.2


def test_retry_after_may_be_a_date(ask, slept):
    date = formatdate(time.time() + 4, usegmt=True)
    with serving(fails(503, "busy", Retry_After=date), says(TAG)) as model:
        assert ask(model)

    assert 2 < slept[0] <= 4.4


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_retry_after_stops_the_job_for_as_long(ask, slept, status):
    with (
        serving(fails(status, "slow", Retry_After="120")) as model,
        pytest.raises(RateLimited) as caught,
    ):
        ask(model)

    assert caught.value.seconds == 120
    assert (len(model.asked), slept) == (1, [])


def test_a_retry_after_that_does_not_fit_into_the_time_there_is_stops_the_job(ask):
    with serving(fails(429, "slow", Retry_After="4")) as model, pytest.raises(RateLimited) as e:
        ask(model, seconds=2.0)

    assert e.value.seconds == 4


def test_a_limit_without_retry_after_backs_off_within_bounds_and_then_stops_the_job(ask, slept):
    with serving(fails(429, "slow", "rate_limit_exceeded")) as model, pytest.raises(RateLimited):
        ask(model, seconds=60)

    assert len(model.asked) == 5
    assert all(waited <= 0.5 * 2**n for n, waited in enumerate(slept))


def test_errors_of_the_server_are_tried_again(ask):
    with serving(fails(500, "x"), fails(502, "x"), says(TAG)) as model:
        assert ask(model)


def test_a_server_that_stays_broken_fails_the_document_and_not_the_job(ask):
    with serving(fails(500, "x")) as model, pytest.raises(ItemError) as caught:
        ask(model, seconds=60)

    assert caught.value.code == remote.MODEL_UNAVAILABLE
    assert len(model.asked) == 5


def test_a_connection_that_breaks_is_tried_again(ask):
    with serving({"drop": True}, says(TAG)) as model:
        assert ask(model)


def test_nobody_listening_fails_the_document(ask):
    with serving(says(TAG)) as model:
        pass
    with pytest.raises(ItemError) as caught:
        ask(model, seconds=60)

    assert caught.value.code == remote.MODEL_UNAVAILABLE


@pytest.mark.parametrize(
    "step",
    [{"delay": 10}, *({**says(TAG), "drip": part} for part in ("head", "chunk", "body"))],
    ids=["mute", "head", "chunk", "body"],
)
def test_an_endpoint_that_takes_too_long_is_given_up(ask, step):
    began = time.monotonic()
    with serving(step) as model, pytest.raises(ItemError) as caught:
        ask(model, seconds=0.5)

    # It would drip for half a minute, and each byte comes in good time.
    assert time.monotonic() - began < 10
    assert caught.value.code == remote.MODEL_TIMEOUT
    assert len(model.asked) == 1


def test_a_connection_is_kept_for_the_next_document(ask):
    with serving(says(TAG)) as model:
        ask(model)
        ask(model)

        assert len({asked.client for asked in model.asked}) == 1


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (fails(401, f"Incorrect API key provided: {KEY}"), remote.MODEL_KEY_REFUSED),
        (fails(403, "no", Retry_After="1"), remote.MODEL_KEY_REFUSED),
        (fails(429, "Quota.", "insufficient_quota", Retry_After="1"), remote.MODEL_QUOTA_EXHAUSTED),
        (fails(402, "pay"), remote.MODEL_QUOTA_EXHAUSTED),
        (fails(404, "no such model"), remote.MODEL_NOT_FOUND),
    ],
)
def test_what_no_second_try_can_mend_fails_the_job_at_the_first(ask, slept, step, code):
    with serving(step) as model, pytest.raises(JobError) as caught:
        ask(model)

    assert caught.value.code == code
    assert (len(model.asked), slept) == (1, [])


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (fails(400, "Not understood: 'they had insufficient_quota'"), ItemError),
        (fails(400, "no", "insufficient_quota"), ItemError),
        (fails(429, "Slow, or insufficient_quota follows.", Retry_After="60"), RateLimited),
        (fails(500, "insufficient_quota", "insufficient_quota"), ItemError),
        ({"status": 429, "raw": b"insufficient_quota"}, RateLimited),
        ({"status": 429, "raw": b"[" * 100_000}, RateLimited),
        ({"status": 429, "json": {"error": "insufficient_quota"}}, RateLimited),
        ({"status": 429, "json": {"error": {"code": ["insufficient_quota"]}}}, RateLimited),
    ],
    ids=range(8),
)
def test_a_body_that_only_mentions_a_quota_is_not_taken_for_one_used_up(ask, step, error):
    with serving(step) as model, pytest.raises(error):
        ask(model)


@pytest.mark.parametrize("key", ["code", "type"])
@pytest.mark.parametrize("status", [403, 429])
def test_a_quota_that_is_used_up_is_told_by_the_code_or_the_type_of_the_error(ask, status, key):
    error = {"message": "x", key: "insufficient_quota"}
    with (
        serving({"status": status, "json": {"error": error}}) as model,
        pytest.raises(JobError) as caught,
    ):
        ask(model)

    assert caught.value.code == remote.MODEL_QUOTA_EXHAUSTED


def test_a_document_that_is_refused_fails_alone(ask):
    with serving(fails(413, "too long")) as model, pytest.raises(ItemError) as caught:
        ask(model)

    assert caught.value.code == remote.MODEL_REFUSED
    assert len(model.asked) == 1


def test_a_redirect_is_not_followed(ask):
    with serving(says(TAG)) as elsewhere:
        moved = {"status": 307, "headers": {"location": f"{elsewhere.url}/chat/completions"}}
        with serving(moved) as model, pytest.raises(ItemError) as caught:
            ask(model)

    assert caught.value.code == remote.MODEL_REFUSED
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    "step",
    [
        fails(401, f"Incorrect API key provided: {KEY}"),
        fails(400, f"key {KEY}"),
        fails(500, f"key {KEY}"),
        fails(429, f"key {KEY}", Retry_After="60"),
        says(content=f"key {KEY}"),
        {"drop": True},
        {"delay": 5},
    ],
    ids=range(7),
)
def test_the_key_and_the_text_are_in_no_log_and_no_exception(ask, caplog, step):
    caplog.set_level(logging.DEBUG)
    with serving(step) as model, pytest.raises((ItemError, JobError, RateLimited)) as caught:
        ask(model, seconds=1.0)

    shown = (
        caplog.text + repr(caught.value.args) + "".join(traceback.format_exception(caught.value))
    )
    shown += "".join(str(record.__dict__) for record in caplog.records)
    assert KEY not in shown
    assert "Estonia" not in shown
    assert KEY not in repr(Provider("ours", "http://x", ("m",), KEY))


# How long to wait.


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}, 90.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers, expected):
    assert backoff.retry_after(headers, now=lambda: 10.0) == expected


def test_the_pause_is_full_jitter_under_a_bound():
    pauses = [backoff.pause(tries) for tries in range(20) for _ in range(50)]

    assert max(pauses) <= 8.0
    assert min(pauses) < 0.5 < max(pauses)
