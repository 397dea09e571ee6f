"""A job of 10,000 to completed: POST, two worker processes, the SDN list, results in Postgres.

Through the Procfile's programs, from the first byte sent to the moment a poller sees `completed`.
Beside it the index alone: the same entities screened by two processes that do nothing else. A
sample of the results is compared with the plain-Python scorer, tried on every name of the list.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import embedded
from app.sample import people
from app.sample.variants import Variant
from app.screening import store as watchlists
from app.screening.model import Entry
from benchmarks import lists, machine, reference
from benchmarks.client import ENTITIES, Client, batch
from benchmarks.figure import Figure, Goal, Measure
from benchmarks.stage import ROOT, Stage, staged

Say = Callable[[str], None]
Result = Mapping[str, Any]

RUNS = 5
GOAL = Goal(15)
POLL_SECONDS = 0.05
LONGEST_RUN = 300.0

LIST = "ofac"
WORKERS = 2
#: Results compared with the scorer, half of them of listed ones: a minute of plain Python.
SAMPLE = 40


@dataclass(frozen=True, slots=True)
class Ours:
    fresh: list[float]
    again: list[float]
    unlike: list[float]
    matches: int
    results: list[Result]


def measure(say: Say) -> Figure:
    folder = lists.folder()
    with staged(say=say) as stage:
        durable = stage.check_durable()
        say("loading the list")
        start = time.perf_counter()
        stage.load(LIST, folder / "watchlists" / "canonical" / "canonical_sdn.jsonl")
        loading = time.perf_counter() - start
        ours = _ours(stage, batch(), _unlike(folder), say)
        say("the index alone, in two processes")
        alone = [_alone(stage) for _ in range(RUNS)]
        say(f"comparing {SAMPLE} results with the plain scorer")
        _check_sample(stage, ours.results)
        found, planted = _planted(ours.results)
        entries = stage.query("SELECT entries FROM watchlists WHERE name = %(name)s", name=LIST)
        conditions = machine.conditions(
            ("celery", "numpy", "rapidfuzz", "psycopg2-binary"),
            work=f"{ENTITIES:,} entities, {entries:,} entries, threshold 0.85,"
            f" chunks of {stage.settings.chunk_size}",
            workers=f"the Procfile's worker, a pool of {WORKERS}, its index open; new before each"
            " run but `again`, so that no word is remembered",
            durability=durable,
            matches=f"{ours.matches:,}",
            recall=f"{found} of {planted} planted found; {SAMPLE} results equal the plain scorer's",
        )
    return Figure(
        name="job",
        headline=Measure.median("POST to completed", ours.fresh, "s", GOAL),
        more=[
            Measure.median("the same batch again, its words remembered", ours.again, "s"),
            Measure.median("people whose names repeat less", ours.unlike, "s", GOAL),
            Measure("loading the list, its index and its calibration", loading, "s"),
        ],
        peers=[Measure.median("the index alone, in two processes", alone, "s")],
        conditions=conditions,
    )


def _ours(stage: Stage, body: bytes, names: bytes, say: Say) -> Ours:
    port = embedded.free_port()
    client = Client(port, stage.token)
    programs = [stage.start_web(port), *stage.start_workers("control", "beat")]
    fresh: list[float] = []
    again: list[float] = []
    unlike: list[float] = []
    jobs: list[dict[str, Any]] = []
    for _ in range(RUNS):
        for times, sent in ((fresh, body), (unlike, names)):
            # New processes every time: an index remembers the words that it was asked about.
            workers = stage.start_workers("worker")
            _run(client, _opener())
            seconds, job = _run(client, sent)
            times.append(seconds)
            if sent is body:
                jobs.append(job)
                again.append(_run(client, body)[0])
            stage.stop(*workers)
        say(f"{fresh[-1]:.2f} s, again {again[-1]:.2f} s, other names {unlike[-1]:.2f} s")
    stage.stop(*programs)

    assert len({job["matches_found"] for job in jobs}) == 1, "the same every time"
    results = jobs[-1]["results"]
    assert [each["entity_id"] for each in results] == [
        each["entity_id"] for each in people.entities(ENTITIES)
    ]
    return Ours(fresh, again, unlike, jobs[-1]["matches_found"], results)


def _opener() -> bytes:
    """Return a batch that has every process open the index, and teaches it no words."""
    asked = [{**each, "search_type": "identifier"} for each in people.entities(1_000)]
    return json.dumps({"entities": asked}).encode()


def _unlike(folder: Path) -> bytes:
    """Return as many people whose names repeat far less than those of the sample."""
    lines = (folder / "names" / "list_level.dev.jsonl").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line)["query"] for line in lines]
    subjects = [
        {"full_name": each["name"], "entity_type": "individual"}
        for each in asked
        if each["type"] == "person"
    ]
    assert len(subjects) >= ENTITIES
    entities = [{"subject": subject} for subject in subjects[:ENTITIES]]
    return json.dumps({"entities": entities}, ensure_ascii=False).encode()


def _run(client: Client, body: bytes) -> tuple[float, dict[str, Any]]:
    machine.wait_until_quiet()
    start = time.perf_counter()
    submitted = client.post("/kyc/jobs", body)
    assert submitted.status == 200, submitted.raw[:500]
    path = f"/kyc/jobs/{submitted.body['job_id']}"
    job = client.get(f"{path}?results=false").body
    while job["job_status"] == "processing":
        assert time.perf_counter() - start < LONGEST_RUN, "the job takes too long"
        time.sleep(POLL_SECONDS)
        job = client.get(f"{path}?results=false").body
    seconds = time.perf_counter() - start

    assert job["job_status"] == "completed", job
    assert job["completed_entities"] == job["total_entities"]
    whole: dict[str, Any] = client.get(path).body
    return seconds, whole


def _alone(stage: Stage) -> float:
    """Return the seconds of the slower of two processes that share the entities."""
    version_id = stage.query("SELECT id FROM watchlists WHERE name = %(name)s", name=LIST)
    shares = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.alone", str(version_id), str(share), str(WORKERS)],
            cwd=ROOT,
            env=stage.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for share in range(WORKERS)
    ]
    for process in shares:
        # Each says when its index is open, so that both start at once.
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    machine.wait_until_quiet()
    for process in shares:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return max(float(process.communicate()[0]) for process in shares)


def _check_sample(stage: Stage, results: list[Result]) -> None:
    dice = random.Random(7)
    by_id = {each["entity_id"]: each for each in results}
    planted = sorted(people.expected(ENTITIES))
    others = sorted(by_id.keys() - set(planted))
    chosen = set(dice.sample(planted, SAMPLE // 2) + dice.sample(others, SAMPLE // 2))
    scorer = reference.Scorer(_entries(stage))
    for entity in people.entities(ENTITIES):
        if entity["entity_id"] in chosen:
            result = by_id[entity["entity_id"]]
            got = {
                match["match_data"]["id"]: match["confidence_score"] for match in result["matches"]
            }
            expected = scorer.screen(entity["subject"])
            assert got == expected, f"{entity['entity_id']}: not what the plain scorer says"


def _entries(stage: Stage) -> list[Entry]:
    with stage.db.transaction() as tx:
        version = watchlists.current_versions(tx)[LIST]
        return list(watchlists.load_entries(tx, version.id))


def _planted(results: list[Result]) -> tuple[int, int]:
    """Return how many of those planted were found as whom they are, and how many there were.

    Ships under another name do not count: this list has no numbers to know them by.
    """
    planted = {
        entity_id: each.entry_id
        for entity_id, each in people.batch(ENTITIES).planted.items()
        if each.variant is not Variant.RENAMED
    }
    found = sum(
        planted.get(each["entity_id"]) in {match["match_data"]["id"] for match in each["matches"]}
        for each in results
    )
    return found, len(planted)
