"""A tenant's own lists: uploaded over HTTP, screened against, and nobody else's business."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.errors import WatchlistRejected
from app.factory import create_app
from app.screening import store
from app.screening.lists.load import load_list
from app.screening.topics import TOPICS
from schemas import kyc as wire
from tests.kyc import (
    CLEAR,
    ENTRIES,
    LISTED,
    assert_flat,
    ended,
    house_list,
    load,
    screener,
    waiting,
)
from workers import sweep

__all__ = ["house_list", "screener", "waiting"]

pytestmark = pytest.mark.integration

CSV = "id,name,type,topics\nb-1,Ludovica Brandtsen,person,\nb-2,Peregrine Oakhollow,person,crime\n"
BLOCKED = {"entity_id": "e1", "subject": {"full_name": "Ludovica Brandtsen"}}


def client_of(web, settings, tenant_id, role=Role.ADMIN):
    token = tokens.mint_access(settings, tenant_id, "usr_admin", PERMISSIONS[role])
    client = web.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return client


@pytest.fixture
def admin(web, settings, tenant):
    return client_of(web, settings, tenant.id)


@pytest.fixture
def stranger(web, settings, resources):
    """An administrator of another tenant."""
    return client_of(web, settings, accounts.ensure_tenant(resources.db, "other").id)


def upload(client, content=CSV, name="blocked", *, kind="text/csv", to="", **query):
    query = query if to else {"name": name, **query}
    return client.post(f"/kyc/lists{to}", data=content, content_type=kind, query_string=query)


def jsonl(*names: str) -> str:
    entries = [{"id": f"n{at}", "name": name} for at, name in enumerate(names)]
    return "".join(json.dumps(entry) + "\n" for entry in entries)


def names(client) -> list[str]:
    return [each["list_name"] for each in client.get("/kyc/lists").json["lists"]]


def test_an_uploaded_list_is_shown_with_its_versions(admin):
    stored = upload(admin, title="Blocked customers", version="v1")

    assert stored.status_code == 200
    assert stored.headers["Location"] == "/kyc/lists/blocked"
    assert stored.json == {
        **{"status": "success", "list_name": "blocked", "version": "v1", "entities": 2},
        **{"added": 2, "removed": 0, "changed": 0, "unchanged": False},
    }
    shown = admin.get("/kyc/lists/blocked").json["list"]
    assert (shown["description"], shown["own"], shown["stale"]) == (
        *("Blocked customers", True, False),
    )
    assert shown["topics"] == ["internal", "crime"]
    assert [(v["version"], v["in_force"]) for v in shown["versions"]] == [("v1", True)]


def test_an_own_list_is_searched_with_all_others_and_when_named(admin, house_list, screener):
    upload(admin, version="v1")

    everywhere = admin.post("/kyc", json=BLOCKED).json["data"]
    named = admin.post("/kyc", json={**BLOCKED, "lists": ["blocked"]}).json["data"]
    made = admin.post("/kyc/jobs", json={"entities": [BLOCKED], "lists": ["blocked"]})
    job = ended(admin, made.json["job_id"])

    assert everywhere["results"]["blocked"]["match_count"] == 1
    assert everywhere["results"]["house"]["match_count"] == 0
    assert named["result"]["matches"][0]["match_data"]["id"] == "b-1"
    (result,) = job["results"]
    assert (result["match_count"], result["list_versions"]) == (1, {"blocked": "v1"})


def test_a_new_version_is_added_and_the_old_one_stays(admin):
    upload(admin, version="v1")

    second = upload(admin, CSV + "b-3,Casimir Holt,person,\n", to="/blocked", version="v2")
    again = upload(admin, CSV + "b-3,Casimir Holt,person,\n", to="/blocked", version="v3")

    assert (second.json["entities"], second.json["added"], second.json["removed"]) == (3, 1, 0)
    assert (again.json["unchanged"], again.json["version"]) == (True, "v2")
    shown = admin.get("/kyc/lists/blocked").json["list"]
    assert [(v["version"], v["in_force"]) for v in shown["versions"]] == [
        *(("v2", True), ("v1", False)),
    ]


def test_what_belongs_to_another_tenant_does_not_exist(admin, stranger, house_list, screener):
    upload(admin)

    assert names(stranger) == ["house"]
    for answer in (
        stranger.get("/kyc/lists/blocked"),
        upload(stranger, to="/blocked"),
        stranger.delete("/kyc/lists/blocked"),
    ):
        assert_flat(answer, 404, "list_not_found")
    refused = stranger.post("/kyc/jobs", json={"entities": [{**BLOCKED, "lists": ["blocked"]}]})
    assert assert_flat(refused, 400, "invalid_entities")["details"][0]["path"] == "lists[0]"
    checked = stranger.post("/kyc", json=BLOCKED).json["data"]
    assert checked["result"]["list_name"] == "house"


def test_two_tenants_may_use_one_name_for_lists_of_their_own(admin, stranger, screener):
    upload(admin, jsonl("Ludovica Brandtsen"), kind="application/x-ndjson")
    upload(stranger, jsonl("Somebody Else", "Another Person"), kind="application/jsonl")

    assert admin.get("/kyc/lists/blocked").json["list"]["entities"] == 1
    assert stranger.get("/kyc/lists/blocked").json["list"]["entities"] == 2
    assert admin.post("/kyc", json=BLOCKED).json["data"]["result"]["is_match"]
    assert not stranger.post("/kyc", json=BLOCKED).json["data"]["result"]["is_match"]


@pytest.mark.parametrize("name", ["ofac", "house", "un"])
def test_an_own_list_may_not_take_the_name_of_a_public_one(admin, house_list, name):
    assert_flat(upload(admin, name=name), 409, "list_exists")


def test_a_public_list_cannot_take_the_name_of_a_tenants_own(admin, database, tmp_path):
    upload(admin)
    (tmp_path / "list.jsonl").write_text(jsonl("Somebody Else"))

    with pytest.raises(WatchlistRejected, match="a list of its own"):
        load_list(database, "blocked", tmp_path / "list.jsonl")


def test_a_public_list_is_nobodys_to_change_or_delete(admin, house_list):
    assert_flat(upload(admin, to="/house"), 404, "list_not_found")
    assert_flat(admin.delete("/kyc/lists/house"), 404, "list_not_found")
    assert names(admin) == ["house"]


def test_a_list_is_created_once(admin):
    upload(admin, version="v1")

    assert_flat(upload(admin), 409, "list_exists")
    assert_flat(upload(admin, CSV + "b-3,C D,,\n", to="/blocked", version="v1"), 409, "list_exists")


def test_the_lines_that_are_wrong_are_named_and_nothing_is_stored(admin):
    content = "id,name,type\n1,Ann Bell,person\n,No Id,person\n2,Cy Dent,ghost\n1,Eve Fox,person\n"

    error = assert_flat(upload(admin, content), 400, "watchlist_rejected")

    assert [each["line"] for each in error["details"]] == [3, 4, 5]
    assert "ids must differ" in error["details"][2]["message"]
    assert error["invalid_count"] == 3
    assert names(admin) == []
    for name in ("Ann", "No Id", "Cy", "ghost"):
        assert name not in json.dumps(error)


@pytest.mark.parametrize(
    ("content", "kind", "line"),
    [
        (b"id,name\n1,Ann\xff\n", "text/csv", 2),
        (b'id,name\n1,"Ann\n', "text/csv", 2),
        (b"name\nAnn\n", "text/csv", 1),
        (b"id,name\n1,Ann,more\n", "text/csv", 2),
        (b'{"id": "1", "name": "Ann"}\n{"id": \n', "application/x-ndjson", 2),
        (b"[1]\n", "application/x-ndjson", 1),
        (b'{"id": "1", "name": "Ann", "topics": ["gossip"]}\n', "application/x-ndjson", 1),
        (b'{"id": "%s", "name": "Ann"}\n' % (b"x" * 501), "application/x-ndjson", 1),
        (b'{"id": "1", "name": "%s"}\n' % (b"x" * 501), "application/x-ndjson", 1),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_line(admin, content, kind, line):
    error = assert_flat(upload(admin, content, kind=kind), 400, "watchlist_rejected")

    assert error["details"][-1]["line"] == line
    assert names(admin) == []


def test_an_empty_list_is_refused(admin):
    assert_flat(upload(admin, "id,name\n"), 400, "watchlist_rejected")


@pytest.mark.parametrize(
    ("kind", "query"),
    [
        ("application/json", {}),
        ("application/pdf", {}),
        ("text/csv; charset=latin-1", {}),
        ("text/csv", {"name": ""}),
        ("text/csv", {"name": "No Name"}),
        ("text/csv", {"name": "9lives"}),
        ("text/csv", {"name": "x" * 41}),
        ("text/csv", {"topics": "gossip"}),
        ("text/csv", {"topics": ""}),
        ("text/csv", {"title": " "}),
        ("text/csv", {"version": "x" * 65}),
        ("text/csv", {"allow_shrink": "perhaps"}),
    ],
)
def test_an_upload_that_is_not_understood_is_refused(admin, kind, query):
    assert_flat(upload(admin, kind=kind, **query), 400, "invalid_parameter")
    assert names(admin) == []


def test_an_upload_without_a_name_is_refused(admin):
    answer = admin.post("/kyc/lists", data=CSV, content_type="text/csv")

    assert_flat(answer, 400, "invalid_parameter")


@pytest.fixture
def narrow(settings, tenant):
    """The administrator's client of a server that takes very little."""
    small = replace(settings, own_lists=1, own_list_max_bytes=1_000, own_list_max_entries=3)
    return client_of(create_app(small), settings, tenant.id)


