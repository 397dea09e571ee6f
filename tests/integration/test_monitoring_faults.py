"""What is lost on the way is made good. No worker and no beat runs here: their parts are played."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest

from app.errors import IndexNotReady
from app.jobs import service as jobs
from app.kinds import kyc
from app.monitoring import checks, clock, service, sources, store, turns, updates
from app.monitoring.model import Cause, Check, CheckState
from app.screening import store as lists
from app.screening.model import EntityType, Entry
from app.screening.population import Population
from tests.integration.conftest import ROOT, until
from tests.kyc import CLEAR, ENTRIES, LISTED, assert_flat, house_list, load
from tests.monitoring import (
    LATER,
    VEXFORD,
    add,
    client,
    hits,
    listed,
    make,
    make_due,
    new_version,
    tenant_id,
    update_checks,
)
from workers import chunk, passes

__all__ = ["client", "house_list"]

pytestmark = pytest.mark.integration


def test_a_check_whose_job_is_cancelled_is_failed_and_made_again(client, resources, house_list):
    """No worker runs here."""
    watchlist = make(client, LISTED)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    check, job = checks.begin(resources, found, Cause.SCHEDULED)
    assert job is not None

    client.post(f"/kyc/jobs/{job.external_id}/cancel")
    clock.look(resources)

    shown = client.get(f"/kyc/watchlists/{watchlist}/history/{check.id}").json["data"]
    assert (shown["check_status"], shown["error"]["code"]) == ("failed", "cancelled")
    assert client.get(f"/kyc/watchlists/{watchlist}").json["watchlist"]["next_check_at"] is not None


def test_a_list_update_finds_what_a_full_rescreen_finds_whatever_the_index_lags_behind(
    client, resources, settings, house_list, tmp_path, monkeypatch
):
    """The kept index, those who came and those who went since; no worker is needed to see it."""
    monkeypatch.setattr(updates, "_KEPT_FROM", 1)
    monkeypatch.setattr(updates, "_LAG", 1.0)
    people = [
        {"entity_id": f"p{n}", "subject": {"full_name": name}}
        for n, name in enumerate(
            ["Harriet Ploughwright", "H. Ploughwright", "Ploughwrihgt, Harriet", "John Smith",
             "Harriett Plowright", "Ottoline Vexford", "Mary Jones", "Peter Brown"]
        )
    ]  # fmt: skip
    watchlist = make(client, *people[:6])
    source = sources.Monitors()
    entries = [*_entries(resources, "house"), _entry(LATER)]

    first = updates.concerned(resources, source, entries, 0.85)
    assert {"p0", "p1", "p2", "p5"} <= _names(resources, first)
    folder = updates.folder_of(resources, source)
    assert folder.stat().st_mode & 0o077 == 0
    kept = Population.open(folder).keys.tolist()
    client.delete(f"/kyc/watchlists/{watchlist}/subjects/p0")
    add(client, watchlist, *people[6:], {**people[3], "subject": {"full_name": "Ottoline Vexford"}})
    second = updates.concerned(resources, source, entries, 0.85)

    assert Population.open(folder).keys.tolist() == kept, "it lags behind"
    assert {"p1", "p2", "p3", "p5"} <= _names(resources, second)
    assert not {"p6", "p7"} & _names(resources, second)
    assert updates.renew(resources) == 1
    assert len(Population.open(folder).keys) == 7
    assert updates.renew(resources) == 0


#: Has the index made, as a worker's process does.
_WAITS = """
from app.monitoring import sources, updates
from app.resources import Resources
from app.settings import Settings
updates._run(Resources.open(Settings.from_env()), sources.Monitors())
"""


def test_the_process_that_makes_an_index_ends_with_who_waits_for_it_and_when_its_time_is_over(
    client, resources, settings, monkeypatch
):
    monkeypatch.setattr(updates, "INDEXING_SECONDS", 0.2)
    env = {**os.environ, **{name: text for name, text in settings.to_env().items() if text}}
    source = sources.Monitors()

    with resources.db.transaction() as tx:
        # It does not come to an end by itself.
        tx.execute("LOCK monitor_subjects")
        parent = subprocess.Popen([sys.executable, "-c", _WAITS], env=env, cwd=ROOT)
        try:
            until(lambda: _waiting_for_locks(resources), 60, "it has begun")
            children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
            assert len(children) == 1
        finally:
            parent.kill()
            parent.wait()
        until(lambda: not _is_alive(children[0]), 40, "it has ended")
        with pytest.raises(IndexNotReady):
            updates._made(resources, source, updates.folder_of(resources, source), np.arange(1))


def _is_alive(pid: str) -> bool:
    try:
        # A zombie has ended, whoever has yet to hear of it.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _names(resources, numbers) -> set[str]:
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT entity_id FROM monitor_subjects WHERE number = ANY (%s)", (list(numbers),)
        )
        return {row["entity_id"] for row in tx.fetchall()}


def _entries(resources, name: str):
    with resources.db.transaction() as tx:
        yield from lists.load_entries(tx, lists.current_versions(tx)[name].id)


def _entry(line: dict[str, Any]):
    return Entry(line["id"], EntityType(line["type"]), line["name"])


def test_two_looks_at_once_begin_one_check(resources, tenant, client, house_list):
    watchlist = make(client, LISTED, check_frequency="daily")
    make_due(resources)

    clock.look(resources)
    clock.look(resources)

    assert len(listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")) == 1


def test_a_check_whose_process_died_before_the_job_was_sent_is_sent_by_the_sweep(
    client, resources, house_list, monkeypatch
):
    """Check, job and items are one transaction: there is no check without its job."""
    watchlist = make(client, LISTED)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))

    def die(*_: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(checks.jobs, "launch", die)
        with pytest.raises(SystemExit):
            checks.begin(resources, found, Cause.SCHEDULED)

    (check,) = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    assert check["check_status"] == "running"
    job = client.get(f"/kyc/jobs/{check['job_id']}").json
    assert (job["job_status"], job["total_entities"]) == ("processing", 1)


def test_a_check_whose_job_was_deleted_is_failed_and_made_again(client, resources, house_list):
    watchlist = make(client, LISTED)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    _, job = checks.begin(resources, found, Cause.SCHEDULED)
    assert job is not None
    client.post(f"/kyc/jobs/{job.external_id}/cancel")
    assert client.delete(f"/v1/jobs/{job.id}").status_code == 204

    clock.look(resources)

    (shown,) = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    assert (shown["check_status"], shown["error"]["code"]) == ("failed", "job_not_found")
    path = f"/kyc/watchlists/{watchlist}"
    due = client.get(path).json["watchlist"]["next_check_at"]
    changed = client.patch(path, json={"check_frequency": "daily"}).json["watchlist"]
    assert changed["next_check_at"] == due, "that is not forgotten"


def _up_to_date(client, resources, watchlist: str) -> None:
    """As if everybody had been screened on the versions in force; no worker runs here."""
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitors SET checked_at = now()")
        tx.execute("UPDATE monitor_subjects SET screened_at = now()")
        tx.execute("SELECT name, id FROM watchlists WHERE is_current")
        versions = {row["name"]: row["id"] for row in tx.fetchall()}
        store.set_lists(tx, UUID(watchlist), versions)


def test_an_update_that_fails_on_the_way_is_taken_up_again(
    client, resources, settings, house_list, tmp_path, monkeypatch
):
    watchlist = make(client, LISTED, CLEAR, VEXFORD)
    _up_to_date(client, resources, watchlist)
    new_version(resources, settings, tmp_path, *ENTRIES, LATER)

    def fail(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(updates, "concerned", fail)
        with pytest.raises(RuntimeError):
            clock.take_up(resources, "house")
    assert listed(client, f"/kyc/watchlists/{watchlist}/history", "checks") == []
    clock.take_up(resources, "house")
    clock.take_up(resources, "house")

    (check,) = update_checks(client, watchlist)
    assert check["subjects_total"] == 1
    with resources.db.transaction() as tx:
        assert store.claim_update(tx, "house", 60), "nobody is left holding it"


def test_two_updates_in_a_row_are_seen_as_one(client, resources, settings, house_list, tmp_path):
    watchlist = make(client, LISTED, CLEAR, VEXFORD)
    _up_to_date(client, resources, watchlist)
    new_version(resources, settings, tmp_path, *ENTRIES, LATER)
    new_version(resources, settings, tmp_path, *ENTRIES[1:], LATER)

    clock.take_up(resources, "house")

    (check,) = update_checks(client, watchlist)
    assert check["update"]["from_version"] == "v1"
    assert check["subjects_total"] == 1, "who was on it and had no hit is no concern"


def test_an_update_waits_for_the_check_that_is_under_way(
    client, resources, settings, house_list, tmp_path
):
    watchlist = make(client, LISTED, CLEAR)
    _up_to_date(client, resources, watchlist)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    new_version(resources, settings, tmp_path, *ENTRIES, LATER)
    check, job = checks.begin(resources, found, Cause.LIST_UPDATE, entity_ids=["listed"])
    assert job is not None

    clock.take_up(resources, "house")
    assert len(listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")) == 1
    client.post(f"/kyc/jobs/{job.external_id}/cancel")
    checks.settle(resources, found.tenant_id, check.id)
    clock.take_up(resources, "house")

    assert len(listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")) == 2


def test_an_update_whose_worker_died_is_sent_again_when_its_claim_has_run_out(
    client, resources, settings, house_list, tmp_path
):
    watchlist = make(client, LISTED, CLEAR)
    _up_to_date(client, resources, watchlist)
    new_version(resources, settings, tmp_path, *ENTRIES, LATER)

    clock.look(resources)
    clock.look(resources)
    assert resources.redis.llen("interactive") == 1
    resources.redis.delete("interactive")
    clock.look(resources)
    assert resources.redis.llen("interactive") == 0, "somebody may be at it"
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitor_updates SET claimed_till = now() - interval '1 second'")
    clock.look(resources)

    assert resources.redis.llen("interactive") == 1


def test_who_is_at_an_update_keeps_it_until_it_is_done_and_no_longer(
    client, resources, house_list, monkeypatch
):
    monkeypatch.setattr(clock, "HOLD_SECONDS", 8.0)
    begun: list[str] = []

    def till() -> Any:
        with resources.db.transaction() as tx:
            tx.execute("SELECT claimed_till FROM monitor_updates")
            row = tx.fetchone()
            return row and row["claimed_till"]

    def slowly(_: Any, name: str) -> None:
        begun.append(name)
        first = till()
        until(lambda: till() > first, 40, "it says that it is alive")
        clock.take_up(resources, name)
        clock.release(resources, name, uuid4())
        clock.release(resources, name, None)
        assert till() > first, "nobody else can release it"

    monkeypatch.setattr(updates, "take_up", slowly)
    with resources.db.transaction() as tx:
        assert store.claim_update(tx, "house", clock.CLAIM_SECONDS)
    clock.take_up(resources, "house")

    assert begun == ["house"], "somebody else was not let in"
    assert till() is None
    with resources.db.transaction() as tx:
        assert store.hold_update(tx, "house", uuid4(), -1.0)
        assert store.claim_update(tx, "house", 60), "whoever has died holds it no longer"
        assert store.hold_update(tx, "house", uuid4(), 60), "what was sent is for a worker to take"


def test_a_low_threshold_of_one_watchlist_is_not_that_of_the_others(client, resources, house_list):
    for name, threshold in (("low", 0.5), ("high", 0.95), ("as high", 0.95)):
        make(client, name=name, threshold=threshold)
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitors SET checked_at = now()")

    waiting = sources.Monitors().waiting(resources, "house")

    assert sorted((each.threshold, len(each.who)) for each in waiting) == [(0.5, 1), (0.95, 2)]


def test_a_check_in_vain_is_made_again_later_and_later_and_those_who_came_since_do_not_wait(
    client, resources, house_list, monkeypatch
):
    monkeypatch.setattr(clock, "PATIENCE", 0.0)
    watchlist = make(client, LISTED)
    path = f"/kyc/watchlists/{watchlist}/history"

    def begun(number: int) -> dict[str, Any]:
        for _ in range(3):
            clock.look(resources)
        found = listed(client, path, "checks")
        assert len(found) == number
        return found[0]

    for number, quarters in enumerate((1, 2, 4), 1):
        client.post(f"/kyc/jobs/{begun(number)['job_id']}/cancel")
        assert begun(number)["check_status"] == "failed"
        assert -300 < _pause(resources) - quarters * 900 <= 0
        _is_over(resources)
    _do(resources, begun(4)["check_id"])
    assert begun(4)["check_status"] == "completed"
    assert _pause(resources) is None

    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitors SET vain_checks = 40")
    check, _ = checks.begin(resources, found, Cause.SCHEDULED)
    client.post(f"/kyc/jobs/{check.id}/cancel")
    assert begun(5)["check_status"] == "failed"
    assert 86_100 < _pause(resources) <= 86_400
    add(client, watchlist, VEXFORD)
    assert begun(6)["subjects_total"] == 1


def test_nothing_is_begun_while_none_of_the_lists_is_loaded(
    client, resources, settings, house_list, tmp_path, monkeypatch
):
    monkeypatch.setattr(clock, "PATIENCE", 0.0)
    load(resources, settings, tmp_path, "other", ENTRIES)
    watchlist = make(client, LISTED, lists=["house"])
    with resources.db.transaction() as tx:
        tx.execute("UPDATE watchlists SET is_current = false WHERE name = 'house'")

    screened(resources, watchlist)
    clock.look(resources)
    (check,) = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    assert check["subjects_failed"] == 1
    assert _pause(resources) > 600
    _is_over(resources)
    clock.look(resources)
    assert _states(client, watchlist) == ["completed"]
    with resources.db.transaction() as tx:
        tx.execute("UPDATE watchlists SET is_current = true WHERE name = 'house'")
    clock.look(resources)

    assert _states(client, watchlist) == ["running", "completed"]


def _pause(resources) -> float | None:
    """Seconds that whoever a check failed to screen still waits."""
    with resources.db.transaction() as tx:
        tx.execute("SELECT extract(epoch FROM vain_until - now())::float8 AS left FROM monitors")
        return tx.fetchone()["left"]


def _is_over(resources) -> None:
    with resources.db.transaction() as tx:
        tx.execute(
            "UPDATE monitors SET next_check_at = next_check_at - (vain_until - now()),"
            " vain_until = now()"
        )


def test_checks_that_go_on_keep_nobody_from_closing_those_that_have_ended(
    client, resources, house_list, monkeypatch
):
    """As when somebody has paused more of them than one look takes."""
    monkeypatch.setattr(clock, "_LIMIT", 1)
    begun = []
    for name in ("paused", "ended"):
        watchlist = make(client, LISTED, name=name)
        found = service.find(resources, tenant_id(resources), UUID(watchlist))
        begun.append((watchlist, checks.begin(resources, found, Cause.SCHEDULED)[0].id))
    (paused, going_on), (ended, cancelled) = begun
    client.post(f"/kyc/jobs/{cancelled}/cancel")

    clock.look(resources)

    path = "/kyc/watchlists/{}/history/{}"
    assert client.get(path.format(paused, going_on)).json["data"]["check_status"] == "running"
    with resources.db.transaction() as tx:
        assert store.find_check(tx, UUID(ended), cancelled).state == CheckState.FAILED


def test_a_large_check_whose_worker_died_is_handed_over_again_when_its_claim_has_run_out(
    client, resources, house_list, monkeypatch
):
    monkeypatch.setattr(checks, "AT_ONCE", 0)
    watchlist = make(client, LISTED)
    check = screened(resources, watchlist)
    resources.redis.delete("screening")

    clock.look(resources)
    clock.look(resources)
    assert resources.redis.llen("screening") == 1
    resources.redis.delete("screening")
    clock.look(resources)
    assert resources.redis.llen("screening") == 0, "somebody may be at it"
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitor_checks SET claimed_till = now() - interval '1 second'")
    clock.look(resources)
    assert resources.redis.llen("screening") == 1

    clock.settle(resources, tenant_id(resources), check.id)
    (shown,) = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    assert shown["check_status"] == "completed"


def test_what_has_many_hits_is_closed_by_a_worker_however_few_the_subjects(
    client, resources, settings, house_list, tmp_path, monkeypatch
):
    monkeypatch.setattr(checks, "AT_ONCE", 2)
    load(resources, settings, tmp_path, "other", ENTRIES)
    few = make(client, LISTED, name="few", lists=["house"])
    many = make(client, LISTED, name="many")
    for watchlist in (few, many):
        screened(resources, watchlist)
    resources.redis.delete("screening")

    clock.look(resources)
    assert _states(client, few) == ["completed"]
    assert _states(client, many) == ["running"]
    assert resources.redis.llen("screening") == 1
    (check,) = listed(client, f"/kyc/watchlists/{many}/history", "checks")
    clock.settle(resources, tenant_id(resources), UUID(check["check_id"]))
    assert hits(client, many) == {("listed", "h-1")}

    monkeypatch.setattr(checks, "AT_ONCE", 1)
    with resources.db.transaction() as tx:
        tx.execute("UPDATE watchlists SET is_current = false WHERE name = 'other'")
    clock.look(resources)
    clock.look(resources)
    assert _states(client, many) == ["running", "completed"]
    assert resources.redis.llen("screening") == 2
    check, _ = listed(client, f"/kyc/watchlists/{many}/history", "checks")
    clock.settle(resources, tenant_id(resources), UUID(check["check_id"]))

    (check,) = update_checks(client, many)
    assert (check["check_status"], check["gone_matches_count"]) == ("completed", 1)
    assert [each["list_name"] for each in _hits(client, many)] == ["house"]


def _states(client, watchlist: str) -> list[str]:
    found = listed(client, f"/kyc/watchlists/{watchlist}/history", "checks")
    return [each["check_status"] for each in found]


def _hits(client, watchlist: str) -> list[dict[str, Any]]:
    found = listed(client, f"/kyc/watchlists/{watchlist}/hits", "hits")
    return [each["match"] for each in found]


def screened(resources, watchlist: str) -> Check:
    """Begin a check, and do what workers would."""
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    check, _ = checks.begin(resources, found, Cause.SCHEDULED)
    _do(resources, check.id)
    return check


def _do(resources, check_id) -> None:
    job = jobs.find(resources, tenant_id(resources), kyc.NAME, str(check_id))
    for number in range(job.chunk_count):
        chunk.run(resources, job.id, job.pass_no, number)
    passes.finish(resources, job.id, job.pass_no)


def test_a_look_without_time_does_one_of_each_sort_and_the_next_one_goes_on(
    client, resources, house_list, monkeypatch
):
    monkeypatch.setattr(turns, "SHARE_SECONDS", 0.0)
    closing = [make(client, LISTED, name=f"closing {n}") for n in range(2)]
    due = [make(client, LISTED, name=f"due {n}", check_frequency="daily") for n in range(2)]
    for watchlist in closing:
        screened(resources, watchlist)
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitors SET next_check_at = now() WHERE check_frequency = 'daily'")

    def seen() -> list[int]:
        return [
            sum(_states(client, watchlist) == [state] for watchlist in those)
            for those, state in ((closing, "completed"), (due, "running"))
        ]

    clock.look(resources)
    assert seen() == [1, 1]
    clock.look(resources)
    assert seen() == [2, 2]


def test_a_check_that_cannot_be_closed_keeps_nobody_else_from_being_looked_after(
    client, resources, house_list
):
    broken, sound = make(client, LISTED, name="broken"), make(client, LISTED, name="sound")
    found = service.find(resources, tenant_id(resources), UUID(broken))
    check, _ = checks.begin(resources, found, Cause.SCHEDULED)
    client.post(f"/kyc/jobs/{check.id}/cancel")
    with resources.db.transaction() as tx:
        tx.execute("UPDATE monitors SET next_check_at = now() WHERE id = %s", (sound,))
        tx.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS $$ BEGIN RAISE 'it cannot be written'; END $$"
        )
        tx.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE ON monitor_checks FOR EACH ROW"
            " EXECUTE FUNCTION refuse()"
        )
    try:
        clock.look(resources)
    finally:
        with resources.db.transaction() as tx:
            tx.execute("DROP FUNCTION refuse CASCADE")

    assert len(listed(client, f"/kyc/watchlists/{broken}/history", "checks")) == 1
    (begun,) = listed(client, f"/kyc/watchlists/{sound}/history", "checks")
    assert begun["cause"] == "scheduled"


def test_closing_a_check_and_deleting_its_watchlist_wait_for_each_other_in_one_order(
    client, resources, house_list
):
    watchlist = make(client, LISTED)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    check, _ = checks.begin(resources, found, Cause.SCHEDULED)
    client.post(f"/kyc/jobs/{check.id}/cancel")
    closing = Thread(target=clock.settle, args=(resources, found.tenant_id, check.id))

    with resources.db.transaction() as tx:
        store.lock_monitor(tx, found.id)
        closing.start()
        until(lambda: _waiting_for_locks(resources), 40, "the other one waits")
        tx.execute(
            "SELECT extract(epoch FROM claimed_till - clock_timestamp()) AS left"
            " FROM monitor_checks"
        )
        assert tx.fetchone()["left"] <= clock.HOLD_SECONDS, "who dies now is soon replaced"
        # Deleting goes on to the checks; were this one locked, both would wait for ever.
        tx.execute("SELECT FROM monitor_checks WHERE id = %s FOR UPDATE NOWAIT", (check.id,))
        store.delete_monitor(tx, found.tenant_id, found.id)
    closing.join(40)

    assert not closing.is_alive()


def test_while_a_large_check_is_being_closed_nobody_waits_to_be_told_so(
    client, resources, house_list, monkeypatch
):
    monkeypatch.setattr(store, "LOCK_SECONDS", 0.05)
    watchlist = make(client, LISTED)
    check = screened(resources, watchlist)
    path = f"/kyc/watchlists/{watchlist}"
    body = {"subjects": [VEXFORD]}

    with resources.db.transaction() as tx:
        # Whoever closes it has it locked.
        store.lock_monitor(tx, UUID(watchlist))
        answers = [
            client.post(f"{path}/subjects", json=body),
            client.delete(f"{path}/subjects/listed"),
            client.post(f"{path}/remove-subjects", json={"entity_ids": ["listed"]}),
            client.patch(path, json={"name": "others"}),
            client.delete(path),
        ]
        again = client.post(f"{path}/monitor")
        shown = client.get(f"{path}/history/{check.id}")
        clock.look(resources)

    for answer in answers:
        assert_flat(answer, 503, "watchlist_busy")
        assert int(answer.headers["Retry-After"]) > 0
    assert_flat(again, 409, "check_running")
    assert again.json["check_id"] == str(check.id)
    assert shown.json["data"]["check_status"] == "running"
    clock.look(resources)
    assert _states(client, watchlist) == ["completed"]
    assert client.post(f"{path}/subjects", json=body).status_code == 200


def _waiting_for_locks(resources) -> bool:
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return tx.fetchone() is not None


def test_a_check_searches_no_older_version_than_the_watchlist_knows(
    client, resources, settings, house_list, tmp_path, monkeypatch
):
    """A list changes, and another check takes that up, while this one is planned."""
    watchlist = make(client, LISTED)
    found = service.find(resources, tenant_id(resources), UUID(watchlist))
    planned = checks._plan

    def slowly(*given: Any) -> Any:
        plan = planned(*given)
        monkeypatch.setattr(checks, "_plan", planned)
        new_version(resources, settings, tmp_path, *ENTRIES, LATER)
        _up_to_date(client, resources, watchlist)
        return plan

    monkeypatch.setattr(checks, "_plan", slowly)
    _, job = checks.begin(resources, found, Cause.SCHEDULED)

    with resources.db.transaction() as tx:
        newest = lists.current_versions(tx)["house"].id
    assert job is not None
    assert int(job.options["lists"]["house"]["id"]) == newest
