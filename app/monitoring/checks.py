"""A check: subjects go through a screening job, and its results through what was known before.

A check and its job have one id. Whoever finds the job ended compares: the caller who waits, a poll,
the clock, or for what is large a worker's task; the second to come finds the check closed. Twice
looks like once.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from app.db import Cursor
from app.errors import CheckRunning, JobNotFound, MonitorBusy, MonitorNotFound
from app.jobs import service as jobs
from app.jobs import store as job_store
from app.jobs.dispatch import INTERACTIVE
from app.jobs.model import ItemStatus, Job, NewJob
from app.jobs.states import JobState
from app.kinds import kyc
from app.monitoring import store
from app.monitoring.model import (
    INTERVALS,
    OF_EVERYBODY,
    Cause,
    Check,
    CheckState,
    Hit,
    Monitor,
    fingerprint,
    longest_pause,
)
from app.monitoring.store import Change, NewHit
from app.resources import Resources
from app.screening.model import ENGINE_VERSION

log = logging.getLogger(__name__)

#: Checks of so many subjects are made while the caller waits.
SMALL = 100
#: Subjects and hits, known and found, together. Comparing more takes longer than a caller, or a
#: look, should wait: a task does it.
AT_ONCE = 2_000
#: Results that are compared at a time.
_PAGE = 1_000
#: Matches of one subject that are compared: more than any has that is worth watching.
_MATCHES = 10_000
#: Whom a check failed to screen is checked again, so many seconds later and not before; twice as
#: many after each further one, up to the monitor's interval.
AGAIN_SECONDS = 900.0
SYSTEM = "muster"

#: A list, the version that was known and the one that is: (name, version, version).
Update = tuple[str, str | None, str | None]


def begin(
    resources: Resources,
    monitor: Monitor,
    cause: Cause,
    *,
    by: str = SYSTEM,
    entity_ids: Iterable[str] | None = None,
    added_after: datetime | None = None,
    update: Update | None = None,
    knows: Mapping[str, int] | None = None,
    reviewed: datetime | None = None,
) -> tuple[Check, Job | None]:
    """Begin a check of the monitor's subjects, or of these, or of those added after, alone.

    Of an `update` only that list is searched. `knows` are versions that the monitor will know when
    it is done; without it and with everybody screened, all that are searched. It looks into what
    was `reviewed` up to that time. No job is made where there is nobody to screen: then the check
    is done. Raises CheckRunning, MonitorNotFound or MonitorBusy.
    """
    wanted = store.Wanted(
        monitor.id,
        None if entity_ids is None else sorted(set(entity_ids)),
        unscreened=cause is Cause.SUBJECTS_ADDED,
        added_after=added_after,
    )
    # A version that stays older than what is known is in force all the same.
    last = False
    while True:
        # Before the transaction: it has one of its own.
        plan = _plan(resources, monitor, cause, by, update)
        try:
            begun = _write(
                resources, monitor, cause, plan, wanted, update, knows, reviewed, last=last
            )
        except MonitorBusy:
            # Most often one is being closed.
            with resources.db.transaction() as tx:
                running = _running(tx, monitor.id)
            if running is None:
                raise
            raise _under_way(running) from None
        if not isinstance(begun, Monitor):
            break
        # It was changed in between.
        monitor, last = begun, True
    check, job = begun
    if job is None:
        return check, None
    log.info(
        "check.begun",
        extra={"check_id": str(check.id), "cause": cause.value, "subjects": check.subjects},
    )
    jobs.launch(resources, job, range(job.chunk_count))
    return check, job


def _write(
    resources: Resources,
    monitor: Monitor,
    cause: Cause,
    plan: NewJob,
    wanted: store.Wanted,
    update: Update | None,
    knows: Mapping[str, int] | None,
    reviewed: datetime | None,
    *,
    last: bool,
) -> tuple[Check, Job | None] | Monitor:
    """Write check and job as planned; or return the monitor as it is now, to be planned again."""
    with resources.db.transaction() as tx:
        now = store.lock_monitor_soon(tx, monitor.id)
        if now is None:
            raise MonitorNotFound("The watchlist has been deleted.")
        if not now.searches_like(monitor) or (
            not last and _is_old(plan, store.known_lists(tx, monitor.id))
        ):
            return now
        everybody = wanted.entity_ids is None and (
            cause is not Cause.SUBJECTS_ADDED or now.checked_at is None
        )
        subjects = store.count_wanted(tx, wanted)
        check = store.insert_check(
            tx,
            {
                "id": uuid4(),
                "monitor_id": monitor.id,
                "cause": cause,
                "list_name": update and update[0],
                "from_version": update and update[1],
                "to_version": update and update[2],
                "scope": [update[0]] if update else None,
                "last_number": store.last_number(tx, monitor.id),
                "subjects": subjects,
                "lists_missing": [] if update else _missing(monitor, plan),
                "created_by": plan.created_by,
            },
        )
        if check is None:
            raise _under_way(_running(tx, monitor.id))
        if everybody and update is None:
            searched = _searched(monitor, plan)
            store.forget_lists(tx, monitor.id, list(searched))
            store.set_lists(tx, monitor.id, searched)
        elif knows is not None:
            store.set_lists(tx, monitor.id, knows)
        if reviewed is not None:
            store.note_reviewed(tx, monitor.id, reviewed)
        if not subjects:
            return _close(tx, now, check, [], everybody=everybody), None
        small = cause is Cause.MANUAL and subjects <= SMALL
        plan = replace(plan, external_id=str(check.id), queue=INTERACTIVE if small else plan.queue)
        job = jobs.write(tx, plan, subjects, lambda tx, job: store.fill_job(tx, wanted, job))
    return check, job


def _under_way(check_id: UUID | None) -> CheckRunning:
    return CheckRunning(
        "A check of this watchlist is under way; its history shows how far it is.",
        check_id=str(check_id),
    )


def _running(tx: Cursor, monitor_id: UUID) -> UUID | None:
    found = store.running_check(tx, monitor_id)
    return None if found is None else found.id


def _plan(
    resources: Resources, monitor: Monitor, cause: Cause, by: str, update: Update | None
) -> NewJob:
    """Return the job without its items."""
    wanted: dict[str, Any] = {"search_type": monitor.search_type}
    if update is not None:
        wanted["lists"] = [update[0]]
    planned = kyc.plan(
        resources,
        tenant_id=monitor.tenant_id,
        created_by=by,
        items=(),
        threshold=monitor.threshold,
        labels={"watchlist_id": str(monitor.id), "cause": cause.value},
        wanted=wanted,
    )
    if update is None and monitor.lists is not None:
        # A list that is missing must keep nobody from being screened on the others. If all are,
        # every subject fails and says so.
        wanted["lists"] = sorted(_searched(monitor, planned)) or list(monitor.lists)
    options = {**planned.options, "wanted": wanted, "shown_matches": _MATCHES}
    return replace(planned, options=options)


def _is_old(planned: NewJob, known: Mapping[str, int]) -> bool:
    """Say whether the monitor knows a later version of a list than the one to be searched."""
    lists = planned.options["lists"]
    return any(version > int(lists[name]["id"]) for name, version in known.items() if name in lists)


def _missing(monitor: Monitor, planned: NewJob) -> list[str]:
    """Return the lists that the monitor names and that are not loaded."""
    return sorted(set(monitor.lists or ()) - set(planned.options["lists"]))


def _searched(monitor: Monitor, planned: NewJob) -> dict[str, int]:
    """Return, of each list that the job searches, the version's id."""
    return {
        name: int(its["id"])
        for name, its in planned.options["lists"].items()
        if monitor.searches(name)
    }