def test_more_than_the_server_takes_is_refused_with_the_limit(narrow):
    rows = assert_flat(upload(narrow, "id,name\n1,A\n2,B\n3,C\n4,D\n"), 400, "watchlist_rejected")
    size = assert_flat(upload(narrow, "id,name\n" + "1,A\n" * 300), 413, "payload_too_large")
    upload(narrow, "id,name\n1,A\n2,B\n3,C\n")
    lists = assert_flat(upload(narrow, name="another"), 409, "list_exists")

    assert rows["details"] == [{"line": 5, "message": "this is entry 4."}]
    assert size["max_bytes"] == 1_000
    assert "may have no more" in lists["message"]
    assert names(narrow) == ["blocked"]


def test_a_version_that_lost_more_than_a_fifth_is_refused_unless_told_otherwise(admin):
    upload(admin, jsonl(*"ABCDE"), kind="application/x-ndjson")
    half = {"content": jsonl(*"ABC"), "kind": "application/x-ndjson", "to": "/blocked"}

    refused = assert_flat(upload(admin, **half), 400, "watchlist_rejected")
    told = upload(admin, **half, allow_shrink="true")

    assert "more than a fifth is gone" in refused["message"]
    assert (told.json["entities"], told.json["removed"]) == (3, 2)


def test_uploads_of_one_new_list_at_once_store_it_once(web, settings, tenant):
    answers = []

    def send(number: int) -> None:
        client = client_of(web, settings, tenant.id)
        answers.append(upload(client, jsonl(f"Person {number}"), kind="application/x-ndjson"))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]


