"""The listed names that can reach a threshold, and their scores, of many queries in one call.

Nothing is missed; the reasons stand in `app.screening.candidates`.
"""

from __future__ import annotations

import numpy as np

from app.screening.arrays import Array
from app.screening.candidates import SLACK, Found
from app.screening.compiled.bounds import (
    all_but_one,
    asks_of,
    bring_near,
    cost_of,
    is_bounded,
    is_worth,
    may_stand_for,
    narrow_by_notes,
    narrow_by_words,
    too_little,
    weigh,
)
from app.screening.compiled.buckets import Buckets
from app.screening.compiled.filed import (
    CHOSEN,
    CLOSE,
    FEW_WORDS,
    STAMP,
    Filed,
    Paper,
    bits_of,
    heaviest,
    lightest,
    row_of,
)
from app.screening.compiled.jit import inner, jit
from app.screening.compiled.likeness import clear, fill, slots_for
from app.screening.compiled.matching import MOST_ACRONYMS, Prepared, Rules, score
from app.screening.compiled.vocabulary import Neighbours
from app.screening.names import MAX_TOKENS

_SLACK = SLACK
_NONE = np.uint64(0)


@inner
def _walk(
    asked: Prepared,
    query: int,
    neighbours: Neighbours,
    starts: Array,
    names: Array,
    skipped: np.uint32,
    among: np.uint32,
    paper: Paper,
    count: int,
) -> int:
    """Note which words each name may have; return how many names are now to be looked at.

    Words that are skipped are left out. Names are chosen that have two of the words `among` the
    words of the query; all, where that is none.
    """
    start = asked.starts[query]
    size = asked.starts[query + 1] - start
    fresh = np.uint64(query + 1) << STAMP
    two = np.uint64(among)
    for unit in range(2 * size):
        row = row_of(asked, start, size, unit)
        if row < 0:
            continue
        bits = bits_of(unit, size)
        if not bits & ~skipped:
            continue
        for at in range(neighbours.starts[row], neighbours.starts[row + 1]):
            word = neighbours.numbers[at]
            noted = np.uint64(bits)
            if size <= FEW_WORDS and neighbours.alike[at] >= CLOSE:
                noted |= noted << np.uint64(FEW_WORDS)
            for place in range(starts[word], starts[word + 1]):
                name = names[place]
                before = paper.met[name]
                if before < fresh:
                    before = fresh
                now = before | noted
                if not now & CHOSEN:
                    has = now & two
                    if two == _NONE or has & (has - np.uint64(1)):
                        now |= CHOSEN
                        paper.touched[count] = name
                        count += 1
                paper.met[name] = now
    return count


@inner
def _note(paper: Paper, query: int, name: int, count: int) -> int:
    """Note the name, if it has not been compared with this query; return how many are noted."""
    if paper.compared[name] != query:
        paper.compared[name] = query
        paper.touched[count] = name
        count += 1
    return count


@inner
def _note_all(table: Buckets, hash_: np.uint64, paper: Paper, query: int, count: int) -> int:
    """Note the names filed under the hash that have not been compared with this query."""
    bucket = int(hash_ >> np.uint64(table.shift))
    for at in range(table.starts[bucket], table.starts[bucket + 1]):
        if table.marks[at] == hash_:
            count = _note(paper, query, table.numbers[at], count)
    return count


@inner
def _note_whole(
    asked: Prepared,
    query: int,
    filed: Filed,
    acronyms: bool,
    rules: Rules,
    threshold: float,
    paper: Paper,
) -> int:
    """Note the names to compare whatever their words say (`candidates.whole_questions`)."""
    count = _note_all(filed.unspaced, asked.unspaced[query], paper, query, 0)
    if asked.run_on[query] != _NONE:
        count = _note_all(filed.run_on, asked.run_on[query], paper, query, count)
    if acronyms:
        count = _note_spelt_out(asked, query, filed, rules, threshold, paper, count)
        count = _note_abbreviated(asked, query, filed, rules, threshold, paper, count)
    return count


@inner
def _note_spelt_out(
    asked: Prepared,
    query: int,
    filed: Filed,
    rules: Rules,
    threshold: float,
    paper: Paper,
    count: int,
) -> int:
    """Note the names whose first letters a word of the query is."""
    for at in range(asked.starts[query], asked.starts[query + 1]):
        left = rules.query_leftover * (asked.weight[query] - asked.weights[at])
        hash_ = asked.hashes[asked.words[at]]
        bucket = int(hash_ >> np.uint64(filed.acronyms.shift))
        for place in range(filed.acronyms.starts[bucket], filed.acronyms.starts[bucket + 1]):
            name = filed.acronyms.numbers[place]
            if filed.acronyms.marks[place] != hash_:
                continue
            weight = (heaviest(filed.briefs[name]) + asked.weights[at]) / 2
            if may_stand_for(asked.lengths[at], weight, left, threshold):
                count = _note(paper, query, name, count)
    return count


@inner
def _note_abbreviated(
    asked: Prepared,
    query: int,
    filed: Filed,
    rules: Rules,
    threshold: float,
    paper: Paper,
    count: int,
) -> int:
    """Note the names that have the first letters of the query for a word."""
    # No word weighs more.
    weight = (asked.weight[query] + 1) / 2
    for which in range(MOST_ACRONYMS):
        hash_ = asked.acronyms[query, which]
        if hash_ == _NONE:
            continue
        bucket = int(hash_ >> np.uint64(filed.words.shift))
        for at in range(filed.words.starts[bucket], filed.words.starts[bucket + 1]):
            word = filed.words.numbers[at]
            if filed.words.marks[at] != hash_ or word >= filed.word_count:
                continue
            length = filed.ends[word + 1] - filed.ends[word]
            if not may_stand_for(length, weight, 0.0, threshold):
                continue
            for place in range(filed.starts[word], filed.starts[word + 1]):
                name = filed.names[place]
                left = rules.listed_leftover * max(0.0, lightest(filed.briefs[name]) - 1)
                if may_stand_for(length, weight, left, threshold):
                    count = _note(paper, query, name, count)
    return count


