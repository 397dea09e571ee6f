"""The process `live`: every kind of job is watched the same way, nothing is lost or repeated."""

from __future__ import annotations

import json
import re
import socket
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
import requests
from websockets.exceptions import ConnectionClosed

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.jobs import ids, service, store
from app.jobs.progress import CHANNEL
from app.jobs.states import Event
from app.live.hub import LOOK_SECONDS
from tests.integration.conftest import new_job, until
from tests.integration.engine import lasting_worker
from tests.live import Live, messages, started


@pytest.fixture(scope="module")
def live_settings(settings):
    return replace(settings, live_heartbeat_seconds=0.4)


@pytest.fixture(scope="module")
def live(live_settings, tmp_path_factory):
    with started(live_settings, tmp_path_factory.mktemp("live")) as live:
        yield live


@pytest.fixture(scope="module")
def engine(settings, tmp_path_factory):
    with lasting_worker(settings, tmp_path_factory.mktemp("engine")) as worker:
        yield worker


@pytest.fixture
def documents(resources, tenant):
    """Submit a job as dialect D has it: `documents([{"title": "One"}, ...])`."""

    def run(payloads: Sequence[dict[str, Any]], *, chunk_size: int = 10):
        wanted = new_job(tenant.id, "slow", payloads, chunk_size)
        return service.submit(resources, replace(wanted, dialect="documents"))

    return run


@pytest.fixture
def exits():
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def waiting(resources, tenant):
    """Submit a job that no worker takes: `waiting()`, or `waiting("documents")` as dialect D."""

    def run(dialect: str = "slow"):
        wanted = new_job(tenant.id, "slow", [{}])
        return service.submit(resources, replace(wanted, dialect=dialect, queue="faces"))

    return run


@pytest.fixture
def stranger(settings, resources) -> str:
    """The token of another tenant."""
    other = accounts.ensure_tenant(resources.db, "other")
    return tokens.mint_access(settings, other.id, "usr_other", PERMISSIONS[Role.ADMIN])


def path(job) -> str:
    return f"/v1/jobs/{ids.render(job.id)}/events"


def documents_path(job) -> str:
    return f"/api/batch/jobs/{job.external_id}/events"


def watchers(live: Live) -> dict[str, int]:
    return requests.get(f"{live.url}/healthz", timeout=10).json()["watchers"]


def assert_whole_story(told, job) -> None:
    """Each event once and in order: every item, counts that only grow, one final state, the end."""
    places = [each.id for each in told]
    assert places == sorted(set(places))
    items = [each.data["index"] for each in told if each.name == "item"]
    assert sorted(items) == list(range(job.total))
    shares = [each.data["progress"] for each in told if each.name == "progress"]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    states = [each.data["status"] for each in told if each.name == "state"]
    assert states == ["queued", "running", "completed"]
    assert [each.name for each in told[-3:]] == ["progress", "state", "end"]
    for each in told:
        if each.name == "progress":
            counts = dict(each.data["counts"])
            assert counts.pop("total") == sum(counts.values()) == job.total


