"""Verifications are screened again by themselves, and say what is new, gone or changed."""

from __future__ import annotations

from typing import Any

import pytest

from app.accounts import service as accounts
from app.accounts.model import PERMISSIONS, Role
from app.api import tokens
from app.db import one
from app.monitoring.verifications import clock, store
from app.monitoring.verifications import service as monitoring
from app.monitoring.verifications.model import compare
from app.screening.model import ENGINE_VERSION
from app.verifications import service
from app.verifications.model import Screening
from tests.integration.conftest import until
from tests.kyc import ENTRIES, house_list, screener
from tests.monitoring import new_version
from tests.verifications import JANE, ZEBULON, assert_enveloped, ended, read, run, verified

__all__ = ["ended", "house_list", "read", "run", "screener", "verified"]

pytestmark = pytest.mark.integration

#: JANE, as she might be listed some day.
LATER = {"id": "h-9", "type": "person", "name": "Jane Ploughwright", "birth_dates": ["1982-12-20"]}


def path(verification, what: str = "monitoring") -> str:
    return f"/v5/verifications/{verification.trace}/{what}"


def watch(client, verification, frequency: str) -> dict[str, Any]:
    answer = client.put(path(verification), json={"frequency": frequency})
    assert answer.status_code == 200, answer.json
    return answer.json["data"]


def runs(client, verification) -> list[dict[str, Any]]:
    found = client.get(path(verification, "jobs")).json["data"]["jobs"]
    return [each for each in found if "completedAt" in each["result"]]


def changes(client, verification) -> list[dict[str, Any]]:
    return client.get(path(verification, "watchlist/changes")).json["data"]["changes"]


def test_one_that_nobody_has_screened_is_screened_at_once(client, house_list, screener, verified):
    verification = verified(JANE, ZEBULON)

    shown = watch(client, verification, "weekly")

    assert shown["frequency"] == "weekly"
    (done,) = until(lambda: runs(client, verification), 40, "it is screened")
    assert done["run"]["sourceAction"] == "scheduled"
    until(
        lambda: (
            client.get(path(verification)).json["data"]["nextRunAt"] - shown["nextRunAt"]
            > 6 * 86_400_000
        ),
        40,
        "the next run is a week away",
    )
    (report,) = changes(client, verification)
    assert (report["previousJobId"], report["hasChanges"]) == (None, True)
    assert [each["record"]["id"] for each in report["new"]] == ["h-1"]


def test_an_update_screens_only_those_whom_it_could_concern(
    client, resources, settings, tenant, house_list, tmp_path, screener, verified, run, ended
):
    janes, zebulons, others = verified(JANE), verified(ZEBULON), verified(name="Nobody Else Trust")
    for each in (janes, zebulons, others):
        ended(run(each))
        watch(client, each, "on_update")

    new_version(resources, settings, tmp_path, *ENTRIES[1:], LATER)

    until(
        lambda: len(runs(client, janes)) == len(runs(client, zebulons)) == 2,
        40,
        "they are screened",
    )
    until(lambda: _is_up_to_date(resources), 40, "everybody knows the version")
    assert len(runs(client, others)) == 1
    for verification, change, entry in ((janes, "new", "h-9"), (zebulons, "gone", "h-1")):
        newest, first = changes(client, verification)
        assert newest["sourceAction"] == "scheduled"
        assert newest["previousJobId"] == first["jobId"]
        assert [each["record"]["id"] for each in newest[change]] == [entry]
        assert sum(len(newest[kind]) for kind in ("new", "gone", "changed")) == 1


def test_one_that_an_older_engine_screened_is_screened_again_once(
    client, resources, house_list, screener, verified, run, ended
):
    verification, fresh = verified(ZEBULON), verified(ZEBULON)
    for each in (verification, fresh):
        ended(run(each))
        watch(client, each, "on_update")
    until(lambda: _is_up_to_date(resources), 40, "what they know is noted")
    with resources.db.transaction() as tx:
        tx.execute("UPDATE verification_monitoring SET engine_version = engine_version - 1")
        # The other one a moment ago: perhaps by a worker that is still to be replaced.
        for table, column, key in (
            ("verification_monitoring", "synced_at", "verification_id"),
            ("verifications", "screened_at", "id"),
        ):
            tx.execute(
                f"UPDATE {table} SET {column} = now() - interval '1 day' WHERE {key} = %s",
                (verification.id,),
            )

    until(lambda: len(runs(client, verification)) == 2, 40, "it is screened again")
    until(lambda: _is_new(resources, verification), 40, "that is noted")

    clock.look(resources)
    assert len(client.get(path(verification, "jobs")).json["data"]["jobs"]) == 2
    assert len(client.get(path(fresh, "jobs")).json["data"]["jobs"]) == 1


