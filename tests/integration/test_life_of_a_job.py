"""Whatever happens to a job, and in whatever order: only what the table of states allows.

A machine of hypothesis does to one job what callers, workers, the sweep and chance do: requests,
deliveries (also twice, late, of a stale pass, and with a request or a rate limit in the middle of
a chunk), callbacks, deaths, deadlines. Postgres itself notes every change of the row; what it noted
is held against the table.

Which rule may come next never depends on what became of the job: there are no preconditions, and a
rule returns when there is nothing to do. Of two callers at once either may be first; hypothesis,
which replays what it drew, would take the other order for a broken test.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from app.errors import IllegalTransition, ItemError, RateLimited
from app.jobs import service, store
from app.jobs.model import Item, Job, Result
from app.jobs.states import NEXT, JobState
from app.kinds import KINDS
from app.kinds.base import Kind
from tests.integration.conftest import new_job
from tests.integration.engine import age, ledger
from workers import chunk, passes
from workers.sweep import sweep

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ITEMS, CHUNK = 12, 4
CHUNKS = ITEMS // CHUNK

#: What happens when a worker comes to its next item.
_interruption: list[Callable[[], object]] = []


def _prepare(resources, job):
    def process(items: list[Item]) -> list[Result]:
        if _interruption:
            _interruption.pop()()
        return [_one(item) for item in items]

    return process


def _one(item: Item) -> Result:
    if item.payload.get("bad"):
        raise ItemError("bad_item", "It is bad.")
    return Result.success(item, {"echo": item.position}, matches=item.position % 2)


#: One item a call, or all of a chunk at once.
KINDS_OF_TEST = {
    name: Kind(name=name, prepare=_prepare, queues=frozenset(), batch_size=size)
    for name, size in (("told_slowly", 1), ("told_fast", 100))
}

_WATCH = """
CREATE TABLE noted (id serial, job_id uuid, was job_state, became job_state, done integer,
                    ended integer, version bigint);
CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO noted (job_id, was, became, done, ended, version)
    VALUES (NEW.id, OLD.state, NEW.state, NEW.succeeded + NEW.failed,
            NEW.succeeded + NEW.failed + NEW.cancelled + NEW.expired, NEW.version);
    RETURN NEW;
END $$;
CREATE TRIGGER note_change AFTER UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION note_change();
"""
_UNWATCH = """
DROP TRIGGER note_change ON jobs;
DROP FUNCTION note_change;
DROP TABLE noted;
"""


@pytest.fixture
def watched(database):
    """Let Postgres note every change of a job's row."""
    KINDS.update(KINDS_OF_TEST)
    with database.transaction() as tx:
        tx.execute(_WATCH)
    yield
    with database.transaction() as tx:
        tx.execute(_UNWATCH)
    for name in KINDS_OF_TEST:
        del KINDS[name]


REQUESTS = {"pause": service.pause, "resume": service.resume, "cancel": service.cancel}
#: Rarely what ends a job: most of the time there should be one to do something to.
requests = st.sampled_from(("pause", "pause", "resume", "resume", "resume", "cancel"))
rarely = st.sampled_from((False, False, False, False, True))
chunk_numbers = st.integers(0, CHUNKS - 1)


