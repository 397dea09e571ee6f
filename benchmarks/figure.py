"""What a benchmark found: one headline, what it is made of, and what others need for the same."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class Skipped(Exception):
    """The benchmark cannot run here. The message is for the person who asked."""


@dataclass(frozen=True, slots=True)
class Goal:
    limit: float
    at_most: bool = True

    def is_met(self, value: float) -> bool:
        return value <= self.limit if self.at_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.limit:g}"


@dataclass(frozen=True, slots=True)
class Measure:
    """One number, with the runs whose median it is."""

    label: str
    value: float
    unit: str
    goal: Goal | None = None
    runs: Sequence[float] = ()

    @classmethod
    def median(
        cls, label: str, runs: Sequence[float], unit: str, goal: Goal | None = None
    ) -> Measure:
        return cls(label, statistics.median(runs), unit, goal, tuple(runs))

    def to_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "name": self.label,
            "value": rounded(self.value),
            "unit": self.unit,
        }
        if self.goal is not None:
            shown |= {"goal": str(self.goal), "met": self.goal.is_met(self.value)}
        if self.runs:
            shown["runs"] = [rounded(run) for run in self.runs]
        return shown

    def __str__(self) -> str:
        text = f"{rounded(self.value):>10,} {self.unit:<6} {self.label}"
        if len(self.runs) > 1:
            low, high = rounded(min(self.runs)), rounded(max(self.runs))
            text += f" (median of {len(self.runs)}: {low:,} to {high:,})"
        if self.goal is not None:
            met = "met" if self.goal.is_met(self.value) else "MISSED"
            text += f"  goal {self.goal} {self.unit}: {met}"
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`more` is what the headline is made of or goes with; `peers` did the same work beside it."""

    name: str
    headline: Measure
    more: Sequence[Measure] = ()
    peers: Sequence[Measure] = ()
    conditions: Mapping[str, Any] = field(default_factory=dict)
    #: What peers are compared with, where that is not the headline.
    compared: Measure | None = None

    def to_json(self) -> str:
        shown = self.headline.to_json()
        return json.dumps(
            {
                **shown,
                "name": self.name,
                "more": [each.to_json() for each in self.more],
                "conditions": dict(self.conditions),
                "peers": [{**each.to_json(), "ratio": self._ratio(each)} for each in self.peers],
            },
            ensure_ascii=False,
        )

    def __str__(self) -> str:
        lines = [f"\n{self.name}", str(self.headline)]
        lines += [str(each) for each in self.more]
        lines += [f"{each}  ours over it: {self._ratio(each):g}" for each in self.peers]
        lines += [f"    {name}: {value}" for name, value in self.conditions.items()]
        return "\n".join(lines)

    def _ratio(self, peer: Measure) -> float:
        """Ours over the peer's: below 1 we are the smaller."""
        ours = self.compared or self.headline
        return float(f"{ours.value / peer.value:.3g}")


def nothing(name: str, why: Skipped) -> str:
    """Return the JSON line of a benchmark that could not run."""
    facts = {"name": name, "value": None, "unit": None, "conditions": {"skipped": str(why)}}
    return json.dumps({**facts, "peers": []}, ensure_ascii=False)


def rounded(value: float) -> float:
    """Three figures that mean something."""
    return round(value) if abs(value) >= 100 else float(f"{value:.3g}")
