"""Providers over HTTP, on a real server that answers by a script: well, late, wrongly, never."""

from __future__ import annotations

import io
import json
import logging
import time
from dataclasses import replace

import pytest

from app import logs
from app.jobs import service as jobs
from app.jobs import store as jobs_store
from app.jobs.states import JobState
from app.verifications import dispatch, service
from app.verifications.findings import nobody, put_together
from app.verifications.model import KIND
from app.verifications.providers import config as configs
from app.verifications.providers.breaker import Breaker
from app.verifications.providers.config import ProviderConfig
from app.verifications.providers.remote import Remote, remote
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
    assert asked.path == "/v1/match/sanctions?threshold=0.7&cutoff=0.7&limit=50"
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


def test_a_page_of_hits_that_is_full_is_said_to_be_and_does_not_clear_anybody():
    with serving(matched(RESULT, {**RESULT, "id": "NK-2"})) as server:
        full = put_together([yente(server.url, limit=2).check(PERSON, 5)])
        all_of_it = put_together([yente(server.url, limit=3).check(PERSON, 5)])

    assert server.asked[0].path.endswith("&limit=2")
    assert (full["totalHits"], full["isComplete"]) == (2, False)
    (checked,) = full["sourcesChecked"]
    assert (checked["status"], checked["isCutShort"]) == ("ok", True)
    assert all_of_it["isComplete"]
    assert "isCutShort" not in all_of_it["sourcesChecked"][0]


def test_a_version_that_cannot_be_kept_is_none_and_one_that_is_known_outlasts_a_failure():
    now = {"datasets": [{"name": "default", "version": "20261126-x"}]}
    with serving(matched()) as server:
        provider = yente(server.url)
        versions = []
        for catalogue in (
            {"datasets": [{"name": "default", "version": "a\x00b"}]},
            now,
            None,
            {"datasets": [{"name": "default", "version": "a\x00b"}]},
        ):
            server.kept["/catalog"] = catalogue
            provider._version_until = 0.0
            (checked,) = provider.check(PERSON, 5).checked
            assert checked.is_ok
            versions.append(checked.version)

    assert versions == [None, "20261126-x", "20261126-x", "20261126-x"]


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


def test_a_hit_counts_by_what_its_provider_calls_it():
    given = {**RESULT, "properties": {"topics": ["role.pep.national"]}}
    hit = {"id": "1", "name": "x", "score": 0.9, "category": "PEP"}
    with serving(matched(given), {"json": {"hits": [hit]}}) as server:
        one = yente(server.url).check(PERSON, 5)
        other = generic(server.url).check(PERSON, 5)

    assert [each.category for each in (*one.hits, *other.hits)] == ["pep", "pep"]


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
        (matched({**RESULT, "score": float("nan")}), "answer_invalid"),
        (matched({**RESULT, "score": True}), "answer_invalid"),
        (matched({**RESULT, "score": 10**400}), "answer_invalid"),
        ({"json": {"responses": {"subject": {"status": 200, "results": {}}}}}, "answer_invalid"),
        (
            {"raw": b'{"responses": {"subject": {"status": 1e999, "results": []}}}'},
            "answer_invalid",
        ),
        ({"raw": b'{"responses": {"subject": {"status": Infinity}}}'}, "answer_invalid"),
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
        {"id": "1", "name": "x", "score": float("nan")},
        {"id": "1", "name": "x", "score": 10**400},
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


@pytest.mark.parametrize("step", [{"status": 400}, {"raw": b"<html>"}], ids=str)
def test_what_it_says_of_one_subject_closes_a_provider_to_nobody(step):
    with serving(step) as server:
        provider = yente(server.url)
        for _ in range(8):
            failed(provider.check(PERSON, 5))
        server.script[:] = [matched(RESULT)]

        answer = provider.check(PERSON, 5)

    assert len(answer.hits) == 1


def test_a_provider_that_refuses_our_key_is_not_asked_for_ever():
    with serving({"status": 401}) as server:
        provider = yente(server.url)
        codes = [failed(provider.check(PERSON, 5)) for _ in range(6)]

    assert codes == ["key_refused"] * 5 + ["circuit_open"]


def test_an_error_on_our_side_is_noted_and_keeps_the_other_sources_answers():
    # As no schema lets through: there is no name to ask for.
    answer = yente("http://127.0.0.1:1").check({}, 5)

    assert failed(answer) == "internal_error"


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


def told(resources, url: str, **also):
    """The resources of a worker that asks a yente with what is the default, and nobody else."""
    providers = {"muster": False, "open": {"kind": "yente", "base_url": url}, **also}
    return replace(
        resources, settings=replace(resources.settings, screening_providers=json.dumps(providers))
    )


def seconds_of_rest(resources, run) -> float:
    """Return after how long the run goes on by itself."""
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT state, extract(epoch FROM resume_at - clock_timestamp())::float AS seconds"
            "  FROM jobs WHERE id = %(id)s",
            {"id": run.id},
        )
        row = tx.fetchone()
    assert row["state"] == "paused", row
    return row["seconds"]


def go_on(resources, tenant, run) -> int:
    """Resume the run, and return the number of its pass."""
    jobs.resume(resources, tenant.id, KIND, run.run_id)
    with resources.db.transaction() as tx:
        return jobs_store.load_job(tx, run.id).pass_no