def settle(
    resources: Resources, tenant_id: UUID, check_id: UUID, *, most: int | None = None
) -> Check | None:
    """Compare the results of a check whose job has ended, and close it.

    Return the check as it then is, or None if there is none any more. While the job runs, nothing
    is done; nor if the check is closed, or has more than `most` subjects and hits to compare. With
    that, raises MonitorBusy; without it waits, however long.
    """
    job: Job | None
    try:
        job = jobs.find(resources, tenant_id, kyc.NAME, str(check_id))
    except JobNotFound:
        # Deleted by somebody.
        job = None
    if most is not None:
        with resources.db.transaction() as tx:
            check = store.load_check(tx, check_id)
            if check is None or _is_more(tx, check, job, most):
                return check
    lock = store.lock_monitor if most is None else store.lock_monitor_soon
    with resources.db.transaction() as tx:
        # In the order in which deleting locks them: first the monitor, then its checks.
        owner = store.owner_of(tx, check_id)
        monitor = None if owner is None else lock(tx, owner)
        check = store.lock_check(tx, check_id)
        if monitor is None or check is None or check.state != CheckState.RUNNING:
            return check
        if job is not None and not job.state.is_final:
            return check
        if check.is_withdrawal:
            return _close(tx, monitor, check, _holders(tx, check), everybody=False)
        if job is None or job.state is not JobState.COMPLETED:
            return _fail(tx, monitor, check, job)
        # By its value: a row has the word.
        everybody = check.cause in OF_EVERYBODY or (
            check.cause == Cause.SUBJECTS_ADDED and monitor.checked_at is None
        )
        return _close(tx, monitor, check, _pages(tx, job), everybody=everybody, job=job)


