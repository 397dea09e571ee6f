"""Documents as a kind of job: on their own queue, at the pace that a model allows."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import uuid4

import pytest

from app.errors import (
    DatabaseUnavailable,
    IndexNotReady,
    InvalidConfig,
    JobError,
    RateLimited,
)
from app.jobs import service, store
from app.jobs.dispatch import DOCUMENTS
from app.jobs.model import NewItem, Result
from app.jobs.service import encode_item
from app.jobs.states import Event, JobState
from app.kinds import KINDS, documents
from app.kinds.base import Kind
from app.tagging import engine
from tests.integration.conftest import until
from tests.integration.engine import assert_whole, lasting_worker, outcomes
from tests.model_server import fails, says, serving
from workers import chunk
from workers.sweep import sweep

pytestmark = pytest.mark.integration

TEXT = "The trader was arrested and charged with wire fraud. He pleaded guilty to fraud in Lisbon."
KEY = "sk-MARKED-KEY-4711"


def item(**document):
    return NewItem(document.get("id"), encode_item({"document": document}))


@pytest.fixture
def plan(resources, tenant):
    def run(*items, resources=resources, **config):
        return documents.plan(
            resources, tenant_id=tenant.id, created_by="usr_test", items=items, config=config
        )

    return run


@pytest.fixture
def with_model(resources, monkeypatch):
    """Return resources whose server knows the model as `ours/small`."""
    monkeypatch.setenv("OUR_KEY", KEY)

    def run(model):
        known = {"ours": {"base_url": model.url, "key_env": "OUR_KEY", "models": ["small"]}}
        settings = replace(resources.settings, tagging_providers=json.dumps(known))
        return replace(resources, settings=settings)

    return run


def load(resources, job):
    with resources.db.transaction() as tx:
        return store.load_job(tx, job.id)


def details(resources, job):
    rows = [row for page in service.results(resources, job) for row in page]
    return [row["result"] and json.loads(row["result"]) for row in rows]


def test_a_worker_tags_documents_from_their_own_queue(resources, settings, plan, tmp_path):
    good = [item(id=f"d{n}", title="A trader", text=TEXT, extra={"case": n}) for n in range(10)]
    with lasting_worker(settings, tmp_path):
        job = service.submit(resources, plan(*good, item(id="bad"), item(id="empty", text=" ")))
        until(lambda: load(resources, job).state.is_final, 30, "the job has ended")

    job = load(resources, job)
    assert job.queue == DOCUMENTS
    assert_whole(resources, job)
    assert outcomes(resources, job) == {
        "succeeded": 10,
        documents.INVALID_DOCUMENT: 1,
        "empty_document": 1,
    }
    first, *_, last = details(resources, job)
    assert last is None
    assert first["extra"] == {"case": 0}
    assert first["language"]["code"] == "en"
    assert (first["model"], first["taxonomy"]) == ("local/keyphrase@1", "fincrime-en@1")
    fraud = next(tag for tag in first["tags"] if tag["tag"] == "Fraud")
    places = [o for o in fraud["offsets"] if o["field"] == "text"]
    assert {TEXT[o["start"] : o["end"]] for o in places} == {"wire fraud", "fraud"}


def test_a_configuration_that_is_none_makes_no_job(plan):
    with pytest.raises(InvalidConfig, match=r"^config\.num_tags"):
        plan(item(text=TEXT), num_tags=99)
    with pytest.raises(InvalidConfig, match="there are local/keyphrase"):
        plan(item(text=TEXT), model_name="https://evil.example/v1")


def test_a_key_in_the_request_is_not_kept(plan):
    assert KEY not in str(plan(item(text=TEXT), api_key=KEY).options)


def test_a_worker_without_the_libraries_fails_the_job_with_what_to_install(
    resources, plan, monkeypatch
):
    def missing():
        raise engine.Misconfigured(engine.HOW_TO_GET_IT)

    monkeypatch.setattr(engine, "check_installed", missing)
    documents._local.cache_clear()
    job = service.submit(resources, plan(item(text=TEXT)))

    chunk.run(resources, job.id, 1, 0)

    job = load(resources, job)
    assert (job.state, job.error_code) == (JobState.FAILED, documents.TAGGING_UNAVAILABLE)
    assert job.error_message == engine.HOW_TO_GET_IT


def test_a_remote_model_takes_the_place_of_keyphrases(resources, plan, with_model):
    tag = {"tag": "wire fraud", "score": 0.9, "evidence": "charged with wire fraud"}
    with serving(says(tag, {"tag": "arson", "score": 0.2, "evidence": ""})) as model:
        ours = with_model(model)
        options = {"model_name": "ours/small", "entities": {"enabled": False}}
        job = service.submit(ours, plan(item(text=TEXT), resources=ours, **options))
        chunk.run(ours, job.id, 1, 0)

    (detail,) = details(resources, load(resources, job))
    assert detail["model"] == "ours/small"
    kinds = {(tag["tag"], tag["type"], tag.get("grounded")) for tag in detail["tags"]}
    assert {("wire fraud", "keyphrase", True), ("arson", "keyphrase", False)} <= kinds
    assert ("Fraud", "category", None) in kinds
    assert KEY not in json.dumps(detail)


def test_a_refused_key_ends_the_job_and_keeps_what_was_done(resources, plan, with_model):
    with serving(says(), fails(401, f"bad key {KEY}")) as model:
        ours = with_model(model)
        new_job = plan(*[item(text=TEXT)] * 3, resources=ours, model_name="ours/small")
        job = service.submit(ours, new_job)
        chunk.run(ours, job.id, 1, 0)

    job = load(resources, job)
    assert (job.state, job.error_code) == (JobState.FAILED, "model_key_refused")
    assert KEY not in job.error_message
    assert (job.succeeded, job.cancelled) == (1, 2)
    assert len(model.asked) == 2


# A rate limit pauses the job, and it goes on by itself.


def test_a_long_retry_after_pauses_the_job_and_it_goes_on_by_itself(
    resources, settings, plan, with_model, tmp_path, monkeypatch
):
    """One worker, a model that is busy at the second document for seven seconds."""
    with serving(says(), fails(429, "slow", Retry_After="7"), says()) as model:
        ours = with_model(model)
        new_job = plan(*[item(text=TEXT)] * 3, resources=ours, model_name="ours/small")
        with lasting_worker(ours.settings, tmp_path):
            job = service.submit(ours, new_job)
            until(lambda: load(resources, job).state is JobState.PAUSED, 20, "the job is paused")
            paused = load(resources, job)
            until(lambda: load(resources, job).state.is_final, 40, "the job has ended")

    job = load(resources, job)
    assert paused.resume_at is not None
    assert paused.done == 1
    assert_whole(resources, job)
    assert (job.succeeded, job.resume_at) == (3, None)
    # Nothing is asked while the job rests, and nothing twice.
    assert len(model.asked) == 4
    assert model.asked[2].at - model.asked[1].at >= 7


@pytest.fixture
def limited(resources, submit, monkeypatch):
    """Return a job of two chunks that both run into a limit of so many seconds."""

    def run(seconds=60.0, chunks=(0,)):
        def prepare(resources, job):
            def process(items):
                if items[0].payload.get("limited"):
                    raise RateLimited(seconds, "Later.")
                return [Result.success(each, {}) for each in items]

            return process

        kind = Kind(name="slow", prepare=prepare, queues=frozenset({DOCUMENTS}), batch_size=1)
        monkeypatch.setitem(KINDS, "slow", kind)
        job = submit("slow", [{}, {"limited": True}] * 10)
        for number in chunks:
            chunk.run(resources, job.id, 1, number)
        return load(resources, job)

    return run


def tell(resources, job, event):
    with resources.db.transaction() as tx:
        return store.advance(tx, job.id, event)


def let_time_pass(resources, job):
    with resources.db.transaction() as tx:
        tx.execute(
            "UPDATE jobs SET resume_at = now() - interval '1 second'"
            " WHERE id = %s AND resume_at IS NOT NULL",
            (job.id,),
        )


def seconds_left(job):
    return (job.resume_at - job.updated_at).total_seconds()


def test_what_was_done_before_the_limit_is_kept_and_nothing_is_held_against_the_rest(
    resources, limited
):
    job = limited()

    assert job.state is JobState.PAUSED
    assert (job.succeeded, job.failed) == (1, 0)
    assert 55 < seconds_left(job) <= 60
    assert attempts(resources, job) == [0] * 20


@pytest.mark.parametrize("limits", [1, 5])
def test_limits_after_a_lost_worker_use_up_no_attempts(resources, submit, monkeypatch, limits):
    """A worker died of one of the items, nobody knows which: that counts once, and limits never."""
    left = busy(monkeypatch, RateLimited(0.0, "Later."), limits)
    job = submit("slow", [{}] * 5)
    die_holding(resources, job)

    for _ in range(limits):
        chunk.run(resources, job.id, 1, 0)
        assert load(resources, job).state is JobState.PAUSED
        assert attempts(resources, job) == [1] * 5
        tell(resources, job, Event.RESUME)
    assert not left

    chunk.run(resources, job.id, 1, 0)

    job = load(resources, job)
    assert_whole(resources, job)
    assert outcomes(resources, job) == {"succeeded": 5}


@pytest.mark.parametrize("error", [IndexNotReady, DatabaseUnavailable])
def test_what_is_away_after_a_lost_worker_uses_up_no_attempts(
    resources, submit, monkeypatch, error
):
    left = busy(monkeypatch, error("Away."), 9)
    job = submit("slow", [{}] * 5)
    die_holding(resources, job)

    while left:
        with pytest.raises(error):
            run_elsewhere(monkeypatch, resources, job)
        assert attempts(resources, job) == [1] * 5

    run_elsewhere(monkeypatch, resources, job)

    assert outcomes(resources, load(resources, job)) == {"succeeded": 5}


def test_what_is_away_makes_no_suspects(resources, submit, monkeypatch):
    left = busy(monkeypatch, DatabaseUnavailable("Away."), 9)
    job = submit("slow", [{}] * 5)

    while left:
        with pytest.raises(DatabaseUnavailable):
            run_elsewhere(monkeypatch, resources, job)
    run_elsewhere(monkeypatch, resources, job)

    assert attempts(resources, job) == [0] * 5
    assert outcomes(resources, load(resources, job)) == {"succeeded": 5}


def busy(monkeypatch, error, times):
    """Let what the kind "slow" needs be busy so many times; return the times that are left."""
    left = [error] * times

    def process(items):
        if left:
            raise left.pop()
        return [Result.success(each, {}) for each in items]

    kind = Kind(name="slow", prepare=lambda *_: process, queues=frozenset(), batch_size=10)
    monkeypatch.setitem(KINDS, "slow", kind)
    return left


def attempts(resources, job):
    with resources.db.transaction() as tx:
        tx.execute("SELECT attempts FROM items WHERE job_id = %s ORDER BY position", (job.id,))
        return [row["attempts"] for row in tx.fetchall()]


def die_holding(resources, job):
    """Claim the chunk as a worker on another machine does that dies of it."""
    with resources.db.transaction() as tx:
        store.claim_chunk(tx, job, 0, holder="elsewhere/1/x", pass_no=1, seconds=-1)


def run_elsewhere(monkeypatch, resources, job):
    """Work on the chunk as another process than before."""
    holder = f"elsewhere/{uuid4().int}/x"
    monkeypatch.setattr(chunk, "_holder", lambda: holder)
    chunk.run(resources, job.id, 1, 0)


def test_the_job_rests_until_its_time_and_then_the_sweep_resumes_it(resources, limited):
    job = limited()

    assert sweep(resources) == 0
    assert load(resources, job).state is JobState.PAUSED

    let_time_pass(resources, job)
    assert sweep(resources) == 1
    again = load(resources, job)
    assert (again.state, again.pass_no, again.resume_at) == (JobState.RUNNING, 2, None)
    assert sweep(resources) == 0


def test_a_user_who_resumes_is_not_made_to_wait(resources, limited):
    job = limited()

    moved = tell(resources, job, Event.RESUME)

    assert (moved.state, moved.resume_at) == (JobState.RUNNING, None)


def test_a_job_that_rests_may_be_asked_to_pause_and_then_stays_where_it_is(resources, limited):
    job = limited()
    assert load(resources, job).allowed_actions == ["pause", "resume", "cancel"]

    paused = service.pause(resources, job.tenant_id, job.dialect, job.external_id)

    assert (paused.state, paused.allowed_actions) == (JobState.PAUSED, ["resume", "cancel"])
    let_time_pass(resources, job)
    assert sweep(resources) == 0


def test_a_job_that_is_cancelled_while_it_rests_stays_cancelled(resources, limited):
    job = limited()
    service.cancel(resources, job.tenant_id, job.dialect, job.external_id)

    let_time_pass(resources, job)
    sweep(resources)

    job = load(resources, job)
    assert (job.state, job.resume_at) == (JobState.CANCELLED, None)


def test_a_job_that_somebody_paused_does_not_go_on_by_itself(resources, submit, monkeypatch):
    """The request to pause comes while the model is asked, which then says that it is busy."""

    def prepare(resources, job):
        def process(items):
            tell(resources, job, Event.PAUSE)
            raise RateLimited(0.0, "Later.")

        return process

    kind = Kind(name="slow", prepare=prepare, queues=frozenset({DOCUMENTS}), batch_size=1)
    monkeypatch.setitem(KINDS, "slow", kind)
    job = submit("slow", [{}] * 5)

    chunk.run(resources, job.id, 1, 0)
    sweep(resources)

    job = load(resources, job)
    assert (job.state, job.resume_at) == (JobState.PAUSED, None)


def test_asking_to_pause_a_job_that_is_about_to_rest_makes_it_stay(resources, limited):
    job = limited(chunks=())
    tell(resources, job, Event.CLAIM)
    tell(resources, job, Event.PAUSE)
    with resources.db.transaction() as tx:
        store.resume_later(tx, job, 5.0)

    assert tell(resources, job, Event.PAUSE).resume_at is None


def test_of_several_limits_the_longest_counts(resources, limited):
    job = limited(chunks=())
    tell(resources, job, Event.CLAIM)
    tell(resources, job, Event.PAUSE)
    with resources.db.transaction() as tx:
        store.resume_later(tx, job, 500.0)
        later = store.resume_later(tx, job, 5.0)

    assert seconds_left(later) > 400


def test_no_date_makes_a_job_rest_for_years(resources, limited):
    job = limited(seconds=1e9)

    assert seconds_left(job) <= 24 * 3600


def test_an_error_of_the_whole_job_in_the_middle_of_it_fails_it(resources, submit, monkeypatch):
    def prepare(resources, job):
        def process(items):
            raise JobError("model_key_refused", "No.")

        return process

    kind = Kind(name="slow", prepare=prepare, queues=frozenset({DOCUMENTS}), batch_size=1)
    monkeypatch.setitem(KINDS, "slow", kind)
    job = submit("slow", [{}] * 5)

    chunk.run(resources, job.id, 1, 0)

    job = load(resources, job)
    assert (job.state, job.error_code, job.cancelled) == (JobState.FAILED, "model_key_refused", 5)


def test_a_slow_kind_hands_its_rest_back_after_its_own_bound(resources, submit, monkeypatch):
    def prepare(resources, job):
        return lambda items: [Result.success(each, {}) for each in items]

    kind = Kind(
        name="slow",
        prepare=prepare,
        queues=frozenset({DOCUMENTS}),
        batch_size=1,
        chunk_seconds=1e-9,
    )
    monkeypatch.setitem(KINDS, "slow", kind)
    job = submit("slow", [{}] * 5)

    chunk.run(resources, job.id, 1, 0)

    assert load(resources, job).succeeded == 1


def test_an_item_is_worked_on_within_the_claim(resources, plan, with_model):
    """Claims last 2 s here, so a model that is silent for longer is given up before that."""
    with serving({"delay": 10}) as model:
        ours = with_model(model)
        job = service.submit(ours, plan(item(text=TEXT), resources=ours, model_name="ours/small"))
        chunk.run(ours, job.id, 1, 0)

    assert outcomes(resources, load(resources, job)) == {"model_timeout": 1}


def test_the_web_can_plan_without_the_engine(plan):
    assert plan(item(text=TEXT)).chunk_size == 4