def test_a_deleted_list_is_gone_for_new_jobs_and_stays_for_old_ones(
    admin, resources, database, screener, waiting
):
    upload(admin, version="v1")
    made = admin.post("/kyc/jobs", json={"entities": [BLOCKED]}).json["job_id"]
    assert ended(admin, made)["matches_found"] == 1
    planned = waiting("Ludovica Brandtsen")

    assert admin.delete("/kyc/lists/blocked").json["deleted"] is True

    assert names(admin) == []
    assert_flat(admin.get("/kyc/lists/blocked"), 404, "list_not_found")
    assert_flat(admin.delete("/kyc/lists/blocked"), 404, "list_not_found")
    assert ended(admin, made)["results"][0]["list_versions"] == {"blocked": "v1"}
    version_id = planned.options["lists"]["blocked"]["id"]
    with database.transaction() as tx:
        assert len(list(store.load_entries(tx, version_id))) == 2


def test_versions_of_own_lists_go_when_no_job_cites_them(admin, resources, database, waiting):
    upload(admin, version="v1")
    waiting("Ludovica Brandtsen")
    upload(admin, jsonl("A B", "C D"), kind="application/x-ndjson", to="/blocked", version="v2")
    admin.delete("/kyc/lists/blocked")

    sweep.maintain(resources)
    with database.transaction() as tx:
        tx.execute("SELECT version FROM watchlists ORDER BY id")
        assert [row["version"] for row in tx.fetchall()] == ["v1", "v2"]
        tx.execute("UPDATE watchlists SET retired_at = now() - interval '2 days'")
    sweep.maintain(resources)

    with database.transaction() as tx:
        tx.execute("SELECT version FROM watchlists")
        assert [row["version"] for row in tx.fetchall()] == ["v1"]