def _is_more(tx: Cursor, check: Check, job: Job | None, most: int) -> bool:
    """Say whether there is more to compare: what it costs is hits, those found and those known."""
    if not check.is_withdrawal and (job is None or job.state is not JobState.COMPLETED):
        return False
    left = most - check.subjects - (0 if job is None else job.matches)
    return left < 0 or store.has_more_hits(tx, check.monitor_id, check.scope, left)


def _holders(tx: Cursor, check: Check) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield as results of a withdrawn list, page by page, that nobody has a hit there."""
    nothing = json.dumps({"matches": [], "list_versions": {}})
    after = ""
    while names := store.holders_on_list(
        tx, check.monitor_id, check.list_name or "", after=after, limit=_PAGE
    ):
        yield [{"status": "succeeded", "ref": name, "result": nothing} for name in names]
        after = names[-1]


def _pages(tx: Cursor, job: Job) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Yield the job's results in this transaction, page by page."""
    first = 0
    while first < job.total:
        page = job_store.list_results(
            tx, job, first=first, end=job.total, limit=_PAGE, statuses=tuple(ItemStatus)
        )
        if not page:
            return
        yield page
        first = page[-1]["position"] + 1


def _fail(tx: Cursor, monitor: Monitor, check: Check, job: Job | None) -> Check | None:
    code, message = "job_not_found", "The screening job of this check does not exist."
    if job is not None:
        code = job.error_code or str(job.state)
        message = job.error_message or f"The screening job of this check was {job.state}."
    log.warning("check.failed", extra={"check_id": str(check.id), "code": code})
    store.note_vain(
        tx, check, AGAIN_SECONDS, longest_pause(monitor.check_frequency), everybody=True
    )
    return store.fail_check(tx, check.id, code, message)


def _close(
    tx: Cursor,
    monitor: Monitor,
    check: Check,
    pages: Iterable[Sequence[Mapping[str, Any]]],
    *,
    everybody: bool,
    job: Job | None = None,
) -> Check:
    previous = store.count_hits(tx, monitor.id, check.scope)
    comparison = _Comparison(tx, monitor, check)
    for page in pages:
        comparison.compare(page)
    if everybody:
        # By the oldest of the workers: while they are replaced, some have another engine.
        engine = min(comparison.engines, default=int(ENGINE_VERSION))
        store.note_checked(tx, monitor.id, INTERVALS[monitor.check_frequency], engine)
    if comparison.failed:
        store.note_vain(
            tx, check, AGAIN_SECONDS, longest_pause(monitor.check_frequency), everybody=False
        )
    elif check.scope is None:
        store.note_good(tx, monitor.id)
    versions = {} if job is None else _versions(job)
    searched = comparison.checked
    found = store.finish_check(
        tx,
        check.id,
        failed=comparison.failed,
        matches=store.count_hits(tx, monitor.id, check.scope),
        previous=previous,
        added=comparison.kinds["new"],
        gone=comparison.kinds["gone"],
        changed=comparison.kinds["changed"],
        by_list={
            name: {"checked": count, "matches": comparison.matches[name]}
            for name, count in sorted(searched.items())
        },
        list_versions={name: versions[name] for name in sorted(searched) if name in versions},
    )
    log.info(
        "check.finished",
        extra={
            "check_id": str(check.id),
            "subjects": check.subjects,
            "new": found.added,
            "gone": found.gone,
            "changed": found.changed,
        },
    )
    return found


def _versions(job: Job) -> dict[str, str]:
    """Return which version of each list the job searched."""
    return {name: its["version"] for name, its in job.options["lists"].items()}


