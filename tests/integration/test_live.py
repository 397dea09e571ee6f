"""The process `live`: every kind of job is watched the same way, nothing is lost or repeated."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from app.jobs import service, store
from app.jobs.states import Event
from app.live.hub import LOOK_SECONDS
from tests.integration.conftest import until
from tests.live import Live, assert_whole_story, documents_path, messages, path, watchers
from tests.live import documents as documents
from tests.live import engine as engine
from tests.live import live as live
from tests.live import live_settings as live_settings
from tests.live import waiting as waiting


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

    def test_a_slow_client_holds_up_nobody(self, live, submit, token):
        """It takes nothing at all while more is told than fits between it and the server."""
        job = submit("fast", [{"bad": "x" * 4000}] * 3000, chunk_size=500)
        slow = _lazy_client(live, f"{path(job)}?after=0", token)
        before = _resident(live)

        told = live.watch(f"{path(job)}?after=0", token).until_over(60)

        assert len([each for each in told if each.name == "item"]) == 3000
        assert told[-1].name == "end"
        # What the slow one has not taken lies in Postgres, and not here.
        assert _resident(live) - before < 40_000_000
        slow.close()

    def test_a_slow_client_loses_nothing(self, live, submit, finished, token):
        """It takes nothing at all for a while, and then the rest."""
        # The job is over by then: on a busy machine it may run for the 20 seconds after which
        # a client that takes nothing is let go.
        job = finished(submit("fast", [{"bad": "x" * 4000}] * 3000, chunk_size=500))
        slow = _lazy_client(live, f"{path(job)}?after=0", token)
        told = live.watch(f"{path(job)}?after=0", token).until_over(60)

        body = _rest(slow)

        assert len([each for each in told if each.name == "item"]) == 3000
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
            # What was asked for before the first message would be in it, and not told after it.
            first = json.loads(wire.recv(timeout=30))
            until(lambda: reload(job).done >= 2, 20)
            with resources.db.transaction() as tx:
                store.advance(tx, job.id, Event.PAUSE)
            until(lambda: reload(job).state == "paused", 20)
            with resources.db.transaction() as tx:
                resumed = store.advance(tx, job.id, Event.RESUME)
            resources.progress.show(resumed)
            service.cancel(resources, job.tenant_id, job.dialect, job.external_id)
            said = [first, *messages(wire)]

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