@pytest.mark.usefixtures("engine")
class TestWhileAJobRuns:
    def test_everything_is_told_once_and_in_order_and_then_the_end(self, live, submit, token):
        job = submit("slow", [{"sleep": 0.03}] * 20 + [{"bad": "No."}] * 2, chunk_size=6)

        told = live.watch(f"{path(job)}?after=0", token).until_over()

        assert_whole_story(told, job)
        failed = [each.data for each in told if each.data.get("status") == "failed"]
        assert {each["error"]["code"] for each in failed} == {"bad_item"}
        assert {each["error"]["message"] for each in failed} == {"No."}

    def test_whoever_begins_now_is_shown_the_job_as_it_is_and_then_what_follows(
        self, live, submit, token, reload
    ):
        job = submit("slow", [{"sleep": 0.05}] * 100)
        until(lambda: reload(job).done >= 8, 20)

        told = live.watch(path(job), token).until_over()

        assert [each.name for each in told[:2]] == ["progress", "state"]
        assert told[0].id is None
        assert told[1].data == {"status": "running", "previous": None}
        counted = told[0].data["counts"]["succeeded"]
        assert counted >= 8
        items = [each.data["index"] for each in told if each.name == "item"]
        assert len(items) == len(set(items)) == job.total - counted
        assert [each.name for each in told].count("end") == 1

    def test_a_watcher_who_comes_back_again_and_again_misses_and_repeats_nothing(
        self, live, submit, token, reload
    ):
        job = submit("slow", [{"sleep": 0.04}] * 60)
        told, last = [], 0
        while not told or told[-1].name != "end":
            stream = live.watch(path(job), token, **{"Last-Event-ID": str(last)})
            until(lambda s=stream: len(s.told) >= 7 or s.is_over, 20)
            got = list(stream.told)
            stream.close()
            told += got
            last = got[-1].id if got else last

        assert_whole_story(told, job)
        assert reload(job).succeeded == 60

    def test_only_what_is_asked_for_is_told(self, live, submit, token):
        job = submit("slow", [{"sleep": 0.02}] * 10)

        told = live.watch(f"{path(job)}?after=0&types=state,end", token).until_over()

        assert [each.data["status"] for each in told] == [
            *("queued", "running", "completed", "completed")
        ]

    def test_pausing_and_going_on_are_told(self, live, resources, submit, token, reload):
        # More than are done by then, however long this takes.
        job = submit("slow", [{"sleep": 0.05}] * 500)
        stream = live.watch(f"{path(job)}?after=0&types=state,end", token)
        until(lambda: reload(job).done >= 3, 20)

        with resources.db.transaction() as tx:
            store.advance(tx, job.id, Event.PAUSE)
        until(lambda: [each.data["status"] for each in stream.told][-1:] == ["paused"], 20)
        service.cancel(resources, job.tenant_id, job.dialect, job.external_id)

        told = stream.until_over()
        assert [each.data["status"] for each in told] == [
            *("queued", "running", "pausing", "paused", "cancelled", "cancelled")
        ]

    def test_a_job_that_fails_says_why(self, live, submit, token):
        job = submit("slow", [{}] * 3, refuse=True)

        told = live.watch(f"{path(job)}?after=0", token).until_over()

        assert told[-2].data == {
            "status": "failed",
            "previous": "running",
            "error": {"code": "refused", "message": "The probe was told to refuse the job."},
        }

    def test_nobody_who_hangs_up_touches_the_job(self, live, submit, token, finished):
        job = submit("slow", [{"sleep": 0.03}] * 30)
        streams = [live.watch(path(job), token) for _ in range(5)]
        for stream in streams:
            stream.until("state")
            stream.close()

        job = finished(job)
        assert (job.state, job.succeeded, job.pass_no) == ("completed", 30, 1)

    def test_a_slow_client_holds_up_nobody_and_loses_nothing(self, live, submit, token):
        """It takes nothing at all while more is told than fits between it and the server."""
        job = submit("fast", [{"bad": "x" * 4000}] * 3000, chunk_size=500)
        slow = _lazy_client(live, f"{path(job)}?after=0", token)
        before = _resident(live)

        told = live.watch(f"{path(job)}?after=0", token).until_over(60)

        assert len([each for each in told if each.name == "item"]) == 3000
        assert told[-1].name == "end"
        # What the slow one has not taken lies in Postgres, and not here.
        assert _resident(live) - before < 40_000_000
        body = _rest(slow)
        places = [int(each) for each in re.findall(rb"^id: (\d+)$", body, re.MULTILINE)]
        assert places == [each.id for each in told]

    def test_a_client_that_takes_nothing_at_all_is_let_go(self, live, submit, finished, token):
        """After 20 seconds, in which nobody waits for it."""
        job = finished(submit("fast", [{"bad": "x" * 4000}] * 3000, chunk_size=500))
        until(lambda: watchers(live)["clients"] == 0, 20, lambda: watchers(live))
        lazy = _lazy_client(live, f"{path(job)}?after=0", token)
        until(lambda: watchers(live)["clients"] == 1, 10, lambda: watchers(live))

        until(lambda: watchers(live)["clients"] == 0, 60, lambda: watchers(live))
        lazy.close()