@inner
def _choose(
    asked: Prepared,
    query: int,
    neighbours: Neighbours,
    listed: Prepared,
    filed: Filed,
    rules: Rules,
    threshold: float,
    paper: Paper,
    alike: Array,
    most: Array,
    bits: Array,
    best: Array,
) -> int:
    """Note the names whose bound reaches the threshold, and return how many they are."""
    size = asked.starts[query + 1] - asked.starts[query]
    fill(asked, query, neighbours, paper, alike, most, bits)
    capable = weigh(asked, query, neighbours, filed, threshold, rules, paper)
    skipped = too_little(asked, query, threshold, rules, paper)
    mine = asked.strong[query]
    lowest = threshold - _SLACK
    # From so many strong words of the listed name on, one strong pair is too little.
    fewest = 1
    if rules.is_reversed:
        # The rule for one word is about the side that asks, which here is the listed one.
        two = mine > 0 and rules.one_strong_pair < lowest
        if rules.one_word_query >= lowest:
            fewest = 2
    else:
        kept_of_one = rules.one_word_query if mine == 1 else rules.one_strong_pair
        two = mine > 0 and kept_of_one < lowest
    but_one = all_but_one(asked, query, capable, paper)
    every = cost_of(paper.cost, size, ~np.uint32(0))
    if two and mine >= 2 and is_worth(paper.cost, size, but_one, every):
        skipped = but_one
    elif not is_worth(paper.cost, size, skipped, every):
        skipped = np.uint32(0)
    among = capable if two and not skipped else np.uint32(0)
    met = _walk(asked, query, neighbours, filed.starts, filed.names, skipped, among, paper, 0)
    if two and (among or skipped == but_one):
        # For a name with so few strong words one pair can be enough.
        weak = mine >= 2 and fewest == 1
        starts = filed.weak_starts if weak else filed.single_starts
        names = filed.weak_names if weak else filed.single_names
        met = _walk(asked, query, neighbours, starts, names, np.uint32(0), np.uint32(0), paper, met)
    asks = asks_of(asked, query, threshold, rules, two, fewest, capable)
    met = narrow_by_notes(size, filed, asks, skipped, paper, met)
    bring_near(listed.starts, filed, paper, met)
    least = threshold * (0.5 - rules.listed_leftover)
    met = narrow_by_words(size, listed.starts, filed, asks, least, most, bits, paper, met)
    worth_it = 0
    for at in range(met):
        name = paper.touched[at]
        if not is_bounded(asked, query, listed, name, alike, threshold, rules, paper.slot_of, best):
            paper.compared[name] = query
            paper.touched[worth_it] = name
            worth_it += 1
    return worth_it


@jit
def find(
    asked: Prepared,
    neighbours: Neighbours,
    listed: Prepared,
    filed: Filed,
    acronyms: bool,
    rules: Rules,
    threshold: float,
    paper: Paper,
) -> Found:
    """Return every listed name that scores the threshold, or less by a rounding error at most.

    Ordered by query. `acronyms` says that names of this type are known by their first letters.
    Where `rules` are reversed, return every name that may score it when it asks, and score none.
    """
    queries = np.empty(256, np.int32)
    names = np.empty(256, np.int32)
    scores = np.empty(256, np.float64)
    alike = np.empty(4096, np.float64)
    most = np.empty(1024, np.float64)
    bits = np.empty(1024, np.uint32)
    best = np.empty(MAX_TOKENS, np.float64)
    kept = 0
    paper.compared[:] = -1
    paper.met[:] = 0
    for query in range(len(asked.starts) - 1):
        size = asked.starts[query + 1] - asked.starts[query]
        if size == 0:
            continue
        slots = min(slots_for(asked, query, neighbours), len(paper.slot_of) + 1)
        if slots > len(most):
            most = np.empty(2 * slots, np.float64)
            bits = np.empty(2 * slots, np.uint32)
        if slots * 2 * size > len(alike):
            alike = np.empty(2 * slots * size, np.float64)
        worth_it = _choose(
            asked, query, neighbours, listed, filed, rules, threshold, paper,
            alike, most, bits, best,
        )  # fmt: skip
        for whole in range(2):
            count = (
                worth_it
                if whole == 0
                else _note_whole(asked, query, filed, acronyms, rules, threshold, paper)
            )
            for at in range(count):
                name = paper.touched[at]
                value = 1.0
                if not rules.is_reversed:
                    value = score(
                        asked, query, listed, name, paper.slot_of, alike, 2 * size, rules,
                        paper.pairs,
                    )  # fmt: skip
                if value < threshold - _SLACK:
                    continue
                if kept == len(scores):
                    queries = _longer_ints(queries)
                    names = _longer_ints(names)
                    longer = np.empty(2 * kept, np.float64)
                    longer[:kept] = scores
                    scores = longer
                queries[kept], names[kept], scores[kept] = query, name, value
                kept += 1
        clear(asked, query, neighbours, paper)
    return Found(queries[:kept].copy(), names[:kept].copy(), scores[:kept].copy())


@inner
def _longer_ints(some: Array) -> Array:
    longer = np.empty(2 * len(some), np.int32)
    longer[: len(some)] = some
    return longer