# -- topics, lists and search type of a whole request ---------------------------------------------


def test_a_topic_picks_entries_by_their_own_word_or_that_of_their_list(admin, house_list, screener):
    upload(admin, version="v1")
    people = [BLOCKED, {"entity_id": "e2", "subject": {"full_name": "Peregrine Oakhollow"}}]

    found = {}
    for topic in ("internal", "crime"):
        made = admin.post("/kyc/jobs", json={"entities": people, "topics": [topic]})
        results = ended(admin, made.json["job_id"])["results"]
        found[topic] = [result["match_count"] for result in results]
        versions = [result["list_versions"].keys() for result in results]
        assert versions[0] == ({"blocked", "house"} if topic == "internal" else {"blocked"})

    assert found == {"internal": [1, 0], "crime": [0, 1]}


def test_a_topic_that_no_list_covers_is_not_taken_for_clear(admin, house_list, screener):
    made = admin.post("/kyc/jobs", json={"entities": [LISTED], "topics": ["internal", "pep"]})
    job = ended(admin, made.json["job_id"])
    check = admin.post("/kyc", json={**LISTED, "topics": ["pep"]})

    assert job["results"][0]["error"] == {
        "code": "list_unavailable",
        "message": "No list that was asked for covers the topic pep.",
    }
    assert_flat(check, 503, "list_unavailable")


def test_what_the_request_says_counts_for_entities_that_say_nothing(
    admin, resources, settings, tmp_path, house_list, screener
):
    load(resources, settings, tmp_path, "later", ENTRIES)
    own = {**LISTED, "entity_id": "own", "lists": ["later"], "search_type": "name"}

    made = admin.post(
        "/kyc/jobs",
        json={"entities": [LISTED, own], "list_name": "house", "search_type": "identifier"},
    )
    said, said_itself = ended(admin, made.json["job_id"])["results"]

    assert (said["list_versions"], said["match_count"]) == ({"house": "v1"}, 0)
    assert (said_itself["list_versions"], said_itself["match_count"]) == ({"later": "v1"}, 1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"lists": ["house", "offac"]}, "lists[1]: unknown list 'offac'"),
        ({"list_name": "offac"}, "list_name: unknown list 'offac'"),
        ({"lists": []}, "lists"),
        ({"lists": "house"}, "lists"),
        ({"topics": ["gossip"]}, "topics[0]: must be one of"),
        ({"topics": []}, "topics"),
        ({"topics": "pep"}, "topics"),
        ({"search_type": "guess"}, "search_type: must be one of"),
    ],
)
def test_an_option_of_the_request_that_is_unknown_is_refused(admin, house_list, options, told):
    answer = admin.post("/kyc/jobs", json={"entities": [CLEAR], **options})

    assert told in assert_flat(answer, 400, "invalid_parameter")["message"]


def test_the_wire_and_the_engine_know_the_same_topics():
    assert tuple(TOPICS) == wire.TOPICS