@pytest.mark.usefixtures("engine")
class TestOfAFinishedJob:
    @pytest.fixture
    def job(self, submit, finished):
        return finished(submit("slow", [{}] * 12 + [{"bad": "No."}], chunk_size=4))

    @pytest.fixture
    def whole(self, live, job, token):
        return live.watch(f"{path(job)}?after=0", token).until_over()

    def test_from_every_place_exactly_the_rest_is_told(self, live, job, whole, token):
        for place in range(1, whole[-1].id):
            rest = live.watch(f"{path(job)}?after={place}", token).until_over()
            assert rest == [each for each in whole if each.id > place], place

    def test_the_header_of_a_reader_who_comes_back_is_newer_than_the_address(
        self, live, job, whole, token
    ):
        place = whole[5].id
        rest = live.watch(
            f"{path(job)}?after=0", token, **{"Last-Event-ID": str(place)}
        ).until_over()

        assert rest == [each for each in whole if each.id > place]

    def test_whoever_knows_the_end_is_told_not_to_come_again(self, live, job, whole, token):
        answer = live.get(path(job), token, **{"Last-Event-ID": str(whole[-1].id)})

        assert (answer.status_code, answer.content) == (204, b"")

    def test_a_new_watcher_is_shown_how_it_ended(self, live, job, token):
        told = live.watch(path(job), token).until_over()

        assert [each.name for each in told] == ["progress", "state", "end"]
        assert told[-1].id == job.version + 1

    def test_a_place_from_another_life_of_the_database_is_no_place(self, live, job, token):
        told = live.watch(f"{path(job)}?after={job.version + 1000}", token).until_over()

        assert [each.name for each in told] == ["progress", "state", "end"]

    def test_the_list_has_the_same_events_page_by_page(self, live, client, job, whole, token):
        for ask in (
            lambda query: client.get(
                path(job) + query, headers={"Accept": "application/json"}
            ).get_json(),
            lambda query: live.get(path(job) + query, token, Accept="application/json").json(),
        ):
            listed, after = [], ""
            while True:
                page = ask(f"?limit=4{after}")
                listed += page["data"]
                if not page["has_more"]:
                    break
                after = f"&after={page['next_cursor']}"
            assert [(each["seq"], each["type"]) for each in listed] == [
                (each.id, each.name) for each in whole
            ]
            assert all(each["at"] <= later["at"] for each, later in pairwise(listed))

    @pytest.mark.parametrize("types", ["state", "item", "progress", "end", "item,end"])
    def test_the_list_of_some_types_is_as_long_as_it_should_be(self, client, job, whole, types):
        listed, after = [], 0
        while True:
            page = client.get(
                f"{path(job)}?types={types}&limit=2&after={after}",
                headers={"Accept": "application/json"},
            ).get_json()
            listed += page["data"]
            if not page["has_more"]:
                break
            after = page["next_cursor"]

        assert [each["seq"] for each in listed] == [
            each.id for each in whole if each.name in types.split(",")
        ]