def _is_new(resources, verification) -> bool:
    """Its last run, by this engine, has been taken down."""
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT engine_version = %s AND next_run_at IS NULL AS is_new"
            " FROM verification_monitoring WHERE verification_id = %s",
            (int(ENGINE_VERSION), verification.id),
        )
        return bool(tx.fetchone()["is_new"])


def _is_up_to_date(resources) -> bool:
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT EXISTS (SELECT FROM jobs WHERE finished_at IS NULL) OR EXISTS"
            " (SELECT FROM verification_monitoring WHERE synced_at IS NULL) AS waits"
        )
        waits = bool(one(tx)["waits"])
        return not waits and not store.list_outdated(tx)


def test_monitoring_ends_when_it_is_switched_off_and_the_audit_says_who_did(
    client, resources, tenant, verified
):
    verification = verified(JANE, ZEBULON)
    watch(client, verification, "on_update")
    with resources.db.transaction() as tx:
        assert len(list(store.numbers(tx))) == 3

    assert watch(client, verification, "off") == {
        "frequency": "off", "nextRunAt": None, "updatedAt": None,
    }  # fmt: skip

    with resources.db.transaction() as tx:
        assert list(store.numbers(tx)) == []
    assert monitoring.show(resources, tenant.id, verification.trace) is None
    entries = service.audit(resources, tenant.id, verification.trace, before=None, limit=10)
    told = [entry.entry for entry in entries if "monitoring.changed" in entry.entry]
    assert len(told) == 2
    assert '"off"' in told[0]


@pytest.mark.parametrize("body", [{}, {"frequency": "hourly"}, {"frequency": None}, [], "daily"])
def test_a_wrong_frequency_is_told_so_in_the_envelope(client, verified, body):
    answer = client.put(path(verified()), json=body)

    error = assert_enveloped(answer, 422, answer.json["error"]["details"][0]["code"])
    assert error["type"] == "validation_error"


def test_another_tenants_verification_does_not_exist(
    client, web, settings, resources, tenant, verified
):
    verification = verified(JANE)
    other = accounts.ensure_tenant(resources.db, "other")
    token = tokens.mint_access(settings, other.id, "usr_x", PERMISSIONS[Role.ADMIN])
    stranger = web.test_client()
    stranger.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    for answer in (
        stranger.get(path(verification)),
        stranger.put(path(verification), json={"frequency": "daily"}),
        stranger.get(path(verification, "watchlist/changes")),
    ):
        assert_enveloped(answer, 404, "verification_not_found")


def screening(*records: dict[str, Any], status: str = "ok", source: str = "un") -> Screening:
    matched = [{"source": source, "records": list(records)}] if records else []
    checked = [{"source": source, "status": status}]
    return Screening(
        "scr_1", "run", None, {}, len(records), matched, checked, status == "ok", {}, None,
        "scheduled", None, None,
    )  # fmt: skip


def kinds(before: Screening, after: Screening) -> list[str]:
    return [each.change for each in compare([before], [after])]


def test_what_changed_is_what_was_found_and_not_what_was_not_asked():
    one, other = {"id": "1", "score": 0.9}, {"id": "1", "score": 0.95}

    assert kinds(screening(), screening(one)) == ["new"]
    assert kinds(screening(one), screening(one)) == []
    assert kinds(screening(one), screening({**one, "calculation": {}})) == []
    assert kinds(screening(one), screening(other)) == ["changed"]
    assert kinds(screening(one), screening()) == ["gone"]
    assert kinds(screening(one), screening(status="error")) == []
    assert kinds(screening(one), screening(source="eu")) == ["gone"]
    assert kinds(screening(one), screening({**one, "suppressed": True})) == ["gone"]