def test_a_run_rests_until_its_providers_may_be_asked_again(resources, tenant, verified, read):
    with serving({"status": 503}) as server:
        ours = told(resources, server.url)
        verification = verified(JANE, ZEBULON)
        begun = dispatch.dispatch(ours, tenant.id, verification.trace, API)
        chunk.run(ours, begun.id, 1, 0)
        assert seconds_of_rest(ours, begun) < 5

        chunk.run(ours, begun.id, go_on(ours, tenant, begun), 0)

        # By now the breaker is open: whoever comes earlier asks nobody.
        assert seconds_of_rest(ours, begun) > 12
        (config,) = configs.read(ours.settings.screening_providers)
        remote(config)._breaker.clock = lambda: time.monotonic() + 60
        server.script[:] = [matched()]
        pass_no = go_on(ours, tenant, begun)
        for number in range(3):
            chunk.run(ours, begun.id, pass_no, number)

    assert (read(begun).state, read(begun).attempts) == (JobState.COMPLETED, 3)
    _, everybody = service.latest(resources, tenant.id, verification.trace)
    assert [each.is_complete for each in everybody] == [True] * 3


def test_a_run_rests_for_as_long_as_its_provider_asks(resources, tenant, verified):
    with serving({"status": 429, "headers": {"Retry-After": "900"}}) as server:
        ours = told(resources, server.url)
        begun = dispatch.dispatch(ours, tenant.id, verified().trace, API)

        chunk.run(ours, begun.id, 1, 0)

    assert 600 < seconds_of_rest(ours, begun) < 1000


def test_pausing_a_run_uses_up_none_of_its_rests(resources, tenant, verified):
    with serving(matched()) as server:
        ours = told(resources, server.url)
        begun = dispatch.dispatch(ours, tenant.id, verified(JANE, ZEBULON, JANE).trace, API)
        pass_no = 1
        for number in range(3):
            chunk.run(ours, begun.id, pass_no, number)
            jobs.pause(ours, tenant.id, KIND, begun.run_id)
            pass_no = go_on(ours, tenant, begun)
        server.script[:] = [{"status": 503}]

        chunk.run(ours, begun.id, pass_no, 3)

    assert seconds_of_rest(ours, begun) < 5


def screened(resources, tenant, verified, **providers):
    """Run a verification of nobody but itself; return its screening and its outcome."""
    ours = replace(
        resources, settings=replace(resources.settings, screening_providers=json.dumps(providers))
    )
    verification = verified()
    begun = dispatch.dispatch(ours, tenant.id, verification.trace, API)
    chunk.run(ours, begun.id, 1, 0)
    entity, _ = service.latest(resources, tenant.id, verification.trace)
    audit = service.audit(resources, tenant.id, verification.trace, before=None, limit=10)
    by_action = {each["action"]: each["detail"] for each in (json.loads(e.entry) for e in audit)}
    return {each["source"]: each for each in entity.sources_checked}, by_action


def test_a_provider_that_is_set_up_wrongly_is_noted_and_its_trouble_told_to_the_operator_alone(
    resources, tenant, house_list, verified, caplog
):
    wrong = {"kind": "yente", "base_url": "https://x.example", "key_env": "NOT_SET_ANYWHERE"}
    with serving(matched()) as server:
        good = {"kind": "yente", "base_url": server.url}
        sources, _ = screened(resources, tenant, verified, wrong=wrong, good=good)

    assert {name: each["status"] for name, each in sources.items()} == {
        "house": "ok",
        "good": "ok",
        "wrong": "error",
    }
    assert sources["wrong"]["error"]["code"] == "misconfigured"
    assert "NOT_SET_ANYWHERE" not in json.dumps(sources)
    (record,) = [r for r in caplog.records if r.getMessage() == "provider.misconfigured"]
    assert "NOT_SET_ANYWHERE" in record.problem


def test_a_source_without_a_version_stands_in_the_audit_and_a_list_that_is_not_asked_does_not(
    resources, tenant, house_list, verified
):
    with serving(matched()) as server:
        given = {"kind": "yente", "base_url": server.url}
        sources, audit = screened(resources, tenant, verified, muster=False, open=given)

    assert set(sources) == {"open"}
    assert audit["run.completed"]["outcome"]["sources"] == {"open": "unknown"}
    assert audit["run.dispatched"]["listVersions"] == {}


def test_a_provider_that_is_called_like_a_list_is_another_source(
    resources, tenant, house_list, verified
):
    with serving(matched(RESULT)) as server:
        given = {"kind": "yente", "base_url": server.url}
        sources, audit = screened(resources, tenant, verified, house=given)

    assert set(sources) == {"house", "provider:house"}
    assert set(audit["run.completed"]["outcome"]["sources"]) == {"house", "provider:house"}


def test_where_the_work_itself_failed_every_source_is_named_that_was_not_asked(
    resources, tenant, house_list, verified
):
    ours = told(resources, "http://127.0.0.1:1/v1", muster=True)
    begun = dispatch.dispatch(ours, tenant.id, verified().trace, API)
    with resources.db.transaction() as tx:
        options = jobs_store.load_job(tx, begun.id).options

    found = nobody(options, "attempts_exhausted", "It took its worker down.")

    assert [each["source"] for each in found["sourcesChecked"]] == ["house", "open"]
    assert {each["error"]["code"] for each in found["sourcesChecked"]} == {"attempts_exhausted"}


def test_what_is_logged_of_a_provider_names_the_job(resources, tenant, verified):
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(logs.JsonFormatter())
    log = logging.getLogger("app.verifications.providers.remote")
    with serving({"status": 400}) as server:
        ours = told(resources, server.url)
        begun = dispatch.dispatch(ours, tenant.id, verified().trace, API)
        log.addHandler(handler)
        try:
            chunk.run(ours, begun.id, 1, 0)
        finally:
            log.removeHandler(handler)

    (line,) = [json.loads(each) for each in lines.getvalue().splitlines()]
    assert (line["event"], line["job_id"], line["chunk"]) == ("provider.failed", str(begun.id), 0)


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