@pytest.mark.usefixtures("engine")
class TestDialectD:
    def test_the_way_of_a_job_over_the_websocket(self, live, documents, token):
        payloads = [{"title": f"Document {n}", "sleep": 0.03} for n in range(12)]
        job = documents([*payloads, {"title": "Bad", "bad": "Empty file."}])

        with live.socket(job.external_id, token) as wire:
            said = messages(wire)

        assert said[0]["type"] == "catchup"
        assert said[0]["state"]["total_documents"] == 13
        assert {each["job_id"] for each in said} == {job.external_id}
        told = [each for each in said if each["type"] == "progress"]
        known = [each["row_number"] for each in said[0]["results"] + told]
        assert sorted(known) == list(range(1, 14))
        assert {each["title"] for each in told} >= {"Document 11"}
        assert [each["progress"] for each in told] == sorted(each["progress"] for each in told)
        bad = [each for each in told if each["status"] == "failed"]
        assert [(each["error"], each["error_type"]) for each in bad] == [
            ("Empty file.", "bad-item")
        ]
        last = said[-1]
        assert (last["type"], last["processed_count"], last["failed_count"]) == ("completed", 12, 1)
        assert last["total_documents"] == 13
        assert last["processing_time"] > 0
        assert last["message"] == "Batch processing completed"
        assert wire.close_code == 1000

    def test_seq_stands_in_every_message_and_after_goes_on_from_each(
        self, live, documents, token, finished
    ):
        job = documents([{"title": "A", "sleep": 0.02}] * 15)
        with live.socket(job.external_id, token, "?after=0") as wire:
            whole = [each for each in messages(wire) if each["type"] != "keepalive"]
        assert [each["type"] for each in whole if each["type"] != "progress"] == [
            *("status", "status", "completed")
        ]
        assert [each["seq"] for each in whole] == sorted({each["seq"] for each in whole})

        for place in (whole[0]["seq"], whole[7]["seq"], whole[-2]["seq"], whole[-1]["seq"]):
            with live.socket(job.external_id, token, f"?after={place}") as wire:
                rest = messages(wire)
            assert rest == [each for each in whole if each["seq"] > place]
            assert wire.close_code == 1000

    def test_many_results_are_caught_up_with_in_parts_and_none_is_told_twice(
        self, live, documents, token, reload
    ):
        job = documents([{"title": "A"}] * 230 + [{"sleep": 0.1}] * 10, chunk_size=60)
        until(lambda: reload(job).done >= 210, 30)

        with live.socket(job.external_id, token) as wire:
            said = messages(wire)

        parts = [each for each in said if each["type"] == "catchup"]
        assert [each["more"] for each in parts] == [True, True, False]
        assert [each["seq"] for each in parts][:2] == [0, 0]
        caught = [row["row_number"] for each in parts for row in each["results"]]
        told = [each["row_number"] for each in said if each["type"] == "progress"]
        assert sorted(caught + told) == list(range(1, 241))

    def test_pause_resume_and_cancel_are_told(self, live, resources, documents, token, reload):
        job = documents([{"sleep": 0.05}] * 500)
        with live.socket(job.external_id, token) as wire:
            until(lambda: reload(job).done >= 2, 20)
            with resources.db.transaction() as tx:
                store.advance(tx, job.id, Event.PAUSE)
            until(lambda: reload(job).state == "paused", 20)
            with resources.db.transaction() as tx:
                resumed = store.advance(tx, job.id, Event.RESUME)
            resources.progress.show(resumed)
            service.cancel(resources, job.tenant_id, job.dialect, job.external_id)
            said = messages(wire)

        kinds = [each["type"] for each in said if each["type"] not in {"progress", "keepalive"}]
        assert kinds[0] == "catchup"
        assert [each for each in kinds if each != "status"] == [
            *("catchup", "paused", "resumed", "cancelled")
        ]
        assert any(each.get("pause_requested") for each in said)

    def test_a_job_that_fails_is_an_error(self, live, resources, documents, token):
        job = documents([{"sleep": 5}] * 2)
        with live.socket(job.external_id, token) as wire:
            with resources.db.transaction() as tx:
                store.advance(tx, job.id, Event.FATAL, error=("taxonomy_gone", "No taxonomy."))
            said = messages(wire)

        assert said[-1]["type"] == "error"
        assert (said[-1]["error"], said[-1]["error_type"]) == ("No taxonomy.", "taxonomy-gone")

    def test_the_twin_tells_the_same_as_the_websocket(self, live, documents, token, finished):
        documents_of_d = [{"document": {"title": "A", "id": f"d{n}"}} for n in range(8)]
        job = finished(documents(documents_of_d))

        with live.socket(job.external_id, token, "?after=0") as wire:
            said = messages(wire)
        told = live.watch(f"{documents_path(job)}?after=0", token).until_over()

        assert [each.data for each in told] == said
        rows = [each for each in said if each["type"] == "progress"]
        assert {(each["title"], each["row_id"]) for each in rows} == {
            ("A", f"d{n}") for n in range(8)
        }
        assert [each.name for each in told] == [each["type"] for each in said]
        assert [each.id for each in told] == [each["seq"] for each in said]
        again = live.get(documents_path(job), token, **{"Last-Event-ID": str(told[-1].id)})
        assert again.status_code == 204

    def test_a_job_of_another_dialect_is_none_of_its_jobs(self, live, submit, token):
        job = submit("slow", [{}])

        with live.socket(job.external_id, token) as wire:
            assert json.loads(wire.recv()) == {"error": "Job not found", "job_id": job.external_id}
            with pytest.raises(ConnectionClosed):
                wire.recv()
        assert wire.close_code == 1008
        answer = live.get(documents_path(job), token)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Job not found"})


