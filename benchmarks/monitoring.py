"""A list update of 200 entries against a million monitored names, through the Procfile's programs.

Timed from the moment the new version is in force to the moment the check is closed: beat notices,
a worker asks the index of the population whom the entries could concern, those are screened by a
job on two worker processes, and what is new, gone or changed is written. Loading the list is not
in it, nor is the population's index, which a smaller update before has had made.

A sample, with names planted that resemble the changed entries, is screened whole against both
versions beside: the changes must be the same. That everybody was screened before is only written
down; of the sample it is true. The peer is screening everybody again, reckoned from the sample.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import msgspec

from app.jobs.model import NewItem
from app.jobs.service import encode_item
from app.kinds.kyc import DEFAULT_SEARCH, DEFAULT_THRESHOLD
from app.monitoring import checks, service, store
from app.monitoring.model import Cause, Check, CheckState, Monitor
from app.resources import Resources
from app.screening.index import Index
from app.screening.match import Match
from app.screening.model import EntityType, Entry, Subject
from benchmarks import lists, machine
from benchmarks.figure import Figure, Goal, Measure
from benchmarks.stage import ROOT, Stage, staged, until

Say = Callable[[str], None]

NAMES = 1_000_000
GOAL = Goal(60)
LIST = "ofac"
#: Of the update: entries that are new (some from a list that is not loaded), changed, and gone.
ADDED, FOREIGN, CHANGED, GONE = 80, 60, 40, 20
#: Subjects beside the planted ones that are screened whole, before and after.
SAMPLE = 10_000
#: How often beat looks: a second, and not fifteen, to have less of the clock in the figure.
LOOK_SECONDS = 1.0
LONGEST = 3_600.0

#: More names than the SDN list has, with which the made-up ones come.
_LISTED = 60_000
_TYPES = {EntityType.PERSON: "individual", EntityType.ORGANISATION: "organization"}


def measure(say: Say, names: int = NAMES) -> Figure:
    lists.folder()
    dice = random.Random(29)
    before, between, after = _versions(dice)
    with staged(say=say) as stage:
        durable = stage.check_durable()
        stage.settings = replace(stage.settings, monitor_seconds=LOOK_SECONDS)
        say("compiling, if this machine has not yet")
        subprocess.run([sys.executable, "-m", "app.screening.compiled.warm"], cwd=ROOT, check=True)
        resources = Resources.open(stage.settings)
        _load(stage, before)
        say(f"writing down {names:,} subjects")
        monitor, sample = _watch(stage, resources, names, _planted(dice, after), dice)
        programs = stage.start_workers("worker", "control")
        say(f"screening {len(sample):,} of them")
        everybody = _baseline(resources, monitor, sorted(sample)) * names / len(sample)
        _wait_for_updates(stage, monitor)
        programs += stage.start_workers("beat")
        say("a first update, for which the population is indexed: minutes")
        _load(stage, between)
        first = _updated(stage, resources, monitor)
        machine.wait_until_quiet()
        say(f"an update of {ADDED + FOREIGN + CHANGED + GONE} entries")
        _load(stage, after)
        started = time.perf_counter()
        check = _updated(stage, resources, monitor, after=first)
        seconds = time.perf_counter() - started
        taking_up = _seconds_of_take_up(programs[0].log)
        say(f"{seconds:.1f} s; comparing the sample with a full rescreen")
        compared = _compare(resources, monitor, check, sample, between, after)
        size = sum(
            file.stat().st_size
            for file in stage.settings.index_dir.glob("population-*/*")
            if file.is_file()
        )
        conditions = machine.conditions(
            ("celery", "numba", "numpy", "psycopg2-binary"),
            work=f"{names:,} subjects; {len(after):,} entries, {ADDED + FOREIGN} new,"
            f" {CHANGED} changed, {GONE} gone; threshold {DEFAULT_THRESHOLD:g}",
            workers="the Procfile's worker, a pool of 2; control; beat",
            screened=f"{check.subjects:,} subjects",
            lossless=compared,
            durability=durable,
        )
        resources.close()
    return Figure(
        name="monitoring",
        headline=Measure("update in force to changes written", seconds, "s", GOAL),
        more=[
            Measure("of that, finding whom it could concern", taking_up[-1], "s"),
            Measure("the first update, with the population's index to be made", taking_up[0], "s"),
            Measure("that index", size / 1e6, "MB"),
        ],
        peers=[Measure("everybody screened again, reckoned from the sample", everybody, "s")],
        conditions=conditions,
    )


def _versions(dice: random.Random) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """Return the list before, with one entry more, and after the update."""
    every = lists.sdn()
    chosen = dice.sample(range(len(every)), ADDED + CHANGED + GONE + 1)
    new, rest = set(chosen[:ADDED]), chosen[ADDED:]
    changed, gone, single = set(rest[:CHANGED]), set(rest[CHANGED:-1]), rest[-1]
    foreign = [
        msgspec.structs.replace(entry, id=f"new-{entry.id}")
        for entry in dice.sample(lists.canonical("un"), FOREIGN)
    ]
    between = [entry for at, entry in enumerate(every) if at not in new]
    before = [entry for entry in between if entry is not every[single]]
    after = [
        msgspec.structs.replace(entry, programs=(*entry.programs, "AMENDED"))
        if at in changed
        else entry
        for at, entry in enumerate(every)
        if at not in gone
    ]
    return before, between, [*after, *foreign]


def _load(stage: Stage, entries: Sequence[Entry]) -> None:
    """Load the list as it is written by publishers of our own format."""
    path = stage.settings.index_dir.parent / "list.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(msgspec.json.encode(_line(entry)) + b"\n" for entry in entries))
    stage.load(LIST, path)


def _line(entry: Entry) -> Mapping[str, object]:
    return {
        "id": entry.id,
        "type": entry.entity_type.value,
        "name": entry.name,
        "aliases": entry.aliases,
        "weak_aliases": entry.weak_aliases,
        "birth_dates": entry.birth_dates,
        "countries": entry.countries,
        "identifiers": [{"type": each.type, "value": each.value} for each in entry.identifiers],
        "programs": entry.programs,
    }


def _planted(dice: random.Random, after: Sequence[Entry]) -> list[tuple[str, str | None]]:
    """Return names that resemble entries of the update, misspelt, with their types."""
    touched = [entry for entry in after if entry.id.startswith("new-")]
    touched += [entry for entry in after if "AMENDED" in entry.programs]
    found = []
    for entry in touched:
        for name in dice.sample((entry.name, *entry.aliases), min(2, 1 + len(entry.aliases))):
            at = dice.randrange(len(name))
            found.append(
                (name[:at] + dice.choice("aeint") + name[at + 1 :], _TYPES.get(entry.entity_type))
            )
    return found


def _watch(
    stage: Stage,
    resources: Resources,
    names: int,
    planted: Sequence[tuple[str, str | None]],
    dice: random.Random,
) -> tuple[Monitor, dict[str, Subject]]:
    """Make a watchlist of so many subjects, and return it with the sample of them."""
    monitor = service.create(
        resources,
        stage.tenant.id,
        "usr_bench",
        {
            "name": "customers",
            "description": None,
            "check_frequency": "on_update",
            "lists": None,
            "threshold": DEFAULT_THRESHOLD,
            "search_type": DEFAULT_SEARCH,
            "on_new_match": True,
            "on_status_change": True,
        },
    )
    subjects = [(f"planted-{at}", *each) for at, each in enumerate(planted)]
    made_up = (e for e in lists.many(names + _LISTED) if e.id.startswith("many-"))
    while len(subjects) < names:
        entry = next(made_up)
        subjects.append((entry.id, entry.name, _TYPES[entry.entity_type]))
    for at in range(0, names, 10_000):
        items = [
            NewItem(ref, encode_item({"subject": _fields(name, kind)}))
            for ref, name, kind in subjects[at : at + 10_000]
        ]
        service.add_subjects(resources, monitor, items)
    chosen = subjects[: len(planted)]
    chosen += dice.sample(subjects[len(planted) :], min(SAMPLE, names - len(planted)))
    words = {word: kind for kind, word in _TYPES.items()}
    sample = {ref: Subject(name, words.get(kind or "")) for ref, name, kind in chosen}
    return monitor, sample


def _fields(name: str, kind: str | None) -> dict[str, str]:
    return {"full_name": name, **({"entity_type": kind} if kind else {})}


def _baseline(resources: Resources, monitor: Monitor, names: Sequence[str]) -> float:
    """Screen these subjects, and return the seconds it took."""
    started = time.perf_counter()
    check, job = checks.begin(resources, monitor, Cause.MANUAL, entity_ids=names)
    assert job is not None
    _closed(resources, monitor, check.id)
    return time.perf_counter() - started


def _wait_for_updates(stage: Stage, monitor: Monitor) -> None:
    """Write down that everybody has been screened on the version in force."""
    with stage.db.transaction() as tx:
        tx.execute("UPDATE monitor_subjects SET screened_at = now()")
        tx.execute("UPDATE monitors SET checked_at = now()")
        tx.execute("SELECT id FROM watchlists WHERE is_current")
        row = tx.fetchone()
        assert row is not None
        store.set_lists(tx, monitor.id, {LIST: row["id"]})
        tx.execute("ANALYZE monitor_subjects")


def _updated(
    stage: Stage, resources: Resources, monitor: Monitor, after: Check | None = None
) -> Check:
    """Wait for the check of the update to be closed."""

    def look() -> Check | None:
        (newest,) = service.list_checks(resources, monitor, before=None, limit=1)
        is_update = newest.cause == Cause.LIST_UPDATE and (after is None or newest.id != after.id)
        return newest if is_update and newest.state != CheckState.RUNNING else None

    found: Check = until(look, LONGEST, "the update is taken up", pause=0.1)
    assert found.state == CheckState.COMPLETED, found.error_message
    return found


def _closed(resources: Resources, monitor: Monitor, check_id: UUID) -> Check:
    def look() -> Check | None:
        # As beat does; it does not run yet.
        found = checks.settle(resources, monitor.tenant_id, check_id)
        return found if found and found.state != CheckState.RUNNING else None

    found: Check = until(look, LONGEST, "the check ends", pause=0.1)
    assert found.state == CheckState.COMPLETED, found.error_message
    return found


def _seconds_of_take_up(log: Path) -> list[float]:
    """Return what the worker noted: the seconds of each update that it took up."""
    found = [
        msgspec.json.decode(line)["seconds"]
        for line in log.read_bytes().splitlines()
        if line.startswith(b"{") and b"update.taken_up" in line
    ]
    assert len(found) >= 2, "each update is in the log"
    return found


Key = tuple[str, str]


def _compare(
    resources: Resources,
    monitor: Monitor,
    check: Check,
    sample: Mapping[str, Subject],
    before: Sequence[Entry],
    after: Sequence[Entry],
) -> str:
    """Hold what the check wrote of the sample to a full rescreen, and say how much it was."""
    old, new = _hits(before, sample), _hits(after, sample)
    expected = dict.fromkeys(new.keys() - old.keys(), "new")
    expected |= dict.fromkeys(old.keys() - new.keys(), "gone")
    expected |= {
        key: "changed"
        for key in old.keys() & new.keys()
        if (old[key].entry, round(old[key].score, 4)) != (new[key].entry, round(new[key].score, 4))
    }
    with resources.db.transaction() as tx:
        tx.execute(
            "SELECT entity_id, entry_id, change FROM monitor_changes WHERE check_id = %s",
            (check.id,),
        )
        written = {
            (row["entity_id"], row["entry_id"]): row["change"]
            for row in tx.fetchall()
            if row["entity_id"] in sample
        }
    assert written == expected, (
        f"{len(expected.keys() - written.keys())} changes are missing,"
        f" {len(written.keys() - expected.keys())} are not there in a full rescreen"
    )
    kinds = list(expected.values())
    assert kinds.count("new") >= FOREIGN / 2, "there was something to find"
    told = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in ("new", "gone", "changed"))
    return f"{len(sample):,} subjects screened whole have the same changes: {told}"


def _hits(entries: Sequence[Entry], sample: Mapping[str, Subject]) -> dict[Key, Match]:
    index = Index.build(entries)
    found: dict[Key, Match] = {}
    names = list(sample)
    for at in range(0, len(names), 250):
        some = names[at : at + 250]
        for name, matches in zip(
            some, index.screen([sample[each] for each in some], DEFAULT_THRESHOLD), strict=True
        ):
            found.update({(name, match.entry.id): match for match in matches})
    return found
