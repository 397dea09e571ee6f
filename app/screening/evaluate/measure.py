"""Precision, recall, F1 and wrong alerts per query, at one threshold or at many.

What is measured is a list of `Asked`: one query, and the scores it got. Scores of the entry that
is meant are right alerts when they reach the threshold, all others are wrong alerts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """`right` is the score of what should be found: None if there is nothing to find.

    `wrong` holds the scores of everything else that was found.
    """

    right: float | None
    wrong: tuple[float, ...] = ()
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """`precision` is None where there was no alert, `recall` where there was nothing to find.

    `alerts_per_query` counts the wrong alerts: what a reviewer must look at in vain.
    `negatives_alerted` is the share of queries with nothing to find that alerted all the same.
    """

    threshold: float
    queries: int
    to_find: int
    found: int
    wrong_alerts: int
    alerts_per_query: float
    negatives_alerted: float | None

    @property
    def precision(self) -> float | None:
        return _share(self.found, self.found + self.wrong_alerts)

    @property
    def recall(self) -> float | None:
        return _share(self.found, self.to_find)

    @property
    def f1(self) -> float | None:
        return _share(2 * self.found, self.found + self.wrong_alerts + self.to_find)


def measure(asked: Sequence[Asked], threshold: float) -> Figures:
    """Return the figures at a threshold. Scores are compared as the engine rounds them."""
    has_right = [each for each in asked if each.right is not None]
    negatives = [each for each in asked if each.right is None]
    wrong = sum(score >= threshold for each in asked for score in each.wrong)
    alerted = sum(any(score >= threshold for score in each.wrong) for each in negatives)
    return Figures(
        threshold=threshold,
        queries=len(asked),
        to_find=len(has_right),
        found=sum(each.right >= threshold for each in has_right if each.right is not None),
        wrong_alerts=wrong,
        alerts_per_query=wrong / len(asked) if asked else 0.0,
        negatives_alerted=_share(alerted, len(negatives)),
    )


def sweep(asked: Sequence[Asked], thresholds: Iterable[float]) -> list[Figures]:
    return [measure(asked, threshold) for threshold in thresholds]


def by_group(asked: Sequence[Asked], threshold: float) -> dict[str, Figures]:
    """Return the figures of each group, by name; nothing where the rows name no group."""
    groups: dict[str, list[Asked]] = {}
    for each in asked:
        if each.group is not None:
            groups.setdefault(each.group, []).append(each)
    return {name: measure(groups[name], threshold) for name in sorted(groups)}


def steps(lowest: float, highest: float = 1.0, step: float = 0.05) -> list[float]:
    """Return the thresholds from the highest down to `lowest`, ascending.

    >>> steps(0.85)
    [0.85, 0.9, 0.95, 1.0]
    """
    count = int((highest - lowest) / step + 1e-9)
    return [round(highest - number * step, 4) for number in range(count, -1, -1)]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