class TestSilence:
    def test_a_stream_shows_that_it_lives_and_a_socket_is_kept_alive(self, live, waiting, token):
        """No worker: nothing happens."""
        stream = live.watch(path(waiting()), token)
        job = waiting("documents")
        with live.socket(job.external_id, token) as wire:
            said = [json.loads(wire.recv(timeout=10)) for _ in range(3)]

        assert [each["type"] for each in said] == ["catchup", "keepalive", "keepalive"]
        assert said[1] == {
            **{"type": "keepalive", "job_id": job.external_id},
            **{"status": "pending", "seq": job.version},
        }
        until(lambda: stream.signs_of_life >= 2, 10)
        stream.close()

    def test_a_ping_is_answered(self, live, waiting, token):
        with live.socket(waiting("documents").external_id, token) as wire:
            assert wire.ping().wait(10)

    def test_what_a_client_says_is_not_listened_to(self, live, waiting, token):
        with live.socket(waiting("documents").external_id, token) as wire:
            wire.send('{"action": "cancel"}')
            said = [json.loads(wire.recv(timeout=10)) for _ in range(2)]
            assert said[-1]["status"] == "pending"
            with suppress(ConnectionClosed):
                for _ in range(100):
                    wire.send("x" * 4096)
            messages(wire)
        assert wire.close_code == 1009

    def test_a_change_is_told_at_once(self, live, resources, waiting, token):
        """By Redis, and not by the look that follows some seconds later."""
        jobs = [waiting() for _ in range(6)]
        streams = [live.watch(path(job), token) for job in jobs]
        for stream in streams:
            stream.until("state")
        began = time.monotonic()

        for job, stream in zip(jobs, streams, strict=True):
            service.cancel(resources, job.tenant_id, job.dialect, job.external_id)
            stream.until("end")

        # Each is told before the next one changes: by looks, each but the first would take a
        # whole interval.
        assert time.monotonic() - began < (len(jobs) - 1) * LOOK_SECONDS

    def test_a_change_that_redis_never_heard_of_is_found_all_the_same(
        self, live, resources, waiting, token
    ):
        job = waiting()
        stream = live.watch(path(job), token)
        stream.until("state")

        with resources.db.transaction() as tx:
            store.advance(tx, job.id, Event.CANCEL)

        assert [each.name for each in stream.until_over(20)] == [
            *("progress", "state", "state", "end")
        ]

    def test_a_job_that_an_older_version_ended_without_a_word_ends(
        self, live, resources, waiting, token
    ):
        job = waiting()
        stream = live.watch(path(job), token)
        stream.until("state")

        with resources.db.transaction() as tx:
            tx.execute("DELETE FROM job_events")
            moved = store.advance(tx, job.id, Event.CANCEL)
            tx.execute("DELETE FROM job_events")
        resources.progress.show(moved)

        assert [each.data["status"] for each in stream.until_over() if each.name != "progress"] == [
            *("queued", "cancelled", "cancelled")
        ]
        late = live.watch(f"{path(job)}?after=0", token).until_over()
        assert [each.data["status"] for each in late] == ["queued", "cancelled", "cancelled"]


class TestWhoMayWatch:
    def test_what_belongs_to_another_tenant_does_not_exist(self, live, waiting, stranger):
        mine, document = waiting(), waiting("documents")
        nobody = f"/v1/jobs/{uuid4()}/events"

        answers = [live.get(each, stranger) for each in (path(mine), nobody, "/v1/jobs/x/events")]
        assert {answer.status_code for answer in answers} == {404}
        assert {answer.json()["type"] for answer in answers} == {"urn:muster:problem:job-not-found"}
        foreign = live.get(documents_path(document), stranger)
        assert (foreign.status_code, foreign.json()) == (404, {"detail": "Job not found"})
        for place in ("/api/batch/jobs/%00/events", "/v1/jobs/a%00b/events"):
            assert live.get(place, stranger).status_code == 404
        for job_id in (document.external_id, "batch-1-abc", "é", "", "%00", "a%00b", "%ff"):
            with live.socket(job_id, stranger) as wire:
                said = json.loads(wire.recv())
                assert said["error"] == "Job not found"
                assert said["job_id"] == unquote(job_id)
                with pytest.raises(ConnectionClosed):
                    wire.recv()
            assert wire.close_code == 1008

    @pytest.mark.parametrize("token", [None, "nonsense", "sk_nobody", "expired"])
    def test_without_a_good_token_nothing_is_told(self, live, settings, tenant, waiting, token):
        if token == "expired":
            token = tokens.mint_access(
                settings, tenant.id, "u", {"jobs:read"}, lifetime=timedelta(seconds=-1)
            )
        job, document = waiting(), waiting("documents")

        answer = live.get(path(job), token)
        assert answer.status_code == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        answer = live.get(documents_path(document), token)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert set(answer.json()) == {"detail"}
        with live.socket(document.external_id, token) as wire:
            said = json.loads(wire.recv())
            with pytest.raises(ConnectionClosed):
                wire.recv()
        assert said == {"error": "Authentication required", "job_id": document.external_id}
        assert wire.close_code == 1008

    def test_a_token_in_the_address_will_do(self, live, waiting, token):
        job, document = waiting(), waiting("documents")

        stream = live.watch(f"{path(job)}?token={token}", None)
        stream.until("state")
        stream.close()
        with live.socket(document.external_id, None, f"?token={token}") as wire:
            assert json.loads(wire.recv())["type"] == "catchup"

    def test_so_will_an_api_key_and_one_without_the_permission_will_not(
        self, live, resources, tenant, waiting
    ):
        job, document = waiting(), waiting("documents")
        _, reader = accounts.create_key(resources.db, tenant.id, "reader", ["jobs:read"])
        _, other = accounts.create_key(resources.db, tenant.id, "other", ["kyc:create"])

        stream = live.watch(path(job), reader)
        stream.until("state")
        stream.close()
        refused = live.get(path(job), other)
        assert (refused.status_code, refused.json()["type"]) == (
            403,
            "urn:muster:problem:insufficient-permissions",
        )
        with live.socket(document.external_id, other) as wire:
            assert json.loads(wire.recv())["error"] == "Not allowed"
            with pytest.raises(ConnectionClosed):
                wire.recv()
        assert wire.close_code == 1008

    @pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30])
    def test_a_place_that_is_none_is_refused(self, live, waiting, token, after):
        assert live.get(f"{path(waiting())}?after={after}", token).status_code == 400
        with live.socket(waiting("documents").external_id, token, f"?after={after}") as wire:
            assert "after" in json.loads(wire.recv())["error"]

    def test_an_unreadable_header_of_a_reader_who_comes_back_is_as_good_as_none(
        self, live, waiting, token
    ):
        stream = live.watch(path(waiting()), token, **{"Last-Event-ID": "abc"})
        stream.until("state")
        stream.close()

    def test_types_that_do_not_exist_are_refused(self, live, waiting, token):
        answer = live.get(f"{path(waiting())}?types=state,ends", token)
        assert answer.status_code == 400
        assert "state, item, progress, end" in answer.json()["detail"]

    def test_a_websocket_is_no_page(self, live, client):
        for answer in (
            requests.get(f"{live.url}/api/batch/ws/x", timeout=10),
            client.get("/api/batch/ws/x"),
        ):
            assert answer.status_code == 426
            assert answer.headers["Upgrade"] == "websocket"

    @pytest.mark.parametrize("version", ["12", ""])
    def test_a_handshake_that_is_none_is_answered_as_a_request(self, live, version):
        answer = requests.get(
            f"{live.url}/api/batch/ws/x",
            headers={
                **{"Upgrade": "websocket", "Connection": "Upgrade"},
                **{"Sec-WebSocket-Version": version},
            },
            timeout=10,
        )
        assert answer.status_code == 426

    def test_what_is_no_http_is_refused_in_json(self, live):
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as sock:
            sock.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            answer = sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer


class TestSlowClients:
    """Nobody without a token keeps a place that a watcher could have."""

    def test_a_request_that_comes_a_byte_at_a_time_is_not_waited_for(self, live):
        line = b"GET /healthz" + b"x" * 2000
        headers = b"GET /healthz HTTP/1.1\r\n" + b"X-One: 1\r\n" * 200
        began = time.monotonic()
        clients = [_Dripping(live, line), _Dripping(live, headers, at_once=40)]

        until(lambda: all(each.is_over() for each in clients), 40, "both are let go")

        assert time.monotonic() - began > 10, "who is only slow is waited for"
        # Of a whole line that was no whole request, it is said.
        assert clients[0].said == b""
        assert clients[1].said.startswith(b"HTTP/1.1 400 ")

    @pytest.mark.parametrize("length", ["Content-Length: 4000", "Transfer-Encoding: chunked"])
    def test_nobody_waits_for_the_body_of_a_request(self, live, length):
        head = f"POST /v1/jobs/x/events HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode()
        body = b"f" * 4 + b"\r\n" + b"x" * 4000
        client = _Dripping(live, head + body, at_once=len(head))

        until(client.is_over, 15, "it is answered and let go")

        assert client.said.startswith(b"HTTP/1.1 405 ")

    def test_whoever_is_refused_and_does_not_say_goodbye_is_not_waited_for(self, live):
        head = (
            b"GET /api/batch/ws/x HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        # An empty pong each time, masked: nothing that anybody answers.
        client = _Dripping(live, head + b"\x8a\x80\0\0\0\0" * 1000, at_once=len(head), size=6)

        until(client.is_over, 15, "it is let go")

        assert b"Authentication required" in client.said

    def test_a_client_in_good_time_may_ask_again_on_its_connection(self, live):
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as sock:
            for _ in range(3):
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                said = b""
                while b"watchers" not in said:
                    part = sock.recv(4096)
                    assert part, said
                    said += part
                assert said.startswith(b"HTTP/1.1 200 ")


class _Dripping:
    """A client that sends a little each time it is asked whether it has been let go."""

    def __init__(self, live: Live, text: bytes, *, at_once: int = 1, size: int = 1) -> None:
        self.said = b""
        self._rest = text[at_once:]
        self._size = size
        self._next = 0.0
        self._socket = socket.create_connection(("127.0.0.1", live.port), timeout=10)
        self._socket.sendall(text[:at_once])
        self._socket.setblocking(False)

    def is_over(self) -> bool:
        if self._socket.fileno() < 0:
            return True
        try:
            while data := self._socket.recv(4096):
                self.said += data
        except BlockingIOError:
            return self._drip()
        except OSError:
            pass
        self._socket.close()
        return True

    def _drip(self) -> bool:
        if time.monotonic() > self._next:
            self._next = time.monotonic() + 0.2
            with suppress(OSError):
                self._socket.send(self._rest[: self._size])
            self._rest = self._rest[self._size :]
        return False


class TestManyWatchers:
    def test_they_share_a_subscription_and_few_connections_and_leave_nothing(
        self, live, resources, redis_client, exits, waiting, token
    ):
        until(lambda: watchers(live) == {"clients": 0, "jobs": 0}, 20, lambda: watchers(live))
        jobs = [waiting() for _ in range(10)]
        files, connections = _files(live), _connections(resources)

        streams = [live.watch(path(job), token) for job in jobs for _ in range(5)]
        wires = [
            exits.enter_context(live.socket(waiting("documents").external_id, token))
            for _ in range(50)
        ]
        for stream in streams:
            stream.until("state")
        for wire in wires:
            wire.recv()

        until(lambda: watchers(live) == {"clients": 100, "jobs": 60}, 20, lambda: watchers(live))
        assert redis_client.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), 1)]
        assert _connections(resources) <= connections + 8
        for stream in streams:
            stream.close()
        for number, wire in enumerate(wires):
            if number % 2:
                wire.close()
            else:
                wire.socket.shutdown(socket.SHUT_RDWR)

        until(lambda: watchers(live) == {"clients": 0, "jobs": 0}, 20, lambda: watchers(live))
        until(lambda: _files(live) <= files + 8, 20, lambda: f"{files}, {_files(live)}")

    def test_what_redis_is_told_is_ids_and_versions(self, resources, redis_client, submit):
        with redis_client.pubsub() as listener:
            listener.subscribe(CHANNEL)
            job = submit("slow", [{"echo": "Ivan Petrov"}])
            service.cancel(resources, job.tenant_id, job.dialect, job.external_id)
            heard = [until(lambda: listener.get_message(timeout=1), 20) for _ in range(3)][1:]

        assert [each["data"].decode() for each in heard] == [f"{job.id} 1", f"{job.id} 2"]

    def test_told_to_stop_it_says_goodbye_to_all_and_ends(
        self, live_settings, tmp_path, waiting, token
    ):
        with started(live_settings, tmp_path) as other:
            stream = other.watch(path(waiting()), token)
            stream.until("state")
            with other.socket(waiting("documents").external_id, token) as wire:
                wire.recv()
                other.process.terminate()
                messages(wire)
                assert wire.close_code == 1012
            told = stream.until_over()
            assert other.process.wait(20) == 0

        assert "end" not in [each.name for each in told]