class _Comparison:
    """What is found of subjects, page by page, beside what was known of them."""

    def __init__(self, tx: Cursor, monitor: Monitor, check: Check) -> None:
        self._tx = tx
        self._monitor = monitor
        self._check = check
        self._written = 0
        self.failed = 0
        #: By list: subjects that were compared with it, and matches they have there.
        self.checked: Counter[str] = Counter()
        self.matches: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        #: Versions of the engine that screened them.
        self.engines: set[int] = set()

    def compare(self, page: Sequence[Mapping[str, Any]]) -> None:
        done = {}
        failed = []
        for row in page:
            if row["status"] != "succeeded":
                # Nobody looked: what was known stands, and he is looked at again.
                failed.append(row["ref"])
            else:
                done[row["ref"]] = json.loads(row["result"])
        self.failed += len(failed)
        store.mark_unscreened(self._tx, self._check, failed)
        for detail in done.values():
            self.checked.update(detail["list_versions"].keys())
            if "engine_version" in detail:
                self.engines.add(int(detail["engine_version"]))
        numbers = store.numbers_of(self._tx, self._monitor.id, list(done))
        as_screened = [
            name for name, number in numbers.items() if number <= self._check.last_number
        ]
        known = self._known(as_screened)
        self._write(
            [
                each
                for name in sorted(as_screened)
                for each in self._differences(name, done[name], known.get(name, {}))
            ]
        )
        if self._check.scope is None:
            # On everything, and not on one list alone.
            store.mark_screened(self._tx, self._check, as_screened)

    def _known(self, names: Sequence[str]) -> dict[str, dict[tuple[str, str], Hit]]:
        found: dict[str, dict[tuple[str, str], Hit]] = {}
        for hit in store.load_hits(self._tx, self._monitor.id, names, self._check.scope):
            found.setdefault(hit.entity_id, {})[hit.list_name, hit.entry_id] = hit
        return found

    def _differences(
        self, name: str, detail: Mapping[str, Any], known: Mapping[tuple[str, str], Hit]
    ) -> Iterator[tuple[Change, NewHit | None, Hit | None]]:
        """Yield each change with the hit to write, or the one to delete."""
        # What a reviewer ruled out is no hit.
        now = {
            (match["list_name"], match["match_data"]["id"]): match
            for match in detail["matches"]
            if not match.get("suppressed")
        }
        for key, match in now.items():
            self.matches[key[0]] += 1
            before = known.get(key)
            mark, score = fingerprint(match), match["confidence_score"]
            if before is not None and before.fingerprint == mark:
                continue
            kind = "new" if before is None else "changed"
            hit = (name, *key, match["list_version"], score, mark, match)
            was = None if before is None else before.score
            yield Change(name, *key, kind, self._is_alert(kind), score, was, match), hit, None
        for key, hit_before in known.items():
            if key not in now:
                change = Change(
                    name, *key, "gone", self._is_alert("gone"), None, hit_before.score,
                    hit_before.detail,
                )  # fmt: skip
                yield change, None, hit_before

    def _is_alert(self, kind: str) -> bool:
        return self._monitor.on_new_match if kind == "new" else self._monitor.on_status_change

    def _write(self, differences: Sequence[tuple[Change, NewHit | None, Hit | None]]) -> None:
        changes = [change for change, _, _ in differences]
        self.kinds.update(change.change for change in changes)
        store.put_hits(self._tx, self._monitor.id, [hit for _, hit, _ in differences if hit])
        store.delete_hits(self._tx, [hit for _, _, hit in differences if hit])
        store.insert_changes(self._tx, self._check, changes, self._written)
        self._written += len(changes)


def withdraw(resources: Resources, monitor: Monitor, list_name: str) -> Check | None:
    """A list is not in force any more: nothing on it is a hit. Raises CheckRunning.

    Return the check, which whoever settles closes: at once, unless there are many hits.
    """
    with resources.db.transaction() as tx:
        if store.lock_monitor_soon(tx, monitor.id) is None:
            raise MonitorNotFound("The watchlist has been deleted.")
        check = store.insert_check(
            tx,
            {
                "id": uuid4(),
                "monitor_id": monitor.id,
                "cause": Cause.LIST_UPDATE,
                "list_name": list_name,
                "from_version": None,
                "to_version": None,
                "scope": [list_name],
                "last_number": store.last_number(tx, monitor.id),
                "subjects": store.count_holders(tx, monitor.id, list_name),
                "lists_missing": [],
                "created_by": SYSTEM,
            },
        )
        if check is None:
            raise CheckRunning("A check of this watchlist is under way.")
        store.forget_list(tx, monitor.id, list_name)
    return settle(resources, monitor.tenant_id, check.id, most=AT_ONCE)