class LifeOfAJob(RuleBasedStateMachine):
    resources = None
    tenant_id = None

    @initialize(kind=st.sampled_from(sorted(KINDS_OF_TEST)), bad=st.sets(st.integers(0, ITEMS - 1)))
    def submit(self, kind, bad):
        payloads = [{"bad": True} if n in bad else {} for n in range(ITEMS)]
        new = new_job(self.tenant_id, kind, payloads, CHUNK)
        self.job = service.submit(self.resources, new)
        self.bad = bad
        self.retried = False

    # What callers do.

    def ask(self, request: str) -> Job | None:
        job = self.job
        with suppress(IllegalTransition):
            return REQUESTS[request](self.resources, job.tenant_id, job.dialect, job.external_id)
        return None

    @rule(request=requests)
    def a_caller_asks(self, request):
        before = self.now()
        moved = self.ask(request)
        allowed = request in before.allowed_actions
        repeated = (request, before.state) in {("pause", "pausing"), ("cancel", "cancelling")}
        assert (moved is not None) == (allowed or repeated)

    @rule(one=requests, other=requests)
    def two_callers_ask_at_once(self, one, other):
        with ThreadPoolExecutor(2) as callers:
            # A list: what either raised is raised here.
            list(callers.map(self.ask, (one, other)))

    @rule()
    def a_caller_retries(self):
        old = self.now()
        if self.retried or not old.state.is_final:
            return
        try:
            new = service.retry(
                self.resources,
                old.tenant_id,
                old.dialect,
                old.external_id,
                statuses=("failed", "cancelled"),
                options={},
                created_by="usr_test",
            )
        except IllegalTransition:
            assert old.allowed_actions == []
        else:
            assert new.total == old.failed + old.cancelled + old.expired
            assert self.now() == old
        self.retried = True

    # What workers do.

    def deliver(self, number: int, pass_no: int) -> None:
        chunk.run(self.resources, self.job.id, pass_no, number)

    @rule(number=chunk_numbers, late=st.integers(0, 2))
    def a_message_comes(self, number, late):
        self.deliver(number, max(1, self.now().pass_no - late))

    @rule(number=chunk_numbers, asked=st.lists(requests, min_size=1, max_size=3))
    def a_message_comes_and_callers_ask_in_the_middle(self, number, asked):
        def interrupt() -> None:
            for request in asked:
                self.ask(request)

        _interruption.append(interrupt)
        self.deliver(number, self.now().pass_no)
        _interruption.clear()

    @rule(number=chunk_numbers, seconds=st.sampled_from((0.0, 3600.0)))
    def a_message_comes_and_what_the_kind_asks_wants_to_be_left_alone(self, number, seconds):
        def refuse() -> None:
            raise RateLimited(seconds, "Not now.")

        _interruption.append(refuse)
        self.deliver(number, self.now().pass_no)
        _interruption.clear()

    @rule(number=chunk_numbers)
    def a_message_comes_twice_at_once(self, number):
        pass_no = self.now().pass_no
        _interruption.append(lambda: self.deliver(number, pass_no))
        self.deliver(number, pass_no)
        _interruption.clear()

    @rule(number=chunk_numbers)
    def a_worker_dies_with_a_chunk_in_hand(self, number):
        with self.resources.db.transaction() as tx:
            job = store.lock_job(tx, self.job.id)
            if job.state in chunk.CLAIMABLE:
                if job.state is JobState.QUEUED:
                    store.advance(tx, job.id, chunk.Event.CLAIM)
                holder = f"elsewhere/{number}/boot"
                store.claim_chunk(tx, job, number, holder=holder, pass_no=job.pass_no, seconds=30)

    @rule()
    def claims_run_out(self):
        with self.resources.db.transaction() as tx:
            tx.execute(
                "UPDATE chunk_claims SET expires_at = '-infinity' WHERE job_id = %s", (self.job.id,)
            )

    @rule(number=chunk_numbers)
    def a_worker_given_up_for_lost_brings_a_result(self, number):
        job = self.now()
        if job.started_at is None:
            return
        held = chunk._Chunk(self.resources, job, 1, number, f"elsewhere/{number}/boot")
        position = number * CHUNK
        chunk._save(held, [_result(job, position, self.bad)], last=True)

    @rule(late=st.integers(0, 2))
    def a_callback_comes(self, late):
        passes.finish(self.resources, self.job.id, max(1, self.now().pass_no - late))

    # What time does.

    @rule()
    def the_sweep_looks(self):
        age(self.resources, self.job)
        sweep(self.resources)

    @rule()
    def the_broker_is_emptied(self):
        self.resources.redis.flushdb()

    @rule(does=rarely)
    def the_deadline_passes(self, does):
        if not does:
            return
        with self.resources.db.transaction() as tx:
            tx.execute("UPDATE jobs SET allowed_seconds = 1e-9 WHERE id = %s", (self.job.id,))
        sweep(self.resources)
        with self.resources.db.transaction() as tx:
            tx.execute(
                "UPDATE jobs SET allowed_seconds = NULL WHERE id = %s AND finished_at IS NULL",
                (self.job.id,),
            )

    # What holds at every moment.

    def now(self) -> Job:
        with self.resources.db.transaction() as tx:
            return store.load_job(tx, self.job.id)

    @invariant()
    def counts_are_those_of_the_rows_and_sum_to_the_total(self):
        job = self.now()
        found = ledger(self.resources, job)
        assert (found.succeeded, found.failed, found.matches) == (
            job.succeeded,
            job.failed,
            job.matches,
        )
        running = service.count_running(self.resources, [job])[job.id]
        rest = job.outstanding - running
        assert min(rest, running) >= 0
        ended = job.succeeded + job.failed + job.cancelled + job.expired
        assert rest + running + ended == ITEMS
        if job.state.is_final:
            assert ended == ITEMS

    @invariant()
    def of_a_paused_job_nothing_is_in_hand(self):
        job = self.now()
        if job.state is JobState.PAUSED:
            assert service.count_running(self.resources, [job])[job.id] == 0

    def teardown(self):
        if not hasattr(self, "job"):
            return
        self._come_to_the_end()
        with self.resources.db.transaction() as tx:
            tx.execute("SELECT * FROM noted WHERE job_id = %s ORDER BY id", (self.job.id,))
            noted = tx.fetchall()
        done = ended = version = 0
        state = JobState.QUEUED
        for each in noted:
            was, became = JobState(each["was"]), JobState(each["became"])
            assert was is state
            assert became is was or became in NEXT[was].values(), f"{was} to {became}"
            assert each["done"] >= done, "progress goes back"
            assert each["ended"] >= ended, "progress goes back"
            assert each["version"] >= version
            if was.is_final:
                # A deadline set by these tests is no change that anybody sees.
                assert (each["done"], each["ended"], each["version"]) == (done, ended, version)
            done, ended, version, state = each["done"], each["ended"], each["version"], became

    def _come_to_the_end(self):
        """Whatever was done to it: resumed and worked on, the job ends, and each item once."""
        self.claims_run_out()
        for _ in range(10):
            job = self.now()
            if job.state.is_final:
                break
            if "resume" in job.allowed_actions:
                self.ask("resume")
            for number in range(CHUNKS):
                self.deliver(number, self.now().pass_no)
            self.the_sweep_looks()
        job = self.now()
        assert job.state.is_final
        if job.state is JobState.COMPLETED:
            assert (job.succeeded, job.failed) == (ITEMS - len(self.bad), len(self.bad))
        self.counts_are_those_of_the_rows_and_sum_to_the_total()


def _result(job: Job, position: int, bad: set[int]) -> Result:
    item = Item(position, None, {"bad": True} if position in bad else {})
    try:
        return _one(item)
    except ItemError as error:
        return Result.failure(item, error.code, str(error))


def test_whatever_happens_to_a_job_only_what_the_table_allows_comes_of_it(
    resources, watched, tenant, monkeypatch
):
    monkeypatch.setattr(LifeOfAJob, "resources", resources)
    monkeypatch.setattr(LifeOfAJob, "tenant_id", tenant.id)

    run_state_machine_as_test(
        LifeOfAJob,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
