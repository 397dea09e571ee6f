"""Ongoing monitoring: who is watched, what checks find, and what a changed list sets going."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.api.paging import make_key_cursor
from app.monitoring import checks, clock, service
from app.monitoring import store as monitors
from app.monitoring.model import Cause, CheckState
from tests.integration.conftest import until
from tests.kyc import CLEAR, ENTRIES, LISTED, assert_flat, house_list, load, screener
from tests.monitoring import (
    LATER,
    VEXFORD,
    add,
    changes,
    client,
    hits,
    listed,
    make,
    make_due,
    monitor,
    new_version,
    tenant_id,
    update_checks,
)

__all__ = ["client", "house_list", "screener"]

pytestmark = pytest.mark.integration


def test_a_check_says_what_is_new_and_the_next_one_that_nothing_is(client, house_list, screener):
    watchlist = make(client, LISTED, CLEAR, VEXFORD)

    first = monitor(client, watchlist)
    second = monitor(client, watchlist)

    assert first["watchlist_id"] == watchlist
    assert first["watchlist_name"] == "customers"
    assert first["subjects_checked"] == 3
    assert (first["previous_matches"], first["total_matches"]) == (0, 2)
    assert (first["new_matches_count"], first["has_changes"]) == (2, True)
    assert first["results_by_list"] == {"house": {"checked": 3, "matches": 2}}
    assert first["duration_ms"] >= 0
    assert first["checked_at"].endswith("Z")
    assert (second["previous_matches"], second["total_matches"]) == (2, 2)
    assert (second["new_matches_count"], second["has_changes"]) == (0, False)
    assert hits(client, watchlist) == {("listed", "h-1"), ("vex", "h-4")}
    assert changes(client, watchlist) == [("listed", "new", "h-1"), ("vex", "new", "h-4")]
    history = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    assert [each["check_id"] for each in history] == [second["check_id"], first["check_id"]]
    job = client.get(f"/kyc/jobs/{first['job_id']}").json
    assert job["total_entities"] == 3


def test_a_watchlist_that_holds_nobody_is_checked_at_once(client, house_list):
    report = monitor(client, make(client))

    assert (report["subjects_checked"], report["total_matches"]) == (0, 0)
    assert report["job_id"] is None


def test_a_large_watchlist_is_checked_by_a_job(client, house_list, screener):
    subjects = [
        {"entity_id": f"c{n:03}", "subject": {"full_name": f"Harriet Ploughwright {n}"}}
        for n in range(checks.SMALL)
    ]
    watchlist = make(client, LISTED, *subjects)

    answer = client.post(f"/kyc/watchlists/{watchlist}/monitor")
    again = client.post(f"/kyc/watchlists/{watchlist}/monitor")

    assert answer.status_code == 202
    place = answer.headers["Location"]
    assert place.endswith(answer.json["data"]["check_id"])
    if again.status_code != 202:
        assert_flat(again, 409, "check_running")
        assert again.json["check_id"] == answer.json["data"]["check_id"]
    done = until(
        lambda: (r := client.get(place).json["data"])["check_status"] == "completed" and r,
        40,
        "it ends",
    )
    assert done["subjects_checked"] == checks.SMALL + 1
    assert done["new_matches_count"] == 1


def test_subjects_come_change_and_go(client, house_list, screener):
    watchlist = make(client, LISTED, CLEAR)
    monitor(client, watchlist)

    assert add(client, watchlist, LISTED, VEXFORD)["unchanged"] == 1
    moved = {"entity_id": "clear", "subject": {"full_name": "Zeb Quartermain"}}
    put = add(client, watchlist, moved)
    assert (put["added"], put["changed"], put["subjects"]) == (0, 1, 3)

    report = monitor(client, watchlist)
    assert report["new_matches_count"] == 2
    assert hits(client, watchlist) == {("listed", "h-1"), ("clear", "h-1"), ("vex", "h-4")}

    path = f"/kyc/watchlists/{watchlist}/subjects"
    assert client.delete(f"{path}/listed").json["removed"] == 1
    assert_flat(client.delete(f"{path}/listed"), 404, "subject_not_found")
    removed = client.post(
        f"/kyc/watchlists/{watchlist}/remove-subjects", json={"entity_ids": ["vex", "nobody"]}
    )
    assert removed.json["removed"] == 1
    assert hits(client, watchlist) == {("clear", "h-1")}
    (left,) = listed(client, path, "subjects")
    assert left["subject"] == moved["subject"]
    assert left["screened_at"] is not None
    assert client.get(f"{path}/clear").json["subject"] == left


def test_an_update_screens_only_whom_it_could_concern_and_reports_what_is_new(
    client, resources, settings, house_list, tmp_path, screener
):
    watchlist = make(client, LISTED, CLEAR, VEXFORD)
    monitor(client, watchlist)

    new_version(resources, settings, tmp_path, *ENTRIES, LATER)

    (check,) = until(
        lambda: [c for c in update_checks(client, watchlist) if c["check_status"] == "completed"],
        40,
        "the update is taken up",
    )
    assert (check["subjects_checked"], check["new_matches_count"]) == (1, 1)
    assert check["update"]["list_name"] == "house"
    assert check["update"]["from_version"] == "v1"
    assert changes(client, watchlist, check_id=check["check_id"]) == [("clear", "new", "h-9")]


def test_an_update_reports_hits_that_are_gone_or_others_than_before(
    client, resources, settings, house_list, tmp_path, screener
):
    watchlist = make(
        client,
        LISTED,
        CLEAR,
        VEXFORD,
        alert_config={"on_new_match": True, "on_status_change": False},
    )
    monitor(client, watchlist)

    other = {**ENTRIES[3], "programs": ["OTHER"]}
    new_version(resources, settings, tmp_path, *ENTRIES[1:3], other, LATER)

    until(lambda: len(changes(client, watchlist)) == 5, 40, "the update is taken up")
    assert sorted(changes(client, watchlist)[:3]) == [
        ("clear", "new", "h-9"),
        ("listed", "gone", "h-1"),
        ("vex", "changed", "h-4"),
    ]
    assert hits(client, watchlist) == {("clear", "h-9"), ("vex", "h-4")}
    assert changes(client, watchlist, alerts="true")[:1] == [("clear", "new", "h-9")]
    assert len(changes(client, watchlist, alerts="true")) == 3
    assert changes(client, watchlist, change="gone") == [("listed", "gone", "h-1")]


def test_a_list_that_is_withdrawn_takes_its_hits_along(
    client, resources, settings, tenant, house_list, tmp_path, screener
):
    own = client.post(
        "/kyc/lists?name=ours",
        data='{"id": "o-1", "type": "person", "name": "Harriet Ploughwright"}\n',
        content_type="application/x-ndjson",
    )
    assert own.status_code == 200, own.json
    watchlist = make(client, LISTED, CLEAR)
    assert monitor(client, watchlist)["new_matches_count"] == 2

    assert client.delete("/kyc/lists/ours").status_code == 200

    until(lambda: hits(client, watchlist) == {("listed", "h-1")}, 40, "its hits are gone")
    assert changes(client, watchlist, change="gone") == [("clear", "gone", "o-1")]


def test_a_new_list_is_searched_for_everybody(
    client, resources, settings, house_list, tmp_path, screener
):
    watchlist = make(client, LISTED, CLEAR)
    monitor(client, watchlist)

    load(resources, settings, tmp_path, "second", [{**LATER, "id": "s-1"}])

    until(
        lambda: hits(client, watchlist) == {("listed", "h-1"), ("clear", "s-1")}, 40, "it is found"
    )


def test_what_is_due_by_the_clock_is_checked_by_itself(client, resources, house_list, screener):
    watchlist = make(client, LISTED, check_frequency="daily")
    before = client.get(f"/kyc/watchlists/{watchlist}").json["watchlist"]
    assert before["next_check_at"] > before["created_at"]

    make_due(resources)

    until(lambda: hits(client, watchlist) == {("listed", "h-1")}, 40, "it is checked")
    (check,) = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    assert check["cause"] == "scheduled"
    after = client.get(f"/kyc/watchlists/{watchlist}").json["watchlist"]
    assert after["next_check_at"] > before["created_at"]
    assert after["checked_at"] is not None


def test_subjects_that_nobody_has_screened_are_screened_by_themselves(
    client, resources, house_list, screener
):
    watchlist = make(client, LISTED, CLEAR, check_frequency="weekly")
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitor_subjects SET added_at = now() - interval '2 minutes'")

    until(lambda: hits(client, watchlist) == {("listed", "h-1")}, 40, "they are screened")
    (check,) = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    assert check["cause"] == "subjects_added"


def test_subjects_that_came_since_do_not_put_off_the_check_of_everybody(
    client, resources, house_list, screener
):
    watchlist = make(client, CLEAR, check_frequency="weekly")
    path = f"/kyc/watchlists/{watchlist}"
    monitor(client, watchlist)
    before = client.get(path).json["watchlist"]
    add(client, watchlist, LISTED)
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitor_subjects SET added_at = now() - interval '2 minutes'")

    until(lambda: hits(client, watchlist) == {("listed", "h-1")}, 40, "they are screened")

    after = client.get(path).json["watchlist"]
    assert (after["next_check_at"], after["checked_at"]) == (
        before["next_check_at"],
        before["checked_at"],
    )


def test_whoever_was_screened_by_an_older_engine_is_screened_again_once(
    client, resources, house_list, screener
):
    watchlist, weekly = make(client, LISTED), make(client, name="w", check_frequency="weekly")
    fresh = make(client, LISTED, name="fresh")
    for each in (watchlist, weekly, fresh):
        monitor(client, each)
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitors SET engine_version = engine_version - 1")
        # The last one a moment ago: perhaps by a worker that is still to be replaced.
        tx.execute(
            "UPDATE monitors SET checked_at = now() - '1 day'::interval WHERE name <> 'fresh'"
        )

    until(lambda: len(_history(client, watchlist)) == 2, 40, "it is checked")
    until(lambda: not _running(resources), 40, "that is done")
    check, _ = _history(client, watchlist)
    assert (check["cause"], check["subjects_checked"]) == ("new_engine", 1)
    clock.look(resources)
    assert [len(_history(client, each)) for each in (watchlist, weekly, fresh)] == [2, 1, 1]


def _history(client, watchlist: str) -> list[dict[str, Any]]:
    return listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")


def _running(resources) -> list[Any]:
    with resources.db.transaction() as tx:
        tx.execute("SELECT id FROM monitor_checks WHERE state = 'running'")
        return list(tx.fetchall())


def test_a_watchlist_is_read_changed_listed_and_deleted(client, house_list):
    watchlist = make(client, LISTED, description="of the bank", lists=["house"], threshold=0.9)
    make(client, name="others")

    shown = client.get(f"/kyc/watchlists/{watchlist}").json["watchlist"]
    assert shown["subjects"] == 1
    assert shown["lists"] == ["house"]
    assert shown["alert_config"] == {"on_new_match": True, "on_status_change": True}
    names = [each["watchlist_name"] for each in listed(client, "/kyc/watchlists", "watchlists")]
    assert names == ["others", "customers"]

    path = f"/kyc/watchlists/{watchlist}"
    changed = client.patch(path, json={"check_frequency": "weekly", "lists": None}).json
    assert changed["watchlist"]["check_frequency"] == "weekly"
    assert changed["watchlist"]["lists"] is None
    assert changed["watchlist"]["threshold"] == 0.9
    assert_flat(client.patch(path, json={"name": "others"}), 409, "watchlist_exists")
    assert_flat(client.post("/kyc/watchlists", json={"name": "others"}), 409, "watchlist_exists")
    assert client.delete(path).json["deleted"] is True
    assert_flat(client.get(path), 404, "watchlist_not_found")
    assert_flat(client.delete(path), 404, "watchlist_not_found")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x", "check_frequency": "hourly"}, "daily, weekly, on_update"),
        ({"name": "x", "lists": ["nobodys"]}, "unknown list 'nobodys'"),
        ({"name": "x", "threshold": 2}, "threshold"),
        ({"name": "x", "threshold": "0.9"}, "threshold"),
        ({"name": "x", "alert_config": {"on_new_match": "yes"}}, "alert_config.on_new_match"),
        ({"name": "x", "search_type": "magic"}, "search_type"),
        (["x"], "object"),
    ],
)
def test_a_wrong_watchlist_is_told_what_is_wrong(client, house_list, body, says):
    error = assert_flat(client.post("/kyc/watchlists", json=body), 400, "invalid_parameter")

    assert says in error["message"]


@pytest.mark.parametrize(
    ("subjects", "code"),
    [
        ([], "invalid_entities"),
        ({}, "invalid_entities"),
        ([{"entity_id": "x"}], "invalid_entities"),
        ([{"entity_id": "x", "subject": {"nationality": "DE"}}], "invalid_entities"),
        ([LISTED, LISTED], "invalid_entities"),
    ],
)
def test_wrong_subjects_are_refused_all_together(client, house_list, subjects, code):
    watchlist = make(client)
    path = f"/kyc/watchlists/{watchlist}/subjects"

    assert_flat(client.post(path, json={"subjects": subjects}), 400, code)
    assert_flat(client.post(path, json=[LISTED]), 400, "invalid_entities")
    removing = client.post(f"/kyc/watchlists/{watchlist}/remove-subjects", json={})
    assert_flat(removing, 400, "invalid_parameter")
    assert listed(client, path, "subjects") == []


def _place(at: str, position: str) -> str:
    return f"changes?cursor={make_key_cursor(at, str(UUID(int=1)), position)}"


@pytest.mark.parametrize(
    "query",
    ["changes?change=old", "changes?alerts=maybe", "changes?check_id=1", "changes?cursor=WyJhIl0=",
     "hits?cursor=x", "subjects?cursor=e30=", "history?cursor=1", "hits?limit=0",
     "changes?cursor=WyJhIiwgImIiLCAiYyJd", "hits?entity_id=%00",
     _place("2026-01-01T00:00:00+20:00", "1"), _place("2026-01-01T00:00:00", "1"),
     _place("2026-01-01T00:00:00+00:00", "99999999999"),
     _place("2026-01-01T00:00:00+00:00", "-1")],
)  # fmt: skip
def test_a_wrong_query_is_told_so(client, house_list, query):
    watchlist = make(client)

    assert_flat(client.get(f"/kyc/watchlists/{watchlist}/{query}"), 400, "invalid_parameter")


def test_another_tenants_watchlist_does_not_exist(client, web, settings, resources, house_list):
    watchlist = make(client, LISTED)
    other = accounts.ensure_tenant(resources.db, "other")
    token = tokens.mint_access(settings, other.id, "usr_x", PERMISSIONS[Role.ADMIN])
    stranger = web.test_client()
    stranger.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    path = f"/kyc/watchlists/{watchlist}"

    for answer in (
        stranger.get(path),
        stranger.patch(path, json={"name": "mine"}),
        stranger.delete(path),
        stranger.post(f"{path}/monitor"),
        stranger.get(f"{path}/subjects"),
        stranger.post(f"{path}/subjects", json={"subjects": [CLEAR]}),
        stranger.get(f"{path}/hits"),
        stranger.get(f"{path}/changes"),
        stranger.get(f"{path}/history"),
    ):
        assert_flat(answer, 404, "watchlist_not_found")
    assert listed(stranger, "/kyc/watchlists", "watchlists") == []
    assert client.get(path).json["watchlist"]["watchlist_name"] == "customers"


def test_what_a_reviewer_ruled_out_is_no_hit(client, house_list, screener):
    watchlist = make(client, LISTED)
    report = monitor(client, watchlist)
    decision = {
        **{"job_id": report["job_id"], "entity_id": "listed", "list_name": "house"},
        **{"entry_id": "h-1", "reason": "Another person."},
    }
    assert client.post("/kyc/exclusions", json=decision).status_code == 200

    again = monitor(client, watchlist)

    assert (again["total_matches"], again["gone_matches_count"]) == (0, 1)
    assert hits(client, watchlist) == set()


def test_a_decision_and_its_end_have_those_screened_again_whom_they_concern(
    client, resources, house_list, screener
):
    watchlist, others = make(client, LISTED, CLEAR), make(client, VEXFORD, name="others")
    report = monitor(client, watchlist)
    monitor(client, others)
    decision = {
        **{"job_id": report["job_id"], "entity_id": "listed", "list_name": "house"},
        **{"entry_id": "h-1", "reason": "Another person."},
    }
    made = client.post("/kyc/exclusions", json=decision).json["exclusion"]["exclusion_id"]
    let_minutes_pass(resources)
    until(lambda: hits(client, watchlist) == set(), 40, "it is no hit any more")

    client.delete(f"/kyc/exclusions/{made}")
    let_minutes_pass(resources)

    until(lambda: hits(client, watchlist) == {("listed", "h-1")}, 40, "it is one again")
    until(lambda: not _running(resources), 40, "the check is done")
    clock.look(resources)
    checked = [(each["cause"], each["subjects_checked"]) for each in _history(client, watchlist)]
    assert checked == [("review", 1), ("review", 1), ("manual", 2)]
    assert [each["cause"] for each in _history(client, others)] == ["manual"]


def let_minutes_pass(resources) -> None:
    """As far as decisions and what was looked into are concerned."""
    with resources.db.transaction() as tx:
        tx.execute(
            "UPDATE exclusions SET created_at = created_at - interval '2 minutes',"
            " revoked_at = revoked_at - interval '2 minutes'"
        )
        tx.execute("UPDATE monitors SET reviewed_at = reviewed_at - interval '2 minutes'")


def test_who_is_changed_during_a_check_is_screened_anew(client, resources, house_list, screener):
    watchlist = make(client, CLEAR)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    check, job = checks.begin(resources, found, Cause.SCHEDULED)
    assert job is not None
    add(client, watchlist, {"entity_id": "clear", "subject": {"full_name": "Zeb Quartermain"}})

    until(
        lambda: service.find_check(resources, found, check.id).state == CheckState.COMPLETED,
        40,
        "the check ends",
    )

    shown = client.get(f"/kyc/watchlists/{watchlist}/subjects/clear").json["subject"]
    assert shown["screened_at"] is None
    assert monitor(client, watchlist)["new_matches_count"] == 1


def test_a_named_list_that_is_not_loaded_keeps_nobody_from_being_screened_on_the_others(
    client, house_list, screener
):
    watchlist = make(client, LISTED, lists=["house", "un"])

    report = monitor(client, watchlist)

    assert (report["subjects_failed"], report["lists_missing"]) == (0, ["un"])
    assert list(report["list_versions"]) == ["house"]
    assert hits(client, watchlist) == {("listed", "h-1")}


def test_without_any_of_the_named_lists_nobody_counts_as_screened(client, house_list, screener):
    watchlist = make(client, LISTED, lists=["un"])

    report = monitor(client, watchlist)

    assert (report["subjects_failed"], report["lists_missing"]) == (1, ["un"])
    shown = client.get(f"/kyc/watchlists/{watchlist}/subjects/listed").json["subject"]
    assert shown["screened_at"] is None


def test_whom_the_check_of_an_update_fails_to_screen_is_screened_later(
    client, resources, house_list, screener
):
    watchlist = make(client, CLEAR)
    monitor(client, watchlist)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    # The list was withdrawn between the look and the check.
    check, _ = checks.begin(
        resources, found, Cause.LIST_UPDATE, entity_ids=["clear"], update=("un", None, "v2")
    )
    done = until(
        lambda: (c := service.find_check(resources, found, check.id)).finished_at and c,
        40,
        "the check ends",
    )

    assert done.failed == 1
    path = f"/kyc/watchlists/{watchlist}/subjects/clear"
    assert client.get(path).json["subject"]["screened_at"] is None
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitor_subjects SET added_at = now() - interval '16 minutes'")
        tx.execute("UPDATE monitors SET vain_until = now()")
    until(lambda: client.get(path).json["subject"]["screened_at"], 40, "he is screened")


def test_a_change_of_what_is_searched_during_a_check_has_everybody_screened_anew(
    client, resources, house_list, screener
):
    watchlist = make(client, LISTED, CLEAR)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    check, _ = checks.begin(resources, found, Cause.SCHEDULED)
    client.patch(f"/kyc/watchlists/{watchlist}", json={"search_type": "name"})

    until(
        lambda: service.find_check(resources, found, check.id).state == CheckState.COMPLETED,
        40,
        "the check ends",
    )

    subjects = listed(client, f"/kyc/watchlists/{watchlist}/subjects", "subjects")
    assert [each["screened_at"] for each in subjects] == [None, None]


def test_a_check_searches_as_the_watchlist_says_when_it_begins(client, resources, house_list):
    watchlist = make(client, LISTED)
    before = service.find(resources, tenant_id(resources), UUID(watchlist))
    client.patch(f"/kyc/watchlists/{watchlist}", json={"threshold": 0.93})

    _, job = checks.begin(resources, before, Cause.SCHEDULED)

    assert job is not None
    assert job.options["threshold"] == 0.93
    client.post(f"/kyc/jobs/{job.external_id}/cancel")


def test_a_large_check_may_take_longer_to_close_than_a_task_may_last(
    client, resources, house_list, screener
):
    limit = resources.celery.conf.task_time_limit
    found = []
    for name in ("large", "other"):
        watchlist = make(client, LISTED, name=name)
        found.append(service.find(resources, tenant_id(resources), UUID(watchlist)))
    large, other = found
    check, _ = checks.begin(resources, large, Cause.SCHEDULED)
    with resources.db.transaction() as tx:
        # Comparing waits for the lock of the watchlist, as if it had so many to compare.
        monitors.lock_monitor(tx, large.id)
        tx.execute(
            "UPDATE monitor_checks SET subjects = %s WHERE id = %s",
            (checks.AT_ONCE + 1, check.id),
        )
        tx.connection.commit()
        monitors.lock_monitor(tx, large.id)
        held_from = time.monotonic()
        job = f"/kyc/jobs/{check.id}"
        until(lambda: client.get(job).json["job_status"] == "completed", 40, "the job ends")
        make_due(resources, other.id)
        until(lambda: hits(client, str(other.id)), 40, "others are checked all the same")
        until(lambda: time.monotonic() > held_from + limit + 3, 60, "the limit is over")
    until(
        lambda: service.find_check(resources, large, check.id).state == CheckState.COMPLETED,
        40,
        "the task that began to close it does so, and no other",
    )

    assert hits(client, str(large.id)) == {("listed", "h-1")}
