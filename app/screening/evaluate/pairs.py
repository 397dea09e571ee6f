"""Labelled pairs: each query compared with the one entry beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.screening.evaluate.labelled import LabelledPair
from app.screening.evaluate.measure import Asked
from app.screening.pair import compare_entry


def score_pairs(pairs: Sequence[LabelledPair]) -> list[Asked]:
    """Return what each pair scored: right where it is a match, wrong where it is none."""
    asked = []
    for pair in pairs:
        found = compare_entry(pair.subject, pair.entry)
        score = found.score if found else 0.0
        asked.append(
            Asked(score, (), pair.group) if pair.is_match else Asked(None, (score,), pair.group)
        )
    return asked


def shuffled(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """Return as many pairs that are none: each query with the entry half a file further on.

    Only true pairs are taken; whose entry happens to bear the same name is left out.
    """
    true = [pair for pair in pairs if pair.is_match]
    half = len(true) // 2
    return [
        replace(pair, entry=other.entry, is_match=False, group="shuffled")
        for pair, other in zip(true, true[half:] + true[:half], strict=True)
        if other.entry.name != pair.entry.name
    ]
