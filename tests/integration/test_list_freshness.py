"""Lists are fetched by the clock, one that is late is shown as stale, and a job keeps its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.factory import create_app
from app.jobs.dispatch import CHECK_LISTS, FACES
from app.resources import Resources, make_celery
from app.screening import store
from app.screening.lists import catalogue
from app.screening.lists.catalogue import KnownList
from tests.integration import engine
from tests.integration.conftest import until
from tests.integration.test_watchlists import Publisher, publisher
from tests.kyc import ENTRIES, LISTED, ended, house_list, load, screener, waiting
from workers import refresh

__all__ = ["house_list", "publisher", "screener", "waiting"]

pytestmark = pytest.mark.integration


@pytest.fixture
def watched(settings):
    """A server that wants `house` refreshed hourly."""
    return replace(settings, list_intervals="house=1h", list_check_seconds=60.0)


@pytest.fixture
def watched_resources(watched):
    opened = Resources.open(watched)
    yield opened
    opened.close()


@pytest.fixture
def watcher(watched, settings, tenant):
    token = tokens.mint_access(settings, tenant.id, "usr_test", PERMISSIONS[Role.OPERATOR])
    client = create_app(watched).test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def grow_old(database):
    """Move everything that was ever loaded or refreshed two hours into the past."""

    def run() -> None:
        with database.transaction() as tx:
            for column, table in (
                ("loaded_at", "watchlists"),
                ("refreshed_at", "watchlist_refreshes"),
                ("attempted_at", "watchlist_refreshes"),
            ):
                tx.execute(f"UPDATE {table} SET {column} = {column} - interval '2 hours'")

    return run


def known_as_published(monkeypatch, publisher: Publisher) -> None:
    """Let the catalogue know `house` at the address of a publisher of the test's own."""
    known = KnownList("house", "House", "plain", f"{publisher.url}/house.jsonl")
    monkeypatch.setitem(catalogue._BY_NAME, "house", known)


PUBLISHED = b'{"id": "p-1", "type": "person", "name": "Zebulon Quartermain"}\n'


def test_a_list_refreshed_in_time_is_not_stale(watcher, house_list):
    (shown,) = watcher.get("/kyc/lists").json["lists"]

    assert (shown["stale"], shown["refresh_seconds"]) == (False, 3600.0)


def test_a_list_of_which_nobody_promised_anything_is_never_stale(client, house_list, grow_old):
    grow_old()

    (shown,) = client.get("/kyc/lists").json["lists"]
    assert (shown["stale"], shown["refresh_seconds"]) == (False, None)


def test_a_stale_list_is_shown_in_lists_jobs_and_results(watcher, house_list, grow_old, screener):
    grow_old()

    (shown,) = watcher.get("/kyc/lists").json["lists"]
    made = watcher.post("/kyc/jobs", json={"entities": [LISTED]})
    job = ended(watcher, made.json["job_id"])
    listed = watcher.get("/kyc/jobs").json["jobs"]
    check = watcher.post("/kyc", json=LISTED).json["data"]

    assert shown["stale"] is True
    for body in (made.json, job, listed[0]):
        (warning,) = body["warnings"]
        assert (warning["code"], warning["list_name"]) == ("stale_list", "house")
        assert "last refreshed at" in warning["message"]
    assert job["results"][0]["stale_lists"] == ["house"]
    assert check["summary"]["stale_lists"] == ["house"]


def test_a_list_that_was_looked_at_and_had_not_changed_is_fresh(
    watcher, resources, settings, tmp_path, house_list, grow_old
):
    grow_old()
    load(resources, settings, tmp_path, "house", ENTRIES)

    (shown,) = watcher.get("/kyc/lists").json["lists"]
    assert shown["stale"] is False
    assert shown["refreshed_at"] > shown["loaded_at"]


def test_a_job_without_stale_lists_says_nothing_of_it(watcher, house_list, screener):
    made = watcher.post("/kyc/jobs", json={"entities": [LISTED]})
    job = ended(watcher, made.json["job_id"])

    assert "warnings" not in made.json
    assert "warnings" not in job
    assert "stale_lists" not in job["results"][0]


