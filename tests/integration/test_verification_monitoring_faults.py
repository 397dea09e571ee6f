"""Monitored verifications when runs come to nothing. No worker and no beat runs here."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.jobs import service
from app.monitoring import clock
from app.monitoring.model import INTERVALS
from app.monitoring.verifications import store
from app.monitoring.verifications.source import Verifications
from app.verifications import dispatch
from app.verifications import store as verifications
from app.verifications.model import KIND
from tests.integration.test_verification_monitoring import LATER, path, watch
from tests.kyc import ENTRIES, house_list, load
from tests.monitoring import new_version
from tests.verifications import API, JANE, ZEBULON, verified, work
from workers import passes

__all__ = ["house_list", "verified"]

pytestmark = pytest.mark.integration


def test_a_run_that_came_to_nothing_is_dispatched_again_and_not_at_once(
    client, resources, settings, tenant, tmp_path, house_list, verified
):
    verification = verified(JANE)
    watch(client, verification, "on_update")
    with resources.db.transaction() as tx:
        tx.execute("SELECT id FROM watchlists")
        known = tx.fetchone()["id"]
        store.set_list(tx, "house", known, [verification.id])
        tx.execute("UPDATE verification_monitoring SET synced_at = now(), next_run_at = NULL")
    new_version(resources, settings, tmp_path, *ENTRIES, LATER)

    clock.take_up(resources, "house")
    (first,) = client.get(path(verification, "jobs")).json["data"]["jobs"]
    client.post(path(verification, f"jobs/watchlist/{first['run']['jobId']}/cancel"))
    clock.take_up(resources, "house")
    assert len(client.get(path(verification, "jobs")).json["data"]["jobs"]) == 1
    with resources.db.transaction() as tx:
        tx.execute("UPDATE verification_monitoring SET retry_at = now() - interval '1 second'")
    clock.take_up(resources, "house")

    assert len(client.get(path(verification, "jobs")).json["data"]["jobs"]) == 2


def test_who_asks_other_providers_alone_waits_for_no_list_of_ours(
    client, resources, house_list, verified
):
    """No run of theirs ever searches one: each look would dispatch another, for ever."""
    watch(client, verified(JANE), "on_update")
    with resources.db.transaction() as tx:
        tx.execute("UPDATE verification_monitoring SET synced_at = now(), next_run_at = NULL")
    others = {"muster": False, "p": {"kind": "http", "url": "http://127.0.0.1:9"}}
    apart = replace(
        resources, settings=replace(resources.settings, screening_providers=json.dumps(others))
    )

    assert Verifications().outdated(resources) == {"house"}
    assert Verifications().outdated(apart) == ()
    assert Verifications().waiting(apart, "house") == ()


def test_two_looks_at_once_dispatch_one_run(client, resources, house_list, verified):
    verification = verified(JANE)
    watch(client, verification, "daily")

    clock.look(resources)
    clock.look(resources)

    assert len(client.get(path(verification, "jobs")).json["data"]["jobs"]) == 1


@pytest.mark.parametrize("found_by", ["its time", "its engine", "a list"])
def test_what_a_slower_look_found_is_not_dispatched_after_its_run_has_ended(
    client, resources, tenant, house_list, verified, monkeypatch, found_by
):
    """Here no gate rejects the second run."""
    verification = verified(JANE)
    watch(client, verification, "daily" if found_by == "its time" else "on_update")
    if found_by != "its time":
        clock.look(resources)
        finish(resources, tenant, jobs(client, verification)[0])
        with resources.db.transaction() as tx:
            store.sync(tx, limit=9)
            tx.execute(
                "UPDATE verification_monitoring"
                " SET engine_version = engine_version - 1, synced_at = now() - interval '1 day'"
            )
            tx.execute("UPDATE verifications SET screened_at = now() - interval '1 day'")
            tx.execute("DELETE FROM verification_lists")
    with resources.db.transaction() as tx:
        (due,) = store.list_due(tx, limit=9)
        outdated = store.list_outdated(tx, "house")
    clock.look(resources)
    before = jobs(client, verification)
    assert len(before) == (1 if found_by == "its time" else 2)
    finish(resources, tenant, before[0])
    with resources.db.transaction() as tx:
        store.sync(tx, limit=9)

    if found_by == "a list":
        monkeypatch.setattr(store, "list_outdated", lambda tx, name: outdated)
        assert Verifications().waiting(resources, "house"), "it is found"
        clock.take_up(resources, "house")
    else:
        monkeypatch.setattr(store, "list_due", lambda tx, limit: [due])
        clock.look(resources)

    assert [each["run"]["jobId"] for each in jobs(client, verification)] == [
        each["run"]["jobId"] for each in before
    ]


def jobs(client, verification) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(path(verification, "jobs")).json["data"]["jobs"]
    return found


def finish(resources, tenant, job: dict[str, Any]) -> None:
    """Do what workers would."""
    found = service.find(resources, tenant.id, KIND, job["run"]["jobId"])
    work(resources, tenant, job["run"]["jobId"])
    passes.finish(resources, found.id, 1)


def fail(resources, job_id, whose: str = "") -> None:
    """Leave of a run what it leaves whose engine failed for the list `house`."""
    with resources.db.transaction() as tx:
        tx.execute("ALTER TABLE screenings DISABLE TRIGGER USER")
        tx.execute(
            "UPDATE screenings SET is_complete = false, total_hits = 0, matched_sources = '[]',"
            " sources_checked = (SELECT json_agg(CASE WHEN source ->> 'source' = 'house'"
            " THEN source::jsonb || %s ELSE source::jsonb END)"
            f" FROM json_array_elements(sources_checked) AS source) WHERE job_id = %s {whose}",
            ('{"status": "error", "error": {"code": "internal", "message": "-"}}', job_id),
        )
        assert tx.rowcount > 0
        tx.execute("ALTER TABLE screenings ENABLE TRIGGER USER")


def a_quarter_of_an_hour_later(resources) -> None:
    with resources.db.transaction() as tx:
        tx.execute(
            "UPDATE verification_monitoring SET next_run_at = next_run_at - interval '901 seconds',"
            " retry_at = retry_at - interval '901 seconds'"
        )


@pytest.mark.parametrize("frequency", ["daily", "weekly", "on_update"])
def test_a_first_run_that_came_to_nothing_is_made_good_and_the_next_waits_its_time(
    client, resources, tenant, house_list, verified, frequency
):
    verification = verified(JANE)
    watch(client, verification, frequency)
    clock.look(resources)
    (first,) = jobs(client, verification)
    client.post(path(verification, f"jobs/watchlist/{first['run']['jobId']}/cancel"))
    clock.look(resources)
    assert len(jobs(client, verification)) == 1

    a_quarter_of_an_hour_later(resources)
    clock.look(resources)
    second, _ = jobs(client, verification)
    finish(resources, tenant, second)
    a_quarter_of_an_hour_later(resources)
    clock.look(resources)

    assert len(jobs(client, verification)) == 2
    interval = INTERVALS[frequency]
    with resources.db.transaction() as tx:
        due = store.find_monitoring(tx, verification.id).next_run_at
        tx.execute("SELECT screened_at FROM verifications")
        assert due == (interval and tx.fetchone()["screened_at"] + interval)


def test_a_list_that_failed_for_one_subject_is_searched_again(
    client, resources, settings, tenant, tmp_path, house_list, verified
):
    load(resources, settings, tmp_path, "other", ENTRIES)
    verification = verified(JANE)
    watch(client, verification, "on_update")
    clock.look(resources)
    (first,) = jobs(client, verification)
    job = service.find(resources, tenant.id, KIND, first["run"]["jobId"])
    finish(resources, tenant, first)
    fail(resources, job.id, "AND stakeholder_id IS NOT NULL")

    clock.look(resources)
    with resources.db.transaction() as tx:
        tx.execute("SELECT list_name FROM verification_lists")
        assert [row["list_name"] for row in tx.fetchall()] == ["other"]
    clock.take_up(resources, "house")
    assert len(jobs(client, verification)) == 1
    a_quarter_of_an_hour_later(resources)
    clock.take_up(resources, "house")

    second, _ = jobs(client, verification)
    finish(resources, tenant, second)
    clock.look(resources)
    with resources.db.transaction() as tx:
        assert store.list_outdated(tx) == []


def test_a_list_that_always_fails_is_searched_less_and_less_often_and_a_new_version_at_once(
    client, resources, settings, tenant, tmp_path, house_list, verified
):
    verification = verified(JANE)
    watch(client, verification, "on_update")
    clock.look(resources)

    for number, quarters in enumerate((1, 2, 4), 1):
        found = jobs(client, verification)
        assert len(found) == number
        finish(resources, tenant, found[0])
        fail(resources, service.find(resources, tenant.id, KIND, found[0]["run"]["jobId"]).id)
        clock.look(resources)
        with resources.db.transaction() as tx:
            tx.execute(
                "SELECT extract(epoch FROM retry_at - now())::float8 AS left"
                " FROM verification_monitoring"
            )
            assert -300 < tx.fetchone()["left"] - quarters * 900 <= 0
        clock.take_up(resources, "house")
        assert len(jobs(client, verification)) == number
        if number < 3:
            with resources.db.transaction() as tx:
                tx.execute("UPDATE verification_monitoring SET retry_at = now() - interval '1 s'")
            clock.take_up(resources, "house")

    new_version(resources, settings, tmp_path, *ENTRIES, LATER)
    clock.take_up(resources, "house")
    assert len(jobs(client, verification)) == 4


def test_a_version_in_force_with_the_lower_id_is_known_once_it_was_searched(
    client, resources, settings, tenant, tmp_path, house_list, verified
):
    """As when of two that load a list at once the one that began first ends last."""
    verification = verified(ZEBULON)
    watch(client, verification, "on_update")
    new_version(resources, settings, tmp_path, *ENTRIES[1:], LATER)
    clock.look(resources)
    finish(resources, tenant, jobs(client, verification)[0])
    clock.look(resources)
    with resources.db.transaction() as tx:
        assert store.list_outdated(tx) == []
        tx.execute("UPDATE watchlists SET is_current = false")
        tx.execute("UPDATE watchlists SET is_current = true WHERE version = 'v1'")

    clock.take_up(resources, "house")
    second, _ = jobs(client, verification)
    finish(resources, tenant, second)
    clock.look(resources)

    with resources.db.transaction() as tx:
        assert store.list_outdated(tx) == []


def test_a_withdrawn_list_is_forgotten_when_a_run_has_completed_without_it(
    client, resources, settings, tenant, tmp_path, house_list, verified
):
    load(resources, settings, tmp_path, "other", ENTRIES)
    verification, janes = verified(ZEBULON), verified(JANE)
    for each in (verification, janes):
        watch(client, each, "on_update")
        clock.look(resources)
        finish(resources, tenant, jobs(client, each)[0])
    clock.look(resources)
    with resources.db.transaction() as tx:
        tx.execute("UPDATE watchlists SET is_current = false WHERE name = 'other'")

    clock.look(resources)
    clock.look(resources)
    assert len(jobs(client, janes)) == 1
    second, _ = jobs(client, verification)
    client.post(path(verification, f"jobs/watchlist/{second['run']['jobId']}/cancel"))
    clock.look(resources)
    assert len(jobs(client, verification)) == 2, "not at once"
    a_quarter_of_an_hour_later(resources)
    clock.look(resources)
    third, *_ = jobs(client, verification)
    finish(resources, tenant, third)
    for _ in range(2):
        clock.look(resources)
        a_quarter_of_an_hour_later(resources)

    assert len(jobs(client, verification)) == 3
    with resources.db.transaction() as tx:
        tx.execute("SELECT DISTINCT list_name FROM verification_lists")
        assert [row["list_name"] for row in tx.fetchall()] == ["house"]


def test_a_verification_that_cannot_be_dispatched_holds_up_nobody_behind_it(
    client, resources, house_list, verified, monkeypatch
):
    broken, sound = verified(JANE), verified(ZEBULON)
    for each in (broken, sound):
        watch(client, each, "daily")
    dispatched, tried = dispatch.dispatch_background, []

    def fail_for_one(resources: Any, tenant_id: UUID, trace: str, *how: Any, **more: Any) -> Any:
        tried.append(trace)
        if trace == broken.trace:
            raise RuntimeError
        return dispatched(resources, tenant_id, trace, *how, **more)

    monkeypatch.setattr(dispatch, "dispatch_background", fail_for_one)
    clock.look(resources)
    clock.look(resources)

    assert len(jobs(client, sound)) == 1
    assert sorted(tried) == sorted([broken.trace, sound.trace])


def test_what_a_source_finds_after_it_failed_is_compared_with_what_it_found_before(
    client, resources, settings, tenant, tmp_path, house_list, verified, monkeypatch
):
    verification = verified(ZEBULON, JANE)

    def screen() -> UUID:
        made = dispatch.dispatch(resources, tenant.id, verification.trace, API)
        work(resources, tenant, made.run_id)
        return made.id

    screen()
    fail(resources, screen())
    fail(resources, screen())
    screen()
    fail(resources, screen())
    new_version(resources, settings, tmp_path, *ENTRIES[1:], LATER)
    screen()

    for limit in (1, 10):
        newest, failed, same, *_ = pages(client, verification, limit)
        assert [each["record"]["id"] for each in newest["gone"]] == ["h-1"]
        assert [each["record"]["id"] for each in newest["new"]] == ["h-9"]
        assert not failed["hasChanges"]
        assert not same["hasChanges"]
    held = held_at_once(monkeypatch)
    assert len(pages(client, verification, 10)) == 6
    assert max(held) == 2, "however many runs a page has"


class Found(list[Any]):
    """Of which one can tell whether anybody still has it."""


def held_at_once(monkeypatch) -> list[int]:
    """Return a list that says of every run that is read how many are in memory then."""
    read = verifications.list_screenings
    those: list[weakref.ref[Found]] = []
    held: list[int] = []

    def counted(*args: Any, **given: Any) -> Found:
        found = Found(read(*args, **given))
        those.append(weakref.ref(found))
        held.append(sum(each() is not None for each in those))
        return found

    monkeypatch.setattr(verifications, "list_screenings", counted)
    return held


def pages(client, verification, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    given: dict[str, Any] = {"limit": limit}
    while True:
        data = client.get(path(verification, "watchlist/changes"), query_string=given).json["data"]
        found += data["changes"]
        if data.get("nextCursor") is None:
            return found
        given["cursor"] = data["nextCursor"]
