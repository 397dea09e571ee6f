"""How well screening tells people apart: every accuracy goal, on the labelled names at hand.

The rows are other people's data and not in the project: MUSTER_SHARED_DATA names their folder.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from app.screening.evaluate.labelled import LabelledPair, LabelledQuery, read_pairs, read_queries
from app.screening.evaluate.lists import screen_lists
from app.screening.evaluate.measure import Figures
from app.screening.evaluate.measure import measure as measure_asked
from app.screening.evaluate.pairs import score_pairs, shuffled
from app.screening.index import Index
from app.screening.lists import plain
from app.screening.model import ENGINE_VERSION, EntityType, Entry
from app.screening.pair import compare_entry
from benchmarks import labels
from benchmarks.figure import Figure, Goal, Measure, Skipped

ROOT = Path(__file__).resolve().parent.parent
PAIRS_AT, LISTS_AT = 0.7, 0.85
#: Of shuffled pairs so many may alert where recall is what counts.
MOST_SHUFFLED = 0.01
CHECKED = 200

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PairSet:
    """`goal` is for F1, or for recall with as many shuffled pairs beside the true ones."""

    file: str
    label: str
    goal: float
    is_shuffled: bool = False


PAIR_SETS = (
    PairSet("nk_name_bench.dev.jsonl", "pairs of names", 0.85),
    PairSet("nk_entity_checks.dev.jsonl", "pairs with birth date, country, identifiers", 0.94),
    PairSet("yente_un_treated_pairs.dev.jsonl", "mutated UN names", 0.995, is_shuffled=True),
    PairSet("watchman_cross_script.dev.jsonl", "across scripts", 0.9, is_shuffled=True),
)


def measure_pairs(pairs: PairSet, folder: Path, peers: dict[str, labels.Scorer]) -> list[Measure]:
    """Return our measures, the goal's first, and then each peer's at its best threshold."""
    rows = read_pairs(folder / pairs.file)
    if pairs.is_shuffled:
        rows += shuffled(rows)
    found = _pair_measures(pairs, measure_asked(score_pairs(rows), PAIRS_AT))
    for name, scorer in peers.items():
        found.append(_peer_measure(pairs, name, rows, scorer))
    return found


def _pair_measures(pairs: PairSet, figures: Figures) -> list[Measure]:
    label = f"{pairs.label} ({figures.queries} pairs), at {figures.threshold:g}"
    if not pairs.is_shuffled:
        return [Measure(label, figures.f1 or 0.0, "F1", Goal(pairs.goal, at_most=False))]
    return [
        Measure(label, figures.recall or 0.0, "recall", Goal(pairs.goal, at_most=False)),
        Measure(
            f"{pairs.label}: shuffled pairs that alert",
            100 * (figures.negatives_alerted or 0.0),
            "%",
            Goal(100 * MOST_SHUFFLED),
        ),
    ]


def _peer_measure(
    pairs: PairSet, name: str, rows: Sequence[LabelledPair], scorer: labels.Scorer
) -> Measure:
    asked = labels.score_pairs(rows, scorer)
    figures = labels.at_best(asked, MOST_SHUFFLED if pairs.is_shuffled else None)
    value = figures.recall if pairs.is_shuffled else figures.f1
    label = f"{pairs.label}: {name}, at its best threshold {figures.threshold:g}"
    return Measure(label, value or 0.0, "recall" if pairs.is_shuffled else "F1")


def measure_lists(queries: Sequence[LabelledQuery], indexes: Sequence[Index]) -> list[Measure]:
    figures = measure_asked(screen_lists(queries, indexes, LISTS_AT), LISTS_AT)
    return [
        Measure(
            f"queries against two lists ({figures.queries:,}), {figures.to_find} to be found",
            100 * (figures.recall or 0.0),
            "%",
            Goal(99.5, at_most=False),
        ),
        Measure(
            "ordinary people who alert",
            100 * (figures.negatives_alerted or 0.0),
            "%",
            Goal(0.5),
        ),
    ]


def measure_aliases(
    queries: Sequence[LabelledQuery], index: Index, kind: EntityType, found: float, others: float
) -> list[Measure]:
    asked = screen_lists(queries, [index], LISTS_AT, leave_alias_out=True)
    figures = measure_asked(asked, LISTS_AT)
    label = f"an alias taken off its entry, {kind} ({figures.queries:,})"
    return [
        Measure(f"{label}: found", 100 * (figures.recall or 0.0), "%", Goal(found, at_most=False)),
        Measure(f"{label}: others alerted, each", figures.alerts_per_query, "", Goal(others)),
    ]


def measure_all(say: Say) -> tuple[list[Measure], dict[str, labels.Scorer]]:
    names = _data() / "names"
    peers = _peers(say)
    measures: list[Measure] = []
    for pairs in PAIR_SETS:
        if (names / pairs.file).is_file():
            say(pairs.label)
            measures += measure_pairs(pairs, names, peers)
    say("lists: reading and indexing")
    entries = {name: _entries(name) for name in ("sdn", "un")}
    indexes = {name: Index.build(some) for name, some in entries.items()}
    if (names / "list_level.dev.jsonl").is_file():
        say("queries against two lists")
        queries = read_queries(names / "list_level.dev.jsonl")
        measures += measure_lists(queries, [*indexes.values()])
        _check(queries, indexes["sdn"], entries["sdn"])
    if (names / "ofac_alias.dev.jsonl").is_file():
        say("aliases")
        of = partial(_of_type, read_queries(names / "ofac_alias.dev.jsonl"))
        for kind, found, others in (
            (EntityType.PERSON, 80, 0.2),
            (EntityType.ORGANISATION, 55, 0.3),
        ):
            measures += measure_aliases(of(kind), indexes["sdn"], kind, found, others)
    return measures, peers


def _peers(say: Say) -> dict[str, labels.Scorer]:
    peers: dict[str, labels.Scorer] = {
        "jellyfish Jaro-Winkler": labels.jaro_winkler,
        "rapidfuzz token_sort_ratio": labels.token_sort_ratio,
    }
    try:
        peers[f"nomenklatura {version('nomenklatura')} logic-v2"] = labels.logic_v2()
    except ImportError:
        say("without logic-v2: pip install -e '.[peers]' needs libicu-dev, pkg-config, a compiler")
    return peers


def _of_type(queries: Sequence[LabelledQuery], kind: EntityType) -> list[LabelledQuery]:
    return [query for query in queries if query.subject.entity_type is kind]


def _check(queries: Sequence[LabelledQuery], index: Index, entries: Sequence[Entry]) -> None:
    """Fail unless the index says of some queries what comparing with some entries says."""
    dice = random.Random(7)
    some = dice.sample([query.subject for query in queries if query.expect], 20)
    listed = dice.sample(list(entries), CHECKED)
    for subject, matches in zip(some, index.screen(some, LISTS_AT), strict=True):
        found = {match.entry.id: match.score for match in matches}
        for entry in [*listed, *(match.entry for match in matches)]:
            match = compare_entry(subject, entry)
            score = match.score if match and match.score >= LISTS_AT else None
            if found.get(entry.id) != score:
                raise AssertionError("the index and the definition of a match disagree")


def _data() -> Path:
    folder = Path(os.environ.get("MUSTER_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "names").is_dir():
        raise Skipped(
            "the labelled names are not here: name their folder in MUSTER_SHARED_DATA,"
            " or put it at ../shared/data"
        )
    return folder


def _entries(name: str) -> list[Entry]:
    return list(plain.read([_data() / "watchlists" / "canonical" / f"canonical_{name}.jsonl"]))


def measure(say: Say) -> Figure:
    measures, peers = measure_all(say)
    missed = sum(each.goal is not None and not each.goal.is_met(each.value) for each in measures)
    return Figure(
        name="accuracy",
        headline=Measure("goals missed", missed, "", Goal(0)),
        more=measures,
        conditions={"engine version": ENGINE_VERSION, "peers": ", ".join(peers)},
    )