def test_a_list_that_is_due_is_fetched_once_and_then_fresh(
    watched_resources, watcher, house_list, grow_old, publisher, monkeypatch
):
    known_as_published(monkeypatch, publisher)
    publisher.files["/house.jsonl"] = PUBLISHED
    monkeypatch.setattr("app.screening.lists.load.LEAST_SHARE", 0.0)
    assert refresh.due(watched_resources) == []
    grow_old()

    due, at_once_again = refresh.due(watched_resources), refresh.due(watched_resources)
    refresh.refresh(watched_resources, "house")

    assert (due, at_once_again) == (["house"], [])
    (shown,) = watcher.get("/kyc/lists").json["lists"]
    assert (shown["entities"], shown["stale"]) == (1, False)
    assert refresh.due(watched_resources) == []


def test_a_list_that_was_never_loaded_is_fetched_too(
    watched_resources, watcher, publisher, monkeypatch
):
    known_as_published(monkeypatch, publisher)
    publisher.files["/house.jsonl"] = PUBLISHED

    assert refresh.due(watched_resources) == ["house"]
    refresh.refresh(watched_resources, "house")

    assert watcher.get("/kyc/lists").json["count"] == 1


def test_a_publisher_that_fails_leaves_the_list_stale_and_says_why(
    watched_resources, watcher, database, house_list, grow_old, publisher, monkeypatch
):
    known_as_published(monkeypatch, publisher)
    publisher.status = 503
    grow_old()

    refresh.due(watched_resources)
    refresh.refresh(watched_resources, "house")

    with database.transaction() as tx:
        assert "answered 503" in (store.list_refreshes(tx)["house"].problem or "")
    (shown,) = watcher.get("/kyc/lists").json["lists"]
    assert (shown["stale"], shown["entities"]) == (True, len(ENTRIES))
    # Not at once again, but after the pause.
    assert refresh.due(watched_resources) == []
    grow_old()
    assert refresh.due(watched_resources) == ["house"]


def test_a_list_without_a_publisher_is_never_fetched(watched_resources, house_list, grow_old):
    grow_old()

    assert refresh.due(watched_resources) == []


def test_beat_looks_after_lists_only_where_the_settings_say_so(settings, watched):
    off, on = (make_celery(each).conf.beat_schedule for each in (settings, watched))

    assert CHECK_LISTS not in {each["task"] for each in off.values()}
    assert on["check_lists"]["task"] == CHECK_LISTS
    assert on["check_lists"]["schedule"] == 60.0


def test_a_real_beat_and_worker_fetch_what_is_due(settings, database, worker):
    """No publisher can be reached from here: that it was asked is seen by what is noted."""
    worker(
        env={
            "MUSTER_LIST_INTERVALS": "un=1s",
            "MUSTER_LIST_CHECK_SECONDS": "0.5",
            # Nothing of this test leaves the machine.
            "HTTPS_PROXY": "http://127.0.0.1:1",
            "NO_PROXY": "",
        }
    )

    def problem() -> str | None:
        with database.transaction() as tx:
            known = store.list_refreshes(tx).get("un")
        return known and known.problem

    assert "could not be fetched" in until(problem, 20, "the list was asked for")


# -- the versions of a job ------------------------------------------------------------------------


def test_a_job_is_screened_against_the_versions_of_its_submission_throughout(
    client, resources, settings, tmp_path, house_list, waiting, screener
):
    """The list loses the very entry that every entity matches, when half of them are done."""
    job = waiting(*["Zebulon Quartermain"] * 100, chunk_size=5)
    # The worker is given copies: the messages themselves stay, so that no sweep misses any.
    messages = engine.waiting(resources.redis, FACES)

    def look() -> dict:
        return client.get(f"/kyc/jobs/{job.external_id}?results=false").json

    engine.deliver(resources.redis, messages[:10])
    until(lambda: look()["processed_entities"] >= 50, 60, "half of it is done")
    new = [{"id": "n-1", "type": "person", "name": "Entirely Different"}, *ENTRIES[1:]]
    load(resources, settings, tmp_path, "house", new)
    half_way = look()
    engine.deliver(resources.redis, messages[10:])
    done = ended(client, job.external_id, 60)
    (after,) = ended(client, client.post("/kyc/jobs", json={"entities": [LISTED]}).json["job_id"])[
        "results"
    ]

    assert half_way["processed_entities"] == 50, "the update came half-way"
    assert done["matches_found"] == 100
    ids = {match["match_data"]["id"] for each in done["results"] for match in each["matches"]}
    assert ids == {"h-1"}
    assert after["matches"] == []
