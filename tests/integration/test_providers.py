"""Providers over HTTP, on a real server that answers by a script: well, late, wrongly, never."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from app.jobs.states import JobState
from app.verifications import dispatch, service
from app.verifications.providers.breaker import Breaker
from app.verifications.providers.config import ProviderConfig
from app.verifications.providers.remote import Remote
from tests.integration.engine import kill, start_worker
from tests.kyc import house_list as house_list
from tests.model_server import serving
from tests.verifications import API, JANE, ZEBULON
from tests.verifications import ended as ended
from tests.verifications import read as read
from tests.verifications import run as run
from tests.verifications import verified as verified
from workers import chunk

PERSON = {
    "full_name": "Zebulon Quartermain",
    "entity_type": "individual",
    "birth_date": "1961-04-12",
    "nationality": "GB",
    "identifiers": [{"type": "passport", "value": "X9988776"}],
}


def yente(url: str, **changes) -> Remote:
    given = ProviderConfig("open", "yente", url, "OpenSanctions", "sanctions", **changes)
    return Remote(given, sleep=lambda seconds: None)


def generic(url: str, **changes) -> Remote:
    given = ProviderConfig("ours", "http", url, "Our register", "criminal", **changes)
    return Remote(given, sleep=lambda seconds: None)


def matched(*results: dict) -> dict:
    return {"json": {"responses": {"subject": {"status": 200, "results": list(results)}}}}


RESULT = {
    "id": "NK-1",
    "caption": "Zebulon QUARTERMAIN",
    "schema": "Person",
    "score": 0.91,
    "match": True,
    "datasets": ["us_ofac_sdn"],
    "features": {"name_match": 1.0, "dob_mismatch": 0.0},
    "properties": {"birthDate": ["1961"], "alias": ["Zeb"], "topics": ["role.pep", "sanction"]},
}


def failed(answer) -> str:
    (checked,) = answer.checked
    assert not answer.hits
    return str(checked.error_code)


def test_yente_is_asked_in_its_words_and_understood():
    with serving(matched(RESULT, {**RESULT, "id": "NK-2", "score": 0.5})) as server:
        provider = yente(server.url, dataset="sanctions", key="k3y", key_scheme="ApiKey")
        answer = provider.check(PERSON, 5)

    (asked,) = server.asked
    assert asked.path == "/v1/match/sanctions?threshold=0.7"
    assert asked.headers["authorization"] == "ApiKey k3y"
    assert asked.body["queries"]["subject"] == {
        "schema": "Person",
        "properties": {
            "name": ["Zebulon Quartermain"],
            "birthDate": ["1961-04-12"],
            "nationality": ["gb"],
            "passportNumber": ["X9988776"],
        },
    }
    (hit,) = answer.hits
    assert (hit.id, hit.name, hit.score, hit.category) == (
        *("NK-1", "Zebulon QUARTERMAIN", 0.91, "sanctions"),
    )
    assert hit.more["matchedOn"] == ["name_match"]
    (checked,) = answer.checked
    assert (checked.is_ok, checked.attempts, checked.provider) == (True, 1, "yente")


def test_the_version_of_a_yentes_dataset_is_that_of_its_catalogue():
    with serving(matched()) as server:
        server.kept["/catalog"] = {
            "datasets": [
                {"name": "peps", "version": "old"},
                {"name": "sanctions", "version": "20261126-x"},
            ]
        }
        known = yente(server.url, dataset="sanctions").check(PERSON, 5)
        unknown = yente(server.url, dataset="crime").check(PERSON, 5)

    assert known.checked[0].version == "20261126-x"
    assert unknown.checked[0].version is None


def test_any_endpoint_is_understood_where_its_places_are_told():
    said = {
        "meta": {"as_of": "2026-11-01"},
        "data": {
            "found": [
                {"uuid": 7, "who": {"name": "Z. Quartermain"}, "confidence": 88},
                {"uuid": 8, "who": {"name": "Somebody"}, "confidence": 12},
            ]
        },
    }
    places = {"id": "uuid", "name": "who.name", "score": "confidence", "aliases": "aliases"}
    places |= {"dateOfBirth": "born", "category": "kind", "url": "link"}
    with serving({"json": said}) as server:
        provider = generic(
            f"{server.url}/check",
            hits="data.found",
            version="meta.as_of",
            fields=tuple(places.items()),
            score_scale=100.0,
            key="k3y",
            key_header="x-api-key",
        )
        answer = provider.check(PERSON, 5)

    (asked,) = server.asked
    assert asked.headers["x-api-key"] == "k3y"
    assert asked.body["subject"]["name"] == "Zebulon Quartermain"
    assert asked.body["threshold"] == 0.7
    (hit,) = answer.hits
    assert (hit.id, hit.name, hit.score, hit.category) == ("7", "Z. Quartermain", 0.88, "criminal")
    assert answer.checked[0].version == "2026-11-01"


def test_what_passes_is_tried_again_a_bounded_number_of_times():
    with serving({"status": 503}, {"drop": True}, matched()) as server:
        answer = yente(server.url).check(PERSON, 10)
    assert (answer.checked[0].is_ok, answer.checked[0].attempts) == (True, 3)

    with serving({"status": 503}) as server:
        answer = yente(server.url).check(PERSON, 10)
    assert failed(answer) == "unavailable"
    assert answer.checked[0].attempts == len(server.asked) == 3
    assert "HTTP 503" in answer.checked[0].error_message


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ({"status": 401}, "key_refused"),
        ({"status": 403}, "key_refused"),
        ({"status": 400}, "refused"),
        ({"status": 404}, "refused"),
        ({"status": 302, "headers": {"location": "http://127.0.0.1:1/"}}, "refused"),
        ({"raw": b"<html>"}, "answer_invalid"),
        ({"json": {"responses": {}}}, "answer_invalid"),
        ({"json": []}, "answer_invalid"),
        (matched({"id": "x"}), "answer_invalid"),
        (matched({**RESULT, "caption": "a\x00b"}), "answer_invalid"),
        ({"raw": b'{"responses": "\\ud800"}'}, "answer_invalid"),
        ({"raw": b"[" * 100_000}, "answer_invalid"),
        ({"raw": b" " * 5_000_001}, "answer_invalid"),
    ],
)
def test_what_does_not_pass_is_not_tried_again(step, code):
    with serving(step) as server:
        answer = yente(server.url).check(PERSON, 10)

    assert failed(answer) == code
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "hit",
    [
        {"id": "1", "name": "x"},
        {"id": "1", "score": 0.9},
        {"id": "1", "name": "x", "score": 90},
        {"id": "1", "name": "x", "score": True},
        {"id": "1", "name": "x", "score": "high"},
        7,
    ],
)
def test_a_hit_that_makes_no_sense_is_no_hit_and_no_clearance(hit):
    with serving({"json": {"hits": [hit]}}) as server:
        assert failed(generic(server.url).check(PERSON, 10)) == "answer_invalid"


@pytest.mark.parametrize(
    "step",
    [{"delay": 3}, {"drip": "head"}, {"drip": "chunk"}, {"drip": "body", "raw": b" " * 100}],
    ids=str,
)
def test_a_provider_that_is_slow_costs_no_more_than_it_may(step):
    with serving(step) as server:
        began = time.monotonic()
        answer = yente(server.url, seconds=0.3).check(PERSON, 1.0)
        took = time.monotonic() - began

    assert failed(answer) == "timeout"
    # Far from the 20 s that the answer would take; how near to one, a busy machine decides.
    assert took < 10


def test_a_provider_that_wants_to_be_left_alone_for_long_is():
    with serving({"status": 429, "headers": {"Retry-After": "3600"}}) as server:
        answer = yente(server.url).check(PERSON, 5)

    assert failed(answer) == "rate_limited"
    assert len(server.asked) == 1


def test_after_failures_in_a_row_it_is_not_asked_for_a_while():
    breaker = Breaker(failures=3, seconds=3600)
    with serving({"status": 500}) as server:
        given = ProviderConfig("open", "yente", server.url, "OpenSanctions", "sanctions", tries=2)
        provider = Remote(given, breaker, sleep=lambda seconds: None)
        codes = [failed(provider.check(PERSON, 5)) for _ in range(4)]

    assert codes == ["unavailable", "unavailable", "circuit_open", "circuit_open"]
    assert len(server.asked) == 3


def test_nothing_that_is_told_of_a_failure_holds_the_subject_or_the_key(caplog):
    echo = {"status": 500, "raw": b"Zebulon Quartermain k3y"}
    with serving(echo) as server, caplog.at_level("DEBUG", logger="app"):
        answer = yente(server.url, key="k3y").check(PERSON, 5)

    told = f"{answer.checked[0].error_message} {caplog.text}"
    assert "Quartermain" not in told
    assert "k3y" not in told
    assert any(record.getMessage() == "provider.failed" for record in caplog.records)


def configured(settings, url: str, **also):
    providers = {
        "open": {"kind": "yente", "base_url": url, "tries": 1, "seconds": 1.0},
        **also,
    }
    return replace(settings, screening_providers=json.dumps(providers))


def test_a_provider_that_fails_for_one_stakeholder_is_noted_with_them_and_breaks_nothing(
    resources, settings, tenant, house_list, verified, run, read
):
    def by_name(body):
        name = body["queries"]["subject"]["properties"]["name"][0]
        return {"status": 400} if name == "Jane Ploughwright" else matched(RESULT)

    with serving(by_name) as server:
        ours = replace(resources, settings=configured(settings, server.url))
        verification = verified(JANE, ZEBULON)
        begun = dispatch.dispatch(ours, tenant.id, verification.trace, API)
        for number in range(3):
            chunk.run(ours, begun.id, 1, number)

    assert read(begun).state is JobState.COMPLETED
    assert read(begun).attempts == 1
    _, everybody = service.latest(resources, tenant.id, verification.trace)
    by_id = {each.stakeholder_id: each for each in everybody}
    jane, zebulon = (by_id[each.stakeholder_id] for each in verification.stakeholders)
    statuses = {
        whose: {each["source"]: each["status"] for each in found.sources_checked}
        for whose, found in (("jane", jane), ("zebulon", zebulon), ("entity", by_id[None]))
    }
    assert statuses == {
        "jane": {"house": "ok", "open": "error"},
        "zebulon": {"house": "ok", "open": "ok"},
        "entity": {"house": "ok", "open": "ok"},
    }
    (error,) = [each["error"] for each in jane.sources_checked if each["source"] == "open"]
    assert error["code"] == "refused"
    assert not jane.is_complete
    assert zebulon.total_hits == 2
    now = service.get(resources, tenant.id, verification.trace)
    assert now.risk["isProvisional"]
    assert now.risk["description"] == "Critical"


@pytest.fixture
def worker_with(settings, tmp_path):
    started = []

    def start(url: str, **also):
        ours = configured(settings, url, **also)
        started.append(start_worker(ours, tmp_path, "prov", beat=True))
        started[-1].wait_until_ready()

    yield start
    for each in started:
        kill(each)


def test_when_no_source_answers_the_run_rests_and_is_tried_again_and_ends_well(
    tenant, verified, run, ended, resources, worker_with
):
    steps = [{"status": 503}, matched()]
    with serving(*steps) as server:
        worker_with(server.url, muster=False)
        verification = verified()

        done = ended(run(verification))

    assert (done.state, done.attempts) == ("completed", 2)
    assert (done.finished_at - done.started_at).total_seconds() >= 2.0
    entity, _ = service.latest(resources, tenant.id, verification.trace)
    assert [each["source"] for each in entity.sources_checked] == ["open"]
    assert len(server.asked) == 2


def test_a_run_that_no_source_ever_answers_fails_after_three_attempts_and_says_why(
    verified, run, ended, worker_with
):
    with serving({"status": 503}) as server:
        worker_with(server.url, muster=False)

        done = ended(run(verified(JANE)), 60)

    assert (done.state, done.attempts) == ("failed", 3)
    assert done.error_message == "No source answered for any of 2 subjects: unavailable."
    assert (done.finished_at - done.started_at).total_seconds() >= 10.0
