"""What a run keeps of what it finds, and how it ends. What a worker would do is called here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.jobs import store as jobs_store
from app.jobs.states import JobState
from app.screening.model import ENGINE_VERSION
from app.verifications import dispatch, service
from app.verifications.subjects import payload
from tests.kyc import house_list as house_list
from tests.kyc import load
from tests.verifications import API, ZEBULON, work
from tests.verifications import read as read
from tests.verifications import run as run
from tests.verifications import verified as verified
from workers import chunk


def test_a_hundred_politicians_of_that_name_do_not_hide_who_is_under_sanctions(
    resources, settings, tmp_path, tenant, verified, run, read
):
    person = {"type": "person", "name": "Zebulon Quartermain"}
    peps = [{**person, "id": f"p-{n}", "topics": ["pep"]} for n in range(120)]
    like = [{**person, "id": f"o-{n}", "name": "Zebulon Quartermane"} for n in range(3)]
    load(resources, settings, tmp_path, "house", peps)
    load(resources, settings, tmp_path, "ofac", like)
    verification = verified(ZEBULON)

    begun = run(verification)
    work(resources, tenant, begun.run_id)

    assert read(begun).state is JobState.COMPLETED
    now = service.get(resources, tenant.id, verification.trace)
    (zebulon,) = now.stakeholders
    found, _ = service.latest(resources, tenant.id, verification.trace, zebulon.stakeholder_id)
    by_source = {each["source"]: each for each in found.matched_sources}
    assert found.total_hits == 123
    assert {name: each["hits"] for name, each in by_source.items()} == {"house": 120, "ofac": 3}
    best = max(record["score"] for record in by_source["house"]["records"])
    assert best > by_source["ofac"]["records"][0]["score"]
    assert sum(len(each["records"]) for each in by_source.values()) == 100
    (reason,) = now.risk["reasons"]
    assert (reason["category"], reason["source"]) == ("sanctions", "ofac")
    assert now.risk["score"] >= 72.0


def test_what_a_reviewer_has_ruled_out_is_kept_apart_and_does_not_count(
    resources, tenant, client, house_list, verified, run
):
    verification = verified(ZEBULON)
    (zebulon,) = verification.stakeholders
    subject = payload(zebulon.entity)["subject"]
    entity = {"entity_id": zebulon.stakeholder_id, "subject": subject}
    job_id = client.post("/kyc/jobs", json={"entities": [entity]}).json["job_id"]
    chunk.run(resources, job_id, 1, 0)
    decided = client.post(
        "/kyc/exclusions",
        json={
            "job_id": job_id,
            "entity_id": zebulon.stakeholder_id,
            "list_name": "house",
            "entry_id": "h-1",
            "reason": "Another person: ours is forty years younger.",
        },
    )
    assert decided.status_code == 200, decided.json

    work(resources, tenant, run(verification).run_id)

    found, _ = service.latest(resources, tenant.id, verification.trace, zebulon.stakeholder_id)
    assert (found.total_hits, found.matched_sources) == (0, [])
    (checked,) = found.sources_checked
    assert checked["suppressedHits"] == 1
    (record,) = checked["suppressedRecords"]
    assert (record["id"], record["decision"]) == ("h-1", "false_positive")
    assert record["exclusionId"] == decided.json["exclusion"]["exclusion_id"]


def test_a_list_that_was_late_and_the_engine_are_told_with_the_source(
    resources, settings, database, tenant, house_list, verified
):
    with database.transaction() as tx:
        tx.execute("UPDATE watchlists SET loaded_at = loaded_at - interval '2 hours'")
        tx.execute(
            "UPDATE watchlist_refreshes SET refreshed_at = refreshed_at - interval '2 hours'"
        )
    hourly = replace(settings, list_intervals="house=1h")
    ours = replace(resources, settings=hourly)
    verification = verified()

    begun = dispatch.dispatch(ours, tenant.id, verification.trace, API)
    work(resources, tenant, begun.run_id)

    entity, _ = service.latest(resources, tenant.id, verification.trace)
    (checked,) = entity.sources_checked
    assert checked["engineVersion"] == ENGINE_VERSION
    (warning,) = checked["warnings"]
    assert warning["code"] == "stale_list"
    assert "house" in warning["message"]


@pytest.fixture
def ends(database):
    """Tell how jobs that end were committed: (state, whether it waited for the disk)."""
    with database.transaction() as tx:
        tx.execute("CREATE TABLE ends (state text, waited boolean)")
        tx.execute(
            "CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            "  INSERT INTO ends VALUES (NEW.state, current_setting('synchronous_commit') = 'on');"
            "  RETURN NULL; END $$"
        )
        tx.execute(
            "CREATE TRIGGER note_end AFTER UPDATE ON jobs FOR EACH ROW"
            " WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL)"
            " EXECUTE FUNCTION note_end()"
        )

    def look() -> list[tuple[str, bool]]:
        with database.transaction() as tx:
            tx.execute("SELECT state, waited FROM ends")
            return [(row["state"], row["waited"]) for row in tx.fetchall()]

    yield look
    with database.transaction() as tx:
        tx.execute("DROP FUNCTION note_end CASCADE")
        tx.execute("DROP TABLE ends")


def test_a_run_that_ends_as_it_is_claimed_has_ended_also_after_a_crash_of_postgres(
    resources, tenant, house_list, verified, run, ends
):
    verification = verified()
    held = run(verification)
    scheduled = dispatch.dispatch_background(resources, tenant.id, verification.trace)
    chunk.run(resources, scheduled.id, 1, 0)
    assert ends() == [("rejected", True)]

    with resources.db.transaction() as tx:
        job = jobs_store.load_job(tx, held.id)
        for number in range(resources.settings.max_attempts + 5):
            holder = f"elsewhere/{number}/x"
            jobs_store.claim_chunk(tx, job, 0, holder=holder, pass_no=1, seconds=-1)
    chunk.run(resources, held.id, 1, 0)

    assert ends() == [("rejected", True), ("failed", True)]