class TestTheWeb:
    """It gives the list; whoever wants a stream is shown the way."""

    def test_with_an_address_of_live_a_caller_is_sent_there_with_a_ticket(
        self, live, settings, token, waiting
    ):
        from app.factory import create_app

        web = create_app(replace(settings, live_url=live.url)).test_client()
        job = waiting()

        sent = web.get(
            f"{path(job)}?after=0&types=state", headers={"Authorization": f"Bearer {token}"}
        )

        assert sent.status_code == 307
        place = sent.headers["Location"]
        assert place.startswith(f"{live.url}{path(job)}?after=0&types=state&token=")
        assert token not in place
        stream = live.watch(place.removeprefix(live.url), None)
        stream.until("state")
        stream.close()

    @pytest.fixture
    def sent(self, live, settings, token):
        """Return the path with a ticket to which the web sends whoever asks for a job's stream."""
        from app.factory import create_app

        web = create_app(replace(settings, live_url=live.url)).test_client()

        def run(where: str, credential: str = token, **environ: str) -> str:
            answer = web.get(
                where, headers={"Authorization": f"Bearer {credential}"}, environ_overrides=environ
            )
            assert answer.status_code == 307
            return answer.headers["Location"].removeprefix(live.url)

        return run

    def test_a_ticket_is_no_token_of_the_api(self, web, sent, waiting):
        job, other = waiting(), waiting("documents")
        ticket = sent(path(job)).rpartition("token=")[2]

        for where in (
            "/v1/jobs",
            path(job),
            path(job).removesuffix("/events"),
            path(job).replace("/events", "/results"),
            f"/v1/jobs/{ids.render(other.id)}/results",
            f"/api/batch/jobs/{other.external_id}/results",
            "/kyc/jobs",
            "/api/auth/me",
        ):
            for given in (ticket, ticket.removeprefix(tokens.TICKET_PREFIX)):
                asked = {"Authorization": f"Bearer {given}"}
                assert web.test_client().get(where, headers=asked).status_code == 401, where
            assert web.test_client().get(f"{where}?token={ticket}").status_code == 401, where

    def test_a_ticket_is_for_one_job_and_one_way_to_watch_it(self, live, sent, waiting):
        job, other, document = waiting(), waiting(), waiting("documents")
        ticket = sent(path(job)).rpartition("token=")[2]

        for where in (path(other), documents_path(document)):
            refused = live.get(f"{where}?token={ticket}", None)
            assert refused.status_code == 401, where
        for given in (ticket, ticket.removeprefix(tokens.TICKET_PREFIX)):
            assert live.get(path(job), given).status_code == 401, "as a header it is none"
        of_document = sent(documents_path(document)).rpartition("token=")[2]
        with live.socket(document.external_id, None, f"?token={of_document}") as wire:
            assert json.loads(wire.recv())["error"] == "Authentication required"
        stream = live.watch(f"{documents_path(document)}?token={of_document}", None)
        stream.until("catchup")
        stream.close()

    def test_a_ticket_that_was_tampered_with_or_is_old_is_none(
        self, live, settings, sent, waiting, tenant, monkeypatch
    ):
        job, other = waiting(), waiting()
        ticket = sent(path(job)).rpartition("token=")[2]
        head, claims, signature = ticket.split(".")
        read = json.loads(urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        assert read["exp"] - time.time() <= 60
        claims = urlsafe_b64encode(json.dumps({**read, "path": path(other)}).encode()).decode()
        forgery = f"{head}.{claims.rstrip('=')}.{signature}"
        for forged in (forgery, tokens.TICKET_PREFIX, f"{tokens.TICKET_PREFIX}a.b.c"):
            assert live.get(f"{path(other)}?token={forged}", None).status_code == 401

        monkeypatch.setattr(tokens, "_TICKET", timedelta(seconds=-1))
        old = sent(path(job)).rpartition("token=")[2]
        assert live.get(f"{path(job)}?token={old}", None).status_code == 401

    def test_a_ticket_of_a_key_ends_with_the_key_and_holds_in_its_networks(
        self, live, resources, tenant, sent, waiting
    ):
        where = path(waiting())
        key, secret = accounts.create_key(resources.db, tenant.id, "reader", ["jobs:read"])
        _, bound = accounts.create_key(
            resources.db, tenant.id, "bound", ["jobs:read"], allowed_ips=["192.0.2.0/24"]
        )

        far = live.get(sent(where, bound, REMOTE_ADDR="192.0.2.7"), None)
        assert (far.status_code, far.json()["type"]) == (
            403,
            "urn:muster:problem:insufficient-permissions",
        )
        place = sent(where, secret)
        stream = live.watch(place, None)
        stream.until("state")
        stream.close()
        accounts.revoke_key(resources.db, tenant.id, key.id)
        assert live.get(place, None).status_code == 401

    def test_without_one_it_says_where_to_ask(self, client, waiting):
        job = waiting()

        refused = client.get(path(job), headers={"Accept": "text/event-stream"})
        assert refused.status_code == 406
        assert "live" in refused.get_json(force=True)["detail"]
        assert client.get(path(job), headers={"Accept": "*/*"}).get_json()["object"] == "list"
        assert client.get(path(job)).get_json()["object"] == "list"

    def test_a_token_in_the_address_is_not_for_the_web(self, web, waiting, token):
        answer = web.test_client().get(f"{path(waiting())}?token={token}")
        assert answer.status_code == 401


def _lazy_client(live: Live, path: str, token: str) -> socket.socket:
    """Ask, and take nothing of the answer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(30)
    sock.connect(("127.0.0.1", live.port))
    sock.sendall(f"GET {path} HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    return sock


def _rest(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    sock.close()
    return b"".join(parts)


def _resident(live: Live) -> int:
    """Bytes of memory that the process has of its own."""
    text = Path(f"/proc/{live.process.pid}/smaps_rollup").read_text()
    return 1024 * int(re.search(r"^Pss_Anon:\s+(\d+) kB", text, re.MULTILINE)[1])


def _files(live: Live) -> int:
    return len(list(Path(f"/proc/{live.process.pid}/fd").iterdir()))


def _connections(resources) -> int:
    """Those that are open to Postgres under the name that live has: the tests' own among them,
    which are the more, the more tests ran before."""
    with resources.db.transaction() as tx:
        tx.execute("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'muster'")
        return tx.fetchone()["n"]
